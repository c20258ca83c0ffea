"""Cells on this machine, so many at a time as do not disturb each other: measured with the first.

The first cell runs alone. The processor time and the memory that it takes say how many have room
beside each other: bytes do not change by neighbours, times do where they wait for a core.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from leakhunt.engine.cells import CellOrder, carry_out, explain, record_of, run_in, write_record
from leakhunt.engine.parallel import in_parallel
from leakhunt.environment import available_cores
from leakhunt.model.matrix import CellEnd, CellRecord
from leakhunt.model.run import Run
from leakhunt.model.series import PEAK_RSS, RSS
from leakhunt.runner.memory_limit import NoLimit, memory_bounds

# The rest of what is free is for the system, and for what grows.
_MEMORY_SHARE = 0.8
# A worker that waits between its pauses still wants a core while it calls: no cell counts for less.
_MIN_CORES = 1.0


@dataclass(frozen=True, slots=True)
class CellJob:
    """A cell to carry out, and where; `explains`: it is there, and is hunted."""

    order: CellOrder
    folder: Path
    explains: bool = False


@dataclass(frozen=True, slots=True)
class Effort:
    """What a cell took when it ran alone: cores, bytes and seconds."""

    cores: float
    peak_bytes: int
    seconds: float

    def at_a_time(self, cores: int, free_bytes: int) -> int:
        """How many have room beside each other."""
        by_cores = int(cores / max(self.cores, _MIN_CORES) + 0.25)
        by_memory = int(_MEMORY_SHARE * free_bytes / max(self.peak_bytes, 1))
        return max(min(by_cores, by_memory), 1)


class LocalCells:
    """Carries out cells on this machine; `jobs` None: as many as the first shows room for."""

    def __init__(self, jobs: int | None, measured: Callable[[Effort, int], None]) -> None:
        self.jobs = jobs or 1
        self._is_known = jobs is not None
        self._measured = measured

    def carry_out(
        self, jobs: Sequence[CellJob], stop: Event, ended: Callable[[CellJob, CellRecord], None]
    ) -> None:
        """Carry out all of them; `ended` is told of each as it ends, from several threads.

        After an interrupt, those that run are ended, and the others are left.

        Raises:
            CannotWrite: the disk does not take the results.
        """
        waiting = list(jobs)
        while waiting and not self._is_known and not stop.is_set():
            self._try_room(waiting.pop(0), stop, ended)

        def work(job: CellJob) -> None:
            if not stop.is_set():
                self._carry_out(job, stop, ended)

        if waiting and not stop.is_set():
            in_parallel(work, waiting, min(self.jobs, len(waiting)), stop)

    def _carry_out(
        self, job: CellJob, stop: Event, ended: Callable[[CellJob, CellRecord], None]
    ) -> None:
        if job.explains:
            explain(job.order, job.folder, stop)
        else:
            carry_out(job.order, job.folder, stop)
        record = record_of(job.folder)
        if record.end is CellEnd.NOT_RUN:  # the user ended it
            stop.set()
        ended(job, record)

    def _try_room(
        self, job: CellJob, stop: Event, ended: Callable[[CellJob, CellRecord], None]
    ) -> None:
        """Carry out a cell alone, and see how many have room; one without a run shows nothing."""
        processor, begun = _processor_seconds(), time.monotonic()
        self._carry_out(job, stop, ended)
        seconds = time.monotonic() - begun
        spent = _processor_seconds() - processor
        run = run_in(job.folder)
        if run is None or job.explains:
            return
        write_record(job.folder, replace(record_of(job.folder), cpu_seconds=round(spent, 3)))
        effort = Effort(spent / max(seconds, 1e-9), peak_bytes(run), seconds)
        free = min(memory_bounds(NoLimit()).values())
        self.jobs = effort.at_a_time(available_cores(), free)
        self._is_known = True
        self._measured(effort, self.jobs)


def peak_bytes(run: Run) -> int:
    """The highest RSS that was read."""
    return max((*run.samples.get(PEAK_RSS, ()), *run.samples.get(RSS, ())), default=0)


def _processor_seconds() -> float:
    """Of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
