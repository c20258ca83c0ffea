"""The verdict on few calls, each of them slow: by exact counts, not by the curve. Pure.

Exactly k blocks in each of three windows of prime lengths are no chance, and no warm-up. What no
count of so few calls can tell from a leak is a cache that has more entries than calls were made.

No leak is said only where every block of the windows was counted: by an instrument that sees all
heaps, in a run that came to its end. What leaks in half of the calls is seen then, in 99 runs of
100 (`tests/unit/analysis/test_few_calls.py`); what leaks in a tenth of them often is not. The gate,
which needs bounds, never passes on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

from leakhunt.amounts import Count, Rate
from leakhunt.analysis.attribution.per_call_rule import RetainedPerCall, retained
from leakhunt.analysis.attribution.windows import EXACT_END, EXACT_WINDOWS
from leakhunt.analysis.verdict.after_gc import collected_points
from leakhunt.analysis.verdict.judge import tolerance_of
from leakhunt.analysis.verdict.leak import BLOCKS_OF_LOOKING
from leakhunt.analysis.verdict.statements import LEADS
from leakhunt.model.attribution import Attribution, Instrument, Suspect
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Ending, Run
from leakhunt.model.series import (
    FAILURES,
    LIVE_HEAP,
    PYTHON_BLOCKS,
    PYTHON_LIVE,
    RSS,
    Unit,
    short_title,
)
from leakhunt.model.verdict import Status, Verdict
from leakhunt.text.message import Message, Text, message, sentences

# Of what memory grows by, more than this part must be in malloc for it to be no mapping, which has
# a page at least.
_MALLOC_SHARE = 0.5
_PAGE_BYTES = 4096
# A heap that grows by the same in this part of the calls of each window grows at every call: what
# Python allocates beside shows in a few. So much of it must outlast a collection.
_STEADY_SHARE = 0.8
# What must be read for a heap to be level.
_HEAPS = (LIVE_HEAP, PYTHON_LIVE)
# Caveats of an instrument that has counted all the same: they are about who holds what.
HARMLESS_CAVEATS = ("instrument.object", "instrument.dominators")
# RSS that rises by less per call may be pages that are touched for the first time.
_MIN_PAGES_BYTES = 16 << 10


def growing_resources(run: Run) -> dict[str, RetainedPerCall]:
    """Which descriptors, threads or children the measured calls left open, the same at each."""
    names = [each.name for each in run.series if each.unit is Unit.COUNT and each.name != FAILURES]
    counted = {name: _retained(run, name) for name in names}
    return {name: found for name, found in counted.items() if found is not None and found.exact}


def _retained(run: Run, name: str) -> RetainedPerCall | None:
    """What stays of the last measured calls, in windows like those of the instruments."""
    marks = _marks(run)
    values = run.samples.get(name, ())
    if not marks or len(values) <= marks[-1]:
        return None
    return retained([run.calls[at] for at in marks], [values[at] for at in marks])


def _marks(run: Run) -> list[int]:
    """The samples of the measured run at which a window begins or ends."""
    first = run.samples_done - sum(EXACT_WINDOWS) - 1
    return [*accumulate(EXACT_WINDOWS, initial=first)] if first >= 0 else []


def _mapped(run: Run) -> float | None:
    """What RSS grows by per call, where it is pages at each call, in every window."""
    marks, values = _marks(run), run.samples.get(RSS, ())
    if not marks or len(values) <= marks[-1]:
        return None
    rates = [
        (values[end] - values[start]) / (run.calls[end] - run.calls[start])
        for start, end in pairwise(marks)
    ]
    whole = (values[marks[-1]] - values[marks[0]]) / (run.calls[marks[-1]] - run.calls[marks[0]])
    return whole if min(rates) >= _MIN_PAGES_BYTES else None


def _at_each_call(run: Run, name: str, least: float) -> float | None:
    """By how much a series grows at (nearly) every call, the same in each window.

    None where that is less than `least`.
    """
    marks, values = _marks(run), run.samples.get(name, ())
    if not marks or len(values) <= marks[-1]:
        return None
    # A reading at a pause allocates by itself.
    paused = {phase.first_sample for phase in run.phases}
    steps = {
        at: values[at] - values[at - 1]
        for at in range(marks[0] + 1, marks[-1] + 1)
        if at not in paused
    }
    usual, _ = Counter(steps.values()).most_common(1)[0]
    for start, end in pairwise(marks):
        window = [step for at, step in steps.items() if start < at <= end]
        most = _STEADY_SHARE * len(window)
        if sum(step == usual for step in window) < most or sum(window) < most * usual:
            return None  # the second: a batch that was written out in between
    return float(usual) if usual >= least else None


def _unseen(run: Run, attribution: Attribution) -> tuple[Kind, Text] | None:
    """The heap, or else RSS, that grows at every call though no instrument saw by what."""
    heap = _at_each_call(run, LIVE_HEAP, _tolerance())
    if heap is not None and (attribution.growth or 0.0) >= _STEADY_SHARE * heap:
        return Kind.NATIVE_LEAK, _unattributed(LIVE_HEAP, heap)
    pages = _at_each_call(run, RSS, _MIN_PAGES_BYTES)
    if pages is not None and (attribution.growth or 0.0) < _MALLOC_SHARE * pages:
        return Kind.MAPPING_GROWTH, _unattributed(RSS, pages)
    return None


def _tolerance() -> float:
    """Growth per call below it is no leak, as of the curve."""
    return tolerance_of(LIVE_HEAP, Unit.BYTES, 1)


def counted_fully(watched: Sequence[Run]) -> bool:
    """Whether all that the calls allocated was counted, in runs that came to their end."""
    whole = {each.plan.instrument for each in watched if _is_whole(each)}
    heaps = {Instrument.MEMRAY}
    if any(each.plan.device == "cuda" for each in watched):
        heaps.add(Instrument.CUDA)
    return heaps <= whole


def _is_read(run: Run, name: str) -> bool:
    """Whether the calls that were measured tell what a heap grew by."""
    return len(set(collected_points(run, name, first_sample=1))) > 1


def _is_whole(run: Run) -> bool:
    """Whether an instrument counted in all its calls, and failed in nothing else."""
    caveats = (each for note in run.notes for each in note.get("caveats", ()))
    counted = all(isinstance(each, Message) and each.id in HARMLESS_CAVEATS for each in caveats)
    return counted and run.outcome.ending is Ending.OK and run.calls_done == run.plan.calls


def by_exact_counts(
    run: Run, verdict: Verdict, attribution: Attribution, watched: Sequence[Run] = ()
) -> Verdict:
    """The verdict on few slow calls, by what stays of every one of those that were counted.

    `watched` are the runs under instruments, of which `attribution` is.
    """
    opened = growing_resources(run)
    if not attribution.instruments and not opened:
        return verdict
    if (found := _found(run, attribution, opened)) is not None:
        return _leak(run, verdict, *found)
    if (unclear := _unclear(run, attribution, watched)) is not None:
        return replace(verdict, sentence=sentences([unclear, _evidence(run)]))
    clean = message(
        "attribution.few-calls-clean",
        "No leak at every call: memory did not grow in each window of calls",
    )
    rare = message(
        "attribution.few-calls-rare",
        "Not ruled out: a leak in fewer than half of the calls, or of less than {least}",
        least=Rate(_tolerance(), Unit.BYTES, run.plan.work),
    )
    return replace(
        verdict,
        status=Status.NO_LEAK,
        kind=Kind.CLEAN,
        calls_needed=None,
        sentence=sentences([clean, rare, _evidence(run)]),
    )


def _found(
    run: Run, attribution: Attribution, opened: dict[str, RetainedPerCall]
) -> tuple[Kind, Text] | None:
    """What stays of every call, the same of each: of which class, and in words."""
    exact = [each for each in attribution.growing if each.exact]
    if opened:
        resources = [each for each in exact if each.bytes_per_call is None]
        return Kind.RESOURCE_GROWTH, _stays(resources[0]) if resources else _more(opened)
    staying = [each for each in exact if _adds_up(each, run, attribution)]
    if staying:
        return _kind(staying[0], attribution), _stays(staying[0])
    return _unseen(run, attribution)


def _adds_up(suspect: Suspect, run: Run, attribution: Attribution) -> bool:
    """Whether it comes on top of older blocks, and does not replace them.

    Twenty entries, each replaced in its turn, leave a block at every call of any window of fewer
    calls. A container that is longer after each window has more; without one, the calls that were
    measured must have grown by as much, in bytes or in Python's blocks. Of few bytes they cannot
    tell: others grow by as much.
    """
    growth = max(attribution.growth or 0.0, _mapped(run) or 0.0)
    size = suspect.bytes_per_call or 0.0
    return (
        bool(suspect.chain)
        or (size >= _tolerance() and growth >= _STEADY_SHARE * size)
        or _python_blocks(run) >= _STEADY_SHARE * suspect.per_call
    )


def _python_blocks(run: Run) -> float:
    """By how many of Python's blocks every call grows, collected or not; 0: it does not."""
    points = sorted(set(collected_points(run, PYTHON_BLOCKS, first_sample=1)))
    steady = _at_each_call(run, PYTHON_BLOCKS, 1)
    if steady is None or len(points) < 2:
        return 0.0
    (start, before), (end, after) = points[-2:]
    left = after - before - BLOCKS_OF_LOOKING
    return steady if left >= _STEADY_SHARE * steady * (end - start) else 0.0


