"""Whether a variant still returns what the reference returns, and by how much not.

A remedy that changes the results is not a remedy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from leakhunt.model.report import Difference
from leakhunt.model.run import Run

Interval = Sequence[float]
# Above this a sum of intervals could be infinite, which no report can hold.
_MAX_MILLISECONDS = 1e290


def difference(reference: Run, run: Run) -> Difference | None:
    """`run`'s results against `reference`'s, over the calls both finished; None without any.

    Where a summary is no list of intervals though it should be, that call is compared as it is, and
    no amount is told: one over the other calls alone would look like that of all.
    """
    calls = sorted(reference.results.keys() & run.results.keys())
    if not calls:
        return None
    pairs = [(reference.results[call], run.results[call]) for call in calls]
    if run.plan.result_kind != "intervals":
        return Difference(len(pairs), sum(expected != found for expected, found in pairs))
    apart = [disagreement(*pair) for pair in pairs if all(map(_are_intervals, pair))]
    others = [pair for pair in pairs if not all(map(_are_intervals, pair))]
    differing = sum(milliseconds > 0 for milliseconds in apart)
    if others:
        return Difference(len(pairs), differing + sum(one != other for one, other in others))
    return Difference(
        compared=len(pairs),
        differing=differing,
        worst=max(apart),
        total=sum(apart),
        reference_total=sum(_covered(expected) for expected, _ in pairs),
    )


def _are_intervals(summary: Any) -> bool:
    return isinstance(summary, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(map(_is_number, pair)) for pair in summary
    )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _MAX_MILLISECONDS


def disagreement(left: Sequence[Interval], right: Sequence[Interval]) -> float:
    """The time that exactly one of two lists of [start, end] covers; in their unit."""
    return _covered(left) + _covered(right) - 2 * _overlap(_merged(left), _merged(right))


def _covered(intervals: Sequence[Interval]) -> float:
    return sum(end - start for start, end in _merged(intervals))


def _merged(intervals: Sequence[Interval]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for start, end in sorted((float(start), float(end)) for start, end in intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _overlap(left: list[tuple[float, float]], right: list[tuple[float, float]]) -> float:
    total = 0.0
    one = other = 0
    while one < len(left) and other < len(right):
        start = max(left[one][0], right[other][0])
        end = min(left[one][1], right[other][1])
        total += max(end - start, 0.0)
        if left[one][1] < right[other][1]:
            one += 1
        else:
            other += 1
    return total
