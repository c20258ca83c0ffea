"""Which place in a service's process tree a process holds, and who held it before.

A worker that ended and one that came below the same parent, with the same command line, are one
place: so a service that recycles its workers has as many as it has workers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from leakhunt.model.processes import PROCESS_SERIES, ProcessRole, ServiceProcess
from leakhunt.service.commands import without_secrets
from leakhunt.text.message import Text

# A service that starts a program for every request has ever more processes; only so many are told
# one by one.
MAX_PLACES = 64
_LONGEST_COMMAND = 200
# Numbers of pipes and ports differ between workers that do the same.
_NUMBER = re.compile(r"\d+")
_HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


@dataclass(frozen=True, slots=True)
class ProcessOrigin:
    """What the kernel says of where a process comes from."""

    parent: int
    command: str


def origin_of(pid: int) -> ProcessOrigin | None:
    """The parent and the command line of a process; None if it is gone."""
    folder = Path("/proc", str(pid))
    try:
        words = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        status = (folder / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    parent = re.search(r"^PPid:\s*(\d+)", status, re.MULTILINE)
    command = " ".join(without_secrets([word for word in words if word]))
    return ProcessOrigin(int(parent[1]) if parent else 0, command[:_LONGEST_COMMAND])


@dataclass(slots=True)
class _Place:
    number: int
    role: ProcessRole
    worker: int
    parent: int | None
    command: str
    key: tuple[int | None, str]
    pids: list[int] = field(default_factory=list)

    def process(self) -> ServiceProcess:
        """As it is told."""
        return ServiceProcess(
            self.number, self.role, self.worker, self.parent, self.command, tuple(self.pids)
        )


class Roles:
    """The places of a service's processes, as they come and go."""

    def __init__(self, origin: Callable[[int], ProcessOrigin | None] = origin_of) -> None:
        self._origin = origin
        self._places: list[_Place] = []
        self._holders: dict[int, _Place] = {}
        self._unknown: set[int] = set()
        self._fresh: list[_Place] = []

    def number_of(self, pid: int) -> int | None:
        """The place that a process holds; None: it has none."""
        place = self._holders.get(pid)
        return None if place is None else place.number

    def title_of(self, pid: int) -> Text | None:
        """What the process is called; None: it has no place."""
        place = self._holders.get(pid)
        return None if place is None else place.process().title

    @property
    def has_several(self) -> bool:
        """Whether there ever was more than one place."""
        return len(self._places) > 1

    def update(self, pids: Iterable[int]) -> None:
        """These are the processes there are now, parents before their children."""
        now = tuple(pids)
        for gone in self._holders.keys() - set(now):
            del self._holders[gone]
        self._unknown &= set(now)
        for pid in now:
            if pid not in self._holders and pid not in self._unknown:
                self._give_place(pid)

    def _give_place(self, pid: int) -> None:
        origin = self._origin(pid)
        if origin is None:
            return
        parent = self.number_of(origin.parent)
        key = (parent, _NUMBER.sub("#", origin.command))
        used = {place.number for place in self._holders.values()}
        place = next(
            (each for each in self._places if each.key == key and each.number not in used), None
        )
        if place is None:
            if len(self._places) >= MAX_PLACES:
                self._unknown.add(pid)
                return
            place = self._new_place(parent, origin.command, key)
        place.pids.append(pid)
        self._holders[pid] = place
        self._fresh.append(place)

    def _new_place(self, parent: int | None, command: str, key: tuple[int | None, str]) -> _Place:
        role = ProcessRole.WORKER if self._places else ProcessRole.MAIN
        if any(helper in command for helper in _HELPERS):
            role = ProcessRole.HELPER
        workers = sum(each.role is ProcessRole.WORKER for each in self._places)
        worker = workers + 1 if role is ProcessRole.WORKER else 0
        place = _Place(len(self._places), role, worker, parent, command, key)
        self._places.append(place)
        return place

    def fresh(self) -> list[dict[str, object]]:
        """Records of who took a place since this was last asked; none as long as there is one."""
        if not self.has_several:
            return []
        records: list[dict[str, object]] = [
            {
                "record": "process",
                "number": place.number,
                "pid": place.pids[-1],
                "role": place.role,
                "worker": place.worker,
                "parent": place.parent,
                "command": place.command,
            }
            for place in self._fresh
        ]
        self._fresh.clear()
        return records

    def rows(self, each: Mapping[int, Mapping[str, int]]) -> list[Sequence[int | None]]:
        """A row for each process: its place, and `PROCESS_SERIES`; none as long as there is one."""
        if not self.has_several:
            return []
        return [
            (place.number, *(each[pid].get(name) for name in PROCESS_SERIES))
            for pid, place in self._holders.items()
            if pid in each
        ]
