"""A against B in turns, A/B/B/A: the order of everything that is measured beside something else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

_Side = TypeVar("_Side")


def interleaved(
    first: _Side, second: _Side, pairs: int, start: int = 1
) -> Iterator[tuple[int, _Side]]:
    """The number of the round, from `start` on, and the side that is measured next in it.

    Odd pairs begin with `first`, even ones with `second`, so that a machine that slows down slows
    down both:

        for turn, plan in interleaved(before, after, pairs=3):
            carry(plan, f"{plan.role}-{turn}")
    """
    for turn in range(start, start + pairs):
        for side in (first, second) if turn % 2 else (second, first):
            yield turn, side
