"""What one column of samples is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leakhunt.text.language import mark


class Unit(StrEnum):
    """What one number of a series counts."""

    BYTES = mark("bytes")
    BLOCKS = mark("blocks")
    COUNT = mark("count")
    NANOSECONDS = mark("ns")


@dataclass(frozen=True, slots=True)
class Series:
    """One column of the samples: a name, a unit, what it means and what it cannot see."""

    name: str
    unit: Unit
    title: str
    blind_to: str
