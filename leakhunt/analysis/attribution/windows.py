"""Over which calls an instrument watches, and where it counts. Pure."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from itertools import accumulate, pairwise
from math import ceil, isqrt

from leakhunt.model.attribution import Instrument
from leakhunt.model.plan import Plan
from leakhunt.model.run import Phase, Purpose, Run
from leakhunt.model.series import live_memory

# The watched calls are a prime number from this one on; more where only some calls leak, so that
# about so many of them do.
FEWEST_CALLS = 31
MOST_CALLS = 1009
_LEAKING_CALLS = 24
# Few calls that are dear: so many that are not watched, and the windows of the others.
_UNWATCHED = 8
_EXACT_WINDOWS = (5, 7, 11)
# So many times as many calls come, watched but not counted, before those that are counted.
_LED_BY = 2
# Short calls before the watched ones, in which caches turn over.
_ENOUGH_BEFORE = 5_000
# The stretches of the watched calls between the marks, as parts of them: none like another.
_STRETCHES = (0.27, 0.33, 0.40)


def instrumented_plan(run: Run, instrument: Instrument) -> Plan:
    """The plan of `run` again, its last calls watched: the same inputs, in the same order.

    Some of the calls before are watched too, but not counted: what replaces older things is then
    told from what comes on top.
    """
    each = run.calls_per_sample
    watched = _instrumented_calls(run)
    before = min(max(run.calls_done - watched, 0), _calls_before(run)) // each * each or each
    return replace(
        run.plan,
        calls=before + watched,
        warmup=before,
        calls_per_sample=each,
        collect="never",
        resolve=False,
        instrument=instrument,
    )


def exact_counts_plan(run: Run, instrument: Instrument) -> Plan:
    """The plan of `run` again, of few calls in windows of prime lengths: each call is dear."""
    return replace(
        run.plan,
        calls=_UNWATCHED + sum(_EXACT_WINDOWS),
        warmup=_UNWATCHED,
        calls_per_sample=1,
        collect="never",
        resolve=False,
        instrument=instrument,
    )


def next_stretch(run: Run) -> Phase | None:
    """What a worker under an instrument does next; None: it tells what it found.

    The first phase (it may have no samples) comes before the instrument starts.
    """
    plan = run.plan
    before = plan.warmup or 0
    assert plan.calls is not None
    each = plan.calls_per_sample or 1
    unseen = max(before - _LED_BY * (plan.calls - before), 0) // each * each
    for end in (unseen, before):
        if run.calls_done < end or len(run.phases) == 0:
            samples = (end - run.calls_done) // each
            return Phase(run.samples_done, samples, Purpose.WARM_UP, each, collects=False)
    for end in stretches(before, plan.calls):
        if run.calls_done < end:
            left = end - run.calls_done
            # Long stretches of short calls are one sample each: their readings are not judged.
            taken = left if each > 1 else 1
            return Phase(run.samples_done, left // taken, Purpose.JUDGED, taken, collects=False)
    return None


def stretches(before: int, calls: int) -> list[int]:
    """The calls after which each stretch of the watched calls ends, the start included."""
    watched = calls - before
    if watched == sum(_EXACT_WINDOWS):
        return [*accumulate(_EXACT_WINDOWS, initial=before)]
    ends = [before]
    for share in _STRETCHES[:-1]:
        ends.append(ends[-1] + max(round(share * watched), 1))
    return sorted({*(end for end in ends if end < calls), calls})


def _instrumented_calls(run: Run) -> int:
    if run.calls_per_sample > 1:
        return MOST_CALLS
    share = _leaking_share(run)
    wanted = max(FEWEST_CALLS, ceil(_LEAKING_CALLS / share))
    return prime_from(min(wanted, MOST_CALLS, max(run.calls_done // 2, FEWEST_CALLS)))


def _calls_before(run: Run) -> int:
    """How many calls before the watched ones are enough: not hundreds of thousands of short ones.

    Unless the growth only began later.
    """
    for name in live_memory():
        values = run.samples.get(name, ())[: run.samples_done]
        early = bisect_left(run.calls, _ENOUGH_BEFORE)
        if early < len(values) and (grown := values[-1] - values[0]) > 0:
            even = grown * run.calls[early] / run.calls_done
            if values[early] - values[0] >= even / 2:
                return _ENOUGH_BEFORE
    return run.calls_done


def _leaking_share(run: Run) -> float:
    """The part of the judged samples in which memory grew by its mean growth or more."""
    shares = []
    for name in live_memory():
        values = run.samples.get(name, ())[run.judged_from : run.samples_done]
        moves = [later - earlier for earlier, later in pairwise(values)]
        if moves and (mean := (values[-1] - values[0]) / len(moves)) > 0:
            shares.append(sum(move >= mean for move in moves) / len(moves))
    return max(min(shares, default=1.0), _LEAKING_CALLS / MOST_CALLS)


def prime_from(number: int) -> int:
    """The smallest prime that is not below `number`."""
    while number < 2 or any(number % divisor == 0 for divisor in range(2, isqrt(number) + 1)):
        number += 1
    return number
