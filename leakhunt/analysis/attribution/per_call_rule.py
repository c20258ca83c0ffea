"""The rule of N: what grows by the same in every window of calls is kept by the calls. Pure.

The watched calls are a prime number, cut into windows of different lengths. A site that keeps
exactly k blocks per call comes to k times the length of each window: one-off buffers, a late step
or a cache that has filled do not, whatever else moves. What is kept in one call of ten cannot be
exact; it must grow in every window, at rates that chance explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

# Between the slowest and the fastest window of what is kept steadily, beside what chance does.
MIN_SHARE = 0.5
# Of rare events, fewer than this in all say nothing.
MIN_EVENTS = 6
# How many standard deviations of a count of events a window may be away from the mean.
_DEVIATIONS = 3.0


@dataclass(frozen=True, slots=True)
class RetainedPerCall:
    """`per_call` blocks (or bytes) stay; `exact`: the same whole number in every window."""

    per_call: float
    exact: bool


# Of what stays in short windows, so much must stay in the longest one, for each of its calls.
_LASTING_SHARE = 0.8


def lasting(calls: Sequence[int], amounts: Sequence[int]) -> RetainedPerCall | None:
    """The same of windows that were counted apart: what is replaced after a while does not count.

    What takes the place of older things stays in the short windows, and not in the longest.
    """
    found = retained(calls, amounts)
    if found is None or found.exact:
        return found
    spans = [later - earlier for earlier, later in pairwise(calls)]
    growth = [later - earlier for earlier, later in pairwise(amounts)]
    at = spans.index(max(spans))
    rest = sum(spans) - spans[at]
    rate = (sum(growth) - growth[at]) / rest if rest else 0.0
    chance = 0.0 if _is_even(spans, growth, at) else _DEVIATIONS * sqrt(rate * spans[at])
    return found if growth[at] >= _LASTING_SHARE * rate * spans[at] - chance else None


def rising(seconds: Sequence[int], amounts: Sequence[int]) -> RetainedPerCall | None:
    """What of a count stays per second, if there was more at each mark.

    The load on a process that is only watched differs from window to window.
    """
    growth = [later - earlier for earlier, later in pairwise(amounts)]
    if not growth or min(growth) <= 0 or seconds[-1] <= seconds[0]:
        return None
    return RetainedPerCall(sum(growth) / (seconds[-1] - seconds[0]), exact=False)


def _is_even(spans: Sequence[int], growth: Sequence[int], without: int) -> bool:
    """Whether all windows but one grew by the same whole number per call."""
    pairs = [pair for at, pair in enumerate(zip(spans, growth, strict=True)) if at != without]
    return all(gain * pairs[0][0] == pairs[0][1] * span for span, gain in pairs)


def retained(calls: Sequence[int], amounts: Sequence[int]) -> RetainedPerCall | None:
    """What of a count stays per call, from the counts at marks after so many `calls`; else None."""
    spans = [later - earlier for earlier, later in pairwise(calls)]
    growth = [later - earlier for earlier, later in pairwise(amounts)]
    total, length = sum(growth), sum(spans)
    if not spans or min(spans) <= 0 or min(growth) <= 0:
        return None
    if all(gain == (total // length) * span for gain, span in zip(growth, spans, strict=True)):
        return RetainedPerCall(total // length, exact=True)
    if total < MIN_EVENTS:
        return None
    rate = total / length
    for gain, span in zip(growth, spans, strict=True):
        expected = rate * span
        chance = _DEVIATIONS * sqrt(expected)
        if not MIN_SHARE * expected - chance <= gain <= expected / MIN_SHARE + chance:
            return None
    return RetainedPerCall(rate, exact=False)
