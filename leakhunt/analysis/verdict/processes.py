"""What the processes of a service add to its verdict: which of them grows, what only they do. Pure.

The sum over all processes hides a slope in one of them: noise of the others lies over it, and a
worker that is replaced takes it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from leakhunt.amounts import Amount
from leakhunt.analysis.verdict.statements import LEADS, growths
from leakhunt.model.kinds import Kind
from leakhunt.model.plan import Work
from leakhunt.model.processes import JudgedProcess, ProcessRole, ProcessSamples
from leakhunt.model.run import Run
from leakhunt.model.series import (
    ANONYMOUS,
    LIVE_HEAP,
    PRIVATE_DIRTY,
    RSS,
    Unit,
    leak_series,
)
from leakhunt.model.verdict import Status, Trend, Verdict
from leakhunt.text.message import Message, Text, joined, message, sentences

# By these growth in one process is set against that in another, the first that all of them have.
_SHARED_OUT = (LIVE_HEAP, ANONYMOUS, RSS)
# Private pages that rise by so much at least while no more memory is taken are copies of shared
# ones; what was taken besides, as a share of that rise.
_COPIED_BYTES = 8 << 20
_MAX_TAKEN_SHARE = 0.25
# The height of a noisy series at its beginning and its end is the median of so many readings.
_ENDS = 5
_MAX_NAMED = 4


def with_shares(judged: Sequence[JudgedProcess]) -> tuple[JudgedProcess, ...]:
    """These, each that grows with its share of what all of them grow by."""
    growing = [each for each in judged if each.grows]
    series = next((name for name in _SHARED_OUT if all(_rate(each, name) for each in growing)), "")
    total = sum(_rate(each, series) for each in growing)
    return tuple(
        replace(each, share=_rate(each, series) / total) if each.grows and total else each
        for each in judged
    )


def _rate(each: JudgedProcess, series: str) -> float:
    trend = each.trends.get(series)
    return max(trend.rate or 0.0, 0.0) if trend is not None else 0.0


def with_processes(run: Run, verdict: Verdict, judged: Sequence[JudgedProcess]) -> Verdict:
    """The verdict on a service, with what its processes do each."""
    growing = [each for each in judged if each.grows]
    copied = copied_on_write(run)
    if verdict.status is Status.LEAK or verdict.kind in (Kind.OUTSIDE_GROWTH, Kind.KILLED):
        if growing:
            verdict = _with_more(verdict, [_which(growing, judged, run.plan.work)])
    elif growing:
        verdict = _hidden(verdict, growing, judged, run.plan.work)
    elif verdict.status is Status.NO_LEAK and (open_ones := _undecided(judged)):
        verdict = _open(verdict, open_ones)
    return verdict if copied is None else _with_copies(verdict, copied)


def _with_more(verdict: Verdict, more: Sequence[Text]) -> Verdict:
    return replace(verdict, sentence=sentences([verdict.sentence, *more]))


def _hidden(
    verdict: Verdict, growing: Sequence[JudgedProcess], judged: Sequence[JudgedProcess], work: Work
) -> Verdict:
    """Growth in single processes that the sum over all does not show."""
    leaking = [each for each in growing if each.status is Status.LEAK]
    first = (leaking or growing)[0]
    status = first.status if leaking else Status.INCONCLUSIVE
    lead = (
        LEADS[first.kind]
        if first.kind in LEADS
        else message(
            "verdict.outside_growth_of_process", "Memory of one process grows (external metrics)"
        )
    )
    hidden = message(
        "verdict.hidden_in_sum",
        "The sum over all {count} processes does not show it",
        count=len(judged),
    )
    also = tuple(kind for kind in (verdict.kind, *verdict.also) if kind is not Kind.CLEAN)
    return replace(
        verdict,
        status=status,
        kind=first.kind,
        also=tuple(kind for kind in also if kind not in (first.kind, Kind.INCONCLUSIVE)),
        calls_needed=None,
        sentence=sentences([lead, _which(growing, judged, work), hidden]),
    )


def _which(growing: Sequence[JudgedProcess], judged: Sequence[JudgedProcess], work: Work) -> Text:
    """Which processes grow and by how much, and which do not."""
    ordered = sorted(growing, key=lambda each: -(each.share or 0.0))
    parts: list[Text] = [_grows(each, work) for each in ordered[:_MAX_NAMED]]
    if len(ordered) > _MAX_NAMED:
        more = len(ordered) - _MAX_NAMED
        parts.append(message("verdict.more_processes", "{count} more processes", count=more))
    level = [each for each in judged if not each.grows and each.process.role is ProcessRole.WORKER]
    if level and len(level) <= _MAX_NAMED:
        names = tuple(each.process.title for each in level)
        parts.append(message("verdict.process_level", "no growth in {names}", names=names))
    elif level:
        count = len(level)
        parts.append(
            message("verdict.processes_level", "no growth in {count} workers", count=count)
        )
    return joined(parts, "; ", "")


def _grows(each: JudgedProcess, work: Work) -> Message:
    """``in worker 2 (PID 4711) live heap grows by 51 B/request (50 to 52 B), linear``."""
    growth = growths(growing_trends(each), work)
    if each.replaced:
        return message(
            "verdict.process_grows_between",
            "in {process}, replaced {times} times, between replacements {growth}",
            process=each.process.named,
            times=each.replaced,
            growth=growth,
        )
    return message(
        "verdict.process_grows",
        "in {process} {growth}",
        process=each.process.named,
        growth=growth,
    )


def growing_trends(each: JudgedProcess) -> list[Trend]:
    """What of a process grows: live memory, else what is seen from outside."""
    leaking = [trend for trend in each.trends.values() if trend.status is Status.LEAK]
    live = [trend for trend in leaking if trend.series in leak_series()]
    outside = (trend for name in (ANONYMOUS, RSS) for trend in leaking if trend.series == name)
    return live or list(outside)[:1]


def _undecided(judged: Sequence[JudgedProcess]) -> list[JudgedProcess]:
    """Those of which live memory rises for certain, and only the shape is open."""
    return [
        each
        for each in judged
        if any(
            trend.rises_undecided for name, trend in each.trends.items() if name in leak_series()
        )
    ]


def _open(verdict: Verdict, unsure: Sequence[JudgedProcess]) -> Verdict:
    """No leak in the sum, but live memory of one process rises."""
    trends = [
        trend
        for trend in unsure[0].trends.values()
        if trend.rises_undecided and trend.series in leak_series()
    ]
    reason = message(
        "verdict.process_undecided",
        "Inconclusive for {process}: {reason}",
        process=unsure[0].process.named,
        reason=trends[0].reason,
    )
    return replace(
        verdict,
        status=Status.INCONCLUSIVE,
        kind=Kind.INCONCLUSIVE,
        also=(),
        calls_needed=max((trend.calls_needed or 0 for trend in trends), default=0) or None,
        sentence=sentences([reason, verdict.sentence]),
    )


@dataclass(frozen=True, slots=True)
class Copied:
    """Pages of the parent that forked workers have copied: how many workers, bytes, at most."""

    workers: int
    size_bytes: int
    most_bytes: int


def copied_on_write(run: Run) -> Copied | None:
    """What forked workers have copied of their parents while they took nothing more; or None.

    Their private memory rises by the pages that they write to, reference counts among them; RSS
    has counted these all along.
    """
    parents = {each.samples.process.number: each.samples for each in run.processes}
    sizes: list[int] = []
    most = 0
    for each in parents.values():
        parent = parents.get(each.process.parent if each.process.parent is not None else -1)
        copied = _copied(each)
        if parent is None or each.process.role is not ProcessRole.WORKER or copied is None:
            continue
        sizes.append(copied)
        most += round(_ends(parent, ANONYMOUS, range(len(parent.places)))[1])
    return Copied(len(sizes), sum(sizes), max(most, sum(sizes))) if sizes else None


def _copied(each: ProcessSamples) -> int | None:
    """What one process, the last that held its place, has copied; None: nothing to speak of."""
    rows = [row for row, life in enumerate(each.lives) if life == each.lives[-1]]
    if len(rows) < 2 * _ENDS:
        return None
    before, after = _ends(each, PRIVATE_DIRTY, rows)
    had, has = _ends(each, ANONYMOUS, rows)
    risen = after - before
    if risen < _COPIED_BYTES or has - had > _MAX_TAKEN_SHARE * risen:
        return None
    return round(risen - max(has - had, 0))


def _ends(each: ProcessSamples, name: str, rows: Sequence[int]) -> tuple[float, float]:
    """The height of a series at the beginning of these rows and at their end."""
    values = each.samples.get(name, ())
    found = (values[row] for row in rows if row < len(values))
    known = [value for value in found if value is not None]
    if not known:
        return 0.0, 0.0
    return float(min(known[:_ENDS])), float(median(known[-_ENDS:]))


def _with_copies(verdict: Verdict, copied: Copied) -> Verdict:
    values = {
        "workers": copied.workers,
        "size": Amount(copied.size_bytes, Unit.BYTES),
        "most": Amount(copied.most_bytes, Unit.BYTES),
    }
    note = message(
        "verdict.copied_on_write",
        "Copy-on-write after fork: private memory of {workers} workers rose by {size} while they"
        " took no more; it ends at the size of the parent, {most}",
        **values,
    )
    remedy = message(
        "verdict.copied_remedy",
        "Fix: gc.collect() and gc.freeze() in the parent before it forks",
    )
    is_clean = verdict.status is Status.NO_LEAK and verdict.kind is Kind.CLEAN
    kind = Kind.COPY_ON_WRITE if is_clean else verdict.kind
    also = verdict.also if is_clean else (*verdict.also, Kind.COPY_ON_WRITE)
    return replace(
        verdict, kind=kind, also=also, sentence=sentences([verdict.sentence, note, remedy])
    )
