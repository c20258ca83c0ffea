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

from leakhunt.analysis.comparison.intervals import Mean, less, mean_of, pooled
from leakhunt.analysis.student import student
from leakhunt.model.baseline import GrowthCourse, Profile
from leakhunt.model.plan import Work
from leakhunt.model.series import SERIES
from leakhunt.text.message import Text, message

_APART = {
    Work.CALL: message(
        "comparison.runs-apart",
        "one run each, compared by their own bounds: samples at different calls",
    ),
    Work.REQUEST: message(
        "comparison.soaks-apart",
        "one soak each, compared by their own bounds: requests have no common order",
    ),
    Work.SECOND: message(
        "comparison.visits-apart",
        "one visit each, compared by their own bounds: nothing says what the process did",
    ),
}
# A rate between two collections says nothing of its own spread.
_MIN_PIECES = 2


@dataclass(frozen=True, slots=True)
class Growth:
    """A rate on both sides, and after less before; per call. `rests_on` says on what."""

    before: float
    after: float
    difference: Mean
    rests_on: Text


def growth(before: Profile, after: Profile, series: str) -> Growth | None:
    """How fast `series`, which both have, grows in two single runs; None: too few readings."""
    courses = (before.courses[series], after.courses[series])
    if not SERIES[series].is_sampled:
        return _by_collections(*courses)
    measured = _by_floors(before, after, series)
    if measured is None or not any(course.by_collections for course in courses):
        return measured
    collected = _by_collections(*courses)
    if collected is None:
        return measured
    return Growth(
        collected.before,
        collected.after,
        _corrected(measured.difference, collected.difference.value),
        message(
            "comparison.corrected",
            "{rests_on}, corrected for cyclic garbage",
            rests_on=measured.rests_on,
        ),
    )


def _corrected(floors: Mean, value: float) -> Mean:
    """`value`, with the interval of the floors stretched until it reaches to their own."""
    half = floors.half_width + abs(value - floors.value)
    return Mean(value, (half / student(floors.freedom)) ** 2, floors.freedom)


def _by_floors(before: Profile, after: Profile, series: str) -> Growth | None:
    """Block by block where both are about the same calls, else each by its own floors."""
    steps = [each.courses[series].steps for each in (before, after)]
    if not all(steps):
        return None
    means = [mean_of(each) for each in steps]
    if before.calls is None or not before.pairs_with(after):
        difference = less(means[1], means[0])
        return Growth(means[0].value, means[1].value, difference, _APART[before.work])
    apart = [later - sooner for sooner, later in zip(*steps, strict=True)]
    common = len(before.calls) * before.calls_per_sample
    rests_on = message(
        "comparison.same-calls", "the same {common:,} calls of one run each", common=common
    )
    return Growth(means[0].value, means[1].value, mean_of(apart), rests_on)


def _by_collections(before: GrowthCourse, after: GrowthCourse) -> Growth | None:
    points = [dict(course.points) for course in (before, after)]
    common = [call for call in points[0] if call in points[1]]
    pieces = [list(pairwise(common))] * 2
    rests_on = message(
        "comparison.same-collections",
        "live after gc.collect(), the same calls of one run each",
    )
    if len(pieces[0]) < _MIN_PIECES:
        pieces = [list(pairwise(calls)) for calls in points]
        rests_on = message("comparison.collections", "live after gc.collect(), one run each")
    if min(map(len, pieces)) < _MIN_PIECES:
        return None
    rates, spans = zip(*map(_rates, points, pieces), strict=True)
    means = [pooled(each, span) for each, span in zip(rates, spans, strict=True)]
    if pieces[0] == pieces[1]:
        apart = [later - sooner for sooner, later in zip(*rates, strict=True)]
        difference = pooled(apart, spans[0])
    else:
        difference = less(means[1], means[0])
    return Growth(means[0].value, means[1].value, difference, rests_on)


def _rates(
    readings: dict[int, int], pieces: Sequence[tuple[int, int]]
) -> tuple[list[float], list[float]]:
    """The growth per call within each piece, and the calls it spans."""
    spans = [float(end - start) for start, end in pieces]
    gains = [readings[end] - readings[start] for start, end in pieces]
    return [gain / span for gain, span in zip(gains, spans, strict=True)], spans
