"""Leak, no leak, or inconclusive: one series of readings, judged by numbers alone.

False positives this guards against, each seen in practice: a warm-up or a cache that fills (it
slows down, or an exponential approach fits as well), one late step (no block may hold most of the
growth), a high-water mark, a collector sawtooth (only floors count). A leak must show twice: in the
first two thirds of the samples, and in all of them.

What still fools it: whatever grows steadily until the end of the run and stops only later. A
warm-up of T calls can be told from a leak only after 2 to 3 T calls; the reason names the slowest
warm-up that is ruled out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, isfinite

import numpy as np

from leakhunt.amounts import Count, Rate
from leakhunt.analysis.verdict.shape import bounded_shape, leak_shape
from leakhunt.analysis.verdict.trend import (
    ALPHA,
    BLOCKS,
    FINE_BLOCKS,
    MIN_LATER_SHARE,
    SLOWEST_WARM_UP_SHARE,
    Floats,
    Slope,
    fine_floors,
    floors,
    later_share,
    mostly_one_step,
    slope_beyond_warm_up,
    theil_sen,
)
from leakhunt.model.plan import Work
from leakhunt.model.series import Unit
from leakhunt.model.verdict import Shape, Status, Trend
from leakhunt.text.message import Text, message

# In samples after the warm-up; each is 1.5 times the one before it,
# so that "at this check and at the one before" is "in two thirds of the samples and in all".
INTERIM_CHECKS = (100, 150, 225, 338, 507)
INTERIM_CHECK_RATIO = 1.5
# Fewer say nothing; with fewer than two checks' worth growth is not called a leak.
MIN_SAMPLES = 50
MIN_FOR_LEAK = INTERIM_CHECKS[1]
MIN_FOR_CLEAN = INTERIM_CHECKS[0]
# The first part of every series is warm-up, whatever was dropped before it.
DISCARDED_SHARE = 0.25
# The check before must have found less than this one: the full test at both loses a quarter to a
# third of the leaks of 0.1 sigma at 300 samples, and not one false alarm fewer came.
_EARLIER_ALPHA = 0.05
_EARLIER_LATER_SHARE = 0.4
# A clean verdict may come at any check, so its bound has a part of alpha each time.
CLEAN_ALPHA = ALPHA / len(INTERIM_CHECKS)
# What a clean process still creeps by, a sample: a json/re/numpy loop by 96 bytes of live heap.
TOLERANCE = {Unit.BYTES: 256.0, Unit.BLOCKS: 0.75, Unit.COUNT: 0.01}
# `detection_limit` is worked out on so many orders of this series' own noise.
_ORDERS = 20
_POWER = 0.95
_HALVINGS = 9
# A leak must show in the first two thirds as well, and the orders keep no correlation between
# blocks: calibrated on simulated curves of seven kinds of noise (`tests/truth`).
_POWER_MARGIN = 3.0
_MAX_TIMES_LONGER = 100
# Where all but the first quarter is not level, these parts from the start on may be what filled:
# the rest is judged alone. What rose in so few events that none came in the rest by chance, at this
# level, is not over.
_FILLED_SHARES = (1 / 3, 1 / 2)
_MISSING_BY_CHANCE = 0.005
# It is level from where the floor is this near to what it ends at.
_LEVEL_SHARE = 0.95
# Why growth is no leak.
_NOT_CERTAIN = message("verdict.growth_not_certain", "lower bound below the tolerance")
_ONE_STEP = message("verdict.growth_one_step", "most of the growth is one step")
_SLOWS_DOWN = message("verdict.growth_slows_down", "growth slows down")
_WARM_UP_FITS = message("verdict.growth_fits_warm_up", "may be a slow warm-up")
_TOO_EARLY = message("verdict.growth_too_early", "may still be warming up")


def judge_series(  # noqa: PLR0913 - keywords, each with a default of its own
    values: Sequence[float] | Floats,
    *,
    unit: Unit | str,
    tolerance: float | None = None,
    calls_per_sample: float = 1,
    alpha: float = ALPHA,
    name: str = "series",
    power: bool = True,
    work: Work = Work.CALL,
) -> Trend:
    """Whether `values`, readings in order at equal distances, grow for good.

    Args:
        values: one reading each `calls_per_sample` calls, in `unit`. Hundreds are wanted; below 50
            nothing is said, below 150 nothing is called a leak. The first quarter is discarded.
        unit: ``bytes``, ``blocks``, ``count`` or ``ns``.
        tolerance: growth per call that is no leak, in `unit`. By default what the instrument
            creeps by: 256 bytes, 0.75 blocks or 0.01 a sample.
        calls_per_sample: how many calls lie between two readings, in the mean.
        alpha: one-sided level of the bounds of the rate, 0.01 or smaller.
        name: the series' name, kept in the result.
        power: work out `detection_limit`, which takes some 20 ms on a noisy series.
        work: what the reason calls a call.

    Returns:
        A `Trend`; rates are per call.

    Raises:
        ValueError: a value is not finite, or an argument makes no sense.
    """
    unit = Unit(unit)
    readings = np.asarray(values)
    if readings.ndim != 1 or not np.isfinite(readings.astype(float)).all():
        raise ValueError("values must be a flat sequence of finite numbers")
    if calls_per_sample < 1 or not 0 < alpha <= ALPHA:
        raise ValueError("calls_per_sample must be 1 or more, alpha above 0 and at most 0.01")
    if tolerance is None:
        tolerance = default_tolerance(unit, calls_per_sample)
    if not (isfinite(tolerance) and tolerance >= 0):
        raise ValueError("tolerance must be a finite number, 0 or more")
    net = (readings[-1] - readings[0]).item() if len(readings) else None
    # Exact for whole numbers up to 2**53 above the first one.
    heights = (readings - readings[:1]).astype(float)
    judgement = _Judgement(
        heights, unit, tolerance * calls_per_sample, calls_per_sample, alpha, work
    )
    if len(readings) < MIN_SAMPLES:
        return judgement.too_few(name, net)
    return judgement.trend(name, net, power)


def default_tolerance(unit: Unit, calls_per_sample: float) -> float:
    """Growth per call that is no leak.

    Raises:
        ValueError: there is none for this unit.
    """
    if unit not in TOLERANCE:
        raise ValueError(f"a series in {unit} has no default; give a tolerance")
    return TOLERANCE[unit] / calls_per_sample


@dataclass(frozen=True, slots=True)
class InterimCheck:
    """What a check of a series finds. `obstacle` says why growth is no leak; None: it is one."""

    slope: Slope
    obstacle: Text | None


def interim_check(values: Floats, tolerance: float, alpha: float) -> InterimCheck:
    """Judge the samples after the discarded part once; `tolerance` per sample."""
    fine, width = fine_floors(values[int(len(values) * DISCARDED_SHARE) :])
    return _check_floors(fine, width, tolerance, alpha)


def was_growing(values: Floats, tolerance: float) -> bool:
    """Whether the check before found growth: less certain, but no step and not dying down."""
    fine, width = fine_floors(values[int(len(values) * DISCARDED_SHARE) :])
    heights = floors(fine)
    slope = theil_sen(heights, width * FINE_BLOCKS / BLOCKS, _EARLIER_ALPHA)
    return (
        slope.low > tolerance
        and not mostly_one_step(heights)
        and later_share(heights) >= _EARLIER_LATER_SHARE
    )


def _check_floors(fine: Floats, width: int, tolerance: float, alpha: float) -> InterimCheck:
    heights = floors(fine)
    slope = theil_sen(heights, width * FINE_BLOCKS / BLOCKS, alpha)
    if not slope.low > tolerance:
        return InterimCheck(slope, _NOT_CERTAIN)
    if mostly_one_step(heights):
        return InterimCheck(slope, _ONE_STEP)
    if later_share(heights) < MIN_LATER_SHARE:
        return InterimCheck(slope, _SLOWS_DOWN)
    if not slope_beyond_warm_up(fine, width) > tolerance:
        return InterimCheck(slope, _WARM_UP_FITS)
    return InterimCheck(slope, None)


@dataclass(frozen=True, slots=True)
class _Judgement:
    """One series on its way to a trend; everything in here is per sample."""

    heights: Floats
    unit: Unit
    tolerance: float
    calls_per_sample: float
    alpha: float
    work: Work

    def too_few(self, name: str, net: float | None) -> Trend:
        """Nothing but how many more are needed."""
        samples, calls = len(self.heights), self.calls_per_sample
        return Trend(
            series=name,
            unit=self.unit,
            status=Status.INCONCLUSIVE,
            shape=Shape.UNLABELLED,
            samples=samples,
            tolerance=self.tolerance / calls,
            net=net,
            rate=None,
            rate_low=None,
            rate_high=None,
            upper_bound=None,
            detection_limit=None,
            calls_needed=round((MIN_FOR_LEAK - samples) * calls),
            reason=message(
                "verdict.too_few_samples",
                "{samples} samples; needs {fewest_samples}, for a leak {fewest_for_leak}",
                samples=samples,
                fewest_samples=MIN_SAMPLES,
                fewest_for_leak=MIN_FOR_LEAK,
            ),
        )

    def trend(self, name: str, net: float | None, power: bool) -> Trend:
        check = interim_check(self.heights, self.tolerance, self.alpha)
        first = self._discarded()
        bound = self._bound(first)
        status = self._status(check, bound)
        if status is Status.INCONCLUSIVE and (filled := self._filled()) is not None:
            first, bound = filled, self._bound(filled)
            status = self._status(check, bound)
            check = InterimCheck(self._slope(first), _NOT_CERTAIN)
        fine, width = fine_floors(self.heights[first:])
        wanted = power and status is not Status.LEAK
        detection_limit = self._detection_limit(fine, width) if wanted else None
        needed = self._samples_needed(check, bound) if status is Status.INCONCLUSIVE else None
        calls = self.calls_per_sample
        return Trend(
            series=name,
            unit=self.unit,
            status=status,
            shape=self._shape(check, status),
            samples=len(self.heights),
            tolerance=self.tolerance / calls,
            net=net,
            rate=check.slope.rate / calls,
            rate_low=check.slope.low / calls,
            rate_high=check.slope.high / calls,
            upper_bound=max(bound, 0.0) / calls,
            detection_limit=None if detection_limit is None else detection_limit / calls,
            calls_needed=None if needed is None else round(needed * calls),
            reason=self._reason(check, status, bound, needed),
            slowest_warm_up=self._slowest_warm_up() if status is Status.LEAK else None,
            level_after=self._level_after(first) if status is Status.NO_LEAK else None,
        )

    def _slope(self, first: int) -> Slope:
        fine, width = fine_floors(self.heights[first:])
        return theil_sen(floors(fine), width * FINE_BLOCKS / BLOCKS, self.alpha)

    def _bound(self, first: int) -> float:
        """What the samples from `first` on can grow by at most."""
        fine, width = fine_floors(self.heights[first:])
        block = width * FINE_BLOCKS / BLOCKS
        return theil_sen(floors(fine), block, min(CLEAN_ALPHA, self.alpha)).high

    def _filled(self) -> int | None:
        """The sample from which on it is level, though it rose for longer than a warm-up."""
        suffix_minimum = np.minimum.accumulate(self.heights[::-1])[::-1]
        for share in _FILLED_SHARES if len(self.heights) >= MIN_FOR_CLEAN else ():
            first = int(len(self.heights) * share)
            if self._bound(first) > self.tolerance:
                continue
            if share ** _events(np.diff(suffix_minimum[: first + 1])) <= _MISSING_BY_CHANCE:
                return first
        return None

    def _level_after(self, first: int) -> float | None:
        """Calls until it was level; None: it did not rise by anything that can be seen."""
        level = float(np.median(self.heights[first:]))
        noise = 3 * float(np.std(self.heights[first:]))
        if level <= max(noise, self.tolerance * MIN_SAMPLES):
            return None
        suffix_minimum = np.minimum.accumulate(self.heights[::-1])[::-1]
        end = float(np.median(suffix_minimum[first:]))
        return int(np.argmax(suffix_minimum >= _LEVEL_SHARE * end)) * self.calls_per_sample

    def _discarded(self) -> int:
        return int(len(self.heights) * DISCARDED_SHARE)

    def _slowest_warm_up(self) -> float:
        """Calls: a warm-up with a longer time constant looks like a leak still."""
        judged = len(self.heights) - self._discarded()
        return SLOWEST_WARM_UP_SHARE * judged * self.calls_per_sample

    def _status(self, check: InterimCheck, bound: float) -> Status:
        if bound <= self.tolerance and len(self.heights) >= MIN_FOR_CLEAN:
            return Status.NO_LEAK
        if check.obstacle is None and len(self.heights) >= MIN_FOR_LEAK:
            before = self.heights[: int(len(self.heights) / INTERIM_CHECK_RATIO)]
            if was_growing(before, self.tolerance):
                return Status.LEAK
        return Status.INCONCLUSIVE

    def _shape(self, check: InterimCheck, status: Status) -> Shape:
        if status is Status.LEAK:
            return leak_shape(self.heights)
        if check.obstacle is None:
            return Shape.UNLABELLED
        return bounded_shape(self.heights, self._discarded(), self.tolerance)

    def _samples_needed(self, check: InterimCheck, bound: float) -> int:
        """How many more would decide, if the noise stays as it is: bounds narrow as n ** -1.5."""
        done = len(self.heights)
        target = done * INTERIM_CHECK_RATIO
        rate = max(check.slope.rate, 0.0)
        gap = abs(self.tolerance - rate)
        doubt = bound - rate if rate < self.tolerance else rate - check.slope.low
        if gap > 0 and doubt > gap:
            target = max(target, done * min((doubt / gap) ** (2 / 3), _MAX_TIMES_LONGER))
        return max(ceil(target), MIN_FOR_LEAK) - done

    def _detection_limit(self, fine: Floats, width: int) -> float:
        """The slope that 95 % of the orders of this series' own noise would have shown."""
        places = np.arange(FINE_BLOCKS, dtype=float)
        slope = theil_sen(floors(fine), width * FINE_BLOCKS / BLOCKS).rate
        noise = fine - slope * width * places
        if not np.ptp(noise):
            return self.tolerance
        least = sorted(self._detectable(order, places * width, width) for order in _orders(noise))
        excess = least[ceil(_POWER * len(least)) - 1] - self.tolerance
        return self.tolerance + _POWER_MARGIN * excess

    def _detectable(self, noise: Floats, places: Floats, width: int) -> float:
        low = self.tolerance
        high = max(2 * low, 8 * float(np.ptp(noise)) / (width * FINE_BLOCKS), 1e-12)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            check = _check_floors(noise + middle * places, width, self.tolerance, self.alpha)
            low, high = (low, middle) if check.obstacle is None else (middle, high)
        return high

    def _reason(
        self, check: InterimCheck, status: Status, bound: float, needed: int | None
    ) -> Text:
        calls = self.calls_per_sample
        most = Rate(max(bound, 0.0) / calls, self.unit, self.work)
        rate = Rate(check.slope.rate / calls, self.unit, self.work)
        if status is Status.LEAK:
            return message(
                "verdict.rises_steadily",
                "steady growth of {rate}; not warm-up, unless its time constant exceeds"
                " {slowest_warm_up}",
                rate=rate,
                slowest_warm_up=Count(self._slowest_warm_up(), self.work),
            )
        if status is Status.NO_LEAK:
            return message("verdict.no_leak_above", "no leak above {most}", most=most)
        assert needed is not None
        more = Count(round(needed * calls), self.work)
        if check.slope.low > self.tolerance:
            return message(
                "verdict.grows_but",
                "grows by {rate}, but {why}; needs another {needed}",
                rate=rate,
                why=check.obstacle or _TOO_EARLY,
                needed=more,
            )
        if bound <= self.tolerance:
            return message(
                "verdict.no_leak_so_far",
                "no leak above {most} so far; needs another {needed}",
                most=most,
                needed=more,
            )
        return message(
            "verdict.bound_above_tolerance",
            "upper bound {most} exceeds the tolerance; needs another {needed}",
            most=most,
            needed=more,
        )


def _events(rises: Floats) -> float:
    """How many equal events would make `rises` as uneven as they are; 0 where nothing rose."""
    squares = float((rises**2).sum())
    return float(rises.sum()) ** 2 / squares if squares else 0.0


def _orders(noise: Floats) -> Iterator[Floats]:
    """The blocks of `noise` in `_ORDERS` orders, the same every time."""
    source = np.random.default_rng(0)
    for _ in range(_ORDERS):
        yield source.permutation(noise.reshape(BLOCKS, -1)).ravel()
