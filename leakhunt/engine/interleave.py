"""A against B in turns, A/B/B/A: the order of everything that is measured beside something else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    return in_turns((first, second), pairs, start)


def in_turns(sides: Sequence[_Side], rounds: int, start: int = 1) -> Iterator[tuple[int, _Side]]:
    """The same of any number of sides: there in odd rounds, and back in even ones."""
    for turn in range(start, start + rounds):
        for side in sides if turn % 2 else reversed(sides):
            yield turn, side
