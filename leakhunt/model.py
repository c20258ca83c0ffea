"""The nouns. Frozen, standard library only, no behaviour beyond looking things up.

A `Plan` is carried out by a worker process, which leaves a `Run`; from a run alone come its
`Verdict` and its `Ledger`; several of them make a `Report`, the only argument of a renderer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Unit(StrEnum):
    """What one number of a series counts."""

    BYTES = "bytes"
    BLOCKS = "blocks"
    COUNT = "count"
    NANOSECONDS = "ns"


@dataclass(frozen=True, slots=True)
class Series:
    """One column of the samples: a name, a unit, what it means and what it cannot see."""

    name: str
    unit: Unit
    title: str
    blind_to: str


class Kind(StrEnum):
    """What a run as a whole is: who grew, or why nothing did."""

    PYTHON_LEAK = "leak in Python"
    NATIVE_LEAK = "leak in native code"
    CUDA_LEAK = "leak in CUDA"
    MAPPING_GROWTH = "mapping growth outside malloc and Python"
    RESOURCE_GROWTH = "descriptors, threads or children growing"
    BOUNDED_CACHE = "bounded cache"
    ALLOCATOR_RETENTION = "allocator retention"
    CUDA_RETENTION = "CUDA caching or fragmentation"
    GARBAGE = "cyclic garbage only"
    CLEAN = "clean"
    INCONCLUSIVE = "inconclusive"
    KILLED = "killed while growing"


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of calling the workload. `devices` are those it makes sense on.

    Where the truth about it is known, `expect` is what a right verdict says (any of them) and
    `rate` the growth a call, in bytes or a count of what grows.
    """

    name: str
    function: str
    summary: str
    devices: tuple[str, ...]
    expect: tuple[Kind, ...] = ()
    rate: float = 0


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
    default_calls: int
    prepares: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What one worker does. Everything that decides the readings is in here.

    `source` is how the scenario is named on the command line: a built-in one's name, or a file's
    name without its folders, which are nobody else's business.
    """

    scenario: str
    variant: str
    calls: int
    warmup: int
    seed: int
    threads: int
    device: str
    options: Mapping[str, str]
    result_kind: str
    reference: str
    source: str = ""
    memory_limit_bytes: int | None = None
    timeout_seconds: float | None = None


class Ending(StrEnum):
    """How a worker ended."""

    OK = "ok"
    KILLED = "killed"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"


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

    Steps, in order: ``start`` (collected and trimmed, before the first call), ``warm`` (collected,
    before the first call that is judged), ``half`` (collected, half-way through the judged calls,
    before call (warm-up + calls) // 2), ``end`` (after the last call, nothing done), ``collected``
    (after ``gc.collect``), ``emptied`` (after the framework's caches were emptied), ``trimmed``
    (after ``malloc_trim``).
    """

    step: str
    values: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Run:
    """What one worker left behind.

    `samples` maps a series' name to its readings, one a call, in call order. `results` maps a call
    to the scenario's summary of what that call returned.
    """

    plan: Plan
    outcome: Outcome
    series: tuple[Series, ...]
    samples: Mapping[str, Sequence[int]]
    readings: tuple[Reading, ...] = ()
    results: Mapping[int, Any] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Mapping[str, Any], ...] = ()
    started_at: str = ""
    damaged_lines: int = 0
    file: str = ""

    @property
    def calls_done(self) -> int:
        """Calls that left a sample."""
        return min((len(values) for values in self.samples.values()), default=0)

    @property
    def judged_from(self) -> int:
        """The first call that is judged: the end of the warm-up.

        A run that ended early may not have got there; then a quarter of what it did is warm-up.
        """
        if self.calls_done >= self.plan.calls:
            return self.plan.warmup
        return min(self.plan.warmup, self.calls_done // 4)

    def reading(self, step: str) -> Reading | None:
        """The full reading of that step, if the worker lived to take it."""
        return next((reading for reading in self.readings if reading.step == step), None)


class Status(StrEnum):
    """What can be said of a series, or of a run as a whole."""

    GROWING = "growing"
    BOUNDED = "bounded"
    FLAT = "flat"
    TOO_SHORT = "too short to say"


@dataclass(frozen=True, slots=True)
class Trend:
    """What one series does after the warm-up.

    `rate`, `rate_low` and `rate_high` are in the series' unit per call; the bounds are one-sided,
    99 % each. All three are None when there are too few samples. `net` is last less first sample.
    """

    series: str
    unit: Unit
    status: Status
    samples: int
    tolerance: float
    net: int | None
    rate: float | None
    rate_low: float | None
    rate_high: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What can be said of a run: its status, a sentence, and the trend of each judged series."""

    status: Status
    sentence: str
    trends: Mapping[str, Trend]


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

    @property
    def variant(self) -> str:
        """The variant's name."""
        return self.run.plan.variant


@dataclass(frozen=True, slots=True)
class Report:
    """What a renderer gets. The first of `entries` is the reference if it was run."""

    title: str
    entries: tuple[JudgedRun, ...]
    command: str
    generator: str
