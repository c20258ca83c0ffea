"""The inline tables of a baseline's file, whose values are what they should be. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from math import isfinite
from typing import Any, NoReturn, Protocol

from leakhunt.text.language import tr

# A larger number is none that anybody measured.
_MOST = 2**63


class Document(Protocol):
    """What the tables are in."""

    @property
    def items(self) -> Mapping[str, Any]:
        """Everything in it, by key."""

    def bad(self, key: str, told: str) -> NoReturn:
        """Say what is wrong with `key`.

        Raises:
            BadFile: always.
        """


class Fields:
    """An inline table: the `items` of `key`, which stand on one line."""

    def __init__(self, document: Document, key: str) -> None:
        value = document.items.get(key)
        if not isinstance(value, dict):
            document.bad(key, tr("{key} is {value!r}, no table", key=key, value=value))
        self.items: Mapping[str, Any] = value
        self._document, self._key = document, key

    def text(self, name: str) -> str:
        """A text."""
        value = self.items[name]
        if not isinstance(value, str):
            self._bad(name)
        return value

    def list_of(self, name: str, fits: Callable[[object], bool], count: int | None) -> list[Any]:
        """A list of what `fits`; of `count` of them, if given."""
        value = self.items.get(name)
        if (
            not isinstance(value, list)
            or not all(map(fits, value))
            or (count is not None and len(value) != count)
        ):
            self._bad(name)
        return value

    def wholes(self, name: str, count: int) -> list[int]:
        """So many whole numbers."""
        return self.list_of(name, _is_whole, count)

    def numbers(self, name: str, count: int) -> list[float]:
        """So many numbers."""
        return [float(each) for each in self.list_of(name, is_number, count)]

    def points(self, name: str) -> list[tuple[int, int]]:
        """Calls, never fewer than before, and growth."""
        found = self.list_of(name, _is_point, None)
        if any(later[0] < sooner[0] for sooner, later in pairwise(found)):
            self._bad(name)
        return [(calls, size) for calls, size in found]

    def _bad(self, name: str) -> NoReturn:
        told = tr(
            "{name} of {key} is {value!r}, not what belongs there",
            name=name, key=self._key, value=self.items.get(name),
        )  # fmt: skip
        self._document.bad(self._key, told)


def _is_whole(value: object) -> bool:
    return type(value) is int and abs(value) < _MOST


def is_number(value: object) -> bool:
    """Whether it is a number that somebody may have measured."""
    return _is_whole(value) or (type(value) is float and isfinite(value) and abs(value) < _MOST)


def _is_point(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_whole, value))
