"""``benchmark.md``: the table that others cite."""

from __future__ import annotations

from collections.abc import Iterator

from leakhunt.model.benchmark import BenchmarkReport
from leakhunt.reporting.benchmark.tables import (
    HEADINGS,
    HOW_IT_IS_READ,
    detail_headings,
    details,
    heading,
    score_row,
)
from leakhunt.reporting.formats.markdown_escape import escaped, markdown_bytes, table
from leakhunt.text.language import tr


def render(report: BenchmarkReport) -> bytes:
    """UTF-8 GitHub-flavoured Markdown."""
    return markdown_bytes(_lines(report))


def _lines(report: BenchmarkReport) -> Iterator[str]:
    yield f"## leakhunt: {escaped(heading(report))}"
    yield ""
    yield from table(map(tr, HEADINGS), map(score_row, report.scores))
    yield ""
    yield escaped(tr(HOW_IT_IS_READ))
    yield ""
    yield from table(detail_headings(report), details(report))
    yield ""
    for name, value in report.facts:
        yield f"- {escaped(name)}{tr(': ')}{escaped(value)}"
    yield ""
    yield escaped(report.generator)
