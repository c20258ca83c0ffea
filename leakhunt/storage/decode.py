"""Whether a noun that was read from a file holds what its types say."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# A larger number is none that anybody measured, and no float.
_INT64 = range(-(2**63), 2**63)
_Noun = TypeVar("_Noun", bound="DataclassInstance")


def checked(noun: _Noun) -> _Noun:
    """`noun`, a dataclass of plain values and mappings.

    Raises:
        ValueError: a field holds something of another type.
    """
    hints = _hints(type(noun))
    for field in fields(noun):
        if not _fits(getattr(noun, field.name), hints[field.name]):
            raise ValueError(f"{field.name}")
    return noun


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _fits(value: Any, hint: Any) -> bool:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        return any(_fits(value, part) for part in parts)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            _fits(key, parts[0]) and _fits(each, parts[1]) for key, each in value.items()
        )
    if hint in (int, float):  # a truth is no number here, and a whole number is a float
        is_whole = type(value) is int and value in _INT64
        return is_whole or (hint is float and type(value) is float)
    return isinstance(value, hint)
