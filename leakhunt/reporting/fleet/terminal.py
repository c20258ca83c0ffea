"""What the memory of a fleet does, on a terminal, as rich objects; nothing here prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from rich import box
from rich.table import Table
from rich.text import Text

from leakhunt.model.fleet import Course, FleetReport
from leakhunt.reporting.fleet.tables import HEADINGS, WORDS, details, heading, short_rows, summary
from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.text.language import tr

# So many instances are shown, the first out of memory first; files have all.
_MAX_ROWS = 40
_MAX_TOLD = 3
# Columns that 80 characters have room for.
_COLUMNS = 5
_STYLES = {Course.GROWS: "bold red", Course.SLOWING: "yellow", Course.UNDECIDED: "dim"}


def fleet_parts(report: FleetReport) -> Iterator[Table | Text]:
    """The result first, then a line for each instance, then what is said of the first."""
    yield Text(visible(heading(report)), "bold")
    for sentence in summary(report):
        yield Text(visible(sentence))
    yield _table(report)
    hidden = len(report.instances) - _MAX_ROWS
    if hidden > 0:
        yield Text(tr("{count} more instances in the report", count=hidden), "dim")
    shown = [(name, lines) for name, lines in details(report)][:_MAX_TOLD]
    for instance, sentences in shown:
        yield Text("")
        yield Text(visible(instance), "bold")
        for sentence in sentences:
            yield Text(visible(sentence))


def _table(report: FleetReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name, is_text in list(zip(HEADINGS, WORDS, strict=True))[:_COLUMNS]:
        justify: Literal["left", "right"] = "left" if is_text else "right"
        table.add_column(tr(name), overflow="fold", justify=justify, no_wrap=not is_text)
    for each, cells in list(zip(report.instances, short_rows(report), strict=True))[:_MAX_ROWS]:
        texts = [Text(visible(cell)) for cell in cells[:_COLUMNS]]
        texts[1].stylize(_STYLES.get(each.course, ""))
        table.add_row(*texts)
    return table
