"""``report.md``: short enough for an issue or a pull request: a table, and a fold for the rest."""

from __future__ import annotations

from collections.abc import Iterator

from leakhunt.amounts import format_bytes
from leakhunt.model.report import JudgedRun, Report
from leakhunt.reporting.charts.sparkline import bars, sparkline
from leakhunt.reporting.claims.markdown import claim_details
from leakhunt.reporting.claims.tables import SHORT_HEADINGS as CLAIM_HEADINGS
from leakhunt.reporting.claims.tables import short_row as claim_row
from leakhunt.reporting.formats.markdown_escape import code as _code
from leakhunt.reporting.formats.markdown_escape import escaped as _escaped
from leakhunt.reporting.formats.markdown_escape import inside_html as _html
from leakhunt.reporting.formats.markdown_escape import markdown_bytes
from leakhunt.reporting.formats.markdown_escape import table as _table
from leakhunt.reporting.run.tables import (
    NOTHING,
    REMEDY_HEADINGS,
    headings,
    headings_of_each,
    limit_line,
    remedies,
    row,
    short_cells,
    sign,
    verdict_cell,
)
from leakhunt.reporting.shared.allocators import ALLOCATOR_HEADINGS, allocator_rows
from leakhunt.reporting.shared.facts import (
    first_facts,
)
from leakhunt.reporting.shared.headline import headline, summary
from leakhunt.reporting.shared.load_table import LOAD_HEADINGS, load_lines, load_rows
from leakhunt.reporting.shared.peaks import LIMIT_HEADINGS, limit_rows, peak_lines
from leakhunt.reporting.shared.processes import PROCESS_HEADINGS, process_rows
from leakhunt.reporting.shared.routes import ROUTE_HEADINGS, route_rows
from leakhunt.reporting.shared.suspects import (
    LINE_HEADINGS,
    TRIAL_HEADINGS,
    blind_spots,
    cards,
    closing_lines,
    line_rows,
    trial_row,
)
from leakhunt.text.language import mark, one_after_another, tr

_SHORT_HEADINGS = (mark("variant"), mark("verdict"), mark("memory"), mark("rate"))
# The width of a curve in the table, in characters.
_BARS = 16


