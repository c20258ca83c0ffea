"""What is retained, on a terminal, as rich objects; nothing here prints."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from leakhunt.model.retained import RetainedReport
from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.reporting.retained.tables import HEADINGS, WORDS, caveats, rows, sentences, title
from leakhunt.text.language import tr

# Rows on the terminal; the page has more.
_MAX_ROWS = 12


def retained_tables(report: RetainedReport) -> Iterator[Table]:
    """A table for each variant."""
    for heap in report.heaps:
        table = Table(
            title=Text(visible(title(report.scenario, heap))),
            title_justify="left",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, 1, 0, 0),
        )
        for heading, is_text in zip(HEADINGS, WORDS, strict=True):
            table.add_column(
                tr(heading),
                overflow="fold",
                justify="left" if is_text else "right",
                no_wrap=not is_text,
            )
        for cells in list(rows(heap))[:_MAX_ROWS]:
            table.add_row(*(Text(visible(cell)) for cell in cells))
        yield table


def retained_lines(report: RetainedReport) -> Iterator[Text]:
    """What the tables come to."""
    for heap in report.heaps:
        for sentence in sentences(heap):
            yield Text(visible(f"{heap.variant}{tr(': ')}{sentence}"))
        for caveat in caveats(heap):
            yield Text(visible(f"{heap.variant}{tr(': ')}{caveat}"), "dim")
