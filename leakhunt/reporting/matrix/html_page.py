"""``matrix.html``: one file, opens offline, asks for nothing from anywhere, needs no script."""

from __future__ import annotations

from urllib.parse import quote

from leakhunt.model.matrix import CellResult, MatrixReport
from leakhunt.reporting.formats.jinja import template
from leakhunt.reporting.matrix.curves import curves_element
from leakhunt.reporting.matrix.tables import (
    EFFECT_HEADINGS,
    HEADINGS,
    css_class,
    effect_rows,
    facts,
    grid,
    heading,
    how_it_is_read,
    row,
    summary,
)
from leakhunt.text.controls import text_bytes
from leakhunt.text.language import tr


def render(report: MatrixReport) -> bytes:
    """UTF-8 HTML. Every text from outside is escaped by the template engine."""
    from markupsafe import Markup

    first, *further = summary(report)
    page = template("matrix.html.j2").render(
        report=report,
        heading=heading(report),
        first=first,
        further=further,
        grid=grid(report),
        how_it_is_read=how_it_is_read(report),
        effect_headings=tuple(map(tr, EFFECT_HEADINGS)),
        effects=list(effect_rows(report)),
        headings=tuple(map(tr, HEADINGS)),
        row=row,
        css=css_class,
        link=_link,
        facts=list(facts(report)),
        # Ours but for its texts, which matplotlib escapes when it writes the SVG.
        curves=Markup(curves_element(report)),  # noqa: S704
    )
    return text_bytes(page)


def _link(result: CellResult) -> str:
    """Where the run file is, beside the page."""
    return quote(result.run_file)
