"""Whether a noun that was read from a file holds what its types say."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# A larger number is none that anybody measured, and no float.
_INT64 = range(-(2**63), 2**63)
_Noun = TypeVar("_Noun", bound="DataclassInstance")


def checked(noun: _Noun) -> _Noun:
    """`noun`, a dataclass of plain values, and mappings and tuples of them.

    Raises:
        ValueError: a field holds something of another type.
    """
    for name, fits in _checks(type(noun)):
        if not fits(getattr(noun, name)):
            raise ValueError(name)
    return noun


@cache
def _checks(kind: type[DataclassInstance]) -> Sequence[tuple[str, Callable[[Any], bool]]]:
    hints = get_type_hints(kind)
    return [(field.name, _check(hints[field.name])) for field in fields(kind)]


def _check(hint: Any) -> Callable[[Any], bool]:
    """Whether a value is what `hint` says; made once, since a hunt has thousands of frames."""
    origin, parts = get_origin(hint), get_args(hint)
    checks = [_check(part) for part in parts if part is not ...]
    if origin in (types.UnionType, Union):
        return lambda value: any(check(value) for check in checks)
    if origin is tuple:  # of any length, of one type
        return lambda value: isinstance(value, tuple) and all(map(checks[0], value))
    if origin is Mapping:
        return lambda value: (
            isinstance(value, Mapping)
            and all(map(checks[0], value))
            and all(map(checks[1], value.values()))
        )
    if hint in (int, float):  # a truth is no number here, and a whole number is a float
        return lambda value: (
            (type(value) is int and value in _INT64) or (hint is float and type(value) is float)
        )
    return lambda value: hint is Any or isinstance(value, hint)
