"""``claims.html``: one file, opens offline, asks for nothing from anywhere, needs no script."""

from __future__ import annotations

from leakhunt.model.claims import ClaimsReport
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
from leakhunt.reporting.formats.jinja import template
from leakhunt.text.controls import text_bytes
from leakhunt.text.language import tr


def render(report: ClaimsReport) -> bytes:
    """UTF-8 HTML. Every text from outside is escaped by the template engine."""
    page = template("claims.html.j2").render(
        report=report,
        title=title(report),
        summary=summary(report.claims),
        unfinished=unfinished(report),
        how_it_is_read=tr(HOW_IT_IS_READ),
        run_headings=tuple(map(tr, RUN_HEADINGS)),
        run_row=run_row,
        short_headings=tuple(map(tr, SHORT_HEADINGS)),
        short_row=short_row,
        inputs=inputs,
        pages=pages,
        **claim_words(),
    )
    return text_bytes(page)


def claim_words() -> dict[str, object]:
    """What the template of claims asks for, in any page."""
    return {
        "claim_headings": tuple(map(tr, HEADINGS)),
        "claim_verdict": verdict_cell,
        "check_row": row,
    }
