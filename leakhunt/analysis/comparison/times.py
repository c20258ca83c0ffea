"""How many times as long a call takes, with an interval. Pure.

The calls of one process say nothing of the next process, which has other addresses, other
neighbours, another clock. So the interval of two single runs has two parts: how the ratio varies
between eight blocks of the same calls, and how the time of a call varies between runs of the same
work, which two runs cannot show and which is known from others.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot, log
from statistics import median

from leakhunt.analysis.comparison.alignment import common_samples
from leakhunt.analysis.comparison.intervals import Mean, mean_of
from leakhunt.analysis.student import student
from leakhunt.analysis.verdict.cost import cost
from leakhunt.analysis.verdict.series import MIN_SAMPLES
from leakhunt.analysis.verdict.trend import BLOCKS
from leakhunt.model.baseline import Times
from leakhunt.model.run import Run
from leakhunt.model.series import DURATION

# Standard deviation of the logarithm of a run's time per call between runs of the same work:
# pooled over the three kinds of run that a hunt of fsmn-vad:naive tried, with nine degrees of
# freedom, on two busy cores. On a quiet machine it is less, which repeats show.
SPREAD_BETWEEN_RUNS = 0.057
_FREEDOM_BETWEEN_RUNS = 9
# A clock that saw nothing pass.
_MIN_SECONDS = 1e-9


def times(run: Run) -> Times:
    """The times of the judged calls of a run that has read ``duration``."""
    spent = cost(run, None)
    return Times(
        max(spent.median_seconds, _MIN_SECONDS) if spent is not None else None,
        _block_medians(_seconds(run, range(run.judged_from, run.samples_done))),
    )


def times_over(run: Run, places: Sequence[int]) -> Times:
    """As `times`, of the samples at `places`, of which there is one at least."""
    seconds = _seconds(run, places)
    return Times(median(seconds), _block_medians(seconds))


def log_ratio(before: Run, after: Run) -> tuple[float, float, Mean] | None:
    """Seconds per call of two single runs, and the logarithm of their ratio; None: too few.

    Both have read ``duration``.
    """
    common = common_samples(before, after)
    if common is None:
        return ratio_difference(times(before), times(after))
    return paired_ratio(times_over(before, common[0]), times_over(after, common[1]))


def paired_ratio(before: Times, after: Times) -> tuple[float, float, Mean] | None:
    """As `log_ratio`, of the same calls on both sides.

    The variance of the mean has both parts, and is stretched so that `half_width` is right.
    """
    if not (before.blocks and after.blocks):
        return None
    blocks = zip(before.blocks, after.blocks, strict=True)
    ratios = mean_of([log(later / sooner) for sooner, later in blocks])
    return _ratio(before, after, ratios.half_width)


def ratio_difference(before: Times, after: Times) -> tuple[float, float, Mean] | None:
    """As `paired_ratio`, of runs whose samples stand at other calls: each varies by itself."""
    if not (before.blocks and after.blocks):
        return None
    logs = [[log(block) for block in each.blocks] for each in (before, after)]
    return _ratio(before, after, hypot(*(mean_of(each).half_width for each in logs)))


def _ratio(before: Times, after: Times, within: float) -> tuple[float, float, Mean] | None:
    if before.seconds is None or after.seconds is None:
        return None
    value = log(after.seconds / before.seconds)
    return before.seconds, after.seconds, _between(value, within)


def _between(value: float, within: float) -> Mean:
    """`within` is half of the interval within the runs; the spread between runs comes on top."""
    quantile = student(_FREEDOM_BETWEEN_RUNS)
    between = quantile * SPREAD_BETWEEN_RUNS * 2**0.5
    return Mean(value, (hypot(within, between) / quantile) ** 2, _FREEDOM_BETWEEN_RUNS)


def _seconds(run: Run, places: Sequence[int]) -> list[float]:
    durations = run.samples[DURATION]
    each = [_calls_of(run, place) * 1e9 for place in places]
    spent = (durations[place] / calls for place, calls in zip(places, each, strict=True))
    return [max(seconds, _MIN_SECONDS) for seconds in spent]


def _calls_of(run: Run, place: int) -> int:
    """The calls that a sample stands for; of a soak, as many requests as came."""
    if run.plan.load is None:
        return run.calls_per_sample
    return run.calls[place] - (run.calls[place - 1] if place else 0)


def _block_medians(seconds: Sequence[float]) -> tuple[float, ...]:
    if len(seconds) < MIN_SAMPLES:
        return ()
    length = len(seconds) // BLOCKS
    cuts = [seconds[block * length : (block + 1) * length] for block in range(BLOCKS)]
    return tuple(median(cut) for cut in cuts)
