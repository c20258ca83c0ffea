"""How a curve goes on: linear, logarithmic and levelling fits, and which of them the curve allows.

Each is fitted to the first two thirds and has to foresee the last: a curve that misses it is ruled
out. What is left is fitted to the whole, and the interval comes from all of it, so that a curve of
which nobody can say yet whether it slows down has a wide one. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp, inf, log

import numpy as np
from numpy.typing import NDArray

from leakhunt.analysis.student import student

_Floats = NDArray[np.float64]

# Fewer samples say nothing of what comes.
MIN_POINTS = 24
# Number of segments whose medians are fitted: noise within a segment counts little.
_SEGMENTS = 24
_MIN_SEGMENTS = 9
_FITTED_SHARE = 2 / 3
# Time constants of a levelling curve, in lengths of what was measured; slower ones look linear.
_TIME_CONSTANTS = (0.1, 0.15, 0.25, 0.4, 0.6, 1.0, 1.5)
# Two-sided: the interval has 90 %, and a fit is ruled out by what lies outside of 99 %.
_CONFIDENCE = 0.90
_RULED_OUT = 0.99
# ... by so much more than what the one misses that foresees it best; and whatever is off by so many
# times as much.
_WORSE = 2.5
_FAR_WORSE = 10.0
# Neighbouring segments are at most so much alike: beyond, no interval is left.
_MAX_ALIKE = 0.9
# From here on what is left over of a line wanders: steps that stay, and no noise around it.
_WANDERS_FROM = 0.3
# Steps differ in height: of few, the highest has not come yet.
_UNEVEN_STEPS = 1.5


class Model(StrEnum):
    """What a curve may do."""

    LINEAR = "linear"
    LOGARITHMIC = "logarithmic"
    LEVELLING = "levelling"
    # The last third alone, where no other foresees it.
    RECENT = "recent"


@dataclass(frozen=True, slots=True)
class Fit:
    """One model: growth of `slope` (`low` to `high`) for each unit of its own clock.

    `last` is the call where the curve ends, `origin` the one that it was measured from, and `tau`
    the time constant of a levelling one. `missed` is how far it was off the last third.
    """

    model: Model
    slope: float
    low: float
    high: float
    origin: float
    last: float
    tau: float
    missed: float

    def growth(self, ahead: float, slope: float | None = None) -> float:
        """How much it grows in so many further calls."""
        clock = _clock(self.model, self.tau, self.origin)
        step = clock(np.array([self.last, self.last + ahead]))
        return float(self.slope if slope is None else slope) * float(step[1] - step[0])

    def calls_until(self, growth: float, slope: float) -> float:
        """Calls until it has grown by so much; infinite where it never does."""
        if growth <= 0:
            return 0.0
        if slope <= 0:
            return inf
        need = growth / slope
        if self.model is Model.LOGARITHMIC:
            return self.last * exp(need) - self.last if need < _LONGEST_LOG else inf
        if self.model is Model.LEVELLING:
            left = exp(-(self.last - self.origin) / self.tau) - need
            return self.origin - self.tau * log(left) - self.last if left > 0 else inf
        return need


_LONGEST_LOG = 300.0


@dataclass(frozen=True, slots=True)
class Fits:
    """What a curve allows: the `best` first; `noise` is the spread of its segments."""

    fits: tuple[Fit, ...]
    noise: float

    @property
    def best(self) -> Fit:
        """The one that foresaw the last third best."""
        return self.fits[0]

    def growth(self, ahead: float) -> tuple[float, float, float]:
        """Growth in so many further calls: that of the best, and the interval of all."""
        lows = [fit.growth(ahead, fit.low) for fit in self.fits]
        highs = [fit.growth(ahead, fit.high) for fit in self.fits]
        return self.best.growth(ahead), min(lows), max(highs)

    def calls_until(self, growth: float) -> tuple[float, float, float]:
        """Calls until it has grown by so much: by the best, the soonest and the latest."""
        best = self.best
        soonest = min(fit.calls_until(growth, fit.high) for fit in self.fits)
        latest = max(fit.calls_until(growth, fit.low) for fit in self.fits)
        return best.calls_until(growth, best.slope), soonest, latest


def fits(calls: Sequence[int], values: Sequence[int]) -> Fits | None:
    """The fits that a curve allows; None where it is too short."""
    count = len(values)
    if count < MIN_POINTS:
        return None
    number = max(min(_SEGMENTS, count // 4), min(_MIN_SEGMENTS, count // 2))
    pieces = np.array_split(np.arange(count), number)
    along = np.asarray(calls, dtype=float)
    heights = np.asarray(values, dtype=float)
    where = np.array([along[piece].mean() for piece in pieces])
    level = np.array([np.median(heights[piece]) for piece in pieces])
    found = [_Candidate(model, tau, where, level, along) for model, tau in _models(along)]
    ranked = sorted(found, key=lambda each: each.missed)
    best = next((each for each in ranked if each.foresees), ranked[0])
    near, far = _WORSE * best.missed, _FAR_WORSE * (best.missed + best.spread)
    allowed = [each for each in ranked if each.missed <= (far if each.foresees else near)]
    if not any(each.foresees for each in found):
        allowed = []
    if not allowed:
        third = len(where) - round(len(where) * _FITTED_SHARE) + 1
        allowed = [_Candidate(Model.RECENT, inf, where[-third:], level[-third:], along)]
    return Fits(tuple(each.fit() for each in allowed), min(each.spread for each in allowed))


def _models(along: _Floats) -> Iterator[tuple[Model, float]]:
    yield Model.LINEAR, inf
    yield Model.LOGARITHMIC, inf
    length = float(along[-1] - along[0])
    for share in _TIME_CONSTANTS:
        yield Model.LEVELLING, share * length


class _Clock:
    def __init__(self, model: Model, tau: float, origin: float) -> None:
        self.model, self.tau, self.origin = model, tau, origin

    def __call__(self, along: _Floats) -> _Floats:
        """The model's own clock: the curve is a line along it."""
        values: _Floats = along
        if self.model is Model.LOGARITHMIC:
            values = np.log(np.maximum(along, 1.0))
        elif self.model is Model.LEVELLING:
            values = 1.0 - np.exp(-(along - self.origin) / self.tau)
        return values


