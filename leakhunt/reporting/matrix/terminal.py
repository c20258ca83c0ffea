"""A matrix on a terminal, as rich objects; nothing here prints."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from leakhunt.model.matrix import MatrixReport
from leakhunt.model.verdict import Status
from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.reporting.matrix.tables import GridCell, grid, heading, summary

_STYLES = {
    Status.LEAK: "bold red",
    Status.NO_LEAK: "green",
    Status.INCONCLUSIVE: "magenta",
    None: "dim",
}


def matrix_parts(report: MatrixReport) -> Iterator[Table | Text]:
    """The heat map, then the result in sentences."""
    made = grid(report)
    table = Table(
        title=Text(visible(heading(report)), "bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for name in (made.corner, *made.columns):
        table.add_column(Text(visible(name)), overflow="fold")
    for name, cells in made.rows:
        table.add_row(Text(visible(name)), *map(_square, cells))
    yield table
    for sentence in summary(report):
        yield Text(visible(sentence))


def _square(cell: GridCell) -> Text:
    first, *rest = cell.lines
    text = Text(visible(first), _STYLES[cell.status])
    for line in rest:
        text.append(f"\n{visible(line)}", "default")
    return text
