"""How a soak goes on: after how many requests it reads, and when it has seen enough. Pure.

As `schedule` does for calls: a warm-up in steps, interim checks of the samples, and an end once the
verdict is known, unless the soak was told how long to go on. Requests come at the service's own
pace, so a sample stands for as many as come in some tenth of a second. A soak that goes on doubles
that again and again: three days are some thousand samples, and an hour is as many.
"""

from __future__ import annotations

from itertools import pairwise
from math import ceil
from statistics import median

from leakhunt.analysis.verdict.resampling import resampled
from leakhunt.analysis.verdict.schedule import (
    EARLIEST_CLEAN,
    MAX_WARM_UP_STEPS,
    SAMPLE_GROWTH_BYTES,
    WARM_UP_STEP,
    decided,
    is_quiet,
    typical_growth,
)
from leakhunt.analysis.verdict.series import INTERIM_CHECKS
from leakhunt.model.plan import PlannedLoad
from leakhunt.model.run import Phase, Purpose, Run
from leakhunt.model.series import ELAPSED, LIVE_HEAP, RSS

# A sample stands for the requests of so many seconds...
SAMPLE_SECONDS = 0.1
# ... and for so many times as long as reading takes, so that reading costs little beside them...
SPACING = 10
# ... but of a service that plainly grows, which may not live long, for so many times.
CLOSEST_SPACING = 3
# Requests in flight hold memory that is no growth, tens of megabytes with a few users. So the load
# is held for each judged reading from inside, which takes as long as the slowest of them; between
# two such pauses it flows for so many times as long...
PAUSE_SPACING = 10
# ... or for so many at least, so that enough of them for a verdict fit into the soak.
CLOSEST_PAUSE_SPACING = 2
# Not at all where growth until a leak is known is so many times what the heap moves by in a step of
# the warm-up. Growth alone makes it more than seven times that.
PLAIN = 4
# Where nothing ends it but the verdict, it is given time as if so much were to be judged.
USUAL_SECONDS = 450.0
# Of a number of requests or a duration that is asked for, at most this share is warm-up.
MAX_WARM_UP_SHARE = 0.25
# Samples of a soak with a given number of requests or duration: enough for the warm-up and the
# last interim check.
WANTED_SAMPLES = INTERIM_CHECKS[-1] + MAX_WARM_UP_STEPS * WARM_UP_STEP


def next_phase(
    run: Run, reading_seconds: float, pause_seconds: float | None = None
) -> Phase | None:
    """What a soak does next; None: it has seen enough.

    `reading_seconds` is what one reading takes, `pause_seconds` what it takes until nothing is in
    flight (None: the load cannot be held, or nothing is read from inside). A soak with a number of
    requests, or a duration, never has enough by itself.
    """
    assert run.plan.load is not None
    if not run.phases or run.phases[-1].purpose is Purpose.WARM_UP:
        return _warm_up(run, run.plan.load, reading_seconds, pause_seconds)
    return _judged(run, run.plan.load, pause_seconds is not None)


def _warm_up(
    run: Run, load: PlannedLoad, reading_seconds: float, pause_seconds: float | None
) -> Phase:
    """Another step of the warm-up, or the first interim check after it."""
    if run.samples_done < 2:  # nothing is known of its pace
        return Phase(run.samples_done, WARM_UP_STEP, Purpose.WARM_UP, 1, False)
    last = run.phases[-1]
    each = last.calls_per_sample
    if len(run.phases) == 1:
        each = calls_per_sample(run, load, reading_seconds)
    if (
        is_quiet(run, last)
        or len(run.phases) >= MAX_WARM_UP_STEPS
        or _share_done(run, load) >= MAX_WARM_UP_SHARE
    ):
        apart = None
        if pause_seconds is not None and not _stands_out(run, each):
            apart = _between_pauses(run, load, pause_seconds)
        each = max(each, apart or 0)
        return Phase(
            run.samples_done, INTERIM_CHECKS[0], Purpose.JUDGED, each, False, apart is not None
        )
    return Phase(run.samples_done, WARM_UP_STEP, Purpose.WARM_UP, each, False)


