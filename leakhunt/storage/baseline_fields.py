"""The inline tables of a baseline's file, whose values are what they should be. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from math import isfinite
from typing import Any, NoReturn

from leakhunt.text.message import Text, message
from leakhunt.toml_file import Table

# A larger number is none that anybody measured.
_MAX_NUMBER = 2**63


class Fields:
    """An inline table of the file's: the `items` of `key`, which stand on one line."""

    def __init__(self, document: Table, key: str) -> None:
        value = document.items.get(key)
        if not isinstance(value, dict):
            document.bad(
                message(
                    "baseline.expected-table",
                    "{key}: expected a table, got {value!r}",
                    key=key,
                    value=value,
                ),
                key,
            )
        self.items: Mapping[str, Any] = value
        self._document, self._key = document, key

    def bad(self, problem: Text) -> NoReturn:
        """Say what is wrong in it.

        Raises:
            BadFile: always.
        """
        self._document.bad(problem, self._key)

    def text(self, name: str) -> str:
        """A text."""
        value = self.items[name]
        if not isinstance(value, str):
            self._wrong(name)
        return value

    def texts(self, name: str, count: int) -> tuple[str, ...]:
        """A text for each of `count` runs; one alone is that of all of them."""
        value = self.items[name]
        values = [value] * count if isinstance(value, str) else value
        return list_of_texts(self._document, self._key, values, count)

    def list_of(self, name: str, fits: Callable[[object], bool], count: int | None) -> list[Any]:
        """A list of what `fits`; of `count` of them, if given."""
        value = self.items.get(name)
        if (
            not isinstance(value, list)
            or not all(map(fits, value))
            or (count is not None and len(value) != count)
        ):
            self._wrong(name)
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
            self._wrong(name)
        return [(calls, size) for calls, size in found]

    def _wrong(self, name: str) -> NoReturn:
        self.bad(
            message("baseline.unexpected-value",
                "{key}: {name}: unexpected value {value!r}",
                name=name, key=self._key, value=self.items.get(name),
            )
        )  # fmt: skip


def list_of_texts(document: Table, key: str, value: object, count: int | None) -> tuple[str, ...]:
    """`value`, which stands under `key`, if it is a list of texts; of `count` of them, if given.

    Raises:
        BadFile: it is not.
    """
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        document.bad(
            message(
                "baseline.expected-texts",
                "{key}: expected a list of texts, got {value!r}",
                key=key,
                value=value,
            ),
            key,
        )
    if count is not None and len(value) != count:
        problem = message(
            "baseline.one-entry-per-run",
            "{key}: expected one entry for each of {count} runs",
            key=key,
            count=count,
        )
        document.bad(problem, key)
    return tuple(value)


def _is_whole(value: object) -> bool:
    return type(value) is int and abs(value) < _MAX_NUMBER


def is_number(value: object) -> bool:
    """Whether it is a number that somebody may have measured."""
    return _is_whole(value) or (
        type(value) is float and isfinite(value) and abs(value) < _MAX_NUMBER
    )


def _is_point(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_whole, value))
