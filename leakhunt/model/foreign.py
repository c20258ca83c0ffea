"""A series of memory that something else has measured, as it was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leakhunt.text.message import Text


@dataclass(frozen=True, slots=True)
class MeasuredSeries:
    """The memory of one instance over time.

    `seconds` are times (Unix, or since a start of the source's own) in order, one for each stretch
    of `step_seconds`; `floors` the least memory in each stretch, in bytes, `peaks` the highest.
    `last_bytes` is the last value. `points` were read, of which `left_out` were no number.
    `labels` are what its source says of it. `starts`: when its processes started, in order, where
    that is told; of the time before the first it is not.
    """

    instance: str
    seconds: Sequence[float]
    floors: Sequence[int]
    peaks: Sequence[int]
    step_seconds: float
    last_bytes: int
    points: int
    left_out: int
    limit_bytes: int | None = None
    labels: Mapping[str, str] | None = None
    starts: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class MeasuredFleet:
    """The series of a source, with what is to be said of how they were read."""

    source: str
    series: tuple[MeasuredSeries, ...]
    caveats: tuple[Text, ...] = ()
