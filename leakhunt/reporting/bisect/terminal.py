"""A bisection on a terminal, as rich objects; nothing here prints."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from leakhunt.model.bisection import BisectReport
from leakhunt.reporting.bisect.tables import HEADINGS, heading, rows, summary
from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.text.language import tr

# Bounds and notes are in the files.
_SHOWN = (0, 1, 2, 3, 5, 6, 7)


def bisect_parts(report: BisectReport) -> Iterator[Table | Text]:
    """The steps, then the result."""
    table = Table(
        title=Text(visible(heading(report)), "bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for place in _SHOWN:
        table.add_column(tr(HEADINGS[place]), overflow="fold")
    for cells in rows(report):
        table.add_row(*(Text(visible(cells[place])) for place in _SHOWN))
    yield table
    for sentence in summary(report):
        yield Text(visible(sentence))