def _unclear(run: Run, attribution: Attribution, watched: Sequence[Run]) -> Message | None:
    """Why it is not known that nothing leaks; None: it is, within the limits of few calls."""
    # What is exact and was not called a leak replaces older blocks: the heap would have grown.
    suspects = [each for each in attribution.growing if not each.exact]
    suspected = sum(each.bytes_per_call or 0.0 for each in suspects)
    growth = attribution.growth or _mapped(run) or suspected
    if growth >= _tolerance():
        return message(
            "attribution.few-calls-unclear",
            "Inconclusive: memory grew by {rate}, but not the same at every call",
            rate=Rate(growth, Unit.BYTES, run.plan.work),
        )
    things = [each for each in suspects if not each.bytes_per_call]
    if things:
        return message(
            "attribution.few-calls-suspect",
            "Inconclusive: grew, but not the same at every call: {title}",
            title=things[0].title,
        )
    if not (counted_fully(watched) and all(_is_read(run, name) for name in _HEAPS)):
        return message(
            "attribution.few-calls-not-counted", "Inconclusive: not every allocation was counted"
        )
    return None


def _leak(run: Run, verdict: Verdict, kind: Kind, said: Text) -> Verdict:
    larger = message(
        "attribution.few-calls-cache",
        "Not ruled out: a cache of more than {calls:,} entries",
        calls=max(run.calls_done, EXACT_END),
    )
    return replace(
        verdict,
        status=Status.LEAK,
        kind=kind,
        calls_needed=None,
        sentence=sentences([LEADS[kind], said, larger, _evidence(run)]),
    )


