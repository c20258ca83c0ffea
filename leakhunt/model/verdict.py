"""What follows from runs: trends, verdicts, ledgers, costs, and the report that holds them all.

Nouns, as those of `model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from leakhunt.model.attribution import Attribution, Ceiling, RemedyTrial
from leakhunt.model.claims import JudgedClaim
from leakhunt.model.run import Kind, Run, Unit
from leakhunt.text.language import mark


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
    most ("no leak above"), at the stricter level that looking several times asks for. `detectable`
    is the leak that this series would have shown with 95 %. `slowest_warm_up`: a leak's curve may
    also be a warm-up whose time constant is above so many calls. `calls_needed` is how many more
    calls would decide, where the status is inconclusive. All of them are None when there are too
    few samples to say. `net` is last less first sample.
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
    detectable: float | None
    calls_needed: int | None
    reason: str
    slowest_warm_up: float | None = None

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
    sentence: str
    trends: Mapping[str, Trend]
    calls_needed: int | None = None
    forecast: Forecast | None = None


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """Part of the growth in RSS: bytes (may be negative) and what kind of memory it is."""

    name: str
    title: str
    size_bytes: int
    explanation: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where the growth in RSS from before the first call to after the last one went.

    The sizes of `lines` add up to `growth_bytes` exactly; the last line is the unexplained rest.
    `complete` is False when the worker did not live to settle, so that fewer lines can be told
    apart. `peak_bytes` is the highest RSS of the worker's life; `anonymous_bytes` is the memory
    that no file backs, before the first call and after the last.
    """

    growth_bytes: int
    lines: tuple[LedgerLine, ...]
    complete: bool
    peak_bytes: int | None
    anonymous_bytes: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A variant's results against the reference's, call by call.

    `worst` and `total` are milliseconds for results of kind ``intervals`` (time that one of the two
    counts as speech and the other does not), else None. `reference_total` is the reference's own
    time inside intervals.
    """

    compared: int
    differing: int
    worst: float | None = None
    total: float | None = None
    reference_total: float | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds per call after the warm-up: median and quartiles, and the ratio to the reference."""

    median_seconds: float
    lower_quartile_seconds: float
    upper_quartile_seconds: float
    ratio: float | None


@dataclass(frozen=True, slots=True)
class Landing:
    """Whether the load on a service really landed, over the judged part of a soak.

    `failed` of `requests` got no answer, or a wrong one. Requests a second in the first and in the
    last third; seconds that half, 95 % and 99 % of the requests took at most, each the median over
    the samples. `errors` are what failed requests said, with how often, most first.
    """

    requests: int
    failed: int
    first_per_second: float
    last_per_second: float
    half_seconds: float
    p95_seconds: float
    p99_seconds: float
    errors: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """A run with all that follows from it. None: it cannot be told from what was recorded."""

    run: Run
    verdict: Verdict
    ledger: Ledger | None
    difference: Difference | None
    cost: Cost | None
    attribution: Attribution | None = None
    ceiling: Ceiling | None = None
    landing: Landing | None = None

    @property
    def variant(self) -> str:
        """The variant's name."""
        return self.run.plan.variant


@dataclass(frozen=True, slots=True)
class Report:
    """What a renderer gets. The first of `entries` is the reference if it was run.

    `trials` are the remedies that were tried, before against after. `claims` are those that were
    checked on these runs (`leakhunt claims`).
    """

    title: str
    entries: tuple[JudgedRun, ...]
    command: str
    generator: str
    trials: tuple[RemedyTrial, ...] = ()
    claims: tuple[JudgedClaim, ...] = ()
