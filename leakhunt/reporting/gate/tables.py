"""The answers of a gate as a table: its cells, its curves, and which rows are folded away."""

from __future__ import annotations

from collections.abc import Sequence

from leakhunt.model.gate import SECONDS_PER_CALL, GateAnswer
from leakhunt.model.series import DURATION
from leakhunt.reporting.charts.sparkline import Sparkline, series_line
from leakhunt.reporting.gate.rows import SIGNS, GateRow, limit, measured, power, word
from leakhunt.reporting.run.tables import NOTHING
from leakhunt.text.language import mark, tr

# A longer table hides what failed among what did not.
MAX_ROWS = 20
HEADINGS = (
    mark("result"),
    mark("variant"),
    mark("series"),
    mark("budget"),
    mark("measured"),
    mark("detection limit"),
)
HOW_IT_IS_READ = mark(
    "Measured: with one-sided 99 % bounds. Detection limit: growth of this size is found in 95"
    " of 100 runs."
)


def parted(table_rows: Sequence[GateRow]) -> tuple[list[GateRow], list[GateRow]]:
    """The rows that are shown, and those that are folded: of many, those that are within."""
    if len(table_rows) <= MAX_ROWS:
        return list(table_rows), []
    within = [row for row in table_rows if row.answer is GateAnswer.WITHIN_BUDGET]
    return [row for row in table_rows if row.answer is not GateAnswer.WITHIN_BUDGET], within


def fold_title(folded: Sequence[GateRow]) -> str:
    """What stands above those that are folded."""
    return tr("{count} within budget", count=len(folded))


def badge(answer: GateAnswer) -> str:
    """``▲ over``: never told by colour alone."""
    return f"{SIGNS[answer]} {word(answer)}"


def cells(row: GateRow) -> tuple[str, ...]:
    """The row of a table, under `HEADINGS`."""
    series = row.series or NOTHING
    return badge(row.answer), row.variant.name, series, limit(row), measured(row), power(row)


def curve(row: GateRow, points: int) -> Sparkline:
    """The judged series of the first run; empty where there is none."""
    if row.check is None or not row.variant.entries:
        return Sparkline((), 0.0)
    series = DURATION if row.series == SECONDS_PER_CALL else row.series
    return series_line(row.variant.entries[0].run, series, points)
