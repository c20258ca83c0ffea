"""A soak whose samples stand at even distances, so that all of it can be judged. Pure.

A long soak takes its samples ever further apart, so that 72 hours stay a few thousand samples. A
trend needs one distance. Judging the last segment alone would leave out half of the soak, so the
earlier, denser segments are thinned to the distance of the last one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from leakhunt.model.run import Phase, Purpose, Reading, ReadProcess, Run
from leakhunt.model.series import P50, P95, P99, SERIES

# A quantile of all requests lies between those of their parts. A maximum would make the denser part
# of a soak, of which more is left out, look slower than the rest.
_QUANTILES = (P50, P95, P99)


def resampled(run: Run) -> Run:
    """`run` with one distance between its judged samples; itself if it is no soak, or is even.

    Of the denser samples those are kept that stand nearest to every `calls_per_sample` requests of
    the sparsest phase, counted back from where that began. Counts and times since the sample before
    go to the next sample kept; quantiles become the median of what they stand for, by requests.
    Readings keep their place, phases become one.
    """
    first = run.judged_from
    judged = [
        phase
        for phase in run.phases
        if phase.purpose is Purpose.JUDGED and first <= phase.first_sample < run.samples_done
    ]
    if not run.plan.is_of_a_service or len({phase.calls_per_sample for phase in judged}) < 2:
        return run
    each = max(phase.calls_per_sample for phase in judged)
    sparse = _sparse_from(judged, each, run.samples_done)
    retained = [*range(first), *_nearest(run.calls, first, sparse, each)]
    retained += range(sparse, run.samples_done)
    # Samples before the first one kept are part of it, those after the last one kept of none.
    ends = [0, *(place + 1 for place in retained)]
    whole = Phase(
        first, len(retained) - first, Purpose.JUDGED, each, judged[-1].collects, judged[-1].pauses
    )
    return replace(
        run,
        samples={name: _merged(run, name, ends) for name in run.samples},
        calls=array("q", (run.calls[place] for place in retained)),
        phases=(*(phase for phase in run.phases if phase.first_sample < first), whole),
        readings=tuple(_moved(reading, ends) for reading in run.readings),
        processes=tuple(_thinned(each, retained, ends) for each in run.processes),
        routes=tuple(
            replace(each, counts=array("q", (each.counts[place] for place in retained)))
            for each in run.routes
        ),
    )


def distance(run: Run) -> float:
    """Calls between two judged samples: those of the plan, or of a soak the mean of what came.

    With many users at once a sample comes some requests later than was asked for.
    """
    first, last = run.judged_from, run.samples_done - 1
    if run.plan.load is None or last <= first:
        return float(run.calls_per_sample)
    return (run.calls[last] - run.calls[first]) / (last - first)


def _sparse_from(judged: Sequence[Phase], each: int, samples: int) -> int:
    """The first of the samples at the end that are all taken at the largest distance."""
    begin = samples
    for phase in reversed(judged):
        if phase.calls_per_sample != each:
            break
        begin = min(phase.first_sample, samples)
    return begin


def _nearest(calls: Sequence[int], first: int, end: int, each: int) -> list[int]:
    """Of the places from `first` to before `end`, those nearest to a grid that ends with the last.

    A place that is nearest to two points of the grid is there once.
    """
    if first >= end:
        return []
    points = range(calls[end - 1], calls[first] - 1, -each)
    return sorted({_place(calls, point, first, end) for point in points})


def _place(calls: Sequence[int], point: int, first: int, end: int) -> int:
    after = min(bisect_left(calls, point, first, end), end - 1)
    before = max(after - 1, first)
    return before if point - calls[before] <= calls[after] - point else after


def _merged(run: Run, name: str, ends: Sequence[int]) -> Sequence[int]:
    """One value for each segment of samples between `ends`."""
    values = run.samples[name]
    if name in SERIES and SERIES[name].is_summed:  # a sample left out belongs to the next one
        return array("q", (sum(values[begin:end]) for begin, end in pairwise(ends)))
    if name in _QUANTILES:
        return array("q", (_middle(values, run.calls, begin, end) for begin, end in pairwise(ends)))
    return array("q", (values[end - 1] for end in ends[1:]))


def _middle(values: Sequence[int], calls: Sequence[int], begin: int, end: int) -> int:
    """The median of `values[begin:end]`, each as often as it stands for requests."""
    if end - begin == 1:
        return values[begin]
    weights = [calls[place] - (calls[place - 1] if place else 0) for place in range(begin, end)]
    half, cumulative = sum(weights) / 2, 0
    for value, weight in sorted(zip(values[begin:end], weights, strict=True)):
        cumulative += weight
        if cumulative >= half:
            return value
    return values[end - 1]


def _thinned(each: ReadProcess, retained: Sequence[int], ends: Sequence[int]) -> ReadProcess:
    """A process with its rows of the kept samples only."""
    order = {place: kept for kept, place in enumerate(retained)}
    old = each.samples
    rows = [row for row, place in enumerate(old.places) if place in order]
    samples = replace(
        old,
        places=[order[old.places[row]] for row in rows],
        lives=[old.lives[row] for row in rows],
        samples={name: [values[row] for row in rows] for name, values in old.samples.items()},
    )
    return ReadProcess(samples, tuple(_moved(reading, ends) for reading in each.readings))


def _moved(reading: Reading, ends: Sequence[int]) -> Reading:
    """The reading, after the last of the kept samples that it came after."""
    return replace(reading, sample=bisect_right(ends, reading.sample) - 1)
