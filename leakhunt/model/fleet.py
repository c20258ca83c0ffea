"""The nouns of ``analyze``: what the memory of each instance of a fleet does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from leakhunt.model.verdict import Verdict
from leakhunt.text.language import mark
from leakhunt.text.message import Text


class Course(StrEnum):
    """What memory does that is seen from outside."""

    GROWS = mark("grows")
    SLOWING = mark("growth slows down")
    LEVELLED = mark("levelled off")
    LEVEL = mark("level")
    UNDECIDED = mark("inconclusive")
    TOO_SHORT = mark("too few samples")


@dataclass(frozen=True, slots=True)
class FleetCurve:
    """A curve for a report: seconds since its first point, and bytes."""

    seconds: Sequence[float]
    sizes: Sequence[int]


@dataclass(frozen=True, slots=True)
class JudgedInstance:
    """What can be said of one instance.

    `rate` is growth in bytes per second within lives, `rate_low` and `rate_high` one-sided 99 %
    bounds. `seconds_left` is the time until the limit, from the last sample, `seconds_soonest` and
    `seconds_latest` its bounds; None: it is not foreseen, or there is no limit. `restarts` were
    found in the curve. `level_after_seconds`: it rose for so long, and was level from there on.
    """

    instance: str
    course: Course
    verdict: Verdict
    points: int
    samples: int
    span_seconds: float
    step_seconds: float
    restarts: int
    first_bytes: int
    last_bytes: int
    peak_bytes: int
    limit_bytes: int | None
    rate: float | None
    rate_low: float | None
    rate_high: float | None
    level_after_seconds: float | None
    seconds_left: float | None
    seconds_soonest: float | None
    seconds_latest: float | None
    caveats: tuple[Text, ...]
    curve: FleetCurve


@dataclass(frozen=True, slots=True)
class FleetReport:
    """What ``analyze`` found: the instances, that which is out of memory first before the rest."""

    source: str
    generator: str
    instances: tuple[JudgedInstance, ...]
    caveats: tuple[Text, ...] = ()

    def count(self, *courses: Course) -> int:
        """How many instances do so."""
        return sum(each.course in courses for each in self.instances)