def _evidence(run: Run) -> Message:
    return message(
        "attribution.by-exact-counts",
        "Evidence: exact counts of {counted} in {windows} windows, not the growth curve, because"
        " calls are slow. For the curve, use --calls",
        counted=Count(sum(EXACT_WINDOWS), run.plan.work),
        windows=len(EXACT_WINDOWS),
    )


def _kind(suspect: Suspect, attribution: Attribution) -> Kind:
    """The class of a leak, by who counted it and where the measured run grew."""
    if suspect.bytes_per_call is None:
        return Kind.RESOURCE_GROWTH
    if Instrument.CUDA in suspect.instruments:
        return Kind.CUDA_LEAK
    heap = attribution.growth or 0.0
    if suspect.bytes_per_call >= _PAGE_BYTES and heap < _MALLOC_SHARE * suspect.bytes_per_call:
        return Kind.MAPPING_GROWTH
    of_python = suspect.chain or (suspect.stack and suspect.stack[0].is_python)
    return Kind.PYTHON_LEAK if of_python else Kind.NATIVE_LEAK


def _more(opened: dict[str, RetainedPerCall]) -> Message:
    """What the measured run counted, where no instrument says who opens it."""
    name, found = max(opened.items(), key=lambda each: each[1].per_call)
    return message(
        "attribution.more-at-every-call",
        "{series}: exactly {count:.0f} more at every call",
        series=short_title(name),
        count=found.per_call,
    )


def _unattributed(name: str, rate: float) -> Message:
    return message(
        "attribution.grows-at-every-call",
        "{series}: exactly {rate} more at every call; the allocation was not found",
        series=short_title(name),
        rate=Rate(rate),
    )


def _stays(suspect: Suspect) -> Message:
    if suspect.bytes_per_call is None:
        return message(
            "attribution.stays-open",
            "Exactly {count:.0f} more at every call: {title}",
            count=suspect.per_call,
            title=suspect.title,
        )
    return message(
        "attribution.stays",
        "Exactly {count:.0f} more blocks, {rate}, at every call: {title}",
        count=suspect.per_call,
        rate=Rate(suspect.bytes_per_call),
        title=suspect.title,
    )
