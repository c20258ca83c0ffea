"""Over which calls an instrument watches, and where it counts. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from math import ceil, isqrt
from statistics import median

from leakhunt.analysis.verdict.after_gc import garbage_objects
from leakhunt.model.attribution import Instrument
from leakhunt.model.plan import Plan
from leakhunt.model.run import Phase, Purpose, Run
from leakhunt.model.series import DURATION, PYTHON_BLOCKS, live_memory

# The watched calls are a prime number from this one on; more where only some calls leak, so that
# about so many of them do.
MIN_CALLS = 31
MAX_CALLS = 1009
_LEAKING_CALLS = 24
# Few calls that are slow: the calls before the first window, the windows, and the last one, in
# which objects are matched to their lines.
_UNWATCHED = 5
EXACT_WINDOWS = (5, 7, 11)
_MATCHED = 3
# The calls after which the last window ends.
EXACT_END = _UNWATCHED + sum(EXACT_WINDOWS)
# So many times as many calls come, watched but not counted, before those that are counted.
_LED_BY = 2
# Calls before the watched ones, in which caches turn over: the fewest from which on it grows
# evenly, within this factor. Less than so much per call is no growth that could be even.
_ENOUGH_BEFORE = (60, 250, 1_000, 5_000)
# Fewer, where those take longer than `_SECONDS`.
_ENOUGH_SLOW_BEFORE = 20
_EVEN = 2.0
_MIN_BLOCKS = 0.05
_MIN_BYTES = 16.0
# From this part of the samples on, every call is taken to leak.
_NEARLY_ALWAYS = 0.5
# The windows of the watched calls between the marks, as parts of them: none like another.
_WINDOWS = (0.27, 0.33, 0.40)
# Those of memray, and the one in which objects are matched to their lines. Each is counted by
# itself: what replaces older things shows in the short ones, and not in a long one.
_LONG_WINDOWS = (0.21, 0.25, 0.36)
_MIN_SHORT_CALLS = 5
_SHORT_PART = 13
# From here on, the short windows are long enough for what leaks in some calls only.
_MANY_CALLS = 200
# The calls that memray watches, where they are short and where they take their time; this is the
# factor by which a call is slowed down, at most.
HEAP_CALLS = 97
SLOW_HEAP_CALLS = 37
_SLOWED_BY = 12
_SECONDS = 3.0
# The calls whose garbage is looked at, as many as EXACT_WINDOWS where they or it take their time;
# the calls before them, in which what is made once is made.
GARBAGE_CALLS = 37
_BEFORE_GARBAGE = 60
_GARBAGE_SLOWED_BY = 4
_GARBAGE_SECONDS = 20.0
_MUCH_GARBAGE = 20_000


def instrumented_plan(run: Run, instrument: Instrument) -> Plan:
    """The plan of `run` again, its last calls watched: the same inputs, in the same order.

    Some of the calls before are watched too, but not counted: what replaces older things is then
    told from what comes on top.
    """
    if instrument is Instrument.GARBAGE:
        return _garbage_plan(run)
    each = run.calls_per_sample
    watched = _instrumented_calls(run, instrument)
    most = max(run.calls_done - watched, 0)
    before = max(min(most, _calls_before(run, watched)) // each, 2) * each
    return replace(
        run.plan,
        calls=before + watched,
        warmup=before,
        calls_per_sample=each,
        collect="never",
        resolve=False,
        instrument=instrument,
    )


def _garbage_plan(run: Run) -> Plan:
    """Few calls: each leaves its own garbage, whatever came before."""
    seconds = _seconds_per_call(run) * _GARBAGE_SLOWED_BY * GARBAGE_CALLS
    objects = garbage_objects(run)
    is_long = seconds > _GARBAGE_SECONDS or (objects is not None and objects.rate > _MUCH_GARBAGE)
    watched = sum(EXACT_WINDOWS) if is_long else GARBAGE_CALLS
    before = max(min(run.calls_done - watched, _BEFORE_GARBAGE), 2)
    return replace(
        run.plan,
        calls=before + watched,
        warmup=before,
        calls_per_sample=1,
        collect="never",
        resolve=False,
        instrument=Instrument.GARBAGE,
    )


def exact_counts_plan(run: Run, instrument: Instrument) -> Plan:
    """The plan of `run` again, of few calls in windows of prime lengths: each call is slow."""
    return replace(
        run.plan,
        calls=EXACT_END + _MATCHED,
        warmup=_UNWATCHED,
        calls_per_sample=1,
        collect="never",
        resolve=False,
        instrument=instrument,
    )


def next_window(run: Run) -> Phase | None:
    """What a worker under an instrument does next; None: it tells what it found.

    The first phase comes before the instrument starts; after the second it counts.
    """
    plan = run.plan
    before = plan.warmup or 0
    assert plan.calls is not None
    each = plan.calls_per_sample or 1
    starts_late = plan.instrument in (Instrument.MEMRAY, Instrument.GARBAGE)
    led_by = each if starts_late else _LED_BY * (plan.calls - before)
    unseen = max((before - led_by) // each, 1) * each
    for end in (unseen, before):
        if run.calls_done < end:
            samples = (end - run.calls_done) // each
            return Phase(run.samples_done, samples, Purpose.WARM_UP, each, collects=False)
    for end in windows(before, plan.calls, plan.instrument):
        if run.calls_done < end:
            remaining = end - run.calls_done
            # Long windows of short calls are one sample each: their readings are not judged.
            per_sample = remaining if each > 1 else 1
            return Phase(
                run.samples_done,
                remaining // per_sample,
                Purpose.JUDGED,
                per_sample,
                collects=False,
            )
    return None


def windows(before: int, calls: int, instrument: Instrument | None = None) -> list[int]:
    """The calls after which each window of the watched calls ends, the start included."""
    watched = calls - before
    if watched == sum(EXACT_WINDOWS) + _MATCHED:
        lengths = [*EXACT_WINDOWS, _MATCHED]
    elif watched == sum(EXACT_WINDOWS):
        lengths = [*EXACT_WINDOWS]
    elif instrument is Instrument.MEMRAY:
        lengths = _heap_windows(watched)
    else:
        lengths = [max(round(share * watched), 1) for share in _WINDOWS[:-1]]
    ends = list(accumulate(lengths, initial=before))
    return sorted({*(end for end in ends if end < calls), calls})


def _heap_windows(watched: int) -> list[int]:
    """Two short ones, and one as long as the rest allows; where calls are many, three long ones."""
    if watched >= _MANY_CALLS:
        return [prime_from(round(share * watched)) for share in _LONG_WINDOWS]
    short = prime_from(max(_MIN_SHORT_CALLS, watched // _SHORT_PART))
    middle = prime_from(short + 1)
    last = _MATCHED if watched <= SLOW_HEAP_CALLS else short
    return [short, middle, max(watched - short - middle - last, 1)]


def _instrumented_calls(run: Run, instrument: Instrument) -> int:
    if instrument is Instrument.MEMRAY:
        return _heap_calls(run)
    if run.calls_per_sample > 1:
        return MAX_CALLS
    share = _leaking_share(run)
    wanted = max(MIN_CALLS, ceil(_LEAKING_CALLS / share))
    return prime_from(min(wanted, MAX_CALLS, max(run.calls_done // 2, MIN_CALLS)))


def _heap_calls(run: Run) -> int:
    """So many that those that leak are enough, as far as memray's pace allows."""
    seconds = _seconds_per_call(run) * _SLOWED_BY
    wanted = HEAP_CALLS if seconds * HEAP_CALLS <= _SECONDS else SLOW_HEAP_CALLS
    share = _leaking_share(run)
    if share < _NEARLY_ALWAYS:
        wanted = max(wanted, ceil(_LEAKING_CALLS / share * _WINDOWS[0] / _LONG_WINDOWS[0]))
    if run.calls_per_sample > 1:  # of a single call it is not known whether it leaks
        wanted = max(wanted, int(_SECONDS / seconds) if seconds else MAX_CALLS)
    return prime_from(min(wanted, MAX_CALLS, max(run.calls_done // 2, SLOW_HEAP_CALLS)))


def _seconds_per_call(run: Run) -> float:
    times = run.samples.get(DURATION, ())[run.judged_from : run.samples_done]
    return median(times) / 1e9 / run.calls_per_sample if times else 0.0


def _calls_before(run: Run, watched: int) -> int:
    """How many calls before the watched ones are enough: few, where it grows evenly from there on.

    What fills first, and what begins late, is watched where it grows as in what was judged.
    """
    is_slow = _seconds_per_call(run) * _ENOUGH_BEFORE[0] > _SECONDS
    for before in ((_ENOUGH_SLOW_BEFORE,) if is_slow else ()) + _ENOUGH_BEFORE:
        if before + watched < run.calls_done and any(
            _is_even(run, name, before, before + watched) for name in live_memory()
        ):
            return before
    return run.calls_done


def _is_even(run: Run, name: str, first: int, last: int) -> bool:
    """Whether live memory grows between two calls at about the rate that it grew at in the end."""
    values = run.samples.get(name, ())[: run.samples_done]
    if len(values) < run.samples_done or run.judged_from >= len(values):
        return False
    start, end = bisect_left(run.calls, first), bisect_left(run.calls, last)
    final = _rate(run, values, (run.judged_from + len(values)) // 2, len(values) - 1)
    rate = _rate(run, values, start, end)
    return final >= _least(name) and final / _EVEN <= rate <= final * _EVEN


def _rate(run: Run, values: Sequence[int], first: int, last: int) -> float:
    return (values[last] - values[first]) / max(run.calls[last] - run.calls[first], 1)


def _leaking_share(run: Run) -> float:
    """The part of the judged samples in which memory grew by half its mean growth or more.

    Of the series that grow, that which does it most often: the heap that Python's blocks are in
    grows by an arena now and then.
    """
    shares = []
    for name in live_memory():
        values = run.samples.get(name, ())[run.judged_from : run.samples_done]
        moves = [later - earlier for earlier, later in pairwise(values)]
        if moves and (values[-1] - values[0]) / (len(moves) * run.calls_per_sample) >= _least(name):
            mean = (values[-1] - values[0]) / len(moves)
            shares.append(sum(2 * move >= mean for move in moves) / len(moves))
    return max(max(shares, default=1.0), _LEAKING_CALLS / MAX_CALLS)


def _least(name: str) -> float:
    """What a series must grow by per call for its growth to say anything."""
    return _MIN_BLOCKS if name == PYTHON_BLOCKS else _MIN_BYTES


def prime_from(number: int) -> int:
    """The smallest prime that is not below `number`."""
    while number < 2 or any(number % divisor == 0 for divisor in range(2, isqrt(number) + 1)):
        number += 1
    return number
