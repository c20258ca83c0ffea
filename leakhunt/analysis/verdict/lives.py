"""What is watched over days: processes that follow one another, and the cycle of the day. Pure.

A restart takes back what a process has taken, so a slope over all of them says nothing. The lives
are put one after the other, without their warm-up, each from the height at which the one before
ended. A cache that fills anew in each life would then look like a leak: so the mean life is judged
as well, and growth that slows down in it is no leak.

A load that has the rhythm of days moves memory up and down by it. Where the samples span two days,
what recurs every day is taken out: harmonics of a day, fitted beside a trend and what lives have
in common by their age.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from leakhunt.amounts import Rate
from leakhunt.analysis.verdict.series import MIN_SAMPLES, interim_check
from leakhunt.analysis.verdict.trend import ALPHA, FINE_BLOCKS, Floats
from leakhunt.model.plan import Work
from leakhunt.model.run import Run
from leakhunt.model.series import SERIES, Unit
from leakhunt.model.verdict import Shape, Status, Trend
from leakhunt.text.message import message

# The step of a reading where another process begins, and of one where it may be another.
RESTARTED = "restarted"
DROPPED = "dropped"
# Of each life but a single one so much is warm-up; shorter lives say nothing.
_WARM_UP_SHARE = 0.5
_SHORTEST_LIFE = 8
# ... and so do those that are this share of a usual one: they are warm-up to their end.
_SHORTEST_SHARE = 0.4
# Where one life goes over into the next, so much of each says at what height.
_EDGE_SHARE = 1 / 3
_MIN_FOR_A_LINE = 6
# Samples that are so many times as far apart as they should be have a gap between them. It is
# filled where that makes so many times as many samples at most.
_GAP = 1.9
_MAX_TIMES = 4.0
# Dips of up to so many samples are left out, where a series has so many that a block of the trend
# has several times as many; in the curve that is judged, dips of a part of its smallest blocks.
_NEAR = 2
_LONG = 240
_A_BLOCK = 80
# A life that is cut short by the end of the watch, or is much shorter than others, has no say in
# what the mean life looks like.
_SHORT_SHARE = 0.5
# Days and samples a day that removing a daily cycle needs, and the least share of the residual
# variance that the cycle must have.
_DAY = 86_400.0
# Growth of this share of what a process takes in a day takes months to be seen by anybody.
_UNIMPORTANT_A_DAY = 0.01
_MIN_DAYS = 2.0
_MIN_A_DAY = 12
_HARMONICS = 4
_MIN_DAILY_SHARE = 0.3
# The most that the cycle of one day may exceed that of all days, as a ratio.
_STRONGEST = 2.0
# What a life may do by its age, beside growing: time constants of warm-ups and caches.
_WARM_UP_SECONDS = (600.0, 3600.0, 6 * 3600.0, 86_400.0)


@dataclass(frozen=True, slots=True)
class LivesCurve:
    """The lives of a series as one curve: what is judged.

    `slows`: growth slows down in the mean life. `if_restarts` is the curve if all drops were
    restarts; None: that is known of all of them.
    """

    heights: Floats
    slows: bool = False
    if_restarts: Floats | None = None


def births(run: Run, first: int = 0, steps: Collection[str] = (RESTARTED, DROPPED)) -> list[int]:
    """Where memory begins anew among the samples from `first` on, but for the first."""
    places = {reading.sample - first for reading in run.readings if reading.step in steps}
    return sorted(place for place in places if 0 < place < run.samples_done - first)


def last_life(run: Run) -> int:
    """The first sample of the process that is there at the end."""
    return max(births(run), default=0)


def lives_curve(run: Run, name: str) -> LivesCurve:
    """The judged samples of a series that is watched, without the daily cycle and warm-ups."""
    first, end = run.judged_from, run.samples_done
    heights = np.asarray(run.samples[name][first:end], dtype=float)
    seconds = np.asarray(run.calls[first:end], dtype=float)
    if len(heights) < MIN_SAMPLES:
        return LivesCurve(heights)
    heights = _middles(heights, _NEAR) if len(heights) >= _LONG else heights
    born = births(run, first)
    known = set(births(run, first, (RESTARTED,)))
    lives = [slice(begin, end) for begin, end in pairwise((0, *born, len(heights)))]
    heights, seconds, lives, known = _without_gaps(heights, seconds, lives, known, run)
    born = [each.start for each in lives[1:]]
    heights = without_daily_cycle(heights, seconds, lives)
    long = _long_ones(lives)
    if len(lives) == 1 or not long:
        return LivesCurve(_middles(heights, len(heights) // _A_BLOCK))
    if len(long) == 1:
        only = heights[long[0]]
        return LivesCurve(_middles(only, len(only) // _A_BLOCK))
    if len(known) == len(born):
        return LivesCurve(_chained(heights, long, known), _slows(heights, long))
    return LivesCurve(
        _chained(heights, long, known),
        bool(known) and _slows(heights, long),
        None if _slows(heights, long) else _chained(heights, long, set(born)),
    )


def _without_gaps(
    heights: Floats, seconds: Floats, lives: list[slice], known: set[int], run: Run
) -> tuple[Floats, Floats, list[slice], set[int]]:
    """Even samples: what grew while nothing was read is spread over that time."""
    each = max(run.calls_per_sample, 1)
    wide = [np.diff(seconds[life]).max(initial=0.0) > _GAP * each for life in lives]
    total = sum(seconds[life][-1] - seconds[life][0] for life in lives) / each
    if not any(wide) or total > _MAX_TIMES * len(heights):
        return heights, seconds, lives, known
    values: list[Floats] = []
    times: list[Floats] = []
    even: list[slice] = []
    restarted: set[int] = set()
    begin = 0
    for life in lives:
        at, there = seconds[life], heights[life]
        count = max(round(float(at[-1] - at[0]) / each) + 1, 1)
        grid = np.linspace(at[0], at[-1], count)
        if life.start in known:
            restarted.add(begin)
        values.append(np.interp(grid, at, there))
        times.append(grid)
        even.append(slice(begin, begin + count))
        begin += count
    return np.concatenate(values), np.concatenate(times), even, restarted


def _long_ones(lives: Sequence[slice]) -> list[slice]:
    """Those that are no mere warm-up, as far as that can be told from the others."""
    found = [each for each in lives if each.stop - each.start >= _SHORTEST_LIFE]
    usual = float(np.median([each.stop - each.start for each in found])) if found else 0.0
    return [each for each in found if each.stop - each.start >= _SHORTEST_SHARE * usual]


def _middles(heights: Floats, near: int) -> Floats:
    """Each the median of so many on both sides: what is warm again soon is a dip, no floor."""
    around = np.pad(heights, near, mode="edge")
    middle: Floats = np.median(np.lib.stride_tricks.sliding_window_view(around, 2 * near + 1), 1)
    return middle


def _chained(heights: Floats, lives: Sequence[slice], lifted: Collection[int]) -> Floats:
    """The lives without their warm-ups, each from where the one before ended if it is `lifted`."""
    pieces: list[Floats] = []
    offset = 0.0
    near = len(heights) // _A_BLOCK
    for number, each in enumerate(lives):
        warm = each.start + int((each.stop - each.start) * _WARM_UP_SHARE)
        piece = _middles(heights[warm : each.stop], min(near, (each.stop - warm) // 4))
        since = lives[number - 1].stop if number else 0
        if number and any(since <= place <= each.start for place in lifted):
            offset = _edge(pieces[-1], -1) - _edge(piece, 0)
        pieces.append(piece + offset)
    return np.concatenate(pieces)


def _edge(piece: Floats, place: int) -> float:
    """The height of a piece at its beginning (0) or end (-1), by a line through what is near.

    One value there would have the noise of one, and every join would add it.
    """
    count = max(int(len(piece) * _EDGE_SHARE), min(3, len(piece)))
    near = piece[:count] if place == 0 else piece[-count:]
    if len(near) < _MIN_FOR_A_LINE:
        return float(np.median(near))
    slope, height = np.polyfit(np.arange(len(near), dtype=float), near, 1)
    return float(height + slope * (0 if place == 0 else len(near) - 1))


def _slows(heights: Floats, lives: Sequence[slice]) -> bool:
    """Whether the mean life of those that are long grows ever less."""
    profile = mean_life(heights, lives)
    if len(profile) < FINE_BLOCKS * 2:
        return False
    noise = float(np.median(np.abs(np.diff(profile)))) if len(profile) > 1 else 0.0
    grown = float(np.median(profile[-5:]) - np.median(profile[:5]))
    if grown <= 3 * noise:
        return False
    check = interim_check(profile, 0.0, ALPHA)
    return check.obstacle is not None and check.slope.low > 0


def mean_life(heights: Floats, lives: Sequence[slice]) -> Floats:
    """Growth since the start by age, the mean of the lives; as long as half of them are."""
    lengths = [each.stop - each.start for each in lives]
    longest = max(lengths)
    known = [each for each in lives if each.stop - each.start >= _SHORT_SHARE * longest]
    age = int(np.median([each.stop - each.start for each in known]))
    total, count = np.zeros(age - 1), np.zeros(age - 1)
    for each in known:
        rises = np.diff(heights[each])[: age - 1]
        total[: len(rises)] += rises
        count[: len(rises)] += 1
    return np.concatenate([[0.0], np.cumsum(total / np.maximum(count, 1))])


def without_daily_cycle(heights: Floats, seconds: Floats, lives: Sequence[slice]) -> Floats:
    """The series less what recurs every day; itself where nothing much does."""
    span = float(seconds[-1] - seconds[0])
    if span < _MIN_DAYS * _DAY or len(heights) / (span / _DAY) < _MIN_A_DAY:
        return heights
    ages = np.concatenate([seconds[each] - seconds[each.start] for each in lives])
    columns = [np.ones_like(ages), (seconds - seconds[0]) / span, ages / span]
    columns += [np.exp(-ages / constant) for constant in _WARM_UP_SECONDS]
    phase = 2 * np.pi * seconds / _DAY
    daily_cycle = [
        wave(turn * phase) for turn in range(1, _HARMONICS + 1) for wave in (np.cos, np.sin)
    ]
    plain = np.stack(columns, axis=1)
    whole = np.hstack([plain, np.stack(daily_cycle, axis=1)])
    target = heights
    rest = target - plain @ np.linalg.lstsq(plain, target, rcond=None)[0]
    found = np.linalg.lstsq(whole, target, rcond=None)[0]
    residual = target - whole @ found
    before, after = float(rest @ rest), float(residual @ residual)
    if before <= 0 or (before - after) / before < _MIN_DAILY_SHARE:
        return heights
    wave_of_day: Floats = np.stack(daily_cycle, axis=1) @ found[-2 * _HARMONICS :]
    return heights - wave_of_day * _strengths(wave_of_day, residual, seconds)


def _strengths(wave_of_day: Floats, residual: Floats, seconds: Floats) -> Floats:
    """How strong the cycle of each day is: less on weekends."""
    days = ((seconds - seconds[0]) // _DAY).astype(int)
    middles: list[float] = []
    strengths: list[float] = []
    for day in np.unique(days):
        rows = days == day
        if rows.sum() < _MIN_A_DAY:
            continue
        wave = wave_of_day[rows] - wave_of_day[rows].mean()
        rest = residual[rows] - residual[rows].mean()
        square = float(wave @ wave)
        more = float(rest @ wave) / square if square else 0.0
        middles.append(float(seconds[rows].mean()))
        strengths.append(min(max(1.0 + more, 0.0), _STRONGEST))
    if not middles:
        return np.ones_like(seconds)
    found: Floats = np.interp(seconds, middles, strengths)
    return found


def unimportant(run: Run, name: str) -> float:
    """Growth per second that no service that is watched dies of: its deploys come before."""
    if run.plan.watch is None or name not in SERIES or SERIES[name].unit is not Unit.BYTES:
        return 0.0
    values = run.samples[name][: run.samples_done]
    return _UNIMPORTANT_A_DAY / _DAY * float(np.median(values)) if len(values) else 0.0


def slowing(trend: Trend) -> Trend:
    """A trend over lives in each of which growth slows down: no leak can be told from it."""
    if trend.status is not Status.LEAK:
        return trend
    return replace(
        trend,
        status=Status.INCONCLUSIVE,
        shape=Shape.FILLING_CACHE,
        slowest_warm_up=None,
        reason=message(
            "verdict.slows_in_each_life",
            "grows by {rate} after each restart, but growth slows down before the next",
            rate=Rate(trend.rate or 0.0, trend.unit, Work.SECOND),
        ),
    )


def between_drops(trend: Trend, lifted: Trend) -> Trend:
    """A trend that is no leak, where memory grows between drops: `lifted`, if those are restarts.

    A collector that frees at last, and a leak that deploys take back, look the same.
    """
    if trend.status is Status.LEAK or lifted.status is not Status.LEAK:
        return trend
    return replace(
        trend,
        status=Status.INCONCLUSIVE,
        shape=Shape.SAWTOOTH,
        level_after=None,
        reason=message(
            "verdict.grows_between_drops",
            "grows by {rate} between drops: a leak if these are restarts, else memory that is"
            " freed late",
            rate=Rate(lifted.rate or 0.0, trend.unit, Work.SECOND),
        ),
    )
