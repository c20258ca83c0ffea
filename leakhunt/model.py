"""The nouns. Frozen, standard library only, no behaviour beyond looking things up.

A `Plan` is carried out by a worker process, which leaves a `Run`; from a run alone come its
`Verdict` and its `Ledger`; several of them make a `Report`, the only argument of a renderer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from leakhunt.findings import Attribution, Ceiling, Finding, Instrument, RemedyTrial
from leakhunt.language import mark


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


class Kind(StrEnum):
    """What a run as a whole is: who grew, or why nothing did."""

    PYTHON_LEAK = mark("leak in Python")
    NATIVE_LEAK = mark("leak in native code")
    CUDA_LEAK = mark("leak in CUDA")
    MAPPING_GROWTH = mark("mapping growth outside malloc and Python")
    RESOURCE_GROWTH = mark("descriptors, threads or children growing")
    BOUNDED_CACHE = mark("bounded cache")
    ALLOCATOR_RETENTION = mark("allocator retention")
    CUDA_RETENTION = mark("CUDA caching or fragmentation")
    GARBAGE = mark("cyclic garbage only")
    CLEAN = mark("clean")
    INCONCLUSIVE = mark("inconclusive")
    KILLED = mark("killed while growing")

    @property
    def is_leak(self) -> bool:
        """Whether something grows for good."""
        return self in _LEAKS


_LEAKS = (
    Kind.PYTHON_LEAK,
    Kind.NATIVE_LEAK,
    Kind.CUDA_LEAK,
    Kind.MAPPING_GROWTH,
    Kind.RESOURCE_GROWTH,
)


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of calling the workload. `devices` are those it makes sense on.

    Where the truth about it is known, `expect` is what a right verdict says (any of them), `rate`
    the growth a call, in bytes or a count of what grows, `culprit` what the first suspect must name
    (part of a chain or of a line) and `cause` the id of its known cause.
    """

    name: str
    function: str
    summary: str
    devices: tuple[str, ...]
    expect: tuple[Kind, ...] = ()
    rate: float = 0
    culprit: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """A setting of a scenario: `default` and, where only some words are allowed, `choices`."""

    name: str
    default: str
    choices: tuple[str, ...]
    help: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """A workload, as read from its file without running it. The first variant is the reference."""

    name: str
    file: str
    summary: str
    variants: tuple[Variant, ...]
    options: tuple[Option, ...]
    devices: tuple[str, ...]
    extra: str | None
    requires: tuple[str, ...]
    result_kind: str
    default_calls: int | None
    prepares: bool
    tells_audio: bool = False


class Role(StrEnum):
    """What a run is for: a verdict, or to verify a ceiling or a remedy."""

    MEASURE = mark("measure")
    CEILING = mark("ceiling")
    BEFORE = mark("before")
    AFTER = mark("after")


@dataclass(frozen=True, slots=True)
class Plan:
    """What one worker does. Everything that decides the readings is in here.

    `calls` is a number that is kept to, of which the first `warmup` are not judged; None: as many
    as the verdict needs, and with `resolve` until it is no longer inconclusive. `calls_per_sample`
    is None where it is chosen by how long a call takes; `collect` says whether a full collection
    comes before each reading: ``always``, ``never`` or ``auto``.

    `source` is how the scenario is named on the command line: a built-in one's name, or a file's
    name without its folders, which are nobody else's business. `instrument` is what watches the
    run, whose memory is then not judged; `environment` are variables that the worker is started
    with, beside its own. `role` is what the run is for; of a `remedy` that is tried, there are
    rounds of a run before and one after.
    """

    scenario: str
    variant: str
    calls: int | None
    warmup: int | None
    seed: int
    threads: int
    device: str
    options: Mapping[str, str]
    result_kind: str
    reference: str
    source: str = ""
    calls_per_sample: int | None = 1
    collect: str = "never"
    resolve: bool = False
    memory_limit_bytes: int | None = None
    timeout_seconds: float | None = None
    instrument: Instrument | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    role: Role = Role.MEASURE
    remedy: str = ""
    round: int = 0

    @property
    def is_measured(self) -> bool:
        """Whether its run is there to be judged, and not to explain or to verify."""
        return self.instrument is None and self.role is Role.MEASURE


