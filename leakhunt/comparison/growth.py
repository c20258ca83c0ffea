"""By how much faster one run grows than another, with an interval that is honest for single runs.

The rate of a series is the growth of its floor: the judged samples, less their first quarter, are
cut into eight blocks, each gives its minimum, and the seven steps from floor to floor, per call,
are averaged. The same blocks of calls on both sides, since the inputs are the same: what an input
costs then falls out of the difference, block by block, and only what differs is left.

The interval of 99 % is Student's over the seven steps of the difference. It assumes that they are
independent and about normal. That is so for growth of random size or at random calls. Noise about
a line makes neighbouring steps go against each other, which makes the interval too wide, so the
level is kept there too. The exact bounds of the verdict (Theil and Sen's) are not used: they take
noise to be noise about a line, and random growth then differs "for certain" in up to one pair of
equals in five. Where calls were sampled another way, the two runs are taken by themselves and
Welch's interval is theirs.

Where the verdict on live memory went by what collections leave, so does the rate here. Its interval
is that of the floors, between which the garbage comes on top, made wider by as much as floors and
collections disagree about the difference: a few readings do not tell their own spread. RSS goes by
its floors alone: at one collection it may be anywhere within tens of megabytes, and two of 31 pairs
of real runs of the same work then differed. The bytes of Python are read at collections only: their
rates between neighbouring collections are averaged by the calls they span, and the interval takes
growth to come in independent steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from leakhunt.comparison.intervals import Mean, less, mean_of, pooled, student
from leakhunt.language import tr
from leakhunt.model import JudgedRun, Run
from leakhunt.verdict.collections import collected_points, remains
from leakhunt.verdict.judge import KEPT_SERIES
from leakhunt.verdict.series import DISCARDED_SHARE, FEWEST_SAMPLES
from leakhunt.verdict.trend import FINE_BLOCKS, Floats, fine_floors, floors

# A rate between two collections says nothing of its own spread.
_FEWEST_PIECES = 2
COLLECTED_ONLY = "python_live"


@dataclass(frozen=True, slots=True)
class Growth:
    """A rate on both sides, and after less before; per call. `rests_on` says on what, in words."""

    before: float
    after: float
    difference: Mean
    rests_on: str


def growth(before: JudgedRun, after: JudgedRun, series: str) -> Growth | None:
    """How fast `series` grows in two single runs; None where there are too few readings."""
    if series == COLLECTED_ONLY:
        return _by_collections(before.run, after.run, series)
    measured = _by_floors(before.run, after.run, series)
    if measured is None or not any(goes_by_collections(each, series) for each in (before, after)):
        return measured
    left = _by_collections(before.run, after.run, series)
    if left is None:
        return measured
    return Growth(
        left.before,
        left.after,
        _corrected(measured.difference, left.difference.value),
        tr("{rests_on}, corrected by what gc.collect() leaves", rests_on=measured.rests_on),
    )


def _corrected(floors_say: Mean, value: float) -> Mean:
    """`value`, with the interval of the floors stretched until it reaches to their own."""
    half = floors_say.half_width + abs(value - floors_say.value)
    return Mean(value, (half / student(floors_say.freedom)) ** 2, floors_say.freedom)


def rate(entry: JudgedRun, series: str, collected: bool) -> float | None:
    """The growth of `series` per call in one run, by collections or floors; None: too few."""
    if collected:
        left = remains(entry.run, series)
        return left.rate if left is not None else None
    steps = floor_steps(_judged(entry.run, series), entry.run.calls_per_sample)
    return float(steps.mean()) if steps is not None else None


def goes_by_collections(entry: JudgedRun, series: str) -> bool:
    """Whether the verdict's rate of this series is live memory, as collections leave it."""
    if series in KEPT_SERIES:
        return False
    trend = entry.verdict.trends.get(series)
    left = remains(entry.run, series)
    if trend is None or left is None:
        return False
    return (trend.rate, trend.rate_low) == (left.rate, min(left.pieces))


