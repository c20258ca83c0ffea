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

from leakhunt.comparison.growth import common_samples
from leakhunt.comparison.intervals import Mean, mean_of, student
from leakhunt.model import Run
from leakhunt.verdict.cost import cost
from leakhunt.verdict.series import FEWEST_SAMPLES
from leakhunt.verdict.trend import BLOCKS

# Standard deviation of the logarithm of a run's time per call between runs of the same work:
# pooled over the three kinds of run that a hunt of fsmn-vad:naive tried, with nine degrees of
# freedom, on two busy cores. On a quiet machine it is less, which repeats show.
SPREAD_BETWEEN_RUNS = 0.057
_FREEDOM_BETWEEN_RUNS = 9
# A clock that saw nothing pass.
_LEAST_SECONDS = 1e-9


def seconds_per_call(run: Run) -> float | None:
    """The median over the judged calls; None without any."""
    spent = cost(run, None)
    return max(spent.median_seconds, _LEAST_SECONDS) if spent is not None else None


def log_ratio(before: Run, after: Run) -> tuple[float, float, Mean] | None:
    """Seconds per call of two single runs, and the logarithm of their ratio; None: too few.

    Both have read ``duration``. The variance of the mean has both parts, and is stretched so that
    `half_width` is right.
    """
    common = common_samples(before, after)
    if common is None:
        return _apart(before, after)
    times = [_seconds(run, places) for run, places in zip((before, after), common, strict=True)]
    blocks = [_block_medians(each) for each in times]
    ratios = mean_of([log(later / sooner) for sooner, later in zip(*blocks, strict=True)])
    medians = [median(each) for each in times]
    return medians[0], medians[1], _between(log(medians[1] / medians[0]), ratios.half_width)


def _apart(before: Run, after: Run) -> tuple[float, float, Mean] | None:
    """Runs whose samples stand at other calls: each varies by itself."""
    times = [_seconds(run, range(run.judged_from, run.samples_done)) for run in (before, after)]
    if min(map(len, times)) < FEWEST_SAMPLES:
        return None
    widths = [mean_of([log(block) for block in _block_medians(each)]).half_width for each in times]
    medians = [median(each) for each in times]
    return medians[0], medians[1], _between(log(medians[1] / medians[0]), hypot(*widths))


def _between(value: float, within: float) -> Mean:
    """`within` is half of the interval within the runs; the spread between runs comes on top."""
    quantile = student(_FREEDOM_BETWEEN_RUNS)
    between = quantile * SPREAD_BETWEEN_RUNS * 2**0.5
    return Mean(value, (hypot(within, between) / quantile) ** 2, _FREEDOM_BETWEEN_RUNS)


def _seconds(run: Run, places: Sequence[int]) -> list[float]:
    durations = run.samples["duration"]
    each = run.calls_per_sample * 1e9
    return [max(durations[place] / each, _LEAST_SECONDS) for place in places]


def _block_medians(seconds: Sequence[float]) -> list[float]:
    length = len(seconds) // BLOCKS
    return [median(seconds[block * length : (block + 1) * length]) for block in range(BLOCKS)]
