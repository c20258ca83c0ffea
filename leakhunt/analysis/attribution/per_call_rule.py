"""The rule of N: what grows by the same in every stretch of calls is kept by the calls. Pure.

The watched calls are a prime number, cut into stretches of different lengths. A site that keeps
exactly k blocks per call comes to k times the length of each stretch: one-off buffers, a late step
or a cache that has filled do not, whatever else moves. What is kept in one call of ten cannot be
exact; it must grow in every stretch, at rates that chance explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

# Between the slowest and the fastest stretch of what is kept steadily, beside what chance does.
LEAST_SHARE = 0.5
# Of rare events, fewer than this in all say nothing.
FEWEST_EVENTS = 6
# How many standard deviations of a count of events a stretch may be away from the mean.
_DEVIATIONS = 3.0


@dataclass(frozen=True, slots=True)
class RetainedPerCall:
    """`per_call` blocks (or bytes) stay; `exact`: the same whole number in every stretch."""

    per_call: float
    exact: bool


def retained(calls: Sequence[int], amounts: Sequence[int]) -> RetainedPerCall | None:
    """What of a count stays per call, from the counts at marks after so many `calls`; else None."""
    spans = [later - earlier for earlier, later in pairwise(calls)]
    growth = [later - earlier for earlier, later in pairwise(amounts)]
    total, length = sum(growth), sum(spans)
    if not spans or min(spans) <= 0 or min(growth) <= 0:
        return None
    if all(gain == (total // length) * span for gain, span in zip(growth, spans, strict=True)):
        return RetainedPerCall(total // length, exact=True)
    if total < FEWEST_EVENTS:
        return None
    rate = total / length
    for gain, span in zip(growth, spans, strict=True):
        expected = rate * span
        chance = _DEVIATIONS * sqrt(expected)
        if not LEAST_SHARE * expected - chance <= gain <= expected / LEAST_SHARE + chance:
            return None
    return RetainedPerCall(rate, exact=False)
