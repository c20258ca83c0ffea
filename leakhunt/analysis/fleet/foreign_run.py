"""A series that was measured elsewhere as a `Run`, so that the verdict engine judges it. Pure.

Its calls are seconds; its samples stand at even distances. Gaps within a life are bridged by a
line: what grew while nothing was measured has grown. A restart begins a new life.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from leakhunt.analysis.verdict.lives import DROPPED, RESTARTED
from leakhunt.analysis.verdict.trend import Floats
from leakhunt.model.foreign import MeasuredSeries
from leakhunt.model.plan import Plan, PlannedWatch
from leakhunt.model.run import Ending, Outcome, Phase, Purpose, Reading, Run
from leakhunt.model.series import MEMORY, SERIES

# Another process has begun where memory falls by so much of what it was, and stays down: in so many
# stretches it does not come back to half of the drop. It may have begun where it falls by less, as
# far as that stands out of the noise.
_DROP_SHARE = 0.25
_DIP_SHARE = 0.05
_NOISES = 6.0
_STAYS = 3
# The median absolute deviation of a normal distribution, in standard deviations.
_MAD = 0.6745
# A collector or an allocator that gives back makes drops as well, many and alike: where the
# median life is shorter than this number of stretches, drops are a sawtooth and no restarts.
_SHORTEST_LIFE = 12
# Most samples of a series; fewer where most of it is gaps.
_MAX_SAMPLES = 4096
_MIN_STEP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ForeignRun:
    """The run, how many samples of it were bridged, and the length of the longest gap."""

    run: Run
    bridged: int
    longest_gap_seconds: float
    step_seconds: float


def foreign_run(series: MeasuredSeries, limit_bytes: int | None = None) -> ForeignRun:
    """The samples of a series, evenly, with its restarts."""
    seconds = np.asarray(series.seconds, dtype=float)
    floors = np.asarray(series.floors, dtype=float)
    starts = [start - float(seconds[0]) for start in series.starts]
    seconds = seconds - seconds[0]
    step = max(series.step_seconds, _MIN_STEP_SECONDS)
    if len(seconds) > 1:
        step = max(step, float(seconds[-1]) / _MAX_SAMPLES, _usual(seconds))
    if series.step_seconds < step:
        seconds, floors = _floors_of(seconds, floors, step)
    values: list[int] = []
    calls: list[int] = []
    births: list[Reading] = []
    bridged = 0
    known = {drop.place: drop for drop in _with_starts(drops(floors), seconds, floors, starts)}
    for begin, end in pairwise((0, *known, len(floors))):
        if values:
            step_of = RESTARTED if known[begin].is_restart else DROPPED
            births.append(Reading(step_of, {}, len(values)))
        at, heights = _even(seconds[begin:end], floors[begin:end], step)
        bridged += max(len(at) - (end - begin), 0)
        for when, height in zip(at, heights, strict=True):
            second = max(round(float(when)) + 1, calls[-1] + 1 if calls else 1)
            calls.append(second)
            values.append(round(float(height)))
    apart = np.diff(seconds)
    longest = float(apart.max()) if len(apart) and apart.max() > 2 * step else 0.0
    limit = limit_bytes if limit_bytes is not None else series.limit_bytes
    run = Run(
        plan=_plan(series, step, limit),
        outcome=Outcome(Ending.OK),
        series=(SERIES[MEMORY].series,),
        samples={MEMORY: array("q", values)},
        calls=array("q", calls),
        phases=(Phase(0, len(values), Purpose.JUDGED, max(round(step), 1), collects=False),),
        readings=tuple(births),
    )
    return ForeignRun(run, bridged, longest, step)


def _usual(seconds: Floats) -> float:
    """The distance of most points: a grid finer than them would be made up."""
    return float(np.median(np.diff(seconds)))


def _floors_of(seconds: Floats, floors: Floats, step: float) -> tuple[Floats, Floats]:
    """The least value of each stretch of a step."""
    places = (seconds // step).astype(int)
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    return places[starts] * step, np.minimum.reduceat(floors, starts)


def _even(seconds: Floats, floors: Floats, step: float) -> tuple[Floats, Floats]:
    count = round(float(seconds[-1] - seconds[0]) / step) + 1
    at = seconds[0] + step * np.arange(count)
    return at, np.interp(at, seconds, floors)


@dataclass(frozen=True, slots=True)
class Drop:
    """Memory that falls and stays down: `place` is the first value after it."""

    place: int
    is_restart: bool


def drops(floors: Sequence[float] | Floats) -> list[Drop]:
    """Where another process begins, or may begin."""
    heights = np.asarray(floors, dtype=float)
    if len(heights) <= _STAYS:
        return []
    falls = -np.diff(heights)
    noise = float(np.median(np.abs(falls - np.median(falls)))) / _MAD
    found: list[Drop] = []
    begin, place = 0, 1
    while place < len(heights):
        before = float(np.median(heights[max(begin, place - _STAYS) : place]))
        fall = before - float(heights[place])
        after = heights[place : place + 1 + _STAYS]
        if (
            fall >= max(_DIP_SHARE * before, _NOISES * noise)
            and fall > 0
            and float(np.median(after)) <= before - fall / 2
        ):
            deepest = before - float(heights[place : place + 2].min())
            found.append(Drop(place, deepest >= _DROP_SHARE * before))
            begin = place
        place += 1
    lengths = [
        later - earlier
        for earlier, later in pairwise((0, *(each.place for each in found), len(heights)))
    ]
    return [] if float(np.median(lengths)) < _SHORTEST_LIFE else found


def _with_starts(
    found: Sequence[Drop], seconds: Floats, floors: Floats, starts: Sequence[float]
) -> list[Drop]:
    """Drops, and where it is told when processes started: restarts then, and no other drop.

    Memory falls at the sample of a start or beside it: clocks are not alike, and a stretch of time
    has the least value of both processes.
    """
    if not starts:
        return list(found)
    places = []
    for start in starts:
        place = int(np.searchsorted(seconds, start))
        near = [at for at in (place - 1, place, place + 1) if 0 < at < len(floors)]
        if 0 < place < len(floors):
            falls = {at: float(floors[at - 1] - floors[at]) for at in near}
            deepest = max(near, key=lambda at: falls[at])
            places.append(deepest if falls[deepest] > 0 else place)
    told_from = int(np.searchsorted(seconds, starts[0])) - 1
    before = [drop for drop in found if drop.place < told_from]
    merged = {drop.place: drop for drop in before} | {at: Drop(at, True) for at in places}
    return [merged[at] for at in sorted(merged)]


def _plan(series: MeasuredSeries, step: float, limit: int | None) -> Plan:
    return Plan(
        scenario="analyze",
        variant=series.instance,
        calls=None,
        warmup=None,
        seed=0,
        threads=1,
        device="cpu",
        options={},
        result_kind="equal",
        reference=series.instance,
        calls_per_sample=None,
        limit_bytes=limit,
        watch=PlannedWatch(series.instance, step),
    )
