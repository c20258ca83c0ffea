"""What can be said of a run, and of each of its series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from leakhunt.model.kinds import Kind
from leakhunt.model.series import Unit
from leakhunt.text.language import mark
from leakhunt.text.message import Text


class Status(StrEnum):
    """What can be said of a series, or of a run as a whole."""

    LEAK = mark("leak")
    NO_LEAK = mark("no_leak")
    INCONCLUSIVE = mark("inconclusive")


class Shape(StrEnum):
    """What a curve looks like; each label is right about nine times in ten on known curves."""

    FLAT = mark("flat")
    WARM_UP = mark("warm-up")
    FILLING_CACHE = mark("filling cache")
    ONE_OFF_STEP = mark("one-off step")
    RETENTION = mark("retention")
    SAWTOOTH = mark("sawtooth")
    LINEAR = mark("linear")
    STEPWISE = mark("stepwise")
    LATE_START = mark("late start")
    ACCELERATING = mark("accelerating")
    UNLABELLED = mark("unlabelled")


@dataclass(frozen=True, slots=True)
class Trend:
    """What one series does; figures are in the series' unit per call.

    `rate_low` and `rate_high` are one-sided 99 % bounds. `upper_bound` is what a leak can be at
    most ("no leak above"), at the stricter level that interim checks require. `detection_limit` is
    the leak that this series finds with 95 % power. `slowest_warm_up`: a leak's curve may also be a
    warm-up whose time constant is above that number of calls. `level_after`: a series that is no
    leak rose for so many calls of the judged part, and was level from there on. `calls_needed`:
    further calls until the verdict, where the status is inconclusive. All of them are None when
    there are too few samples. `net` is last less first sample.
    """

    series: str
    unit: Unit
    status: Status
    shape: Shape
    samples: int
    tolerance: float
    net: int | float | None
    rate: float | None
    rate_low: float | None
    rate_high: float | None
    upper_bound: float | None
    detection_limit: float | None
    calls_needed: int | None
    reason: Text
    slowest_warm_up: float | None = None
    level_after: float | None = None

    @property
    def rises_undecided(self) -> bool:
        """Whether it grows by more than is tolerated, and only its shape is open."""
        return self.status is Status.INCONCLUSIVE and (self.rate_low or 0.0) > self.tolerance


@dataclass(frozen=True, slots=True)
class Forecast:
    """When the memory runs out if it grows on like this.

    `limit` names what stands in the way and `limit_bytes` says where. The calls are counted from
    the end of the run; `calls_latest` is None where the lower bound of the rate is no growth.
    """

    limit: str
    limit_bytes: int
    calls: int
    calls_soonest: int
    calls_latest: int | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What can be said of a run.

    `kind` is its class, `also` the further ones that hold as well; `sentence` says it all in words.
    `trends` has every judged series. `calls_needed`: as for a trend.
    """

    status: Status
    kind: Kind
    also: tuple[Kind, ...]
    sentence: Text
    trends: Mapping[str, Trend]
    calls_needed: int | None = None
    forecast: Forecast | None = None
