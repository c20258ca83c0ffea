"""Claims on a terminal, as rich objects; nothing here prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from leakhunt.model.claims import Claim, Claims, ClaimsReport, ClaimVerdict
from leakhunt.reporting.claims.tables import (
    SHORT_HEADINGS,
    inputs,
    limits,
    short_row,
    summary,
    unfinished,
    what,
)
from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.reporting.run.terminal import visible_line
from leakhunt.text.language import tr

# Characters: what is measured of a suspect has several lines.
_LONGEST_CELL = 90
_STYLES = {
    ClaimVerdict.REPRODUCED: "green",
    ClaimVerdict.NOT_REPRODUCED: "bold red",
    ClaimVerdict.OTHER_CAUSE: "bold yellow",
    ClaimVerdict.INCONCLUSIVE: "magenta",
    ClaimVerdict.NOT_MEASURED: "dim",
}


def claims_table(report: ClaimsReport) -> Table:
    """One row a claim: its verdict, what it says, claimed beside measured."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in SHORT_HEADINGS:
        table.add_column(tr(heading), overflow="fold")
    for judged in report.claims:
        verdict, *others = map(visible, short_row(judged))
        cells = (Text(_cut(cell)) for cell in others)
        table.add_row(Text(verdict, _STYLES[judged.verdict]), *cells)
    return table


def _cut(text: str) -> str:
    """As much of a cell as a table of 80 columns takes; all of it is in the files."""
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}…"


def claims_lines(report: ClaimsReport) -> Iterator[Text]:
    """Which claims hold, notes, and runs that were not made with the reason."""
    return map(visible_line, _lines(report))


def _lines(report: ClaimsReport) -> Iterator[Text]:
    for scenario in report.scenarios:
        for judged in scenario.claims:
            if judged.claim.note:
                yield Text(
                    tr("{claim}: {note}", claim=judged.claim.id, note=judged.claim.note), "dim"
                )
        for name, value in inputs(scenario):
            yield Text(f"{scenario.name}{tr(': ')}{name}{tr(': ')}{value}", "dim")
    if text := unfinished(report):
        yield Text(text, "bold yellow")
    yield Text(summary(report.claims), "bold")


def claims_list(files: Sequence[Claims]) -> Iterator[Text]:
    """The claims and how each would be checked, without a run."""
    return map(visible_line, _listed(files))


def _listed(files: Sequence[Claims]) -> Iterator[Text]:
    for claims in files:
        yield Text(claims.scenario, "bold")
        for claim in claims.claims:
            yield Text.assemble((f"  {claim.id}", "bold"), f"  {claim.claim} ({claim.source})")
            for line in _checks(claim):
                yield Text(f"      {line}", "dim")
        for run in claims.runs:
            device = tr(" (needs a GPU)") if run.device else ""
            yield Text(f"  {run.name}: leakhunt {run.command}{device}")


def _checks(claim: Claim) -> Iterator[str]:
    if claim.not_measured:
        yield tr("not measured: {reason}", reason=claim.not_measured)
    for check in claim.checks:
        text = tr("{what}: {limits}", what=what(check), limits=limits(check))
        yield tr("{told}; run {run}", told=text, run=check.run)
