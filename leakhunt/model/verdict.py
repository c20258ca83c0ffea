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
    there are too few samples. `net` is last less first sample. `rate_in_bytes`, of blocks: their
    bytes per call that full collections leave; None: not read.
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
    rate_in_bytes: float | None = None

    @property
    def rises_undecided(self) -> bool:
        """Whether it grows by more than is tolerated, and only its shape is open."""
        return self.status is Status.INCONCLUSIVE and (self.rate_low or 0.0) > self.tolerance


class Outlook(StrEnum):
    """What becomes of the memory that a limit is about."""

    KILLED = mark("killed by the limit")
    EXCEEDED = mark("over the limit")
    AT_PACE = mark("reaches the limit at this pace")
    SLOWING = mark("slowing down")
    LEVELLED = mark("levelled off")
    NOT_WITHIN = mark("not within the calls foreseen")
    UNKNOWN = mark("unknown")


@dataclass(frozen=True, slots=True)
class KillForecast:
    """Whether and when the process is killed: by the series that its killer counts.

    `series` is what counts against the limit, whatever the memory is kept for; `limit` names what
    sets the limit, which stands at `limit_bytes`. `used_bytes` is what the series was at the end,
    `headroom_bytes` what is left. Calls are counted from the end of the run: `calls` by the model
    that foresaw the last part of the run best, `calls_soonest` and `calls_latest` (90 %) by all
    `models` that are not ruled out; `calls_latest` is None where one of them never gets there.
    Where the limit is not met, `calls_soonest` is how far that was foreseen. Of a run that is over
    its limit, `calls` are those that it took. `warns`: it is no leak that fills the limit.
    """

    outlook: Outlook
    series: str
    limit: str
    limit_bytes: int | None
    used_bytes: int | None
    headroom_bytes: int | None
    calls: int | None
    calls_soonest: int | None
    calls_latest: int | None
    seconds: float | None
    models: tuple[str, ...]
    warns: bool
    sentence: Text

    def comes_within(self, calls: int) -> bool:
        """Whether the memory may be used up before so many calls."""
        if self.outlook not in (Outlook.AT_PACE, Outlook.SLOWING):
            return self.outlook in (Outlook.KILLED, Outlook.EXCEEDED)
        return self.calls_soonest is not None and self.calls_soonest < calls


@dataclass(frozen=True, slots=True)
class Verdict:
    """What can be said of a run.

    `kind` is its class, `also` the further ones that hold as well; `sentence` says it all in words.
    `trends` has every judged series. `calls_needed`: as for a trend. `forecast` has a sentence of
    its own, on whether the process is killed.
    """

    status: Status
    kind: Kind
    also: tuple[Kind, ...]
    sentence: Text
    trends: Mapping[str, Trend]
    calls_needed: int | None = None
    forecast: KillForecast | None = None

    @property
    def warns(self) -> bool:
        """Whether it is no leak, and memory fills the limit all the same."""
        return self.forecast is not None and self.forecast.warns
