"""A benchmark on a terminal, as rich objects; nothing here prints."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from leakhunt.model.benchmark import BenchmarkReport
from leakhunt.reporting.benchmark.tables import HEADINGS, heading, score_row
from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.text.language import tr


def benchmark_parts(report: BenchmarkReport) -> Iterator[Table | Text]:
    """The table of scores."""
    table = Table(
        title=Text(visible(heading(report)), "bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for name in HEADINGS:
        table.add_column(tr(name), overflow="fold")
    for score in report.scores:
        table.add_row(*(Text(visible(cell)) for cell in score_row(score)))
    yield table
