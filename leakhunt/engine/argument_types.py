"""Whether a function of the API is given what its signature says: a wrong type is a wrong usage.

@checks_arguments
def run(target: Target, *, calls: int | None = None) -> RunResult: ...

run("service.py:handle", calls="400")   # UsageError: calls: expected int or None, got '400'
"""

from __future__ import annotations

import inspect
import os
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, wraps
from pathlib import Path
from reprlib import repr as short
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from leakhunt.errors import UsageError
from leakhunt.text.message import message

_P = ParamSpec("_P")
_R = TypeVar("_R")


def checks_arguments(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """`function`, which refuses arguments of other types than its signature names.

    A dataclass among them is checked field by field; of a protocol, that the methods are there.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        hints = _hints(function)
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            several = signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
            for each in value if several else (value,):
                _refuse_other_than(hints[name], name, each)
        return function(*args, **kwargs)

    return checked


@cache
def _hints(noun: Any) -> Mapping[str, Any]:
    return get_type_hints(noun)


def _refuse_other_than(hint: Any, name: str, value: Any) -> None:
    if not _fits(value, hint):
        wanted = " or ".join(dict.fromkeys(_names(hint)))
        raise UsageError(
            message(
                "argument.type",
                "{key}: expected {wanted}, got {value}",
                key=name,
                wanted=wanted,
                value=short(value),
            )
        )
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            hint = _hints(type(value))[field.name]
            _refuse_other_than(hint, field.name, getattr(value, field.name))


def _fits(value: Any, hint: Any) -> bool:  # noqa: PLR0911 - a case each
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (types.UnionType, Union):
        return any(_fits(value, part) for part in parts)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            _fits(key, parts[0]) and _fits(each, parts[1]) for key, each in value.items()
        )
    if origin in (Sequence, tuple):  # a string is a sequence of strings, and never meant as one
        is_sequence = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        return is_sequence and all(_fits(each, parts[0]) for each in value)
    if origin is Callable or hint is Callable:
        return callable(value)
    if hint in (int, float):  # a truth is no number here, and a whole number is a float
        kinds = int if hint is int else int | float
        return isinstance(value, kinds) and not isinstance(value, bool)
    if getattr(hint, "_is_protocol", False):
        return all(callable(getattr(value, name, None)) for name in _methods(hint))
    if hint is str or origin is os.PathLike or hint is Path:  # no file has a NUL in its name
        kind = os.PathLike if origin is os.PathLike else hint
        return isinstance(value, kind) and "\0" not in str(value)
    return isinstance(value, hint)


def _methods(protocol: type) -> Iterator[str]:
    return (name for name, value in vars(protocol).items() if inspect.isfunction(value)
            and not name.startswith("_"))  # fmt: skip


def _names(hint: Any) -> Iterator[str]:
    """How people write these types."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        for part in parts:
            yield from _names(part)
    elif origin is Mapping:
        yield "dict of " + " to ".join("/".join(_names(part)) for part in parts)
    elif origin in (Sequence, tuple):
        yield "list of " + "/".join(_names(parts[0]))
    elif origin is Callable:
        yield "function"
    else:
        kind = origin or hint
        yield "None" if kind is types.NoneType else getattr(kind, "__name__", str(kind))
