"""What a scenario file says of itself, read from its source without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from leakhunt.errors import BadFile
from leakhunt.model.kinds import Kind
from leakhunt.model.scenario import Option, Scenario, Variant
from leakhunt.scenario.arguments import HOOKS
from leakhunt.scenario.modules import module_of
from leakhunt.scenario.plain_functions import FunctionNode, Names, plain_variants
from leakhunt.text.language import tr
from leakhunt.text.message import message
from leakhunt.text.system import system_says

RESULT_KINDS = ("equal", "intervals")
_CONSTANTS = ("EXTRA", "REQUIRES", "DEVICES", "OPTIONS", "RESULT", "CALLS")
_NAME = re.compile(r"\w[\w.-]*")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_DEVICES = ("cpu", "cuda")


def describe(file: Path, functions: Sequence[str] = (), module: str = "") -> Scenario:
    """Read a scenario's description from its source, without running it.

    In a file that marks no variant, the `functions` that are named are its variants. `module` is
    the name that it is imported by, if it is named so.

    Raises:
        BadFile: it is no Python, has no variant, or a constant is no literal of the right kind.
        UsageError: it marks no variant, and has no such function.
    """
    tree = _tree(file)
    names = Names(tree)
    constants = _constants(tree)
    plain = not any(True for _ in _marked(tree))
    settings = _own_settings(constants, file) if plain else _settings(constants, file)
    if plain:
        variants = tuple(plain_variants(names, functions, module or str(file), settings["devices"]))
        hooks = {name for name in HOOKS if names.has_hook(name)}
    else:
        variants = tuple(_variants(tree, settings["devices"], file))
        hooks = set(names.functions)
    _check_names(variants, file)
    return Scenario(
        name=_name(file, module),
        file=str(file),
        summary=(ast.get_docstring(tree) or "").partition("\n")[0],
        variants=variants,
        **settings,
        prepares="prepare" in hooks,
        tells_audio="audio_seconds" in hooks,
        module=module or (module_of(file) if plain else ""),
        plain=plain,
    )


def _name(file: Path, module: str) -> str:
    stem = file.parent.name if file.name == "scenario.py" else file.stem
    return (module or stem).replace("_", "-")


def _tree(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes(), filename=str(file))
    except OSError as error:
        raise BadFile(
            message(
                "scenario.cannot-read",
                "{file}: {strerror}. Check the path",
                file=file,
                strerror=system_says(error),
            )
        ) from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where, what = _where_and_what(error)
        raise BadFile(
            message(
                "scenario.not-python",
                "{file}{where}: invalid Python ({error}). Fix the syntax",
                file=file,
                where=where,
                error=what,
            )
        ) from error


def _where_and_what(error: Exception) -> tuple[str, str]:
    """``:3`` and ``invalid syntax``; no line where Python names none."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f":{error.lineno}", error.msg
    return "", str(error)


def _settings(nodes: Mapping[str, ast.expr], file: Path) -> dict[str, Any]:
    """What the constants say, as fields of the scenario."""
    constants = {name: _literal(node, name, file) for name, node in nodes.items()}
    result_kind = constants.get("RESULT", "equal")
    if result_kind not in RESULT_KINDS:
        raise BadFile(
            message(
                "scenario.result-kind",
                "{file}: RESULT: expected one of {result_kinds}, got {result_kind!r}",
                file=file,
                result_kind=result_kind,
                result_kinds=", ".join(RESULT_KINDS),
            )
        )
    calls = constants.get("CALLS")
    if calls is not None and (not isinstance(calls, int) or calls < 1):
        raise BadFile(
            message(
                "scenario.calls",
                "{file}: CALLS: expected a whole number above 0, got {calls!r}",
                file=file,
                calls=calls,
            )
        )
    return {
        "devices": _texts(constants, "DEVICES", file) or ("cpu",),
        "options": tuple(_options(constants.get("OPTIONS", {}), file)),
        "extra": _text(constants, "EXTRA", file),
        "requires": _texts(constants, "REQUIRES", file),
        "result_kind": result_kind,
        "default_calls": calls,
    }


def _own_settings(nodes: Mapping[str, ast.expr], file: Path) -> dict[str, Any]:
    """The same in a file that marks no variant: a constant that does not fit is its own affair."""
    fit: dict[str, ast.expr] = {}
    for name, node in nodes.items():
        try:
            settings = _settings({name: node}, file)
        except BadFile:
            continue
        words = all(_DOTTED.fullmatch(word) for word in settings["requires"])
        if words and set(settings["devices"]) <= set(_DEVICES):
            fit[name] = node
    return _settings(fit, file)


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target: ast.expr = node.targets[0]
        elif isinstance(node, ast.AnnAssign):
            target = node.target
        else:
            continue
        if isinstance(target, ast.Name) and target.id in _CONSTANTS and node.value:
            found[target.id] = node.value
    return found