def _clock(model: Model, tau: float, origin: float) -> _Clock:
    return _Clock(model, tau, origin)


@dataclass(frozen=True, slots=True)
class _Line:
    """A least-squares line, with what neighbours that are alike do to its error."""

    slope: float
    middle: float
    height: float
    spread: float
    error: float
    freedom: float

    def within(self, clock: float, noise_of: int, confidence: float) -> tuple[float, float]:
        """The line at a point, and how far the mean of some segments there may be off."""
        at = self.height + self.slope * (clock - self.middle)
        variance = (self.error * (clock - self.middle)) ** 2 + self.spread**2 / noise_of
        return at, student(self.freedom, confidence) * float(np.sqrt(variance))


def _line(clock: _Floats, level: _Floats) -> _Line:
    count = len(level)
    middle, height = float(clock.mean()), float(level.mean())
    apart = clock - middle
    square = float(apart @ apart)
    slope = float(apart @ (level - height)) / square if square else 0.0
    off = level - height - slope * apart
    spread = float(np.sqrt(off @ off / max(count - 2, 1)))
    alike = 0.0
    if spread > 0:
        raw = float(off[1:] @ off[:-1]) / float(off @ off)
        # What is left over of a line is less alike than the noise was: Marriott and Pope.
        alike = min(max(raw + (2 + 4 * max(raw, 0.0)) / count, 0.0), _MAX_ALIKE)
    factor = (1 + alike) / (1 - alike)
    error = spread * float(np.sqrt(factor / square)) if square else inf
    if alike > _WANDERS_FROM and square:
        error = max(error, _error_of_steps(clock, level, slope))
    return _Line(slope, middle, height, spread, error, max(count / factor - 2, 2))


def _error_of_steps(clock: _Floats, level: _Floats, slope: float) -> float:
    """The error of a slope where growth comes in steps that stay: the level wanders."""
    apart = np.diff(clock)
    off = np.diff(level) - slope * apart
    spread = float(np.sqrt(off @ off / max(len(off) - 1, 1)))
    return _UNEVEN_STEPS * spread * float(np.sqrt(len(off))) / float(clock[-1] - clock[0])


class _Candidate:
    """A model on the segments of a curve: whether it foresees the last third, and its fit."""

    def __init__(
        self, model: Model, tau: float, where: _Floats, level: _Floats, along: _Floats
    ) -> None:
        self._model, self._tau = model, tau
        self._origin, self._last = float(along[0]), float(along[-1])
        self._clocks = _clock(model, tau, self._origin)(where)
        self._level = level
        self._whole = _line(self._clocks, level)
        known = round(len(level) * _FITTED_SHARE)
        early = _line(self._clocks[:known], level[:known])
        later = self._clocks[known:]
        expected = early.height + early.slope * (later - early.middle)
        self.missed = float(np.sqrt(np.mean((level[known:] - expected) ** 2)))
        end = max(len(later) // 2, 1)
        at, margin = early.within(float(later[-end:].mean()), end, _RULED_OUT)
        self.foresees = abs(float(level[-end:].mean()) - at) <= margin + 1.0
        self.spread = self._whole.spread

    def fit(self) -> Fit:
        """The model on the whole curve."""
        whole = self._whole
        margin = student(whole.freedom, _CONFIDENCE) * whole.error
        return Fit(
            self._model,
            whole.slope,
            whole.slope - margin,
            whole.slope + margin,
            self._origin,
            self._last,
            self._tau,
            self.missed,
        )
