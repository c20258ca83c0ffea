"""``analyze.md``: what the memory of a fleet does, for an issue or a chat."""

from __future__ import annotations

from collections.abc import Iterator

from leakhunt.model.fleet import FleetReport
from leakhunt.reporting.fleet.tables import HEADINGS, WORDS, details, heading, rows, summary
from leakhunt.reporting.formats.markdown_escape import escaped, markdown_bytes
from leakhunt.text.language import tr

# So many instances are told one by one; the table has all.
_MAX_TOLD = 20


def render(report: FleetReport) -> bytes:
    """UTF-8 Markdown. Every text from outside is escaped."""
    return markdown_bytes(_lines(report))


def _lines(report: FleetReport) -> Iterator[str]:
    yield f"# {escaped(heading(report))}"
    yield ""
    for sentence in summary(report):
        yield f"- {escaped(sentence)}"
    yield ""
    yield f"| {' | '.join(escaped(tr(each)) for each in HEADINGS)} |"
    yield f"| {' | '.join('---' if is_text else '---:' for is_text in WORDS)} |"
    for row in rows(report):
        yield f"| {' | '.join(map(escaped, row))} |"
    instances = list(details(report))
    for instance, sentences in instances[:_MAX_TOLD]:
        yield ""
        yield f"## {escaped(instance)}"
        yield ""
        for sentence in sentences:
            yield f"- {escaped(sentence)}"
    if len(instances) > _MAX_TOLD:
        yield ""
        yield tr("{count} more in analyze.json", count=len(instances) - _MAX_TOLD)
    yield ""
    yield escaped(report.generator)
