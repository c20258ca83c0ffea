"""Which arguments a function of the user's is given: by the names of its parameters."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from types import MappingProxyType

from leakhunt.errors import UsageError
from leakhunt.text.message import message

INPUT = "input"
# What a measured function may name. `item` is what the input is called in scenario files.
OF_A_CALL = ("state", "call", INPUT)
_SAME_AS: Mapping[str, str] = MappingProxyType({"item": INPUT})
# The optional functions of a scenario, and what each is given, in this order.
HOOKS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "setup": ("context",),
        "teardown": ("state",),
        "prepare": ("context",),
        "make_input": ("state", "call"),
        "summarize": ("state", "result"),
        "audio_seconds": ("state", INPUT),
        "input_size": ("state", INPUT),
    }
)
# These mean something without any parameter, too.
_WITHOUT_PARAMETERS = ("setup", "teardown", "make_input")


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a function is called with: names of `OF_A_CALL` or of a hook's contract.

    `positional` go in this order; `by_keyword` under the name of the parameter.
    """

    positional: tuple[str, ...]
    by_keyword: Mapping[str, str]


def arguments_of(function: str, parameters: Sequence[Parameter]) -> Arguments:
    """What a function is called with once a call, for its name and its parameters.

    Raises:
        UsageError: it requires a parameter of which nobody says what it is given.
    """
    found, unknown = _by_name(parameters, OF_A_CALL)
    if len(unknown) == 1 and INPUT not in found.values():
        found[unknown[0]] = INPUT
    elif unknown:
        raise UsageError(
            message(
                "scenario.unknown-parameter",
                "{function}: unknown parameter {parameter!r}. Name it 'state', 'call' or"
                " 'input', or give it a default",
                function=function,
                parameter=unknown[0],
            )
        )
    return _in_order(parameters, found)


def arguments_of_hook(name: str, parameters: Sequence[Parameter]) -> Arguments | None:
    """What a function with the name of a hook is called with; None: it is something else.

    In a plain file ``setup(app)`` or ``summarize(text)`` may be the service's own.
    """
    found, unknown = _by_name(parameters, HOOKS[name])
    if unknown or not (found or (name in _WITHOUT_PARAMETERS and not parameters)):
        return None
    return _in_order(parameters, found)


def parameters_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[Parameter]:
    """The parameters of a function, read from its source."""
    return list(_parameters(node.args))


def _parameters(arguments: ast.arguments) -> Iterator[Parameter]:
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    for at, each in enumerate(positional):
        is_first = at < len(arguments.posonlyargs)
        kind = Parameter.POSITIONAL_ONLY if is_first else Parameter.POSITIONAL_OR_KEYWORD
        yield Parameter(each.arg, kind, default=Parameter.empty if at < required else None)
    if arguments.vararg is not None:
        yield Parameter(arguments.vararg.arg, Parameter.VAR_POSITIONAL)
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        given = Parameter.empty if default is None else None
        yield Parameter(each.arg, Parameter.KEYWORD_ONLY, default=given)
    if arguments.kwarg is not None:
        yield Parameter(arguments.kwarg.arg, Parameter.VAR_KEYWORD)


def _by_name(
    parameters: Sequence[Parameter], contract: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """What parameters are given by their names; and those that are required and unknown."""
    found: dict[str, str] = {}
    unknown: list[str] = []
    for each in parameters:
        meaning = each.name if each.name in contract else _SAME_AS.get(each.name, "")
        if each.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            continue
        if meaning in contract:
            found[each.name] = meaning
        elif each.default is Parameter.empty:
            unknown.append(each.name)
    return found, unknown


def _in_order(parameters: Sequence[Parameter], found: Mapping[str, str]) -> Arguments:
    """By position as long as none is left out, from then on by keyword where that is possible."""
    positional: list[str] = []
    by_keyword: dict[str, str] = {}
    in_a_row = True
    for each in parameters:
        in_a_row = in_a_row and each.name in found
        if each.name not in found:
            continue
        if in_a_row and each.kind in (
            Parameter.POSITIONAL_ONLY,
            Parameter.POSITIONAL_OR_KEYWORD,
        ):
            positional.append(found[each.name])
        elif each.kind is not Parameter.POSITIONAL_ONLY:
            by_keyword[each.name] = found[each.name]
    return Arguments(tuple(positional), by_keyword)
