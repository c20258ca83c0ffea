"""The nouns of what is run. Frozen, standard library only, no behaviour beyond looking things up.

A `Plan` is carried out by a worker process, which leaves a `Run`; from a run alone comes what is
in `judged`: its `Verdict`, its `Ledger`, and the `Report` on several, which renderers get.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from leakhunt.model.attribution import Finding, Instrument
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
    OUTSIDE_GROWTH = mark("growth seen from outside only")
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


# A run of a test's body has for its `Plan.source` this and the node id.
TEST_SOURCE = "pytest "


class Work(StrEnum):
    """What a run does again and again: calls of a function, or requests to a service."""

    CALL = mark("call")
    REQUEST = mark("request")


@dataclass(frozen=True, slots=True)
class Load:
    """The load on a running service: what `soak` drives, beside its `Plan`.

    `target` is the address that requests go to. `service` is the command that started it, with
    ``{port}`` where its port was put, or ``pid N`` of one that ran already. `requests_from` names
    what made the requests: a locustfile by its name without folders, or ``upload`` for the built-in
    one, which posts recordings. `users` are those that send requests at the same time;
    `duration_seconds`: so long and no longer; None: until `Plan.calls`, or the verdict is known.
    """

    target: str
    service: str
    requests_from: str
    users: int
    duration_seconds: float | None = None


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
    rounds of a run before and one after. `load` is what drives a running service, if the run is a
    soak: its calls are then the requests that were completed.
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
    load: Load | None = None

    @property
    def is_measured(self) -> bool:
        """Whether its run is there to be judged, and not to explain or to verify."""
        return self.instrument is None and self.role is Role.MEASURE

    @property
    def test(self) -> str:
        """The node id of the test whose body is called; empty: it is a scenario's."""
        is_test = self.source.startswith(TEST_SOURCE)
        return self.source.removeprefix(TEST_SOURCE) if is_test else ""

    @property
    def work(self) -> Work:
        """What its calls are."""
        return Work.CALL if self.load is None else Work.REQUEST


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
    collection comes before each reading; `pauses`: the load of a soak is held for each reading from
    inside, so that nothing is in flight.
    """

    first_sample: int
    samples: int
    purpose: Purpose
    calls_per_sample: int
    collects: bool
    pauses: bool = False


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

        A soak takes its samples ever further apart, and is judged from where it was warm. A run
        that ended before has none; then a quarter of what it did is warm-up.
        """
        judged = [phase for phase in self.phases if phase.purpose is Purpose.JUDGED]
        phases = judged or self.phases
        same = [phase for phase in phases if self._sampling(phase) == self._sampling(phases[-1])]
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

    @property
    def pauses(self) -> bool:
        """Whether the load was held for each of the judged readings from inside."""
        return bool(self.phases) and self.phases[-1].pauses

    def reading(self, step: str) -> Reading | None:
        """The full reading of that step, if the worker lived to take it."""
        return next((reading for reading in self.readings if reading.step == step), None)

    def _sampling(self, phase: Phase) -> tuple[int, bool]:
        return phase.calls_per_sample if self.plan.load is None else 0, phase.collects
