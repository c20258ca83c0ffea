"""CSV: ``time,value``, ``time,value,instance``, or a column for each instance."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from leakhunt.errors import BadFile
from leakhunt.foreign.units import scale_of, size_in, time_in
from leakhunt.text.message import message

_TIMES = ("time", "timestamp", "ts", "date", "datetime", "seconds", "elapsed", "elapsed time")
_VALUES = ("value", "memory", "rss", "bytes", "mem", "memory_bytes", "rss_bytes", "usage", "mem_mb")
_INSTANCES = ("instance", "pod", "host", "name", "container", "process", "pid", "node", "series")
_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where time is, and the columns of memory: by instance, or with one for its name."""

    time: int
    values: tuple[tuple[int, str, int], ...]
    instance: int | None = None

    @property
    def width(self) -> int:
        used = [self.time, *(column for column, _, _ in self.values)]
        return 1 + max([*used, self.instance or 0])


def points(lines: Iterable[str], file: str) -> Iterator[tuple[int, str, float, float]]:
    """The line, instance, seconds and bytes of each point.

    Raises:
        BadFile: a row is not what the header says, or there is no time: with its line.
    """
    stream = iter(lines)
    first = next(stream, "")
    delimiter = max(_DELIMITERS, key=first.count)
    rows = csv.reader(itertools.chain([first], stream), delimiter=delimiter, skipinitialspace=True)
    header = next(rows, [])
    if _is_numbers(header):
        layout = layout_without_header(header)
        rows = itertools.chain([header], rows)  # type: ignore[assignment]
        ahead = 1
    else:
        layout = layout_of(header, file)
        ahead = 2
    for line, row in enumerate(rows, ahead):
        if row and any(cell.strip() for cell in row):
            yield from _points_of(row, layout, line, file)


def _points_of(
    row: Sequence[str], layout: _Layout, line: int, file: str
) -> Iterator[tuple[int, str, float, float]]:
    if len(row) < layout.width:
        raise BadFile(
            message(
                "analyze.short-row",
                "{file}, line {line}: {count} columns, expected {expected}",
                file=file,
                line=line,
                count=len(row),
                expected=layout.width,
            )
        )
    seconds = time_in(row[layout.time])
    if seconds is None:
        raise BadFile(
            message(
                "analyze.no-time",
                "{file}, line {line}: {text!r} is no time. Use Unix time, seconds or ISO 8601",
                file=file,
                line=line,
                text=row[layout.time][:40],
            )
        )
    for column, name, scale in layout.values:
        size = size_in(row[column])
        if size is None:
            raise BadFile(
                message(
                    "analyze.no-size",
                    "{file}, line {line}: {text!r} is no number of bytes",
                    file=file,
                    line=line,
                    text=row[column][:40],
                )
            )
        instance = name if layout.instance is None else row[layout.instance].strip()
        yield line, instance, seconds, size * scale


def _is_numbers(row: Sequence[str]) -> bool:
    return bool(row) and time_in(row[0]) is not None


def layout_without_header(row: Sequence[str]) -> _Layout:
    """Time, value, and an instance where the third column is no number."""
    if len(row) == 3 and size_in(row[2]) is None:
        return _Layout(0, ((1, "", 1),), 2)
    if len(row) == 2:
        return _Layout(0, ((1, "", 1),))
    return _Layout(0, tuple((at, f"column {at + 1}", 1) for at in range(1, len(row))))


def layout_of(header: Sequence[str], file: str) -> _Layout:
    """By the names of the columns.

    Raises:
        BadFile: there is no column besides the time.
    """
    names = [cell.strip() for cell in header]
    plain = [_bare(name) for name in names]
    time = next((at for at, name in enumerate(plain) if name in _TIMES), 0)
    instance = next((at for at, name in enumerate(plain) if name in _INSTANCES), None)
    rest = [at for at in range(len(names)) if at not in (time, instance)]
    if not rest:
        raise BadFile(
            message(
                "analyze.no-column",
                "{file}, line 1: no column of memory. Expected time,value or time,value,instance,"
                " or a column for each instance",
                file=file,
            )
        )
    if instance is not None:
        chosen = next((at for at in rest if plain[at] in _VALUES), rest[0])
        return _Layout(time, ((chosen, "", _scale(names[chosen])),), instance)
    if len(rest) == 1:
        return _Layout(time, ((rest[0], "", _scale(names[rest[0]])),))
    return _Layout(time, tuple((at, names[at], _scale(names[at])) for at in rest))


def _bare(name: str) -> str:
    """A column's name without its unit: ``RSS (MB)`` is ``rss``."""
    return name.partition("(")[0].strip().lower()


def _scale(name: str) -> int:
    """By a unit at the end: ``memory_mb``, ``RSS (MiB)``."""
    inner = name.rpartition("(")[2].rstrip(") ") if "(" in name else name.rpartition("_")[2]
    scale = scale_of(inner) if inner != name else None
    return scale or 1