def _share_done(run: Run, load: PlannedLoad) -> float:
    """Of what the soak is held to; 0 where it is held to nothing."""
    by_calls = run.calls_done / run.plan.calls if run.plan.calls else 0.0
    seconds = sum(run.samples[ELAPSED]) / 1e9
    return max(by_calls, seconds / load.duration_seconds if load.duration_seconds else 0.0)


def _stands_out(run: Run, each: int) -> bool:
    """Whether growth would show plainly until a leak is known, for all that comes and goes.

    A service that grows so may not live long: it is read as often as it can be.
    """
    checks = [
        (run.calls[reading.sample - 1], reading.values[LIVE_HEAP])
        for reading in run.readings
        if reading.step == "look_collected" and reading.sample and LIVE_HEAP in reading.values
    ][-2:]
    heap = run.samples.get(LIVE_HEAP, ())[-WARM_UP_STEP:]
    if len(checks) < 2 or checks[1][0] <= checks[0][0] or not heap:
        return False
    rate = (checks[1][1] - checks[0][1]) / (checks[1][0] - checks[0][0])
    return rate * each * INTERIM_CHECKS[1] > PLAIN * (max(heap) - min(heap))


def _between_pauses(run: Run, load: PlannedLoad, pause_seconds: float) -> int | None:
    """Requests between two pauses of the load; None: too few would fit into the soak."""
    per_second = _pace(run)
    ends = [
        *([load.duration_seconds] if load.duration_seconds else []),
        *([run.plan.calls / per_second] if run.plan.calls else []),
    ]
    judged = (1 - MAX_WARM_UP_SHARE) * min(ends) if ends else USUAL_SECONDS
    seconds = min(PAUSE_SPACING * pause_seconds, judged / EARLIEST_CLEAN)
    seconds = max(CLOSEST_PAUSE_SPACING * pause_seconds, seconds)
    return ceil(per_second * seconds) if INTERIM_CHECKS[0] * seconds <= judged else None


def _judged(run: Run, load: PlannedLoad, can_pause: bool) -> Phase | None:
    """To the next interim check, or twice as far; None: it is known."""
    each, pauses = run.phases[-1].calls_per_sample, run.phases[-1].pauses and can_pause
    even = resampled(run)
    judged = even.samples_done - even.judged_from
    is_fixed = run.plan.calls is not None or load.duration_seconds is not None
    if not is_fixed and judged >= INTERIM_CHECKS[1] and decided(even, judged):
        return None
    following = next((check for check in INTERIM_CHECKS if check > judged), None)
    if following is not None:
        return Phase(run.samples_done, following - judged, Purpose.JUDGED, each, False, pauses)
    if is_fixed or run.plan.resolve:
        samples = ceil(INTERIM_CHECKS[-1] / 2)
        return Phase(run.samples_done, samples, Purpose.JUDGED, 2 * each, False, pauses)
    return None


def calls_per_sample(run: Run, load: PlannedLoad, reading_seconds: float) -> int:
    """From the pace of the requests and the growth so far: as many as come between two readings."""
    per_second = _pace(run)
    seconds = SAMPLE_SECONDS
    if load.duration_seconds is not None:
        seconds = min(seconds, load.duration_seconds / WANTED_SAMPLES)
    if run.plan.calls is not None:
        seconds = min(seconds, run.plan.calls / WANTED_SAMPLES / per_second)
    by_time = per_second * max(seconds, SPACING * reading_seconds)
    growth = max(typical_growth(run, name) for name in (LIVE_HEAP, RSS))
    by_growth = SAMPLE_GROWTH_BYTES / growth if growth > 0 else by_time
    closest = per_second * CLOSEST_SPACING * reading_seconds
    # From other machines, Locust tells of its requests every three seconds: they come in heaps.
    heap = median(later - earlier for earlier, later in pairwise(run.calls))
    return max(ceil(max(min(by_time, by_growth), closest, heap)), 1)


def _pace(run: Run) -> float:
    """Requests a second so far; 1 where nothing is known."""
    elapsed = sum(run.samples[ELAPSED][1:]) / 1e9
    return (run.calls[-1] - run.calls[0]) / elapsed if elapsed > 0 else 1.0
