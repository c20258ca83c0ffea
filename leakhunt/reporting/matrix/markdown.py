"""``matrix.md``: short enough for an issue."""

from __future__ import annotations

from collections.abc import Iterator

from leakhunt.model.matrix import MatrixReport
from leakhunt.reporting.formats.markdown_escape import escaped, inside_html, markdown_bytes, table
from leakhunt.reporting.matrix.tables import (
    EFFECT_HEADINGS,
    HEADINGS,
    effect_rows,
    facts,
    grid,
    heading,
    how_it_is_read,
    row,
    summary,
)
from leakhunt.text.language import tr


def render(report: MatrixReport) -> bytes:
    """UTF-8 GitHub-flavoured Markdown."""
    return markdown_bytes(_lines(report))


def _lines(report: MatrixReport) -> Iterator[str]:
    yield f"## leakhunt: {escaped(heading(report))}"
    yield ""
    for sentence in summary(report):
        yield f"- {escaped(sentence)}"
    made = grid(report)
    yield ""
    yield from table(
        (made.corner, *made.columns),
        ((name, *(" · ".join(cell.lines) for cell in cells)) for name, cells in made.rows),
    )
    effects = list(effect_rows(report))
    if effects:
        yield ""
        yield from table(map(tr, EFFECT_HEADINGS), effects)
    yield ""
    yield "<details>"
    yield f"<summary>{inside_html(tr('All cells'))}</summary>"
    yield ""
    yield from table(map(tr, HEADINGS), map(row, report.results_by_interest))
    yield ""
    yield "</details>"
    yield ""
    for name, value in facts(report):
        yield f"- {escaped(name)}{tr(': ')}{escaped(value)}"
    yield ""
    yield f"{escaped(how_it_is_read(report))} ({escaped(report.generator)})"
