"""``retained.html``: one file, opens offline, asks for nothing from anywhere, needs no script."""

from __future__ import annotations

from leakhunt.model.retained import RetainedReport
from leakhunt.reporting.formats.jinja import template
from leakhunt.reporting.retained.tables import (
    HEADINGS,
    WORDS,
    caveats,
    named,
    part_row,
    rows,
    sentences,
)
from leakhunt.reporting.retained.treemap import treemap_element
from leakhunt.text.controls import text_bytes
from leakhunt.text.language import tr


def render(report: RetainedReport) -> bytes:
    """UTF-8 HTML. Every text from outside is escaped by the template engine."""
    maps = [
        treemap_element(report.scenario, heap, f"map{number}")
        for number, heap in enumerate(report.heaps)
    ]
    page = template("retained.html.j2").render(
        report=report,
        headings=tuple(map(tr, HEADINGS)),
        kinds=["path" if is_text else "number" for is_text in WORDS],
        rows=rows,
        part_row=part_row,
        caveats=caveats,
        sentences=sentences,
        named=named,
        maps=maps,
    )
    return text_bytes(page)
