"""What full collections leave: live memory without the garbage that waits for the collector.

Objects in cycles pile up between collections, so a clean service's heap rises. The readings just
after a collection are free of that: few, but without noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median_low

from leakhunt.amounts import Rate
from leakhunt.analysis.verdict.series import DISCARDED_SHARE, default_tolerance
from leakhunt.analysis.verdict.trend import MIN_LATER_SHARE
from leakhunt.model.plan import Work
from leakhunt.model.run import Run
from leakhunt.model.series import GARBAGE_OBJECTS, LIVE_HEAP, PYTHON_LIVE, SERIES, Unit
from leakhunt.model.verdict import Shape, Status, Trend
from leakhunt.text.message import Text, joined, message

_COLLECTED_STEPS = ("look_collected", "collected")
# Before, within and after: fewer show no course.
_MIN_POINTS = 3
# What collections left is level if they left nothing in so much of the judged calls, at the end,
# after they had left something so often: rare events are not over because none came for a while.
_LEVEL_SHARE = 0.5
_MIN_GROWING_PIECES = 3
# The part of the tolerance that is clearly less than it.
_CLEARLY_LESS = 0.5
# Growth in each of this many segments between interim checks is a leak; each segment is half as
# long again as the one before.
_STEADY_PIECES = 4
# Garbage recurs from this number of objects per call on: what is made once leaves some as well.
_RECURRING_OBJECTS = 0.01


@dataclass(frozen=True, slots=True)
class Remains:
    """The growth per call that collections leave: over all judged calls, and between the readings.

    `pieces` are the rates between neighbouring readings, in order, each over so many calls of
    `spans`.
    """

    rate: float
    pieces: tuple[float, ...]
    spans: tuple[int, ...]

    def later(self, share: float) -> Remains:
        """From the last pieces on that span this share of the calls, as few as do."""
        first, calls = len(self.spans), 0
        while calls < share * sum(self.spans):
            first -= 1
            calls += self.spans[first]
        return self.since(first)

    def since(self, first: int) -> Remains:
        """From the piece `first` on."""
        pieces, spans = self.pieces[first:], self.spans[first:]
        grown = sum(piece * span for piece, span in zip(pieces, spans, strict=True))
        return Remains(grown / sum(spans), pieces, spans)


def remains(run: Run, name: str, first_sample: int | None = None) -> Remains | None:
    """What the collections of the judged part (or from `first_sample` on) left of `name`.

    None with fewer than three of them.
    """
    return remains_between(collected_points(run, name, first_sample))


def remains_between(points: Sequence[tuple[int, int]]) -> Remains | None:
    """`remains`, of calls made and reading after each collection; None with fewer than three."""
    spans = [(later[0] - earlier[0], later[1] - earlier[1]) for earlier, later in pairwise(points)]
    spans = [(calls, growth) for calls, growth in spans if calls > 0]
    if len(spans) < _MIN_POINTS - 1:
        return None
    calls, growth = (sum(column) for column in zip(*spans, strict=True))
    return Remains(
        growth / calls,
        tuple(growth / calls for calls, growth in spans),
        tuple(calls for calls, _ in spans),
    )


def collected_points(run: Run, name: str, first_sample: int | None = None) -> list[tuple[int, int]]:
    """Calls made and reading of `name` after each collection of the judged part, in order."""
    first = run.judged_from if first_sample is None else first_sample
    return [
        (run.calls[reading.sample - 1] if reading.sample else 0, reading.values[name])
        for reading in run.readings
        if reading.step in _COLLECTED_STEPS
        and first <= reading.sample <= run.samples_done
        and name in reading.values
    ]


def garbage_objects(run: Run) -> Remains | None:
    """The objects of cyclic garbage per call that all collections together have freed.

    None with fewer than three readings of it.
    """
    return remains_between(collected_points(run, GARBAGE_OBJECTS))


def leaves_cycles(run: Run) -> bool | None:
    """Whether the collector freed objects in cycles throughout the calls; None: not counted.

    What a collection frees beside is in the interpreter's free lists, which it empties.
    """
    points = collected_points(run, GARBAGE_OBJECTS)
    if len(points) < _MIN_POINTS:
        points = collected_points(run, GARBAGE_OBJECTS, first_sample=1)
    spans = [(later[0] - earlier[0], later[1] - earlier[1]) for earlier, later in pairwise(points)]
    rates = [objects / calls for calls, objects in spans if calls > 0]
    return median_low(rates) >= _RECURRING_OBJECTS if rates else None


def without_garbage(trend: Trend, run: Run) -> Trend:
    """`trend`, corrected by what the collections left, where they say something else."""
    if trend.status is Status.NO_LEAK:
        return trend
    if (in_bytes := _in_bytes(trend, run)) is not None:
        return in_bytes
    remaining = remains(run, trend.series)
    return trend if remaining is None else _corrected(trend, run, remaining)


def _corrected(trend: Trend, run: Run, remaining: Remains) -> Trend:
    rate = Rate(remaining.rate, trend.unit, run.plan.work)
    if max(remaining.pieces) <= trend.tolerance:
        return _not_live(trend, run, remaining, rate)
    after = _level_after(remaining, trend.tolerance) if garbage_matters(run) else None
    if after is not None:
        rest = remaining.since(after)
        reason = message(
            "verdict.left_nothing_more",
            "{rate} after gc.collect() since it is level",
            rate=Rate(rest.rate, trend.unit, run.plan.work),
        )
        level = _by_collections(trend, rest, Status.NO_LEAK, Shape.FILLING_CACHE, reason)
        return replace(level, level_after=sum(remaining.spans[:after]))
    if trend.status is Status.LEAK:
        return trend if run.collects else _leak_without_garbage(trend, remaining, run.plan.work)
    if not _is_steady(remaining, trend.tolerance):
        return trend
    reason = message(
        "verdict.left_every_time",
        "grows by {rate} after gc.collect(), at every interim check",
        rate=rate,
    )
    return _by_collections(trend, remaining, Status.LEAK, Shape.LINEAR, reason)


def _not_live(trend: Trend, run: Run, remaining: Remains, rate: Rate) -> Trend:
    """What rises between collections only: cycles, or memory that is free already."""
    if leaves_cycles(run) is False:
        free = message(
            "verdict.only_free_lists",
            "{rate} after gc.collect(): the rest is freed memory in Python's free lists",
            rate=rate,
        )
        return _by_collections(trend, remaining, Status.NO_LEAK, Shape.UNLABELLED, free)
    garbage = message(
        "verdict.only_garbage",
        "{rate} after gc.collect(): the rest is cyclic garbage between collections",
        rate=rate,
    )
    return _by_collections(trend, remaining, Status.NO_LEAK, Shape.SAWTOOTH, garbage)


def _level_after(remaining: Remains, tolerance: float) -> int | None:
    """The piece from which on nothing is left any more, if that is long enough; else None."""
    growing = [number for number, piece in enumerate(remaining.pieces) if piece > tolerance]
    if len(growing) < _MIN_GROWING_PIECES or growing[-1] == len(remaining.pieces) - 1:
        return None
    after = growing[-1] + 1
    return after if sum(remaining.spans[after:]) >= _LEVEL_SHARE * sum(remaining.spans) else None


def _leak_without_garbage(trend: Trend, remaining: Remains, work: Work) -> Trend:
    remaining = remaining.later(
        1 - DISCARDED_SHARE
    )  # what fills before is left out by the trend, too
    rate = Rate(remaining.rate, trend.unit, work)
    if (
        remaining.rate <= trend.tolerance
        or remaining.pieces[-1] < MIN_LATER_SHARE * remaining.pieces[0]
    ):
        reason = message(
            "verdict.left_slows_down",
            "grows by {rate} after gc.collect(), slowing down: warm-up or a filling cache",
            rate=rate,
        )
        return _by_collections(trend, remaining, Status.INCONCLUSIVE, Shape.UNLABELLED, reason)
    after = message("verdict.left_after_gc", "{rate} after gc.collect()", rate=rate)
    both = joined([trend.reason, after], "; ", "")
    return _by_collections(trend, remaining, Status.LEAK, trend.shape, both)


def _is_steady(remaining: Remains, tolerance: float) -> bool:
    """Whether growth was even over enough interim checks: garbage need not be waited out."""
    least, most = min(remaining.pieces), max(remaining.pieces)
    return (
        len(remaining.pieces) >= _STEADY_PIECES
        and least > tolerance
        and least >= MIN_LATER_SHARE * most
    )


def _by_collections(
    trend: Trend, left: Remains, status: Status, shape: Shape, reason: Text
) -> Trend:
    return replace(
        trend,
        status=status,
        shape=shape,
        rate=left.rate,
        rate_low=min(left.pieces),
        rate_high=max(left.pieces),
        upper_bound=max(*left.pieces, 0.0),
        detection_limit=None,  # that was about the noise between the collections
        calls_needed=trend.samples if status is Status.INCONCLUSIVE else None,
        reason=reason,
    )


def _in_bytes(trend: Trend, run: Run) -> Trend | None:
    """The trend of blocks that come to less than the tolerance in bytes; else None.

    That is no growth.
    """
    facts = SERIES.get(trend.series)
    if facts is None or not facts.in_bytes:
        return None
    remaining = remains(run, facts.in_bytes)
    if remaining is None:
        return None
    tolerance = default_tolerance(Unit.BYTES, run.calls_per_sample)
    if max(remaining.pieces) > tolerance:
        # What was more while it warmed up has to be clearly less since.
        remaining = remaining.later(_LEVEL_SHARE)
        if max(remaining.pieces) > _CLEARLY_LESS * tolerance:
            return None
    blocks = remains(run, trend.series) or remaining
    reason = message(
        "verdict.left_in_bytes",
        "grows by {rate} after gc.collect()",
        rate=Rate(max(remaining.rate, 0.0), Unit.BYTES, run.plan.work),
    )
    return _by_collections(trend, blocks, Status.NO_LEAK, Shape.UNLABELLED, reason)


def with_bytes(trend: Trend, run: Run) -> Trend:
    """`trend`, of blocks with what they come to in bytes, where that was read."""
    facts = SERIES.get(trend.series)
    left = remains(run, facts.in_bytes) if facts is not None and facts.in_bytes else None
    return trend if left is None else replace(trend, rate_in_bytes=max(left.rate, 0.0))


def garbage_matters(run: Run) -> bool:
    """Whether a collection at a check freed so much that it could hide a leak or look like one."""
    return any(
        before.get(facts.name, 0) - after.get(facts.name, 0) > facts.least_garbage
        for before, after in _looks(run)
        for facts in SERIES.values()
        if facts.least_garbage is not None
    )


def freed_by_collections(run: Run) -> int:
    """The most bytes of the live heap and of Python that a collection at a check freed."""
    names = (LIVE_HEAP, PYTHON_LIVE)
    freed = (
        sum(before.get(name, 0) - after.get(name, 0) for name in names)
        for before, after in _looks(run)
    )
    return max(freed, default=0)


def _looks(run: Run) -> Iterator[tuple[Mapping[str, int], Mapping[str, int]]]:
    """The readings before and after the collection at each check."""
    before = {r.sample: r.values for r in run.readings if r.step == "look"}
    after = {r.sample: r.values for r in run.readings if r.step == "look_collected"}
    return ((before[sample], after[sample]) for sample in before.keys() & after.keys())
