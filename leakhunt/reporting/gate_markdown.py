"""``gate.md``: the summary of a CI job or the comment on a pull request.

The answer, a table, who keeps the memory with file and line, what to do next; a fold for the rest.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from math import ceil

from leakhunt.findings import Suspect
from leakhunt.gated import SECONDS_PER_CALL, Answer, Gated, GatedVariant
from leakhunt.language import mark, tr
from leakhunt.reporting.gate_suspects import (
    SHOWN_SUSPECTS,
    accepted_line,
    more_suspects,
    until,
    work_of,
)
from leakhunt.reporting.gate_words import (
    HEADINGS,
    SIGNS,
    Row,
    attempts,
    by_gravity,
    cells,
    counts,
    held_against,
    mismatch_line,
    overall,
    rows,
    sentence,
)
from leakhunt.reporting.markup import code, escaped, inside_html, table
from leakhunt.reporting.sparkline import bars, series_line
from leakhunt.reporting.suspects import keeps

# A longer table hides what failed among what did not.
_MOST_ROWS = 20
# The width of a curve in the table, in characters.
_BARS = 16
# The series in which the time of the calls is.
_DURATION = "duration"
# In this file the policy is below a table of its own, in every other at the top.
_PYPROJECT = "pyproject.toml"
# An accepted suspect may keep so many times what it keeps now: what instruments are off by.
_ROOM = 1.25
_WHY = mark("say why it is put up with, and where its repair is tracked")


def render(gated: Gated) -> bytes:
    """UTF-8 GitHub-flavoured Markdown, which GitLab reads as well."""
    return ("\n".join(_lines(gated)) + "\n").encode("utf-8", "backslashreplace")


def _lines(gated: Gated) -> Iterator[str]:
    yield f"## leakhunt: {SIGNS[gated.answer]} {escaped(overall(gated))}"
    yield ""
    held = held_against(gated)
    yield f"**{escaped(counts(gated))}**" + (
        tr(" ({reason})", reason=escaped(held)) if held else ""
    )
    yield ""
    told = rows(gated)
    yield from _tables(told)
    for variant in by_gravity(gated):
        if variant.answer is not Answer.WITHIN:
            yield from _failed(variant, gated)
    yield from _accepted(gated)
    if gated.notes:
        yield ""
        yield tr("Notes:")
        yield ""
    for note in gated.notes:
        yield f"- {escaped(note)}"
    yield from _details(gated, told)


def _tables(told: Sequence[Row]) -> Iterator[str]:
    """Every answer; of many, those that are within go into a fold."""
    if len(told) <= _MOST_ROWS:
        yield from _table(told)
        return
    within = [row for row in told if row.answer is Answer.WITHIN]
    others = [row for row in told if row.answer is not Answer.WITHIN]
    if others:
        yield from _table(others)
        yield ""
    folded = tr("The {count} that are within", count=len(within))
    yield "<details>"
    yield f"<summary>{inside_html(folded)}</summary>"
    yield ""
    yield from _table(within)
    yield ""
    yield "</details>"


def _table(told: Sequence[Row]) -> Iterator[str]:
    yield from table(
        (*map(tr, HEADINGS), tr("curve")), ((*cells(row), _curve(row)) for row in told)
    )


def _curve(row: Row) -> str:
    """The judged series of the first run."""
    if row.check is None or not row.variant.entries:
        return ""
    series = _DURATION if row.series == SECONDS_PER_CALL else row.series
    return bars(series_line(row.variant.entries[0].run, series, _BARS))


def _failed(variant: GatedVariant, gated: Gated) -> Iterator[str]:
    """Why it is not within, who keeps the memory, and what to do next."""
    yield ""
    yield f"### {SIGNS[variant.answer]} {escaped(variant.name)}"
    yield ""
    for told in filter(None, (variant.reason, mismatch_line(variant), attempts(variant))):
        yield f"- {escaped(told)}"
    for check in variant.checks:
        if check.answer is not Answer.WITHIN:
            yield f"- {code(check.budget.series)}: {escaped(check.reason)}"
    if variant.suspects:
        yield ""
        yield tr("Who keeps the memory:")
        yield ""
    for number, suspect in enumerate(variant.suspects[:SHOWN_SUSPECTS], 1):
        yield from _suspect(number, suspect, variant)
    if told := more_suspects(variant):
        yield ""
        yield escaped(told)
    yield from _next(variant, gated)


def _suspect(number: int, suspect: Suspect, variant: GatedVariant) -> Iterator[str]:
    kept = keeps(suspect, work_of(variant))
    yield tr(
        "{number}. **{title}**: keeps {keeps}",
        number=number,
        title=escaped(suspect.title),
        keeps=escaped(kept),
    )
    frame = suspect.where or suspect.holder
    if frame is not None:
        source = f": {code(frame.source)}" if frame.source else ""
        yield f"   - {tr('from')}: {code(str(frame))}{source}"
    if suspect.chain:
        yield f"   - {tr('held by')}: {code(' -> '.join(suspect.chain))}"
    if suspect.cause is not None:
        yield f"   - {tr('why')}: {escaped(tr(suspect.cause.reason))}"
        yield f"   - {tr('remedy')}: {escaped(tr(suspect.cause.remedy.text))}"
    yield f"   - {tr('fingerprint')}: {code(suspect.fingerprint)}"


def _next(variant: GatedVariant, gated: Gated) -> Iterator[str]:
    """The commands that come next, and how to accept what was found."""
    commands = list(_commands(variant, gated))
    if commands:
        yield ""
        yield tr("What to do next:")
        yield ""
    for what, command in commands:
        yield f"- {escaped(what)}: {code(command)}"
    if variant.suspects:
        yield ""
        yield "<details>"
        heading = tr("Put up with it for a while")
        yield f"<summary>{inside_html(heading)}</summary>"
        yield ""
        yield tr("Add to {policy}:", policy=escaped(gated.policy) or tr("the policy"))
        yield ""
        yield "```toml"
        for suspect in variant.suspects[:SHOWN_SUSPECTS]:
            yield from _acceptance(suspect, variant, gated)
        yield "```"
        yield ""
        yield "</details>"


def _commands(variant: GatedVariant, gated: Gated) -> Iterator[tuple[str, str]]:
    runs = [entry.run for entry in variant.entries if entry.run.file]
    folders = dict.fromkeys(run.file.rpartition("/")[0] or "." for run in runs)
    if folders:
        folder = " ".join(map(shlex.quote, folders))
        yield tr("see the curves"), f"leakhunt report {folder}"
    plan = variant.entries[0].run.plan if variant.entries else None
    # What it was held against may be a file or a revision: nothing tells which.
    if gated.policy and not gated.against:
        asked = f"leakhunt gate --policy {shlex.quote(gated.policy)}"
        # A scenario of the user's own goes by its path, which is not known here.
        is_built_in = plan is not None and plan.source == variant.scenario
        one = f" --scenario {shlex.quote(variant.name)}" if is_built_in else ""
        yield tr("measure it again"), asked + one
    if plan is not None and plan.load is not None:
        return
    is_known = plan is not None and plan.source == variant.scenario
    if is_known and not variant.suspects and variant.answer is Answer.OVER:
        yield tr("find out who keeps the memory"), f"leakhunt hunt {shlex.quote(variant.name)}"


def _acceptance(suspect: Suspect, variant: GatedVariant, gated: Gated) -> Iterator[str]:
    is_project = gated.policy.rpartition("/")[2] == _PYPROJECT
    yield "[[tool.leakhunt.accept]]" if is_project else "[[accept]]"
    # JSON's strings in ASCII are TOML's as well.
    yield f"fingerprint = {json.dumps(suspect.fingerprint)}"
    yield f"reason = {json.dumps(tr(_WHY), ensure_ascii=False)}"
    yield f"until = {until(variant)}"
    if suspect.bytes_per_call:
        most = ceil(_ROOM * suspect.bytes_per_call)
        yield f'up_to = "{most}/{work_of(variant)}"'


def _accepted(gated: Gated) -> Iterator[str]:
    found = [(variant, *each) for variant in gated.variants for each in variant.accepted]
    if found:
        yield ""
        yield tr("Put up with:")
        yield ""
    for variant, suspect, acceptance in found:
        told = accepted_line(suspect, acceptance, variant)
        yield f"- {escaped(variant.name)}: {escaped(told)} ({code(suspect.fingerprint)})"


def _details(gated: Gated, told: list[Row]) -> Iterator[str]:
    yield ""
    yield "<details>"
    heading = tr("Every answer in a sentence")
    yield f"<summary>{inside_html(heading)}</summary>"
    yield ""
    for row in told:
        yield f"- {SIGNS[row.answer]} {escaped(row.variant.name)}: {escaped(sentence(row))}"
    for variant in by_gravity(gated):
        for entry in variant.entries:
            yield f"- {escaped(variant.name)}: {escaped(entry.verdict.sentence)}"
    yield ""
    yield tr(
        "Measured: with its 99 % bounds, one-sided each. Would have seen: growth of that size"
        " shows in 95 of 100 such runs."
    )
    yield ""
    yield "</details>"
    yield ""
    yield escaped(gated.generator)
