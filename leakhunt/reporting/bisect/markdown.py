"""``bisect.md``: for an issue or a commit message."""

from __future__ import annotations

from collections.abc import Iterator

from leakhunt.model.bisection import BisectReport
from leakhunt.reporting.bisect.tables import HEADINGS, HOW_IT_IS_READ, heading, rows, summary
from leakhunt.reporting.formats.markdown_escape import escaped, markdown_bytes, table
from leakhunt.text.language import tr


def render(report: BisectReport) -> bytes:
    """UTF-8 GitHub-flavoured Markdown."""
    return markdown_bytes(_lines(report))


def _lines(report: BisectReport) -> Iterator[str]:
    yield f"## leakhunt: {escaped(heading(report))}"
    yield ""
    for sentence in summary(report):
        yield f"- {escaped(sentence)}"
    yield ""
    yield from table(map(tr, HEADINGS), rows(report))
    yield ""
    yield f"{escaped(tr(HOW_IT_IS_READ))} ({escaped(report.generator)})"
