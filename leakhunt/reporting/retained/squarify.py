"""Rectangles of given areas that fill a rectangle, none long and thin. Pure.

Squarified treemaps: Bruls, Huizing and van Wijk, 2000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle: its lower left corner, its width and its height."""

    x: float
    y: float
    width: float
    height: float

    def inset(self, margin: float, top: float = 0.0) -> Tile:
        """The rectangle inside, `top` more away from the upper edge."""
        return Tile(
            self.x + margin,
            self.y + margin,
            max(self.width - 2 * margin, 0.0),
            max(self.height - 2 * margin - top, 0.0),
        )


def squarified(sizes: Sequence[float], whole: Tile) -> list[Tile]:
    """A tile for each size (falling, above 0), from the upper left; together they fill `whole`."""
    total = sum(sizes)
    if total <= 0 or whole.width <= 0 or whole.height <= 0:
        return [Tile(whole.x, whole.y, 0.0, 0.0) for _ in sizes]
    areas = [size / total * whole.width * whole.height for size in sizes]
    tiles: list[Tile] = []
    left, at = whole, 0
    while at < len(areas):
        side = min(left.width, left.height)
        end = at + 1
        while end < len(areas) and _worst(areas[at : end + 1], side) <= _worst(areas[at:end], side):
            end += 1
        row, left = _row(areas[at:end], left)
        tiles += row
        at = end
    return tiles


def _worst(row: Sequence[float], side: float) -> float:
    """How far the longest tile of a row along a side is from a square."""
    total = sum(row)
    return max(
        max(side * side * area / (total * total), total * total / (side * side * area))
        for area in row
    )


def _row(areas: Sequence[float], left: Tile) -> tuple[list[Tile], Tile]:
    """A row along the shorter side, and what is left."""
    total = sum(areas)
    row = []
    if left.width >= left.height:
        width = total / left.height
        top = left.y + left.height
        for area in areas:
            top -= area / width
            row.append(Tile(left.x, top, width, area / width))
        rest = Tile(left.x + width, left.y, max(left.width - width, 0.0), left.height)
    else:
        height = total / left.width
        x, y = left.x, left.y + left.height - height
        for area in areas:
            row.append(Tile(x, y, area / height, height))
            x += area / height
        rest = Tile(left.x, left.y, left.width, max(left.height - height, 0.0))
    return row, rest
