"""``attach.html``: one file, opens offline, asks for nothing from anywhere, needs no script."""

from __future__ import annotations

from leakhunt.model.attached import AttachReport
from leakhunt.reporting.attached.tables import facts, heading, next_steps, sections, summary
from leakhunt.reporting.formats.jinja import template
from leakhunt.reporting.retained.treemap import treemap_element
from leakhunt.text.controls import text_bytes


def render(report: AttachReport) -> bytes:
    """UTF-8 HTML. Every text from outside is escaped by the template engine."""
    heap = report.heap
    page = template("attach.html.j2").render(
        report=report,
        heading=heading(report),
        summary=list(summary(report)),
        sections=list(sections(report)),
        facts=list(facts(report)),
        next_steps=list(next_steps(report)),
        treemap=treemap_element(str(report.pid), heap, "map0") if heap is not None else "",
    )
    return text_bytes(page)
