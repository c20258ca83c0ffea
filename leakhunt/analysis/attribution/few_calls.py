"""The verdict on few calls, each of them dear: by exact counts, not by the curve. Pure.

Exactly k blocks in each of three windows of prime lengths are no chance, and no warm-up. What no
count of so few calls can tell from a leak is a cache that has more entries than calls were made.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate, pairwise

from leakhunt.amounts import Count, Rate
from leakhunt.analysis.attribution.per_call_rule import RetainedPerCall, retained
from leakhunt.analysis.attribution.windows import EXACT_WINDOWS
from leakhunt.analysis.verdict.effort import COUNTED_CALLS
from leakhunt.analysis.verdict.judge import tolerance_of
from leakhunt.analysis.verdict.statements import LEADS
from leakhunt.model.attribution import Attribution, Instrument, Suspect
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Run
from leakhunt.model.series import FAILURES, LIVE_HEAP, RSS, Unit, short_title
from leakhunt.model.verdict import Status, Verdict
from leakhunt.text.message import Message, Text, message, sentences

# Of what memory grows by, more than this part must be in malloc for it to be no mapping.
_MALLOC_SHARE = 0.5
# RSS that rises by less per call may be pages that are touched for the first time.
_LEAST_PAGES_BYTES = 16 << 10


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
    return whole if min(rates) >= _LEAST_PAGES_BYTES else None


def by_exact_counts(run: Run, verdict: Verdict, attribution: Attribution) -> Verdict:
    """The verdict on few dear calls, by what stays of every one of those that were counted."""
    opened = growing_resources(run)
    if not attribution.instruments and not opened:
        return verdict
    staying = [each for each in attribution.suspects if each.exact]
    if opened:
        resources = [each for each in staying if each.bytes_per_call is None]
        said = _stays(resources[0]) if resources else _more(run, opened)
        return _leak(run, verdict, Kind.RESOURCE_GROWTH, said)
    if staying:
        return _leak(run, verdict, _kind(staying[0], attribution), _stays(staying[0]))
    heap = _retained(run, LIVE_HEAP)
    if heap is not None and heap.exact and heap.per_call >= tolerance_of(LIVE_HEAP, Unit.BYTES, 1):
        return _leak(run, verdict, Kind.NATIVE_LEAK, _unattributed(heap))
    growth = attribution.growth or _mapped(run)
    if growth is not None:
        open_still = message(
            "attribution.few-calls-unclear",
            "Inconclusive: memory grew by {rate}, but not the same at every call",
            rate=Rate(growth, Unit.BYTES, run.plan.work),
        )
        return replace(verdict, sentence=sentences([open_still, _evidence(run)]))
    clean = message(
        "attribution.few-calls-clean",
        "No leak at every call: no allocation stayed in each window of calls",
    )
    rare = message(
        "attribution.few-calls-rare", "Not ruled out: a leak in fewer than one call of five"
    )
    return replace(
        verdict,
        status=Status.NO_LEAK,
        kind=Kind.CLEAN,
        calls_needed=None,
        sentence=sentences([clean, rare, _evidence(run)]),
    )


def _leak(run: Run, verdict: Verdict, kind: Kind, said: Text) -> Verdict:
    larger = message(
        "attribution.few-calls-cache",
        "Not ruled out: a cache with a bound of more than {calls:,} calls",
        calls=max(run.calls_done, COUNTED_CALLS),
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
        "Evidence: exact counts of {counted}, not the curve: calls are dear. --calls measures more",
        counted=Count(COUNTED_CALLS, run.plan.work),
    )


def _kind(suspect: Suspect, attribution: Attribution) -> Kind:
    """The class of a leak, by who counted it and where the measured run grew."""
    if suspect.bytes_per_call is None:
        return Kind.RESOURCE_GROWTH
    if Instrument.CUDA in suspect.instruments:
        return Kind.CUDA_LEAK
    if (attribution.growth or 0.0) < _MALLOC_SHARE * suspect.bytes_per_call:
        return Kind.MAPPING_GROWTH
    of_python = suspect.chain or (suspect.stack and suspect.stack[0].is_python)
    return Kind.PYTHON_LEAK if of_python else Kind.NATIVE_LEAK


def _more(run: Run, opened: dict[str, RetainedPerCall]) -> Message:
    """What the measured run counted, where no instrument says who opens it."""
    name, found = max(opened.items(), key=lambda each: each[1].per_call)
    return message(
        "attribution.more-at-every-call",
        "{series}: exactly {count:.0f} more at every call",
        series=short_title(name),
        count=found.per_call,
    )


def _unattributed(heap: RetainedPerCall) -> Message:
    return message(
        "attribution.heap-at-every-call",
        "Live heap: exactly {rate} more at every call, by whom was not seen",
        rate=Rate(heap.per_call),
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
