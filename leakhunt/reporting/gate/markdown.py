"""``gate.md``: the summary of a CI job or the comment on a pull request.

The answer, a table, who keeps the memory with file and line, what to do next; a fold for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leakhunt.model.attribution import Suspect
from leakhunt.model.gate import GateAnswer, GateResult, VariantResult
from leakhunt.reporting.charts.sparkline import bars
from leakhunt.reporting.formats.markdown_escape import (
    code,
    escaped,
    inside_html,
    markdown_bytes,
    table,
)
from leakhunt.reporting.gate.next_steps import acceptances, commands, policy_name
from leakhunt.reporting.gate.rows import (
    SIGNS,
    GateRow,
    all_sentences,
    by_gravity,
    compared_with,
    counts,
    notes_of,
    overall,
    rows,
)
from leakhunt.reporting.gate.suspects import (
    SHOWN_SUSPECTS,
    accepted_line,
    more_suspects,
    work_of,
)
from leakhunt.reporting.gate.tables import (
    HEADINGS,
    HOW_IT_IS_READ,
    cells,
    curve,
    fold_title,
    parted,
)
from leakhunt.reporting.shared.suspects import keeps
from leakhunt.text.language import tr

# The width of a curve in the table, in characters.
_BARS = 16


def render(gated: GateResult) -> bytes:
    """UTF-8 GitHub-flavoured Markdown, which GitLab reads as well."""
    return markdown_bytes(_lines(gated))


def _lines(gated: GateResult) -> Iterator[str]:
    yield f"## leakhunt: {SIGNS[gated.answer]} {escaped(overall(gated))}"
    yield ""
    compared = compared_with(gated)
    yield f"**{escaped(counts(gated))}**" + (
        tr(" ({reason})", reason=escaped(compared)) if compared else ""
    )
    yield ""
    all_rows = rows(gated)
    yield from _tables(all_rows)
    for variant in by_gravity(gated):
        if variant.answer is not GateAnswer.WITHIN_BUDGET:
            yield from _failed(variant, gated)
    yield from _accepted(gated)
    if gated.notes:
        yield ""
        yield tr("Notes:")
        yield ""
    for note in gated.notes:
        yield f"- {escaped(str(note))}"
    yield from _details(gated, all_rows)


def _tables(table_rows: Sequence[GateRow]) -> Iterator[str]:
    """Every answer; of many, those that are within go into a fold."""
    shown, folded = parted(table_rows)
    if shown:
        yield from _table(shown)
    if not folded:
        return
    if shown:
        yield ""
    yield "<details>"
    yield f"<summary>{inside_html(fold_title(folded))}</summary>"
    yield ""
    yield from _table(folded)
    yield ""
    yield "</details>"


def _table(table_rows: Sequence[GateRow]) -> Iterator[str]:
    heads = (*map(tr, HEADINGS), tr("curve"))
    yield from table(heads, ((*cells(row), bars(curve(row, _BARS))) for row in table_rows))


def _failed(variant: VariantResult, gated: GateResult) -> Iterator[str]:
    """Why it is not within, who keeps the memory, and what to do next."""
    yield ""
    yield f"### {SIGNS[variant.answer]} {escaped(variant.name)}"
    yield ""
    for line in filter(None, (str(variant.reason), *notes_of(variant))):
        yield f"- {escaped(line)}"
    for check in variant.checks:
        if check.answer is not GateAnswer.WITHIN_BUDGET:
            yield f"- {code(check.budget.series)}{tr(': ')}{escaped(str(check.reason))}"
    if variant.suspects:
        yield ""
        yield tr("Leak suspects:")
        yield ""
    for number, suspect in enumerate(variant.suspects[:SHOWN_SUSPECTS], 1):
        yield from _suspect(number, suspect, variant)
    if line := more_suspects(variant):
        yield ""
        yield escaped(line)
    yield from _next(variant, gated)


def _suspect(number: int, suspect: Suspect, variant: VariantResult) -> Iterator[str]:
    amount = keeps(suspect, work_of(variant))
    yield tr(
        "{number}. **{title}**: retains {keeps}",
        number=number,
        title=escaped(str(suspect.title)),
        keeps=escaped(amount),
    )
    frame = suspect.where or suspect.holder
    if frame is not None:
        source = f": {code(frame.source)}" if frame.source else ""
        yield f"   - {tr('from')}{tr(': ')}{code(str(frame))}{source}"
    if suspect.chain:
        chain = tr("reference cycle") if suspect.cycle is not None else tr("reference chain")
        yield f"   - {chain}{tr(': ')}{code(' -> '.join(suspect.chain))}"
    if suspect.cause is not None:
        yield f"   - {tr('reason')}{tr(': ')}{escaped(tr(suspect.cause.reason))}"
        yield f"   - {tr('fix')}{tr(': ')}{escaped(tr(suspect.cause.remedy.text))}"
    yield f"   - {tr('fingerprint')}{tr(': ')}{code(suspect.fingerprint)}"


def _next(variant: VariantResult, gated: GateResult) -> Iterator[str]:
    """The commands that come next, and how to accept what was found."""
    following = list(commands(variant, gated))
    if following:
        yield ""
        yield tr("Next steps:")
        yield ""
    for what, command in following:
        yield f"- {escaped(what)}{tr(': ')}{code(command)}"
    if variant.suspects:
        yield ""
        yield "<details>"
        heading = tr("Accept it until a date")
        yield f"<summary>{inside_html(heading)}</summary>"
        yield ""
        yield tr("Add to {policy}:", policy=escaped(policy_name(gated)))
        yield ""
        yield "```toml"
        yield from acceptances(variant, gated)
        yield "```"
        yield ""
        yield "</details>"


def _accepted(gated: GateResult) -> Iterator[str]:
    found = [(variant, *each) for variant in gated.variants for each in variant.accepted]
    if found:
        yield ""
        yield tr("Accepted:")
        yield ""
    for variant, suspect, acceptance in found:
        text = accepted_line(suspect, acceptance, variant)
        yield f"- {escaped(variant.name)}{tr(': ')}{escaped(text)} ({code(suspect.fingerprint)})"


def _details(gated: GateResult, table_rows: list[GateRow]) -> Iterator[str]:
    yield ""
    yield "<details>"
    heading = tr("All results")
    yield f"<summary>{inside_html(heading)}</summary>"
    yield ""
    yield from (f"- {escaped(line)}" for line in all_sentences(gated, table_rows))
    yield ""
    yield tr(HOW_IT_IS_READ)
    yield ""
    yield "</details>"
    yield ""
    yield escaped(gated.generator)
