"""The summary on a terminal, as rich objects; nothing here prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from leakhunt.amounts import format_amount
from leakhunt.model.plan import Work
from leakhunt.model.report import JudgedRun, Report
from leakhunt.model.series import ANONYMOUS, LIVE_HEAP, PYTHON_BLOCKS, RSS, SeriesDisplay, displayed
from leakhunt.model.verdict import Status, Trend, Verdict
from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.reporting.run.tables import (
    NOTHING,
    limit_line,
    short_cells,
    sign,
    verdict_cell,
)
from leakhunt.reporting.shared.allocators import (
    NARROW_HEADINGS,
    narrow_rows,
)
from leakhunt.reporting.shared.facts import (
    first_facts,
)
from leakhunt.reporting.shared.load_table import work_of
from leakhunt.reporting.shared.peaks import short_peak_lines
from leakhunt.reporting.shared.suspects import blind_spots, cards, closing_lines, line_rows
from leakhunt.text.language import mark, tr
from leakhunt.text.message import part_of, sentences, word

_STYLES = {
    Status.LEAK: "bold red",
    Status.NO_LEAK: "green",
    Status.INCONCLUSIVE: "magenta",
}
_WARNING = "bold yellow"
_PER = {
    Work.CALL: mark("{title}/call"),
    Work.REQUEST: mark("{title}/request"),
    Work.SECOND: mark("{title}/s"),
}


def summary_table(report: Report) -> Table:
    """One row a variant; narrow enough for 80 columns, so the bounds are in `verdict_lines`."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    read = {name for entry in report.entries for name in entry.verdict.trends}
    # RSS of many processes counts shared pages in each; there is room for one of the two.
    hidden = RSS if ANONYMOUS in read else None
    rates = {
        facts.name: facts.narrow_title or facts.short_title
        for facts in displayed(SeriesDisplay.SUMMARY)
        if facts.name in read and facts.name != hidden
    }
    per = _PER[work_of(report)]
    table.add_column(tr("variant"), no_wrap=True)
    verdicts = [verdict_cell(entry) for entry in report.entries]
    # Wrapped between words, never within one.
    longest = max((cell_len(each) for cell in verdicts for each in cell.split()), default=0)
    table.add_column(tr("verdict"), min_width=max(longest, 9))
    for title in rates.values():
        table.add_column(tr(per, title=tr(title)), justify="right", no_wrap=True)
    if work_of(report).is_timed:
        is_soak = work_of(report) is Work.REQUEST
        table.add_column(tr(per, title=tr("time")), justify="right", no_wrap=True)
        table.add_column(tr("failed") if is_soak else tr("results"))
    for entry in report.entries:
        trends = entry.verdict.trends
        table.add_row(
            Text(visible(entry.variant), "bold"),
            Text(verdict_cell(entry), _style(entry.verdict)),
            *(Text(_rate(trends, name)) for name in rates),
            *map(Text, short_cells(entry, report)),
        )
    return table


def allocator_tables(report: Report) -> Iterator[Table | Text]:
    """The allocators that were tried, a table and a sentence for each variant."""
    for board in report.allocators:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for place, heading in enumerate(NARROW_HEADINGS):
            table.add_column(tr(heading), justify="right" if place else "left", no_wrap=True)
        for place, cells in enumerate(narrow_rows(board)):
            style = "bold" if place == board.recommended else ""
            table.add_row(*(Text(visible(cell), style) for cell in cells))
        yield table
        yield visible_line(Text.assemble(("= ", "bold"), str(board.sentence)))


def _rate(trends: Mapping[str, Trend], name: str) -> str:
    """A rate; of the heap with the small Python objects that leak, which live elsewhere."""
    trend, blocks = trends.get(name), trends.get(PYTHON_BLOCKS)
    if trend is None or trend.rate is None:
        return NOTHING
    leaks = name == LIVE_HEAP and blocks is not None and blocks.status is Status.LEAK
    beside = blocks.rate_in_bytes if blocks is not None and leaks else None
    return format_amount(trend.rate + (beside or 0.0), trend.unit)


def _verdict_lines(entry: JudgedRun) -> Iterator[Text]:
    """The verdict, and below it whether the process is killed; in short where it is another's."""
    verdict, style = entry.verdict, _style(entry.verdict)
    named = (f"{sign(verdict)} {entry.variant}{tr(': ')}", style)
    alike = part_of(verdict.sentence, "attribution.grows-alike")
    if alike is not None and not verdict.warns:
        yield Text.assemble(named, str(sentences([word(verdict.kind), alike])))
        return
    yield Text.assemble(named, str(verdict.sentence))
    if limit := limit_line(verdict):
        yield Text(f"  {limit}", _WARNING if verdict.warns else "")
    for line in short_peak_lines(entry):
        yield Text(f"  {line}")


def _style(verdict: Verdict) -> str:
    return _WARNING if verdict.warns else _STYLES[verdict.status]


def visible_line(line: Text) -> Text:
    """A line of which nothing steers the terminal; its styles stay where they are."""
    line.plain = visible(line.plain)
    return line


def conclusion_lines(report: Report) -> Iterator[Text]:
    """What it all means for a service, where several variants were measured."""
    if report.conclusion:
        yield Text(tr("For a service:"), "bold")
        for sentence in report.conclusion:
            yield visible_line(Text(f"  {sentence}"))


def suspect_lines(report: Report) -> Iterator[Text]:
    """The suspects of every variant that was hunted, then the remedies that were tried."""
    return map(visible_line, _suspect_lines(report))


def _suspect_lines(report: Report) -> Iterator[Text]:
    for entry in report.entries:
        for line in closing_lines(entry):
            yield Text.assemble((f"→ {entry.variant}{tr(': ')}", "bold"), line)
        for card in cards(entry):
            yield Text.assemble((f"  {card.number}. {card.title}", "bold"))
            chain = [(card.chain_title, " -> ".join(card.chain))] if card.chain else []
            for name, text in ((tr("retains"), card.keeps), *chain, *card.facts):
                yield Text.assemble((f"     {name}{tr(': ')}", "dim"), text)
        for line, grown, runs, source in line_rows(entry):
            yield Text(f"  {grown:>14}  {runs:>5} x  {line}: {source}")
        for blind in blind_spots(entry):
            yield Text(tr("  blind spot: {blind}", blind=blind), "dim")
    for trial in report.trials:
        yield Text.assemble(("= ", "bold"), str(trial.sentence))


def verdict_lines(report: Report) -> list[Text]:
    """A sentence a variant, then the facts about the inputs. Never read as markup."""
    lines = [line for entry in report.entries for line in _verdict_lines(entry)]
    lines += [Text(f"{name}{tr(': ')}{text}", "dim") for name, text in first_facts(report)]
    return [visible_line(line) for line in lines]
