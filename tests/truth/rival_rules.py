"""Rules by which others decide "leak or not" from one series of memory readings, one a call.

They are what our own verdict is compared with, so each is written as its source has it. Where the
source works on something other than one series (a function that can be called again, single
allocations, hours of a machine's load) the docstring tells how it was translated. Where the
translation had a choice it took what lets the rule see more leaks, or stands here both ways.

No rule knows the limit of the machine or the unit of the series.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Rule = Callable[[Values], bool]

ALPHA = 0.01  # one-sided, for every rule that is a test
Z_ALPHA = NormalDist().inv_cdf(1 - ALPHA)
MIN_READINGS = 4  # readings; below that no rule says "leak"

# The standard deviation of normal noise, from the median absolute deviation.
MAD_TO_SIGMA = 1.4826

# Hamed and Rao: which autocorrelations count (two-sided 5 %).
Z_AUTOCORRELATION = NormalDist().inv_cdf(0.975)

PSLEAK_WARMUP = 10
PSLEAK_TIMES = 200
PSLEAK_RETRIES = 10
PSLEAK_FEW_RETRIES = 3
PSLEAK_ESCALATION = 1.5
PSLEAK_FADING = 0.8
PSLEAK_FADING_RUNS = 2

PRECOG_R2 = 0.8
PRECOG_SMOOTHING = 12  # one hour of readings five minutes apart
PRECOG_SHORTEST = 72  # six hours of them
PRECOG_Z = 3.5
PRECOG_Z_SCALE = 0.6745

SCALENE_LIKELIHOOD = 0.95
SCALENE_GROWTH = 0.01


def _says_nothing(values: Values) -> bool:
    return values.size < MIN_READINGS or bool(np.ptp(values) == 0)


def robust_sigma(values: Values) -> float:
    """The noise of one sample: median absolute deviation of the first differences.

    Source: Rousseeuw and Croux, "Alternatives to the Median Absolute Deviation", JASA 1993, for the
    deviation; von Neumann et al., "The Mean Square Successive Difference", 1941, for the
    differences (their noise is the sample's times the root of two).
    """
    differences = np.diff(values)
    deviation = np.median(np.abs(differences - np.median(differences)))
    return float(MAD_TO_SIGMA * deviation / math.sqrt(2))


def end_minus_start(values: Values) -> bool:
    """Whether the last reading lies more than three sigma above the first.

    Source: none but habit. It is what comparing two snapshots comes to, as the examples of
    `tracemalloc.Snapshot.compare_to` (Python's library reference) and memory_profiler's README do.
    """
    if _says_nothing(values):
        return False
    return bool(values[-1] - values[0] > 3 * robust_sigma(values))


def student_quantile(probability: float, degrees: int) -> float:
    """Student's t, from the normal quantile.

    Source: Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.5. Four terms: at 30
    degrees of freedom and a probability of 0.99 the error is below 0.0001.
    """
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(degrees) ** power for power, term in enumerate(terms, start=1))


@dataclass(frozen=True)
class Line:
    """A straight line through a series."""

    slope: float
    residuals: Values
    times: Values  # centred

    @property
    def spread(self) -> float:
        return float(np.dot(self.times, self.times))


def least_squares(values: Values) -> Line:
    """The line of least squares over the number of the call."""
    times = np.arange(values.size, dtype=np.float64) - (values.size - 1) / 2
    centred = values - values.mean()
    slope = float(times @ centred / (times @ times))
    return Line(slope, centred - slope * times, times)


def least_squares_t_test(values: Values) -> bool:
    """Whether the slope is above zero, taking the residuals for independent and normal.

    Source: any textbook, such as Draper and Smith, "Applied Regression Analysis", 1998, chapter 1.
    """
    if _says_nothing(values):
        return False
    line = least_squares(values)
    degrees = values.size - 2
    error = math.sqrt(float(line.residuals @ line.residuals) / degrees / line.spread)
    return line.slope > student_quantile(1 - ALPHA, degrees) * error


def least_squares_newey_west(values: Values) -> bool:
    """Whether the slope is above zero, with an error that allows for autocorrelation.

    Source: Newey and West, "A Simple, Positive Semi-definite, Heteroskedasticity and
    Autocorrelation Consistent Covariance Matrix", Econometrica 1987 (Bartlett weights, normal
    quantile); lags 4 (n/100)^(2/9), as in their "Automatic Lag Selection", 1994.
    """
    if _says_nothing(values):
        return False
    line = least_squares(values)
    scores = line.times * line.residuals
    lags = min(int(4 * (values.size / 100) ** (2 / 9)), values.size - 1)
    long_run = float(scores @ scores)
    for lag in range(1, lags + 1):
        long_run += 2 * (1 - lag / (lags + 1)) * float(scores[lag:] @ scores[:-lag])
    return line.slope > Z_ALPHA * math.sqrt(max(long_run, 0.0)) / line.spread


def kendall_score(values: Values) -> int:
    """Pairs that rise minus pairs that fall."""
    return sum(
        int(np.count_nonzero(later > value) - np.count_nonzero(later < value))
        for value, later in ((values[i], values[i + 1 :]) for i in range(values.size - 1))
    )


def kendall_variance(values: Values) -> float:
    """The variance of Kendall's score without a trend, with Kendall's correction for ties."""
    n = values.size
    ties = np.unique(values, return_counts=True)[1].astype(np.float64)
    tied = float(np.sum(ties * (ties - 1) * (2 * ties + 5)))
    return (n * (n - 1) * (2 * n + 5) - tied) / 18


def _kendall_says_rise(score: int, variance: float) -> bool:
    return score > 0 and variance > 0 and (score - 1) / math.sqrt(variance) > Z_ALPHA


def mann_kendall(values: Values) -> bool:
    """Whether later readings lie above earlier ones more often than chance allows.

    Source: Mann, "Nonparametric Tests Against Trend", Econometrica 1945; Kendall, "Rank Correlation
    Methods", 1975 (ties; one off the score for continuity). Readings are taken for independent.
    """
    if _says_nothing(values):
        return False
    return _kendall_says_rise(kendall_score(values), kendall_variance(values))


def pair_slopes(values: Values) -> Values:
    """The slope of each pair of readings."""
    n = values.size
    return np.concatenate([(values[gap:] - values[:-gap]) / gap for gap in range(1, n)])


def ranks(values: Values) -> Values:
    """The rank of each reading, ties sharing their mean rank."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    shared: Values = last - (counts - 1) / 2
    return shared[places]


def mann_kendall_hamed_rao(values: Values) -> bool:
    """Mann-Kendall with a variance that allows for autocorrelation.

    Source: Hamed and Rao, "A modified Mann-Kendall trend test for autocorrelated data", Journal of
    Hydrology 1998, equations 13 to 15: the autocorrelation of the ranks of the series less its
    Theil-Sen line, those lags only that stand out at 5 %. Where the corrected variance comes out
    negative, which the paper does not foresee, the uncorrected one stands.
    """
    if _says_nothing(values):
        return False
    n = values.size
    detrended = values - float(np.median(pair_slopes(values))) * np.arange(n)
    ranked = ranks(detrended)
    ranked = ranked - ranked.mean()
    power = float(ranked @ ranked)
    correction = 1.0
    if power > 0:
        lags = np.arange(1, n)
        # Through the spectrum: all lags at once.
        spectrum = np.fft.rfft(ranked, 2 * n)
        correlations = np.fft.irfft(np.abs(spectrum) ** 2, 2 * n)[1:n] / power
        counted = np.where(np.abs(correlations) > Z_AUTOCORRELATION / math.sqrt(n), correlations, 0)
        weights = (n - lags) * (n - lags - 1.0) * (n - lags - 2.0)
        correction += 2 / (n * (n - 1) * (n - 2)) * float(weights @ counted)
    if correction <= 0:
        correction = 1.0
    return _kendall_says_rise(kendall_score(values), kendall_variance(values) * correction)


def theil_sen_lower_bound(values: Values) -> bool:
    """Whether the lower bound of the median slope is above zero.

    Source: Sen, "Estimates of the Regression Coefficient Based on Kendall's Tau", JASA 1968; the
    rank of the bound as in Gilbert, "Statistical Methods for Environmental Pollution Monitoring",
    1987, 16.5. One-sided. Readings are taken for independent.
    """
    if _says_nothing(values):
        return False
    slopes = pair_slopes(values)
    reach = Z_ALPHA * math.sqrt(kendall_variance(values))
    rank = math.floor((slopes.size - reach) / 2)
    if rank < 1:
        return False
    return bool(np.partition(slopes, rank - 1)[rank - 1] > 0)


@dataclass(frozen=True)
class Trend:
    """A stretch of a series that Precog takes for a straight rise; it ends with `stop`."""

    stop: int
    duration: int
    slope: float
    r2: float


def _rolling_median(values: Values, window: int) -> Values:
    filled = np.concatenate([np.full(window - 1, np.nan), values])
    smooth: Values = np.nanmedian(np.lib.stride_tricks.sliding_window_view(filled, window), axis=1)
    return smooth


def _precog_change_points(smooth: Values) -> list[int]:
    """Where the series jumps, no two nearer than the shortest trend; ends with the last reading."""
    jumps = np.abs(np.diff(smooth))
    middle = np.median(jumps)
    # As in the source a spread of zero makes every other jump infinitely far out.
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = PRECOG_Z_SCALE * (jumps - middle) / np.median(np.abs(jumps - middle))
    last = smooth.size - 1
    found = [0, *np.flatnonzero(np.abs(scores) > PRECOG_Z).tolist(), last]
    points = [0]
    for point in found:
        if point - points[-1] >= PRECOG_SHORTEST:
            points.append(point)
    return [*points, last]


def _precog_trend(smooth: Values, start: int, stop: int) -> Trend | None:
    stretch = smooth[start : stop + 1]
    if stop - start < PRECOG_SHORTEST or np.ptp(stretch) == 0:
        return None
    line = least_squares(stretch)
    centred = stretch - stretch.mean()
    r2 = 1 - float(line.residuals @ line.residuals) / float(centred @ centred)
    if r2 <= PRECOG_R2:
        return None
    return Trend(stop, stop - start, line.slope, r2)


def _precog_known_trends(smooth: Values, points: list[int]) -> list[Trend]:
    """The rises that came to an end within the series: Precog holds the like of them for normal."""
    known = []
    for number, start in enumerate(points[:-1]):
        best: Trend | None = None
        for stop in points[number + 1 :]:
            trend = _precog_trend(smooth, start, stop)
            if trend is None:
                continue
            if best is None:
                best = trend if trend.slope > 0 else None
            elif trend.r2 >= best.r2 and trend.slope >= best.slope:
                best = trend
        if best is not None and best.stop < smooth.size - 1:
            known.append(best)
    return known


def _precog_asked(smooth: Values, points: list[int], known: list[Trend]) -> bool:
    """Whether a rise lasts to the end that is as steep and as long as a known one."""
    steepest = max((trend.slope for trend in known), default=0.0)
    longest = max((trend.duration for trend in known), default=PRECOG_SHORTEST)
    bars = [(steepest, longest), *((trend.slope, trend.duration) for trend in known)]
    for start in points[:-1]:
        trend = _precog_trend(smooth, start, smooth.size - 1)
        if trend is None or trend.slope <= 0:
            continue
        if any(trend.slope >= slope and trend.duration >= duration for slope, duration in bars):
            return True
    return False


def precog(values: Values) -> bool:
    """Whether a straight rise lasts to the end and beats a rise that has ended before.

    Source: Jindal, Staab, Cardoso, Gerndt, Podolskiy, "Online Memory Leak Detection in the
    Cloud-based Infrastructures", 2021 (arXiv 2101.09799), in the authors' own program
    (github.com/ansjin/memory_leak_detection, precog_change.py, its defaults): median of the last
    hour; change points where the first difference has a modified z-score above 3.5, six hours
    apart; from a change point to the end a line with R2 above 0.8 that lasts six hours or more.
    Trained and asked on the same series, without the filter by maxima, as in the authors'
    test_precog_change_points_test_train_same.py (with that filter hardly anything could be found
    there: the ten highest readings would all have to be above their own median).

    Assumed: a reading is one of Precog's five-minute readings, so that an hour is 12 calls and six
    hours are 72; and the limit is so near that every rise reaches it within Precog's seven days, as
    a series knows no limit of its machine.

    So trained a part of a leak, between two change points, counts as a rise that has ended; then
    the slopes of the part and of the whole decide, which is chance. Hence `precog_untrained`.
    """
    if _says_nothing(values):
        return False
    smooth = _rolling_median(values, PRECOG_SMOOTHING)
    points = _precog_change_points(smooth)
    return _precog_asked(smooth, points, _precog_known_trends(smooth, points))


def precog_untrained(values: Values) -> bool:
    """Whether a straight rise lasts to the end, no rise being known as normal.

    Source: as `precog`; the authors' program before any training.
    """
    if _says_nothing(values):
        return False
    smooth = _rolling_median(values, PRECOG_SMOOTHING)
    return _precog_asked(smooth, _precog_change_points(smooth), [])


def _psleak_runs(calls: int, retries: int) -> list[int]:
    """The lengths of psleak's runs: as many calls as fit, each run half as long again."""

    def runs(times: int) -> list[int]:
        lengths = [times]
        while len(lengths) < retries:
            lengths.append(int(lengths[-1] * PSLEAK_ESCALATION))
        return lengths

    times = 2  # psleak takes no less
    while times < PSLEAK_TIMES and sum(runs(times + 1)) <= calls:
        times += 1
    lengths = runs(times)
    while lengths and sum(lengths) > calls:
        lengths.pop()
    return lengths


def _psleak(values: Values, retries: int) -> bool:
    runs = _psleak_runs(values.size - 1 - PSLEAK_WARMUP, retries)
    if _says_nothing(values) or not runs:
        return False
    before = PSLEAK_WARMUP
    last_average = 0.0
    faded = 0
    for length in runs:
        growth = float(values[before + length] - values[before])
        average = growth / length
        if growth <= 0:
            return False
        faded = faded + 1 if average <= last_average * PSLEAK_FADING else 0
        if faded >= PSLEAK_FADING_RUNS:
            return False
        last_average = average
        before += length
    return True


def psleak(values: Values) -> bool:
    """Whether memory grew over each of ten runs, and the growth per call never faded twice running.

    Source: psleak 0.1.6, `MemoryLeakTestCase._check_mem` (github.com/giampaolo/psleak; formerly
    psutil's own leak tests). Ten warm-up calls, then up to ten runs of a function, each with half
    as many calls again. A run without growth acquits at once; so do two runs in a row with a growth
    per call at least 20 % below the run before.

    Translated: the runs are consecutive stretches of the series, the reading after a run being the
    reading before the next. psleak begins with 200 calls a run, which takes 22 000 calls; here it
    begins with as many as let all ten runs fit (never more than 200), and where not even runs from
    two calls up fit, the last ones are left out, which convicts sooner. psleak acquits a growth of
    16 bytes a call or less; a series has no bytes here, and that floor is left out.

    In a few hundred calls the first runs are a few calls long, and noise acquits most leaks there.
    Hence `psleak_three_runs`.
    """
    return _psleak(values, PSLEAK_RETRIES)


def psleak_three_runs(values: Values) -> bool:
    """As `psleak`, with its option `retries` at three: fewer runs, so longer ones.

    Three is the fewest at which growth can fade twice. A user with few calls would set it so.
    """
    return _psleak(values, PSLEAK_FEW_RETRIES)


def scalene(values: Values) -> bool:
    """Whether new maxima are hardly ever followed by a release, in a series that grows.

    Source: Berger, Stern, Altmayer Pizzorno, "Triangulating Python Performance Issues with
    Scalene", OSDI 2023, 3.4, and Scalene 1.5.51 (scalene_leak_analysis.py, scalene_profiler.py). At
    each new maximum of the footprint the line that allocated last scores an allocation, and a
    release if that very object is freed before the next maximum. By Laplace's rule of succession a
    line leaks with likelihood 1 - (releases + 1) / (allocations - releases + 2) (so Scalene's
    program has it); it is told from 0.95 on, if the footprint grew by 1 % or more of all
    allocated.

    Translated: the whole service is one line, a call is one of Scalene's samples, a rise from call
    to call is an object allocated, and the object of a maximum is freed when the series is back at
    or below where it stood before that rise. Scalene tells nothing below 100 MB; left out. Without
    a single release 18 maxima are enough.
    """
    if _says_nothing(values):
        return False
    rises = np.diff(values)
    allocated = float(rises[rises > 0].sum())
    if values[-1] - values[0] < SCALENE_GROWTH * allocated:
        return False
    allocations = releases = 0
    highest = values[0]
    before_object: float | None = None
    for earlier, value in zip(values[:-1].tolist(), values[1:].tolist(), strict=True):
        if value > highest:
            highest = value
            allocations += 1
            before_object = earlier
        elif before_object is not None and value <= before_object:
            releases += 1
            before_object = None
    return 1 - (releases + 1) / (allocations - releases + 2) >= SCALENE_LIKELIHOOD


RIVALS: dict[str, Rule] = {
    "end minus start > 3 sigma": end_minus_start,
    "least squares, t-test": least_squares_t_test,
    "least squares, Newey-West": least_squares_newey_west,
    "Mann-Kendall": mann_kendall,
    "Mann-Kendall, Hamed-Rao": mann_kendall_hamed_rao,
    "Theil-Sen, lower bound > 0": theil_sen_lower_bound,
    "Precog": precog,
    "Precog, untrained": precog_untrained,
    "psleak": psleak,
    "psleak, three runs": psleak_three_runs,
    "scalene": scalene,
}
