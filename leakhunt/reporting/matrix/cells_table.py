"""``matrix.parquet``: a row for each cell, for pandas and DuckDB.

Columns: `cell`, one for each axis (``axis_threads``), `repeat`, `seed`, then what became of it and
what its run says, as `matrix.json` has it. Texts are English.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from leakhunt.model.matrix import CellResult, MatrixReport

AXIS = "axis_"


def columns(report: MatrixReport) -> dict[str, list[Any]]:
    """The table by columns."""
    names = [axis.name for axis in report.plan.axes]
    rows = [dict(_row(each, names)) for each in report.results]
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def _row(result: CellResult, names: list[str]) -> Iterator[tuple[str, Any]]:
    cell, record = result.cell, result.record
    yield "cell", cell.name
    for name in names:
        yield f"{AXIS}{name}", cell.values[name]
    yield "repeat", cell.repeat
    yield "seed", cell.seed
    yield "end", str(record.end)
    yield "reason", str(record.reason)
    yield "status", None if result.status is None else str(result.status)
    yield "status_alone", None if result.status_alone is None else str(result.status_alone)
    yield "kind", None if result.kind is None else str(result.kind)
    yield "series", result.series
    yield "unit", None if result.unit is None else str(result.unit)
    for name in ("rate", "rate_low", "rate_high", "p_value", "q_value", "seconds_per_call",
                 "peak_rss_bytes", "calls"):  # fmt: skip
        yield name, getattr(result, name)
    yield "suspect", str(result.suspect)
    yield "suspect_of", result.suspect_of
    yield "seconds", record.seconds
    yield "attempts", record.attempts
    yield "node", record.node
    yield "run_file", result.run_file


def render(report: MatrixReport) -> bytes:
    """Parquet; columns without a value are of the type that they have elsewhere."""
    import pyarrow
    import pyarrow.parquet

    numbers = {
        **dict.fromkeys(("rate", "rate_low", "rate_high", "p_value", "q_value"), pyarrow.float64()),
        **dict.fromkeys(("seconds_per_call", "seconds"), pyarrow.float64()),
        **dict.fromkeys(("repeat", "seed", "calls", "attempts"), pyarrow.int64()),
        "peak_rss_bytes": pyarrow.int64(),
    }
    arrays = {
        name: pyarrow.array(values, type=numbers.get(name, pyarrow.string()))
        for name, values in columns(report).items()
    }
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(arrays), stream)
    return stream.getvalue()
