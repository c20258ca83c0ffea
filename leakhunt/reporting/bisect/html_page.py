"""``bisect.html``: one file, opens offline, asks for nothing from anywhere, needs no script."""

from __future__ import annotations

from leakhunt.model.bisection import BisectReport
from leakhunt.reporting.bisect.chart import chart_element
from leakhunt.reporting.bisect.tables import HEADINGS, HOW_IT_IS_READ, heading, rows, summary
from leakhunt.reporting.formats.jinja import template
from leakhunt.text.controls import text_bytes
from leakhunt.text.language import tr


def render(report: BisectReport) -> bytes:
    """UTF-8 HTML. Every text from outside is escaped by the template engine."""
    from markupsafe import Markup

    first, *further = summary(report)
    page = template("bisect.html.j2").render(
        report=report,
        heading=heading(report),
        first=first,
        further=further,
        headings=tuple(map(tr, HEADINGS)),
        rows=list(zip(report.steps, rows(report), strict=True)),
        how_it_is_read=tr(HOW_IT_IS_READ),
        # Ours but for its texts, which matplotlib escapes when it writes the SVG.
        chart=Markup(chart_element(report)),  # noqa: S704
    )
    return text_bytes(page)
