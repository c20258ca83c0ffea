"""``attach.md``: what a visit found, for an issue or a chat."""

from __future__ import annotations

from collections.abc import Iterator

from leakhunt.model.attached import AttachReport
from leakhunt.reporting.attached.tables import facts, heading, next_steps, sections, summary
from leakhunt.reporting.formats.markdown_escape import escaped, markdown_bytes
from leakhunt.text.language import tr


def render(report: AttachReport) -> bytes:
    """UTF-8 Markdown. Every text from outside is escaped."""
    return markdown_bytes(_lines(report))


def _lines(report: AttachReport) -> Iterator[str]:
    yield f"# {escaped(heading(report))}"
    yield ""
    for sentence in summary(report):
        yield f"- {escaped(sentence)}"
    for section in sections(report):
        yield ""
        yield f"## {escaped(section.title)}"
        yield ""
        for sentence in section.sentences:
            yield escaped(sentence)
            yield ""
        yield f"| {' | '.join(map(escaped, section.headings))} |"
        yield f"|{' --- |' * len(section.headings)}"
        for row in section.rows:
            yield f"| {' | '.join(map(escaped, row))} |"
    yield ""
    for name, value in facts(report):
        yield f"- {escaped(name)}{tr(': ')}{escaped(value)}"
    for step in next_steps(report):
        yield ""
        yield escaped(step)
    yield ""
    yield escaped(report.generator)
