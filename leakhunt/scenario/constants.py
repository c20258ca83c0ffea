"""The constants of a scenario file, read from its source: each a literal of the right kind."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from leakhunt.errors import BadFile
from leakhunt.model.scenario import Option
from leakhunt.text.message import Text, message

RESULT_KINDS = ("equal", "intervals")
_CONSTANTS = ("EXTRA", "REQUIRES", "DEVICES", "OPTIONS", "RESULT", "CALLS", "JOBS", "INPUT_UNIT")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_DEVICES = ("cpu", "cuda")


def settings_of(nodes: Mapping[str, ast.expr], file: Path) -> dict[str, Any]:
    """What the constants say, as fields of the scenario."""
    values = {name: literal(node, name, file) for name, node in nodes.items()}
    result_kind = values.get("RESULT", "equal")
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
    return {
        "devices": texts(values, "DEVICES", file) or ("cpu",),
        "options": tuple(_options(values.get("OPTIONS", {}), file)),
        "extra": text_of(values, "EXTRA", file),
        "requires": texts(values, "REQUIRES", file),
        "result_kind": result_kind,
        "default_calls": _count(values, "CALLS", file),
        "default_jobs": _count(values, "JOBS", file) or 1,
        "input_unit": text_of(values, "INPUT_UNIT", file) or "",
    }


def settings_that_fit(nodes: Mapping[str, ast.expr], file: Path) -> dict[str, Any]:
    """The same in a file that marks no variant: a constant that does not fit is its own affair."""
    fit: dict[str, ast.expr] = {}
    for name, node in nodes.items():
        try:
            settings = settings_of({name: node}, file)
        except BadFile:
            continue
        words = all(_DOTTED.fullmatch(word) for word in settings["requires"])
        if words and set(settings["devices"]) <= set(_DEVICES):
            fit[name] = node
    return settings_of(fit, file)


def constants_in(tree: ast.Module) -> dict[str, ast.expr]:
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


def literal(node: ast.expr, what: Text, file: Path) -> Any:
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


def texts(values: Mapping[str, Any], name: str, file: Path) -> tuple[str, ...]:
    value = values.get(name, ())
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


def text_of(values: Mapping[str, Any], name: str, file: Path) -> str | None:
    value = values.get(name)
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


def _count(values: Mapping[str, Any], name: str, file: Path) -> int | None:
    value = values.get(name)
    if value is not None and (not isinstance(value, int) or value < 1):
        raise BadFile(
            message(
                "scenario.count",
                "{file}: {name}: expected a whole number above 0, got {value!r}",
                file=file,
                name=name,
                value=value,
            )
        )
    return value


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