class Ending(StrEnum):
    """How a worker ended."""

    OK = mark("ok")
    KILLED = mark("killed")
    CRASHED = mark("crashed")
    TIMEOUT = mark("timeout")
    INTERRUPTED = mark("interrupted")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a worker ended: a sentence, with the signal and the kernel's word if there is one."""

    ending: Ending
    reason: str = ""
    signal: str | None = None
    kernel: str | None = None
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A full reading between calls: `step` says where; `values` by name, bytes but for blocks.

    Steps, in order: ``start`` (collected and trimmed, before the first call), then at every pause
    ``look`` (nothing done) and ``look_collected`` (after ``gc.collect``), at last ``end`` (nothing
    done), ``collected`` (after ``gc.collect``), ``emptied`` (after the framework's caches were
    emptied), ``trimmed`` (after ``malloc_trim``). `sample` counts the samples before it.
    """

    step: str
    values: Mapping[str, int]
    sample: int = 0


class Purpose(StrEnum):
    """What the samples of a phase are for."""

    WARM_UP = "warm-up"
    JUDGED = "judged"


@dataclass(frozen=True, slots=True)
class Phase:
    """So many `samples` (or fewer, if the run ended), taken one way from `first_sample` on.

    `calls_per_sample` is above one where a call is too short to read after each; `collects`: a full
    collection comes before each reading.
    """

    first_sample: int
    samples: int
    purpose: Purpose
    calls_per_sample: int
    collects: bool


@dataclass(frozen=True, slots=True)
class Run:
    """What one worker left behind.

    `samples` maps a series' name to its readings in order; `calls` says how many calls had been
    made at each. `results` maps a call to the scenario's summary of what that call returned.
    `findings` are what its instrument found, if it had one.
    `limits` are the bounds of RSS, in bytes, by what sets them.
    """

    plan: Plan
    outcome: Outcome
    series: tuple[Series, ...]
    samples: Mapping[str, Sequence[int]]
    calls: Sequence[int]
    phases: tuple[Phase, ...] = ()
    readings: tuple[Reading, ...] = ()
    findings: tuple[Finding, ...] = ()
    results: Mapping[int, Any] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[Mapping[str, Any], ...] = ()
    started_at: str = ""
    damaged_lines: int = 0
    file: str = ""

    @property
    def samples_done(self) -> int:
        """Whole samples."""
        return min((len(values) for values in self.samples.values()), default=0)

    @property
    def calls_done(self) -> int:
        """Calls that the last sample comes after."""
        return self.calls[self.samples_done - 1] if self.samples_done else 0

    @property
    def judged_from(self) -> int:
        """The first sample that is judged: where the last way of judged sampling began.

        A run that ended before has none; then a quarter of what it did is warm-up.
        """
        judged = [phase for phase in self.phases if phase.purpose is Purpose.JUDGED]
        phases = judged or self.phases
        same = [phase for phase in phases if _sampling(phase) == _sampling(phases[-1])]
        first = same[0].first_sample if same else 0
        if judged and first < self.samples_done:
            return first
        return max(self.samples_done // 4, min(first, self.samples_done))

    @property
    def calls_per_sample(self) -> int:
        """Calls between two of the judged samples."""
        return self.phases[-1].calls_per_sample if self.phases else 1

    @property
    def collects(self) -> bool:
        """Whether a collection came before each of the judged readings."""
        return bool(self.phases) and self.phases[-1].collects

    def reading(self, step: str) -> Reading | None:
        """The full reading of that step, if the worker lived to take it."""
        return next((reading for reading in self.readings if reading.step == step), None)


def _sampling(phase: Phase) -> tuple[int, bool]:
    return phase.calls_per_sample, phase.collects


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
class JudgedRun:
    """A run with all that follows from it. None: it cannot be told from what was recorded."""

    run: Run
    verdict: Verdict
    ledger: Ledger | None
    difference: Difference | None
    cost: Cost | None
    attribution: Attribution | None = None
    ceiling: Ceiling | None = None

    @property
    def variant(self) -> str:
        """The variant's name."""
        return self.run.plan.variant


@dataclass(frozen=True, slots=True)
class Report:
    """What a renderer gets. The first of `entries` is the reference if it was run.

    `trials` are the remedies that were tried, before against after.
    """

    title: str
    entries: tuple[JudgedRun, ...]
    command: str
    generator: str
    trials: tuple[RemedyTrial, ...] = ()
