"""What one worker left behind: its `Run`, and how it ended.

From a run alone comes its `Verdict` and its `Ledger`; renderers get the `Report` on several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from leakhunt.model.attribution import Finding
from leakhunt.model.plan import Plan
from leakhunt.model.processes import ProcessSamples
from leakhunt.model.routes import RouteCounts
from leakhunt.model.series import Series
from leakhunt.text.language import mark
from leakhunt.text.message import Text

# What sets the limits of a run (`Run.limits`), and those that no header names: one that was given
# for a container to come, and the memory of a GPU.
FREE_MEMORY = mark("free memory")
MEMORY_LIMIT = mark("the memory limit")
MEMORY_CGROUP = mark("the memory cgroup")
ADDRESS_SPACE = "RLIMIT_AS"
GIVEN_LIMIT = mark("the given limit")
GPU_MEMORY = mark("GPU memory")
# The note of a soak with the response times of all requests up to a sample.
RESPONSE_TIMES_NOTE = "response-times"


class Ending(StrEnum):
    """How a worker ended."""

    OK = mark("ok")
    KILLED = mark("killed")
    CRASHED = mark("crashed")
    TIMEOUT = mark("timeout")
    INTERRUPTED = mark("interrupted")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a worker ended: a sentence, with the signal and the kernel's word if there is one.

    `last_rss_bytes` is the highest RSS that was seen from outside in the call it ended in.
    """

    ending: Ending
    reason: Text = ""
    signal: str | None = None
    kernel: Text | None = None
    exit_code: int | None = None
    last_rss_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A full reading between calls: `step` says where; `values` by name, bytes but for blocks.

    Steps, in order: ``start`` (collected and trimmed, before the first call), then at every pause
    ``look`` (nothing done) and ``look_collected`` (after ``gc.collect``), at last ``end`` (nothing
    done), ``collected`` (after ``gc.collect``), ``emptied`` (after the framework's caches were
    emptied), ``trimmed`` (after ``malloc_trim``). `sample` counts the samples before it. Of what is
    watched: ``restarted``, where the samples after it are those of another process.
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
class ReadProcess:
    """One process of a service: its samples, and its full readings as those of a run."""

    samples: ProcessSamples
    readings: tuple[Reading, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """What one worker left behind.

    `samples` maps a series' name to its readings in order; `calls` says how many calls had been
    made at each. `results` maps a call to the scenario's summary of what that call returned.
    `findings` are what its instrument found, if it had one.
    `processes` are those of a service that has several, each by itself; `routes` are the kinds of
    requests that it got. `limits` are the bounds of RSS, in bytes, by what sets them. Texts of ours
    are messages, in notes too; of a file that recorded none, they are as they were worded in
    English.
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
    facts: Mapping[str, Text] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    unavailable: Mapping[str, Text] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[Mapping[str, Any], ...] = ()
    processes: tuple[ReadProcess, ...] = ()
    routes: tuple[RouteCounts, ...] = ()
    started_at: str = ""
    damaged_lines: int = 0
    file: str = ""

    @property
    def started_seconds(self) -> float | None:
        """When it started, in seconds since 1970; None: that was not recorded."""
        try:
            return datetime.fromisoformat(self.started_at).timestamp()
        except ValueError:
            return None

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

    @property
    def is_interrupted(self) -> bool:
        """Whether the user ended it."""
        return self.outcome.ending is Ending.INTERRUPTED

    def reading(self, step: str) -> Reading | None:
        """The full reading of that step, if the worker lived to take it."""
        return next((reading for reading in self.readings if reading.step == step), None)

    def _sampling(self, phase: Phase) -> tuple[int, bool]:
        return 0 if self.plan.is_of_a_service else phase.calls_per_sample, phase.collects
