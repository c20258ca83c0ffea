"""What is read of a service under load: a row of numbers for a sample, and full readings."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from leakhunt.errors import UsageError
from leakhunt.model.allocators import ALLOCATOR, PYTHON_ALLOCATOR
from leakhunt.model.processes import PROCESS_READING
from leakhunt.model.run import Reading
from leakhunt.model.series import (
    ANONYMOUS,
    DURATION,
    ELAPSED,
    FAILURES,
    P50,
    P95,
    P99,
    PSS,
    RSS,
    SERIES,
    Series,
)
from leakhunt.probes.allocator import mapped_allocator
from leakhunt.service.agent_client import NO_INSIDE, Caller, ListeningAgents, summed, unavailable
from leakhunt.service.agent_start import is_asked_for, not_started
from leakhunt.service.process_roles import Roles
from leakhunt.service.process_tree import Tree
from leakhunt.service.shared_counters import Counters, percentile_ns
from leakhunt.text.message import Message, message

_PERCENTILES = {P50: 0.5, P95: 0.95, P99: 0.99}
# What is read of the load; the time of the requests comes last.
_OF_LOAD = (FAILURES, P50, P95, P99, ELAPSED, DURATION)
# A worker that is replaced does not listen for a while.
_PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.05
# What the inside tells of one process and the outside of all of them, by the outside's name.
_OUTSIDE = {RSS: RSS, ANONYMOUS: "rss_anonymous", PSS: PSS}


@dataclass(frozen=True, slots=True)
class ServiceSample:
    """A sample: the requests done by then, a value for each series, and a row for each process."""

    requests: int
    values: list[int]
    processes: list[Sequence[int | None]]


class Readings:
    """Reads a service from outside, from inside where it listens, and the load's counters."""

    def __init__(
        self,
        tree: Tree,
        counters: Counters,
        wanted: Sequence[Series] | None = None,
        caller: Caller | None = None,
    ) -> None:
        """`wanted` are the series of a soak that is gone on with; None: all that can be read.

        `caller` brings the agent into processes that do not listen.

        Raises:
            UsageError: one that is wanted cannot be read.
        """
        self._tree = tree
        self._counters = counters
        self._agents = ListeningAgents(caller)
        pids = tree.pids()
        self._pids = set(pids)
        self.roles = Roles()
        self.roles.update(pids)
        self.listening = self._agents.find(sorted(self._pids))
        in_process = self._agents.series()
        readable = (*tree.series, *in_process, *(SERIES[name].series for name in _OF_LOAD))
        self.series = tuple(readable if wanted is None else wanted)
        _check_readable(self.series, {each.name for each in readable})
        names = {series.name for series in self.series}
        self._inside = {series.name: 0 for series in in_process if series.name in names}
        allocators = self._agents.allocators() if self.listening else []
        # Why nothing is read from inside.
        self.no_agent = NO_INSIDE if self.listening else self._why_no_agent(pids)
        self.unavailable = {
            **unavailable(self.series, allocators, self.no_agent),
            **tree.container.unavailable,
        }
        self.environment = _allocator_facts(allocators, sorted(self._pids))
        self._ended_processes = self._new_processes = 0
        # Samples for which no process listened.
        self.lost_inside = 0
        # What the last sample took.
        self.seconds = 0.0
        # What each process told from inside for the last sample, and in the last full reading.
        self._each: Mapping[int, Mapping[str, int]] = {}
        self._process_readings: Mapping[int, Mapping[str, int]] = {}
        self._spent = self._failed = 0
        self._histogram = [0] * len(counters.histogram())
        self.start_clock()

    def _why_no_agent(self, pids: list[int]) -> Message:
        if is_asked_for(self._tree.variables()):
            return not_started(pids)
        why = self._agents.why_not()
        return why if why is not None else NO_INSIDE

    @property
    def processes(self) -> int:
        """How many the service had when it was last looked at."""
        return len(self._pids)

    @property
    def agents(self) -> ListeningAgents:
        """The processes that listen."""
        return self._agents

    @property
    def has_inside(self) -> bool:
        """Whether anything is read from inside."""
        return bool(self._inside)

    def close(self) -> None:
        """Hang up."""
        self._agents.close()

    def start_clock(self) -> None:
        """The time of the next sample runs from now on."""
        self._started = time.monotonic_ns()

    def _start_interval(self) -> None:
        """What the load does from now on is part of the next sample."""
        self.start_clock()
        self._spent = self._counters.spent_ns
        self._failed = self._counters.failed
        self._histogram = self._counters.histogram()

    def leave_out(self, nanoseconds: int) -> None:
        """So long a pause is no time of the next sample."""
        self._started += nanoseconds

    def sample(self, pause: AbstractContextManager[object] | None = None) -> ServiceSample:
        """Requests done, the value of each of `series`, each process; a new interval starts.

        Within `pause`, where there is one, it is read from inside; from outside before that, under
        load, as the kernel sees it.

        Raises:
            ProcessLookupError: the service is gone.
        """
        started = time.monotonic()
        pids = self._tree.pids()
        self._note_processes(pids)
        self._each = {}
        each = self._tree.read_each(pids)
        outside = self._tree.summed(pids, each)
        self._tree.reset_peaks(pids)
        with pause or nullcontext():
            since = time.monotonic_ns()
            inside = self._in_process_numbers(pids)
            if pause is not None:
                self.leave_out(time.monotonic_ns() - since)
            ended = None if inside is None else self._end_interval()
        if inside is None or ended is None:  # nobody listens just now: the load goes on meanwhile
            inside = self._wait_for_inside()
            ended = self._end_interval()
        done, load = ended
        self.seconds = time.monotonic() - started
        values = {**outside, **inside, **load}
        by_process = {pid: {**read, **self._each.get(pid, {})} for pid, read in each.items()}
        columns = [values[series.name] for series in self.series]
        return ServiceSample(done, columns, self.roles.rows(by_process))

    def _load(self) -> dict[str, int]:
        histogram = [
            now - before
            for now, before in zip(self._counters.histogram(), self._histogram, strict=True)
        ]
        percentiles = {
            name: percentile_ns(histogram, share) for name, share in _PERCENTILES.items()
        }
        return {
            **percentiles,
            FAILURES: self._counters.failed - self._failed,
            ELAPSED: time.monotonic_ns() - self._started,
            DURATION: self._counters.spent_ns - self._spent,
        }

    def _end_interval(self) -> tuple[int, dict[str, int]]:
        """Requests done, and what the load did in this interval; another one starts."""
        done, load = self._counters.done, self._load()
        self._start_interval()
        return done, load

    def _in_process_numbers(self, pids: Sequence[int]) -> Mapping[str, int] | None:
        """The numbers of all processes that listen; None where none does."""
        if not self._inside:
            return self._inside
        self._agents.find(pids)
        self._each = self._agents.ask_each("numbers")
        numbers = summed(self._each)
        if not numbers:
            return None
        self._inside |= {name: numbers[name] for name in self._inside if name in numbers}
        return self._inside

    def _wait_for_inside(self) -> Mapping[str, int]:
        """The numbers as soon as a process listens; the last ones where none does for long."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            reading = self._in_process_numbers(self._tree.pids())
            if reading is not None:
                return reading
            if not self._tree.is_alive():
                raise ProcessLookupError
            time.sleep(_POLL_SECONDS)
        self.lost_inside += 1
        return self._inside

    def _note_processes(self, pids: Sequence[int]) -> None:
        self.roles.update(pids)
        self._ended_processes += len(self._pids - set(pids))
        self._new_processes += len(set(pids) - self._pids)
        self._pids = set(pids)

    @property
    def replaced(self) -> int:
        """How many processes went while as many others came, at once or later."""
        return min(self._ended_processes, self._new_processes)

    def full(self, step: str) -> Reading:
        """A full reading: from inside what the step does there, from outside the whole tree.

        Raises:
            ProcessLookupError: the service is gone.
        """
        self._process_readings = self._agents.ask_each(step) if self._inside else {}
        inside = summed(self._process_readings)
        outside = self._tree.read()
        external = {name: outside[series] for series, name in _OUTSIDE.items() if series in outside}
        return Reading(step, {**inside, **external})

    def by_process(self, step: str) -> list[dict[str, Any]]:
        """Records of what each process told in the last full reading; none of a single one."""
        return [
            {
                "record": "process-reading",
                "number": self.roles.number_of(pid),
                "step": step,
                "values": {name: values[name] for name in PROCESS_READING if name in values},
            }
            for pid, values in self._process_readings.items()
            if self.roles.has_several and self.roles.number_of(pid) is not None
        ]

    def steps(self) -> tuple[str, ...]:
        """The readings of a look: with the inside view also one after a collection."""
        return ("look", "look_collected") if self._inside else ("look",)

    def settled(self, interim: tuple[Reading, ...]) -> list[Reading]:
        """The readings after the last request; the last look has read, and collected if it can."""
        named = zip(("end", "collected"), interim, strict=False)
        readings = [replace(reading, step=step) for step, reading in named]
        if not self._inside:
            return readings
        return [*readings, self.full("emptied"), self.full("trimmed")]


def _allocator_facts(answers: Sequence[Mapping[str, Any]], pids: Sequence[int]) -> dict[str, str]:
    """Facts on the allocators of a service: as its processes tell, else by the files they map."""
    facts = {
        name: " / ".join(dict.fromkeys(str(each[name]) for each in answers if name in each))
        for name in (ALLOCATOR, PYTHON_ALLOCATOR)
    }
    if not facts[ALLOCATOR]:
        facts[ALLOCATOR] = " / ".join(dict.fromkeys(filter(None, map(mapped_allocator, pids))))
    return {name: fact for name, fact in facts.items() if fact}


def _check_readable(series: Sequence[Series], readable: Collection[str]) -> None:
    """Raise where a series of an earlier soak cannot be read any more."""
    for each in series:
        if each.name not in readable:
            raise UsageError(
                message(
                    "soak.series-gone",
                    "{name} can no longer be read. Start a new soak",
                    name=each.name,
                )
            )