def _literal(node: ast.expr, what: str, file: Path) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError):
        raise BadFile(
            message(
                "scenario.not-literal",
                "{file}:{lineno}: {what} must be a literal, because the file is not run to"
                " read it. Write the value itself",
                file=file,
                lineno=node.lineno,
                what=what,
            )
        ) from None


def _texts(constants: Mapping[str, Any], name: str, file: Path) -> tuple[str, ...]:
    value = constants.get(name, ())
    if not isinstance(value, (tuple, list)) or not all(isinstance(item, str) for item in value):
        raise BadFile(
            message(
                "scenario.words",
                "{file}: {name}: expected a tuple of words, got {value!r}",
                file=file,
                name=name,
                value=value,
            )
        )
    return tuple(value)


def _text(constants: Mapping[str, Any], name: str, file: Path) -> str | None:
    value = constants.get(name)
    if value is not None and not isinstance(value, str):
        raise BadFile(
            message(
                "scenario.word",
                "{file}: {name}: expected a quoted word, got {value!r}",
                file=file,
                name=name,
                value=value,
            )
        )
    return value


def _marked(tree: ast.Module) -> Iterator[tuple[FunctionNode, ast.Call | None]]:
    """The functions that are marked as variants, and the arguments of the mark."""
    for node in tree.body:
        if isinstance(node, FunctionNode):
            for decorator in node.decorator_list:
                call = decorator if isinstance(decorator, ast.Call) else None
                if _is_mark(call.func if call else decorator):
                    yield node, call


def _variants(tree: ast.Module, devices: tuple[str, ...], file: Path) -> Iterator[Variant]:
    for node, call in _marked(tree):
        marks = {
            str(keyword.arg): _literal(
                keyword.value, tr("{arg} of @variant", arg=keyword.arg), file
            )
            for keyword in (call.keywords if call else ())
        }
        rate = marks.get("rate", 0)
        if isinstance(rate, bool) or not isinstance(rate, (int, float)):
            raise BadFile(
                message(
                    "scenario.rate",
                    "{file}: {name}: rate: expected a number, got {rate!r}",
                    file=file,
                    rate=rate,
                    name=node.name,
                )
            )
        yield Variant(
            name=_text(marks, "name", file) or node.name.replace("_", "-"),
            function=node.name,
            summary=(ast.get_docstring(node) or "").partition("\n")[0],
            devices=_texts(marks, "devices", file) or devices,
            expect=_kinds(marks.get("expect", ()), node.name, file),
            rate=rate,
            culprit=_text(marks, "culprit", file) or "",
            cause=_text(marks, "cause", file) or "",
        )


def _kinds(expected: Any, function: str, file: Path) -> tuple[Kind, ...]:
    words = (expected,) if isinstance(expected, str) else expected
    try:
        return tuple(Kind(word) for word in words)
    except (TypeError, ValueError):
        raise BadFile(
            message(
                "scenario.expect",
                "{file}: {function}: expect={expected!r} is unknown. Use one of {kind}",
                file=file,
                expected=expected,
                function=function,
                kind=", ".join(Kind),
            )
        ) from None


def _check_names(variants: tuple[Variant, ...], file: Path) -> None:
    """Each name once, and fit for a file name and the command line."""
    seen = set()
    for variant_found in variants:
        name = variant_found.name
        if not _NAME.fullmatch(name):
            raise BadFile(
                message(
                    "scenario.variant-name",
                    "{file}: invalid variant name {name!r}. Use letters, digits, '-', '_' and '.'",
                    file=file,
                    name=name,
                )
            )
        if name in seen:
            raise BadFile(
                message(
                    "scenario.same-name",
                    "{file}: two variants are named {name!r}. Rename one",
                    file=file,
                    name=name,
                )
            )
        seen.add(name)


def _is_mark(node: ast.expr) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == "variant"
    return isinstance(node, ast.Name) and node.id == "variant"


def _options(declared: Any, file: Path) -> Iterator[Option]:
    if not isinstance(declared, dict):
        raise BadFile(
            message(
                "scenario.options",
                "{file}: OPTIONS: expected a dict of name -> (default, choices, help)",
                file=file,
            )
        )
    for name, value in declared.items():
        try:
            default, choices, text = value
            if isinstance(choices, str):
                raise TypeError(choices)
            words = tuple(map(str, choices))
        except (TypeError, ValueError):
            raise BadFile(
                message(
                    "scenario.option-choices",
                    "{file}: OPTIONS[{name!r}]: expected (default, choices, help), got {value!r}",
                    file=file,
                    name=name,
                    value=value,
                )
            ) from None
        yield Option(str(name), str(default), words, str(text))
