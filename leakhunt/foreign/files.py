"""Which tool has written a file, and its series."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from leakhunt.errors import BadFile, UsageError
from leakhunt.foreign import columns, logs
from leakhunt.foreign.parquet import parquet_series
from leakhunt.foreign.streamed import StreamedSeries
from leakhunt.model.foreign import MeasuredFleet, MeasuredSeries
from leakhunt.text.message import Text, message
from leakhunt.text.system import system_text

# What a reader gives: a point is its place (a line), its instance, its time, and bytes.
Points = Iterator[tuple[int, str, float, float]]
_SNIFFED = 1 << 16
MAX_INSTANCES = 5000
FORMATS: Mapping[str, Callable[[Iterable[str], str], Points]] = {
    "csv": columns.points,
    "psrecord": logs.psrecord,
    "mprof": logs.mprof,
    "cgroup": logs.cgroup,
}
NAMES = (*FORMATS, "parquet")


def read_files(places: Sequence[str], form: str | None = None) -> MeasuredFleet:
    """The series of files, each of which may hold several instances.

    `form` is one of `NAMES`; None: it is told by what a file looks like.

    Raises:
        UsageError: a file does not exist, or there is no such format.
        BadFile: a file is of none of them, or is damaged: with the line.
        MissingRequirement: Parquet without pyarrow.
    """
    if form is not None and form not in NAMES:
        raise UsageError(
            message(
                "analyze.unknown-format",
                "--from {form!r}: unknown. Use one of {names}",
                form=form,
                names=", ".join(NAMES),
            )
        )
    found: list[MeasuredSeries] = []
    caveats: list[Text] = []
    for place in places:
        series = _read(Path(place), form)
        several = len(places) > 1
        for each in series:
            measured = each.measured()
            if measured is None:
                caveats.append(
                    message(
                        "analyze.no-number",
                        "{file}: {instance} has no number.",
                        file=Path(place).name,
                        instance=each.instance or "-",
                    )
                )
            else:
                found.append(_named(measured, Path(place), several))
    source = ", ".join(Path(place).name for place in places[:3])
    return MeasuredFleet(
        source + (", ..." if len(places) > 3 else ""), tuple(found), tuple(caveats)
    )


def _named(series: MeasuredSeries, file: Path, several: bool) -> MeasuredSeries:
    if series.instance and not several:
        return series
    name = f"{file.stem}: {series.instance}" if series.instance else file.stem
    return replace(series, instance=name)


def _read(file: Path, form: str | None) -> list[StreamedSeries]:
    try:
        with open(file, "rb") as raw:
            start = raw.read(4)
            raw.seek(0)
            if form == "parquet" or (form is None and start == b"PAR1"):
                return parquet_series(file)
            with io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="") as text:
                reader = FORMATS[form] if form else _reader_of(text, file)
                return _collected(reader(text, file.name), file)
    except FileNotFoundError:
        raise UsageError(
            message("analyze.no-such-file", "{file}: not found. Check the path", file=str(file))
        ) from None
    except (OSError, csv.Error) as error:
        reason = system_text(error) if isinstance(error, OSError) else str(error)
        raise BadFile(
            message(
                "file.cannot-read",
                "{file}: {strerror}. Check the path",
                file=str(file),
                strerror=reason,
            )
        ) from error


def _reader_of(text: TextIO, file: Path) -> Callable[[Iterable[str], str], Points]:
    """By the first lines."""
    start = text.read(_SNIFFED)
    text.seek(0)
    lines = [line for line in start.splitlines() if line.strip()]
    if not lines:
        raise BadFile(
            message("analyze.empty", "{file}: empty. Name a file with measurements", file=file.name)
        )
    for looks, reader in (
        (logs.is_mprof, logs.mprof),
        (logs.is_psrecord, logs.psrecord),
        (logs.is_cgroup, logs.cgroup),
    ):
        if looks(lines):
            return reader
    return columns.points


def _collected(points: Points, file: Path) -> list[StreamedSeries]:
    series: dict[str, StreamedSeries] = {}
    for place, instance, seconds, value in points:
        each = series.get(instance)
        if each is None:
            if len(series) >= MAX_INSTANCES:
                raise BadFile(
                    message(
                        "analyze.too-many",
                        "{file}, line {line}: more than {most:,} instances. Is the column of the"
                        " instance right?",
                        file=file.name,
                        line=place,
                        most=MAX_INSTANCES,
                    )
                )
            each = series[instance] = StreamedSeries(instance)
        if not each.add(seconds, value):
            raise BadFile(
                message(
                    "analyze.backwards",
                    "{file}, line {line}: time goes backwards. Sort the file by time",
                    file=file.name,
                    line=place,
                )
            )
    if not series:
        raise BadFile(
            message(
                "analyze.no-rows", "{file}: no row of numbers. Check its columns", file=file.name
            )
        )
    return list(series.values())
