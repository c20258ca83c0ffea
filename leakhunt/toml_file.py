"""TOML files, read strictly: what is wrong in them is told in a line, with its line.

Both the files that people write (`leakhunt.config`) and those that we write ourselves and people
merge (baselines, `leakhunt.storage`) are read by this, and neither of the two may import the other:
so it is a package of its own.

tomllib tells no positions. So where something is wrong, the line is looked for: of the beginnings
of the file that are TOML themselves, the shortest one with the key in it ends with its value. That
is right for every way to write it, dotted keys, inline tables and lists over many lines among them.
"""

from __future__ import annotations

import re
import reprlib
import tomllib
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any, NoReturn

from leakhunt.errors import BadFile
from leakhunt.text.message import Text, message
from leakhunt.text.suggest import hint

# Keys and, in lists, indexes that lead to a value.
Path = tuple[str | int, ...]
# What ends a value of many lines.
_ENDS = re.compile(r"[\]}]|\"\"\"|'''")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_POSITION = re.compile(r"(?P<told>.*) \(at (?:line (?P<line>\d+), column \d+|end of document)\)")
_CONFLICT = re.compile(r"(?:<{7}|\|{7}|={7}|>{7})(?: |$)")
# A larger number is none that anybody measured, and none that a run file keeps.
_INT64 = range(-(2**63), 2**63)


def read_table(content: bytes, file: str, advice: Text = "") -> Table:
    """The whole of a TOML file; `file` is what it is called in errors.

    `advice` says what to do whatever is wrong, of a file that nobody writes by hand.

    Raises:
        BadFile: it is no TOML.
    """
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _bad_file(
            f"{file}:{line}",
            message("toml.not-utf-8", "not UTF-8"),
            advice or message("toml.save-as-utf-8", "Save the file as UTF-8"),
        ) from error
    source = Source(file, text, advice)
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_toml(source, error) from error
    return Table(source, "" if advice else message("toml.the-file", "the file"), document)


def header(*path: str | int) -> str:
    """The keys of `path` as a header has them: ``tool.leakhunt.scenarios.'a b.py'``."""
    keys = [key for key in path if isinstance(key, str)]
    return ".".join(key if _BARE_KEY.fullmatch(key) else repr(key) for key in keys)


def shown(value: object) -> str:
    """A value of a file for a message: on one line, and not longer than that."""
    return _Short().repr(value)


def _bad_file(place: str, problem: Text, advice: Text) -> BadFile:
    """What is wrong in one place, and what to do about it."""
    return BadFile(
        message(
            "toml.problem-with-advice",
            "{place}: {told}. {advice}",
            place=place,
            told=problem,
            advice=advice,
        )
        if advice
        else message("toml.problem", "{place}: {told}", place=place, told=problem)
    )