def floor_steps(heights: Floats, calls_per_sample: int) -> Floats | None:
    """The steps between the floors of eight blocks, per call (7,); None with too few samples.

    The first quarter of `heights` is left out, as by the verdict.
    """
    if len(heights) < FEWEST_SAMPLES:
        return None
    fine, width = fine_floors(heights[int(len(heights) * DISCARDED_SHARE) :])
    floor = floors(fine)
    steps: Floats = np.diff(floor) / (width * FINE_BLOCKS / len(floor) * calls_per_sample)
    return steps


def common_samples(before: Run, after: Run) -> tuple[Sequence[int], Sequence[int]] | None:
    """The places of the judged samples that come after the same calls in both runs.

    None where there are too few, or the calls between two samples are not the same: then the runs
    cannot be compared call by call.
    """
    if (before.calls_per_sample, before.collects) != (after.calls_per_sample, after.collects):
        return None
    places = [
        {run.calls[place]: place for place in range(run.judged_from, run.samples_done)}
        for run in (before, after)
    ]
    calls = [call for call in places[0] if call in places[1]]
    if len(calls) < FEWEST_SAMPLES:
        return None
    if any(later - sooner != before.calls_per_sample for sooner, later in pairwise(calls)):
        return None
    return [places[0][call] for call in calls], [places[1][call] for call in calls]


def _by_floors(before: Run, after: Run, series: str) -> Growth | None:
    if series not in before.samples or series not in after.samples:
        return None
    common = common_samples(before, after)
    if common is None:
        return _apart(before, after, series)
    steps = [
        floor_steps(_floats(run, series)[list(places)], run.calls_per_sample)
        for run, places in zip((before, after), common, strict=True)
    ]
    assert steps[0] is not None
    assert steps[1] is not None
    return Growth(
        float(steps[0].mean()),
        float(steps[1].mean()),
        mean_of((steps[1] - steps[0]).tolist()),
        tr(
            "the same {common:,} calls of one run each",
            common=len(common[0]) * before.calls_per_sample,
        ),
    )


def _apart(before: Run, after: Run, series: str) -> Growth | None:
    """Two runs whose samples stand at other calls, each by its own floors."""
    steps = [floor_steps(_judged(run, series), run.calls_per_sample) for run in (before, after)]
    if steps[0] is None or steps[1] is None:
        return None
    means = [mean_of(each.tolist()) for each in steps if each is not None]
    told = tr("one run each, by itself: their samples stand at other calls")
    return Growth(means[0].value, means[1].value, less(means[1], means[0]), told)


def _by_collections(before: Run, after: Run, series: str) -> Growth | None:
    points = [dict(collected_points(run, series)) for run in (before, after)]
    common = [call for call in points[0] if call in points[1]]
    pieces = [list(pairwise(common))] * 2
    told = tr("what gc.collect() left after the same calls of one run each")
    if len(pieces[0]) < _FEWEST_PIECES:
        pieces = [list(pairwise(calls)) for calls in points]
        told = tr("what gc.collect() left in one run each")
    if min(map(len, pieces)) < _FEWEST_PIECES:
        return None
    rates, spans = zip(*map(_rates, points, pieces), strict=True)
    means = [pooled(each, span) for each, span in zip(rates, spans, strict=True)]
    if pieces[0] == pieces[1]:
        apart = [later - sooner for sooner, later in zip(*rates, strict=True)]
        difference = pooled(apart, spans[0])
    else:
        difference = less(means[1], means[0])
    return Growth(means[0].value, means[1].value, difference, told)


def _rates(
    readings: dict[int, int], pieces: Sequence[tuple[int, int]]
) -> tuple[list[float], list[float]]:
    """The growth per call within each piece, and the calls it spans."""
    spans = [float(end - start) for start, end in pieces]
    gains = [readings[end] - readings[start] for start, end in pieces]
    return [gain / span for gain, span in zip(gains, spans, strict=True)], spans


def _judged(run: Run, series: str) -> Floats:
    return _floats(run, series)[run.judged_from :]


def _floats(run: Run, series: str) -> Floats:
    """The readings above the first: exact up to 2**53."""
    readings = np.asarray(run.samples.get(series, ())[: run.samples_done])
    heights: Floats = (readings - readings[:1]).astype(float)
    return heights
