"""``benchmark.html``: one file, opens offline, asks for nothing from anywhere, needs no script."""

from __future__ import annotations

from leakhunt.model.benchmark import BenchmarkReport
from leakhunt.reporting.benchmark.tables import (
    HEADINGS,
    HOW_IT_IS_READ,
    detail_headings,
    details,
    heading,
    score_row,
)
from leakhunt.reporting.formats.jinja import template
from leakhunt.text.controls import text_bytes
from leakhunt.text.language import tr


def render(report: BenchmarkReport) -> bytes:
    """UTF-8 HTML. Every text from outside is escaped by the template engine."""
    page = template("benchmark.html.j2").render(
        report=report,
        heading=heading(report),
        headings=tuple(map(tr, HEADINGS)),
        scores=list(map(score_row, report.scores)),
        how_it_is_read=tr(HOW_IT_IS_READ),
        detail_headings=detail_headings(report),
        details=list(details(report)),
    )
    return text_bytes(page)
