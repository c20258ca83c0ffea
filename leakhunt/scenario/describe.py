"""What a scenario file says of itself, read from its source without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from leakhunt.errors import BadFile
from leakhunt.model.kinds import Kind
from leakhunt.model.scenario import Option, Scenario, Variant
from leakhunt.text.language import tr

RESULT_KINDS = ("equal", "intervals")
_CONSTANTS = ("EXTRA", "REQUIRES", "DEVICES", "OPTIONS", "RESULT", "CALLS")
_NAME = re.compile(r"\w[\w.-]*")


def describe(file: Path) -> Scenario:
    """Read a scenario's description from its source, without running it.

    Raises:
        BadFile: it is no Python, has no variant, or a constant is no literal of the right kind.
    """
    try:
        tree = ast.parse(file.read_bytes(), filename=str(file))
    except OSError as error:
        raise BadFile(
            tr("{file}: {strerror}; check the path", file=file, strerror=tr(str(error.strerror)))
        ) from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
        raise BadFile(
            tr(
                "{file}{where}: not a Python file ({error}); mend it",
                file=file,
                where=where,
                error=error,
            )
        ) from error
    constants = _constants(tree, file)
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    devices = _texts(constants, "DEVICES", file) or ("cpu",)
    variants = tuple(_variants(tree, devices, file))
    if not variants:
        raise BadFile(
            tr("{file}: no variant; mark one function with @variant from leakhunt", file=file)
        )
    _check_names(variants, file)
    if "setup" not in functions:
        raise BadFile(
            tr("{file}: no setup(context) function; add one, it may return None", file=file)
        )
    result_kind = constants.get("RESULT", "equal")
    if result_kind not in RESULT_KINDS:
        raise BadFile(
            tr(
                "{file}: RESULT is {result_kind!r}; use one of {result_kinds}",
                file=file,
                result_kind=result_kind,
                result_kinds=", ".join(RESULT_KINDS),
            )
        )
    calls = constants.get("CALLS")
    if calls is not None and (not isinstance(calls, int) or calls < 1):
        raise BadFile(
            tr("{file}: CALLS is {calls!r}; use a whole number above 0", file=file, calls=calls)
        )
    stem = file.parent.name if file.name == "scenario.py" else file.stem
    return Scenario(
        name=stem.replace("_", "-"),
        file=str(file),
        summary=(ast.get_docstring(tree) or "").partition("\n")[0],
        variants=variants,
        options=tuple(_options(constants.get("OPTIONS", {}), file)),
        devices=devices,
        extra=_text(constants, "EXTRA", file),
        requires=_texts(constants, "REQUIRES", file),
        result_kind=result_kind,
        default_calls=calls,
        prepares="prepare" in functions,
        tells_audio="audio_seconds" in functions,
    )


def _constants(tree: ast.Module, file: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target: ast.expr = node.targets[0]
        elif isinstance(node, ast.AnnAssign):
            target = node.target
        else:
            continue
        if isinstance(target, ast.Name) and target.id in _CONSTANTS and node.value:
            found[target.id] = _literal(node.value, target.id, file)
    return found


def _literal(node: ast.expr, what: str, file: Path) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError):
        raise BadFile(
            tr(
                "{file}:{lineno}: {what} must be a literal, since it is read without"
                " running the file; write the value itself",
                file=file,
                lineno=node.lineno,
                what=what,
            )
        ) from None


def _texts(constants: Mapping[str, Any], name: str, file: Path) -> tuple[str, ...]:
    value = constants.get(name, ())
    if not isinstance(value, (tuple, list)) or not all(isinstance(item, str) for item in value):
        raise BadFile(
            tr(
                "{file}: {name} is {value!r}; use a tuple of words",
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
            tr(
                "{file}: {name} is {value!r}; use a word in quotes",
                file=file,
                name=name,
                value=value,
            )
        )
    return value


def _variants(tree: ast.Module, devices: tuple[str, ...], file: Path) -> Iterator[Variant]:
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            if not _is_mark(call.func if call else decorator):
                continue
            marks = {
                str(keyword.arg): _literal(
                    keyword.value, tr("{arg} of @variant", arg=keyword.arg), file
                )
                for keyword in (call.keywords if call else ())
            }
            rate = marks.get("rate", 0)
            if isinstance(rate, bool) or not isinstance(rate, (int, float)):
                raise BadFile(
                    tr(
                        "{file}: rate={rate!r} of {name}; use a number",
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
            tr(
                "{file}: expect={expected!r} of {function}; use one of {kind}",
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
                tr(
                    "{file}: variant name {name!r}; use letters, digits, '-', '_' and '.'",
                    file=file,
                    name=name,
                )
            )
        if name in seen:
            raise BadFile(
                tr("{file}: two variants are named {name!r}; rename one", file=file, name=name)
            )
        seen.add(name)


def _is_mark(node: ast.expr) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == "variant"
    return isinstance(node, ast.Name) and node.id == "variant"


def _options(declared: Any, file: Path) -> Iterator[Option]:
    if not isinstance(declared, dict):
        raise BadFile(
            tr("{file}: OPTIONS is no dict of name -> (default, choices, help)", file=file)
        )
    for name, value in declared.items():
        try:
            default, choices, text = value
            if isinstance(choices, str):
                raise TypeError(choices)
            words = tuple(map(str, choices))
        except (TypeError, ValueError):
            raise BadFile(
                tr(
                    "{file}: OPTIONS[{name!r}] is {value!r}; use (default, choices, help)",
                    file=file,
                    name=name,
                    value=value,
                )
            ) from None
        yield Option(str(name), str(default), words, str(text))
