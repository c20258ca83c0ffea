"""What a scenario file says of itself, read from its source without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from leakhunt.errors import BadFile
from leakhunt.model.kinds import Kind
from leakhunt.model.scenario import Scenario, Variant
from leakhunt.scenario.arguments import HOOKS
from leakhunt.scenario.constants import (
    constants_in,
    literal,
    settings_of,
    settings_that_fit,
    text_of,
    texts,
)
from leakhunt.scenario.modules import module_of
from leakhunt.scenario.plain_functions import FunctionNode, Names, plain_variants
from leakhunt.text.message import message
from leakhunt.text.system import system_text

_NAME = re.compile(r"\w[\w.-]*")


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
    constants = constants_in(tree)
    plain = not any(True for _ in _marked(tree))
    settings = settings_that_fit(constants, file) if plain else settings_of(constants, file)
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
        tells_input="input_size" in hooks or "make_input" in hooks,
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
                strerror=system_text(error),
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
            str(keyword.arg): literal(
                keyword.value,
                message("scenario.variant-argument", "{arg} of @variant", arg=keyword.arg),
                file,
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
            name=text_of(marks, "name", file) or node.name.replace("_", "-"),
            function=node.name,
            summary=(ast.get_docstring(node) or "").partition("\n")[0],
            devices=texts(marks, "devices", file) or devices,
            expect=_kinds(marks.get("expect", ()), node.name, file),
            rate=rate,
            culprit=text_of(marks, "culprit", file) or "",
            cause=text_of(marks, "cause", file) or "",
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
    names = set()
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
        if name in names:
            raise BadFile(
                message(
                    "scenario.same-name",
                    "{file}: two variants are named {name!r}. Rename one",
                    file=file,
                    name=name,
                )
            )
        names.add(name)


def _is_mark(node: ast.expr) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == "variant"
    return isinstance(node, ast.Name) and node.id == "variant"
