"""Parquet, in batches of rows: the same columns as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from leakhunt.errors import BadFile, MissingRequirement
from leakhunt.foreign.columns import layout_of
from leakhunt.foreign.streamed import StreamedSeries
from leakhunt.foreign.units import in_seconds
from leakhunt.text.message import message

_BATCH_ROWS = 65_536


def parquet_series(file: Path) -> list[StreamedSeries]:
    """The series of a Parquet file.

    Raises:
        MissingRequirement: pyarrow is not installed.
        BadFile: it is no Parquet, or a column is not what it should be.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingRequirement(
            message(
                "analyze.needs-pyarrow",
                "{file}: Parquet needs pyarrow. Install with: pip install 'leakhunt-ml[frames]'",
                file=file.name,
            )
        ) from error
    series: dict[str, StreamedSeries] = {}
    try:
        source = pyarrow.parquet.ParquetFile(file)
        layout = layout_of(source.schema_arrow.names, file.name)
        for number, instance, seconds, value in _points(source, layout):
            each = series.setdefault(instance, StreamedSeries(instance))
            if not each.add(seconds, value):
                raise BadFile(
                    message(
                        "analyze.backwards-row",
                        "{file}, row {row}: time goes backwards. Sort the file by time",
                        file=file.name,
                        row=number,
                    )
                )
    except (pyarrow.ArrowException, TypeError, ValueError) as error:
        raise BadFile(
            message(
                "analyze.no-parquet",
                "{file}: not a table of time and memory ({reason})",
                file=file.name,
                reason=" ".join(str(error).split())[:120],
            )
        ) from error
    if not series:
        raise BadFile(
            message(
                "analyze.no-rows", "{file}: no row of numbers. Check its columns", file=file.name
            )
        )
    return list(series.values())


def _points(source: Any, layout: Any) -> Iterator[tuple[int, str, float, float]]:
    row = 0
    for batch in source.iter_batches(batch_size=_BATCH_ROWS):
        columns = [batch.column(at).to_pylist() for at in range(batch.num_columns)]
        for at in range(batch.num_rows):
            row += 1
            when = columns[layout.time][at]
            if when is None:
                continue
            seconds = _seconds(when)
            for column, name, scale in layout.values:
                value = columns[column][at]
                size = float("nan") if value is None else float(value) * scale
                named = name if layout.instance is None else str(columns[layout.instance][at])
                yield row, named, seconds, size


def _seconds(when: Any) -> float:
    if isinstance(when, datetime):
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    return in_seconds(float(when))
