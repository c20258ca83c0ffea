"""The processes of a service: the place of each in its tree, and what can be said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from leakhunt.model.kinds import Kind
from leakhunt.model.series import (
    ANONYMOUS,
    LIVE_HEAP,
    PRIVATE_DIRTY,
    PYTHON_BLOCKS,
    PYTHON_LIVE,
    RSS,
)
from leakhunt.model.verdict import Status, Trend
from leakhunt.text.language import mark
from leakhunt.text.message import Message, Text, message

# What is read of each process at every sample, where it can be; and in full readings.
PROCESS_SERIES = (RSS, ANONYMOUS, PRIVATE_DIRTY, LIVE_HEAP, PYTHON_BLOCKS)
PROCESS_READING = (LIVE_HEAP, PYTHON_BLOCKS, PYTHON_LIVE)


class ProcessRole(StrEnum):
    """What a process of a service is there for."""

    MAIN = mark("main process")
    WORKER = mark("worker")
    # Of `multiprocessing`: its resource tracker and its fork server.
    HELPER = mark("helper process")


@dataclass(frozen=True, slots=True)
class ServiceProcess:
    """A place in a service's process tree, held by one process after the other.

    `number` counts the places; `parent` is the place of the parent. Workers are numbered from 1 on
    (`worker`; others have 0): one that takes the place of a worker that ended, below the same
    parent and with the same command line, has its number. `pids` are the processes that held the
    place, in order.
    """

    number: int
    role: ProcessRole
    worker: int
    parent: int | None
    command: str
    pids: tuple[int, ...]

    @property
    def title(self) -> Text:
        """``worker 2``, or what else it is."""
        if self.role is ProcessRole.WORKER:
            return message("process.worker", "worker {number}", number=self.worker)
        if self.role is ProcessRole.HELPER:
            return message("process.helper", "helper process {number}", number=self.number)
        return message("process.main", "main process")

    @property
    def named(self) -> Message:
        """The title with the number of the process that holds the place now."""
        return message("process.named", "{title} (PID {pid})", title=self.title, pid=self.pids[-1])


@dataclass(frozen=True, slots=True)
class JudgedProcess:
    """What can be said of one process of a service.

    `status`, `kind` and `trends` as of a run; of one that was replaced, growth is that within the
    lives of the processes, the first half of each left out. `share` is its part of the growth of
    all processes that grow for certain; None: it does not.
    """

    process: ServiceProcess
    status: Status
    kind: Kind
    trends: Mapping[str, Trend]
    share: float | None = None

    @property
    def grows(self) -> bool:
        """Whether it leaks, or grows as far as that is seen from outside."""
        return self.status is Status.LEAK or self.kind is Kind.OUTSIDE_GROWTH

    @property
    def replaced(self) -> int:
        """How often another process took its place."""
        return len(self.process.pids) - 1


@dataclass(frozen=True, slots=True)
class ProcessSamples:
    """What was read of the holders of a place.

    `places` are the samples of the run at which it was read, `lives` which of the `pids` held the
    place then; `samples` has a value for each of `places` by series, None where it was not told.
    """

    process: ServiceProcess
    places: Sequence[int]
    lives: Sequence[int]
    samples: Mapping[str, Sequence[int | None]]
