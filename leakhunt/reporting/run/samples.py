"""``samples.csv`` and ``samples.parquet``: every sample of a report's runs, one a row, as read.

Columns: `run` (its place among the ``runs`` of ``report.json``, from 0), `scenario`, `variant`,
`sample` (from 0 in each run), `call` (calls made when it was read), `judged` (after the warm-up),
then the series, each in its raw unit: bytes, blocks, a count or, for `duration`, nanoseconds in all
calls since the sample before. A series that a run has not read is empty there.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, repeat
from typing import Any

from leakhunt.model.report import Report
from leakhunt.model.run import Run
from leakhunt.model.series import Series
from leakhunt.text.controls import written_out

KEYS = ("run", "scenario", "variant", "sample", "call", "judged")
# A series of a foreign run file may be called as one of them.
_CLASHING = "series "


def series_of(runs: Iterable[Run]) -> dict[str, Series]:
    """The series that any of `runs` has read, in the order in which they first come."""
    found: dict[str, Series] = {}
    for run in runs:
        for series in run.series:
            found.setdefault(series.name, series)
    return found


# What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def column(name: str, keys: Iterable[str] = KEYS) -> str:
    """The name of a series' column: its own, unless one of `keys` has it."""
    return f"{_CLASHING}{name}" if name in keys else name


def samples_csv(report: Report) -> bytes:
    r"""UTF-8 with a line of names; ``true`` and ``false``; a million samples: 3 s, 80 MiB.

    A name that a spreadsheet would calculate has an apostrophe before it; control characters are
    written out (``\x1b``).
    """
    names = series_of(entry.run for entry in report.entries)
    stream = io.BytesIO()
    # The lines end as RFC 4180 has it, so that a lone carriage return in a name is quoted too.
    text = io.TextIOWrapper(stream, encoding="utf-8", errors="backslashreplace", newline="")
    writer = csv.writer(text)
    writer.writerow([*KEYS, *(_cell(column(name)) for name in names)])
    for number, entry in enumerate(report.entries):
        writer.writerows(_rows(number, entry.run, names))
    text.flush()
    return stream.getvalue()


def _cell(text: str) -> str:
    """A text from outside: no formula, and nothing that steers what shows it."""
    return written_out(f"'{text}" if text.startswith(_FORMULA) else text)


def _rows(number: int, run: Run, names: Iterable[str]) -> Iterator[tuple[Any, ...]]:
    values = (run.samples.get(name, repeat("")) for name in names)
    return zip(
        repeat(number),
        repeat(_cell(run.plan.scenario)),
        repeat(_cell(run.plan.variant)),
        range(run.samples_done),
        run.calls,
        chain(repeat("false", run.judged_from), repeat("true")),
        *values,
        strict=False,
    )


def samples_parquet(report: Report) -> bytes:
    """A row group a run; the metadata of a series' field has `unit`, `title` and `blind_to`."""
    import pyarrow
    from pyarrow import parquet

    names = series_of(entry.run for entry in report.entries)
    schema = _schema(report, names)
    stream = io.BytesIO()
    with parquet.ParquetWriter(stream, schema) as writer:
        for number, entry in enumerate(report.entries):
            columns = _columns(number, entry.run, names)
            writer.write_table(pyarrow.table(columns, schema=schema))
    return stream.getvalue()


def _schema(report: Report, names: Mapping[str, Series]) -> Any:
    import pyarrow

    text, whole, truth = pyarrow.string(), pyarrow.int64(), pyarrow.bool_()
    kinds = dict(zip(KEYS, (whole, text, text, whole, whole, truth), strict=True))
    fields = [pyarrow.field(name, kind, nullable=False) for name, kind in kinds.items()]
    for name, series in names.items():
        facts = {"unit": series.unit, "title": series.title, "blind_to": series.blind_to}
        metadata = {key: _utf8(value) for key, value in facts.items()}
        fields.append(pyarrow.field(_utf8(column(name)), whole, metadata=metadata))
    return pyarrow.schema(fields, metadata={"generator": _utf8(report.generator)})


def _columns(number: int, run: Run, names: Iterable[str]) -> list[Any]:
    """The columns of a run as arrays of Arrow, in the order of `_schema`."""
    import numpy
    import pyarrow

    done = run.samples_done
    sample = numpy.arange(done)

    def numbers(values: Any) -> Any:
        if values is None:
            return pyarrow.nulls(done, pyarrow.int64())
        return pyarrow.array(numpy.asarray(values[:done], dtype=numpy.int64))

    return [
        pyarrow.repeat(pyarrow.scalar(number, pyarrow.int64()), done),
        pyarrow.repeat(_utf8(run.plan.scenario), done),
        pyarrow.repeat(_utf8(run.plan.variant), done),
        pyarrow.array(sample),
        numbers(run.calls),
        pyarrow.array(sample >= run.judged_from),
        *(numbers(run.samples.get(name)) for name in names),
    ]


def _utf8(text: str) -> str:
    """`text` with what no UTF-8 can hold (a file name of other bytes) written out."""
    return text.encode("utf-8", "backslashreplace").decode()