@dataclass(frozen=True)
class Source:
    """The text of a TOML file, and where in it something is written."""

    file: str
    text: str
    advice: Text = ""

    def error(self, line: int, problem: Text) -> BadFile:
        """What is wrong in a line, and what to do if that is the same for all that may be."""
        return _bad_file(f"{self.file}:{line}", problem, self.advice)

    def line_of(self, path: Path) -> int:
        """The line on which the key begins, or the header of the table, that `path` leads to.

        Of what is not there: the line of what it would stand in.
        """
        whole = tomllib.loads(self.text)
        while not _holds(whole, path):
            path = path[:-1]
        ends = self._statement_ends
        found = bisect_left(ends, True, key=lambda end: _holds(self._beginning(end), path))
        return ends[found - 1] + 1 if found else 1

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def _statement_ends(self) -> list[int]:
        """How many lines there are up to the end of each statement; of none, 0."""
        ends = [0]
        for number, line in enumerate(self._lines, 1):
            begins = number == ends[-1] + 1
            if (begins or _ENDS.search(line)) and not _failure(self._lines[ends[-1] : number]):
                ends.append(number)
        return ends

    def _beginning(self, lines: int) -> Mapping[str, Any]:
        return tomllib.loads("\n".join(self._lines[:lines]))


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the file: where it is, for people and as a path, and what is in it."""

    source: Source
    where: Text
    items: Mapping[str, Any]
    path: Path = ()

    @property
    def place(self) -> str:
        """``file:line`` of where it begins."""
        return f"{self.source.file}:{self.source.line_of(self.path)}"

    def bad(self, problem: Text, *at: str | int) -> NoReturn:
        """Say what is wrong here; `at` leads from here to the key whose line is named.

        Raises:
            BadFile: always.
        """
        line = self.source.line_of((*self.path, *at))
        where = (
            message("toml.problem-in", "{where}: {told}", where=self.where, told=problem)
            if self.where
            else problem
        )
        raise self.source.error(line, where)

    def only(self, known: Collection[str]) -> None:
        """Refuse keys that are not known here."""
        for key in self.items:
            if key not in known:
                self.bad(
                    message(
                        "toml.unknown-key",
                        "unknown key {key!r}{hint}. Known keys: {known}",
                        key=key,
                        hint=hint(key, known),
                        known=", ".join(known),
                    ),
                    key,
                )

    def text(self, key: str) -> str:
        """A text on one line; empty where there is none."""
        value = self.items.get(key, "")
        if not isinstance(value, str):
            self._wrong(key, message("toml.quoted-text", "a quoted text"))
        return " ".join(value.split())

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; empty where there is none."""
        value = self.items.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            self._wrong(key, message("toml.texts", "a list of quoted texts"))
        return tuple(value)

    def needed(self, key: str) -> str:
        """A text that must be there."""
        value = self.text(key)
        if not value:
            self.bad(
                message("toml.missing-text", "missing {key}. Add it as a quoted text", key=key), key
            )
        return value

    def whole_number(self, key: str, least: int) -> int | None:
        """A whole number of at least so much; None where there is none."""
        value = self.items.get(key)
        if value is not None and (type(value) is not int or not least <= value < _INT64.stop):
            self._wrong(
                key,
                message("toml.whole-number", "a whole number, {least} or more", least=least),
            )
        return value

    def number_above_0(self, key: str) -> float | None:
        """A number above 0; None where there is none."""
        value = self.items.get(key)
        if value is not None and not (type(value) in (int, float) and 0 < value < _INT64.stop):
            self._wrong(key, message("toml.number-above", "a number above 0"))
        return value

    def truth(self, key: str) -> bool:
        """Whether it says ``true``."""
        value = self.items.get(key, False)
        if not isinstance(value, bool):
            self._wrong(key, message("toml.boolean", "true or false"))
        return value

    def needed_day(self, key: str) -> date:
        """A day that must be there."""
        value = self.items.get(key)
        # A time of a day is a date as well, by its type.
        if not isinstance(value, date) or isinstance(value, datetime):
            example = "2027-03-01"
            if value is None:
                self.bad(
                    message(
                        "toml.missing-date",
                        "missing {key}. Add a date, for example {example}",
                        key=key,
                        example=example,
                    )
                )
            self._wrong(
                key,
                message(
                    "toml.date",
                    "a date without quotes, such as {example}",
                    example=example,
                ),
            )
        return value

    def one_of(self, key: str, value: str, known: Collection[str]) -> str:
        """A word that must be known."""
        if value not in known:
            self.bad(
                message(
                    "toml.unknown-value",
                    "{key}: unknown value {value!r}{hint}. Known values: {known}",
                    key=key,
                    value=value,
                    hint=hint(value, known),
                    known=", ".join(known),
                ),
                key,
            )
        return value

    def table(self, key: str) -> Table:
        """The table of that name; one with nothing in it where there is none."""
        path = (*self.path, key)
        value = self.items.get(key, {})
        if not isinstance(value, dict):
            self._wrong(key, message("toml.table", "a table, [{header}]", header=header(*path)))
        return Table(self.source, f"[{header(*path)}]", value, path)

    def tables(self, key: str, word: str) -> Iterator[Table]:
        """The tables of a list of them; `word` is what one is called."""
        value = self.items.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            self.bad(
                message(
                    "toml.expected-tables",
                    "{key}: expected a list of tables. Write each as [[{word}]]",
                    key=key,
                    word=word,
                ),
                key,
            )
        for number, each in enumerate(value):
            where = f"[[{word}]] {number + 1}"
            yield Table(self.source, where, each, (*self.path, key, number))

    def named(self, where: Text) -> Table:
        """The same under the name that it gives itself."""
        return Table(self.source, where, self.items, self.path)

    def refuse_twice(self, what: Text, key: str, names: Sequence[str]) -> None:
        """Refuse a name that two have of the tables under `key`; `what` is what it is called."""
        for number, name in enumerate(names):
            if name in names[:number]:
                problem = message(
                    "toml.defined-twice",
                    "{what} {name!r} is defined twice. Rename one",
                    what=what,
                    name=name,
                )
                self.bad(problem, key, number)

    def _wrong(self, key: str, wanted: Text) -> NoReturn:
        value = shown(self.items[key])
        self.bad(
            message(
                "toml.expected",
                "{key}: expected {wanted}, got {value}",
                key=key,
                value=value,
                wanted=wanted,
            ),
            key,
        )


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxdict = 2, 3, 3
        self.maxstring = self.maxother = 80

    def repr_int(self, value: int, level: int) -> str:
        """Decimal digits of a number that has thousands of them are refused by Python itself."""
        return str(value) if value in _INT64 else f"{hex(value):.20}..."

    def repr_date(self, value: date, level: int) -> str:
        """As the file has it."""
        return value.isoformat()

    repr_datetime = repr_date


def _no_toml(source: Source, error: Exception) -> BadFile:
    text, lines = source.text, source.text.split("\n")
    position = _POSITION.fullmatch(str(error))
    problem: Text = position["told"] if position else str(error)
    if position is None:  # too deep, or a number with thousands of digits: tomllib says no line
        line = 1 + bisect_left(
            range(1, len(lines)), True, key=lambda end: _failure(lines[:end]) is type(error)
        )
        problem = (
            message("toml.nested-too-deeply", "nested too deeply")
            if isinstance(error, RecursionError)
            else problem
        )
    else:
        line = int(position["line"] or text.rstrip("\n").count("\n") + 1)
    if conflict := _CONFLICT.match(lines[line - 1]):
        problem = message(
            "toml.merge-conflict",
            "{mark}: unresolved merge conflict",
            mark=conflict[0].strip(),
        )
    problem = message("toml.invalid-toml", "invalid TOML ({error})", error=problem)
    return _bad_file(
        f"{source.file}:{line}",
        problem,
        source.advice or message("toml.fix-syntax", "Fix the syntax"),
    )


def _failure(lines: Sequence[str]) -> type[Exception] | None:
    """What kind of error there is in these lines, if they are no TOML."""
    try:
        tomllib.loads("\n".join(lines))
    except (ValueError, RecursionError) as error:
        return type(error)
    return None


def _holds(value: Any, path: Path) -> bool:
    """Whether there is something where `path` leads."""
    try:
        for step in path:
            value = value[step]
    except (KeyError, IndexError, TypeError):
        return False
    return True
