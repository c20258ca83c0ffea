"""``claims.md``: short enough for an issue or a pull request: a table, and a fold for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from leakhunt.model.claims import CheckedScenario, ClaimsReport, JudgedClaim
from leakhunt.reporting.claims.tables import (
    HEADINGS,
    HOW_IT_IS_READ,
    RUN_HEADINGS,
    SHORT_HEADINGS,
    inputs,
    pages,
    row,
    run_row,
    short_row,
    summary,
    title,
    unfinished,
    verdict_cell,
)
from leakhunt.reporting.formats.markdown_escape import (
    code,
    escaped,
    inside_html,
    markdown_bytes,
    table,
)
from leakhunt.text.language import tr


def render(report: ClaimsReport) -> bytes:
    """UTF-8 GitHub-flavoured Markdown."""
    return markdown_bytes(_lines(report))


def _lines(report: ClaimsReport) -> Iterator[str]:
    yield f"## leakhunt: {escaped(title(report))}"
    yield ""
    yield f"**{escaped(summary(report.claims))}**"
    if unfinished(report):
        yield ""
        yield escaped(unfinished(report))
    for scenario in report.scenarios:
        yield ""
        yield f"### {escaped(scenario.name)}"
        yield ""
        yield from table(tuple(map(tr, SHORT_HEADINGS)), map(short_row, scenario.claims))
        yield ""
        for name, text in inputs(scenario):
            yield f"- {escaped(name)}{tr(': ')}{escaped(text)}"
        yield from _details(scenario)
    yield ""
    yield f"{escaped(tr(HOW_IT_IS_READ))} ({escaped(report.generator)})"


def _details(scenario: CheckedScenario) -> Iterator[str]:
    yield ""
    yield "<details>"
    text = tr("Method: {scenario}", scenario=scenario.name)
    yield f"<summary>{inside_html(text)}</summary>"
    yield from claim_details(scenario.claims, pages(scenario))
    if scenario.runs:
        yield ""
        yield from table(tuple(map(tr, RUN_HEADINGS)), map(run_row, scenario.runs))
    yield ""
    yield "</details>"


def claim_details(claims: Sequence[JudgedClaim], links: Mapping[str, str]) -> Iterator[str]:
    """Claims with the figures that they were checked by; `links`: reports by the run's name."""
    for judged in claims:
        claim = judged.claim
        yield ""
        yield f"**{escaped(verdict_cell(judged))}**: {escaped(f'{claim.id}: {claim.claim}')}"
        yield ""
        yield f"- {escaped(tr('Source: {source}', source=claim.source))}"
        if claim.not_measured:
            yield f"- {escaped(claim.not_measured)}"
        if claim.note:
            yield f"- {escaped(tr('Note: {note}', note=claim.note))}"
        for run in judged.runs:
            page = links.get(run.name, "")
            link = f" ([{escaped(page)}]({page}))" if page else ""
            yield f"- {escaped(run.name)}: {code(f'leakhunt {run.command}')}{link}"
        if judged.checks:
            yield ""
            yield from table(
                tuple(map(tr, HEADINGS)), (row(check, links).cells for check in judged.checks)
            )
