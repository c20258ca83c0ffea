"""What a baseline keeps, on a terminal, as rich objects; nothing here prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.text.language import tr


@dataclass(frozen=True, slots=True)
class KeptRow:
    """What is shown of a variant that is kept.

    `figures` are titles with amounts. `accepts_leak`: it leaked for certain when it was kept.
    """

    name: str
    figures: tuple[tuple[str, str], ...]
    calls: str
    measured: str
    verdict: str
    accepts_leak: bool


def kept_table(rows: Sequence[KeptRow]) -> Table:
    """A table of one environment, a row each variant."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(tr("variant"), overflow="fold")
    table.add_column(tr("figure"), no_wrap=True)
    table.add_column(tr("kept"), overflow="fold")
    for row in rows:
        style = "bold red" if row.accepts_leak else ""
        about = Text.assemble(
            (visible(row.name), "bold"), "\n", (visible(row.verdict), style), "\n",
            (visible(row.calls), "dim"), "\n", (visible(row.measured), "dim"),
        )  # fmt: skip
        titles, amounts = ("\n".join(figure[side] for figure in row.figures) for side in (0, 1))
        table.add_row(about, Text(titles), Text(amounts))
        table.add_section()
    return table