def render(report: Report) -> bytes:
    """UTF-8 GitHub-flavoured Markdown."""
    return markdown_bytes(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield f"## leakhunt: {_escaped(str(report.title))}"
    yield ""
    yield f"**{_escaped(summary(report))}**"
    yield ""
    for sentence in report.conclusion:
        yield f"- {_escaped(str(sentence))}"
    if report.conclusion:
        yield ""
    titles = (*map(tr, _SHORT_HEADINGS), *headings_of_each(report))
    yield from _table(titles, (_short_row(entry, report) for entry in report.entries))
    yield ""
    for entry in report.entries:
        for card in cards(entry)[:1]:
            heading = f"{card.title}{tr(', ')}{card.keeps}"
            yield f"- {_escaped(entry.variant)}{tr(': ')}{_escaped(heading)}"
    for entry in report.entries:
        if entry.verdict.warns:
            yield f"- {_escaped(entry.variant)}{tr(': ')}{_escaped(limit_line(entry.verdict))}"
    for name, text in first_facts(report):
        yield f"- {_escaped(name)}{tr(': ')}{_escaped(text)}"
    yield ""
    if report.claims:
        yield from _table(tuple(map(tr, CLAIM_HEADINGS)), map(claim_row, report.claims))
        yield ""
    yield "<details>"
    heading = tr("Verdicts, figures, suspects and fixes in full")
    yield f"<summary>{_html(heading)}</summary>"
    yield ""
    yield from _details(report)
    yield ""
    yield "</details>"
    yield ""
    yield tr(
        "Reproduce: {command} ({generator})",
        command=_code(report.command),
        generator=_escaped(report.generator),
    )


def _short_row(entry: JudgedRun, report: Report) -> tuple[str, ...]:
    rate = headline(entry)
    grown = NOTHING
    if rate is not None:
        grown = f"{rate.title}{tr(': ')}{one_after_another(rate.text, rate.bounds)}"
    return (
        entry.variant,
        verdict_cell(entry),
        bars(sparkline(entry, _BARS)),
        grown,
        *short_cells(entry, report),
    )


def _details(report: Report) -> Iterator[str]:
    for entry in report.entries:
        sentence = _escaped(str(entry.verdict.sentence))
        yield f"- {sign(entry.verdict)} **{_escaped(entry.variant)}**{tr(': ')}{sentence}"
        if text := limit_line(entry.verdict):
            yield f"  - {_escaped(text)}"
        for line in peak_lines(entry):
            yield f"  - {_escaped(line)}"
    yield ""
    yield from _table(headings(report), (row(entry, report) for entry in report.entries))
    yield from _limits(report)
    yield from _load(report)
    yield from _remedies(report)
    for entry in report.entries:
        yield from _suspects(entry)
    if report.trials:
        yield ""
        yield from _table(tuple(map(tr, TRIAL_HEADINGS)), map(trial_row, report.trials))
    for board in report.allocators:
        yield ""
        yield from _table(tuple(map(tr, ALLOCATOR_HEADINGS)), allocator_rows(board))
        yield ""
        yield _escaped(str(board.sentence))
    yield from claim_details(report.claims, {})
    for entry in report.entries:
        yield from _ledger(entry)


def _limits(report: Report) -> Iterator[str]:
    rows = limit_rows(report)
    if rows:
        yield ""
        yield from _table(tuple(map(tr, LIMIT_HEADINGS)), rows)


def _load(report: Report) -> Iterator[str]:
    rows = load_rows(report)
    if rows:
        yield ""
        yield from _table(tuple(map(tr, LOAD_HEADINGS)), rows)
    lines = list(load_lines(report))
    if lines:
        yield ""
    for line in lines:
        yield f"- {_escaped(line)}"
    routes = route_rows(report)
    if routes:
        yield ""
        yield from _table(tuple(map(tr, ROUTE_HEADINGS)), routes)
    processes = process_rows(report)
    if processes:
        yield ""
        yield from _table(tuple(map(tr, PROCESS_HEADINGS)), processes)


def _remedies(report: Report) -> Iterator[str]:
    rows = remedies(report)
    if rows:
        yield ""
        yield from _table(tuple(map(tr, REMEDY_HEADINGS)), rows)


def _suspects(entry: JudgedRun) -> Iterator[str]:
    """The first suspect in a line, all of them folded."""
    closing = list(closing_lines(entry))
    if not closing:
        return
    yield ""
    yield f"**{_escaped(entry.variant)}**{tr(': ')}{_escaped(' '.join(closing))}"
    found = cards(entry)
    if found:
        yield ""
        yield "<details>"
        heading = tr("Leak suspects: {variant}", variant=entry.variant)
        yield f"<summary>{_html(heading)}</summary>"
        yield ""
    for card in found:
        yield tr(
            "{number}. **{title}**: retains {keeps}",
            number=card.number,
            title=_escaped(card.title),
            keeps=_escaped(card.keeps),
        )
        if card.chain:
            yield f"   - {card.chain_title}{tr(': ')}{_code(' -> '.join(card.chain))}"
        for name, text in card.facts:
            yield f"   - {_escaped(name)}{tr(': ')}{_escaped(text)}"
    if found:
        yield ""
        yield "</details>"
    lines = line_rows(entry)
    if lines:
        yield ""
        yield from _table(tuple(map(tr, LINE_HEADINGS)), lines)
    for blind in blind_spots(entry):
        yield ""
        yield tr("Blind spot: {blind}", blind=_escaped(blind))


def _ledger(entry: JudgedRun) -> Iterator[str]:
    if entry.ledger is None:
        return
    growth = format_bytes(entry.ledger.growth_bytes)
    yield ""
    yield "<details>"
    heading = tr(
        "RSS growth of {growth} by kind of memory: {variant}", growth=growth, variant=entry.variant
    )
    yield f"<summary>{_html(heading)}</summary>"
    yield ""
    lines = ((str(line.title), format_bytes(line.size_bytes)) for line in entry.ledger.lines)
    yield from _table((tr("kind of memory"), tr("size")), lines)
    if not entry.ledger.complete:
        yield ""
        yield tr("Incomplete: the process ended before the final readings.")
    yield ""
    yield "</details>"
