"""Watches in a world of our own: its time is told, its processes are functions of time.

``python tests/watched_worlds.py FILE HOURS PACE`` watches it as a process that can be killed: the
time that has passed lies in ``FILE.now``, so that a watch which goes on takes it from there.
``python tests/watched_worlds.py FILE HOURS traced`` prints what Python's allocators hold meanwhile.
"""

from __future__ import annotations

import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from leakhunt.model.plan import Plan, PlannedWatch
from leakhunt.model.run import FREE_MEMORY, Outcome
from leakhunt.model.series import ANONYMOUS, RSS, SERIES, Series
from leakhunt.service.watch import Watch, WatchEvent, WatchHooks, WatchPlace
from leakhunt.service.watched_tree import ProcessBirth, WatchReading
from leakhunt.text.message import Text

MIB = 1 << 20
HOUR = 3600
Memory = Callable[[int], int | None]


@dataclass
class ToldClock:
    """A clock that goes on only where somebody sleeps; `jumps` are added to the wall clock."""

    now: float = 100_000.0
    offset: float = 1.7e9
    throughput: float = 0.0
    file: Path | None = None
    slept: int = 0
    at: dict[int, Callable[[ToldClock], None]] = field(default_factory=dict)

    def seconds(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.offset

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += 1
        if self.file is not None:
            whole = self.file.with_suffix(".next")  # one who is killed leaves no half of a time
            whole.write_text(repr(self.now), encoding="ascii")
            whole.replace(self.file)
        if self.throughput:
            time.sleep(self.throughput)
        change = self.at.pop(self.slept, None)
        if change is not None:
            change(self)


@dataclass
class ToldSource:
    """A process whose memory is a function of the clock; None: it is not there."""

    clock: ToldClock
    memory: Memory
    birth: Callable[[int], ProcessBirth] = lambda second: ProcessBirth(4711, 1)
    code: int | None = None
    series: tuple[Series, ...] = (SERIES[RSS].series_of_tree, SERIES[ANONYMOUS].series_of_tree)

    def read(self) -> WatchReading | None:
        size = self.memory(int(self.clock.now + 1e-3))
        if size is None:
            return None
        birth = self.birth(int(self.clock.now + 1e-3))
        return WatchReading(birth, {RSS: size + 10 * MIB, ANONYMOUS: size}, largest=birth.pid)

    def ending(self) -> int | None:
        return self.code


def wavy(second: int) -> int:
    """Memory that goes up and down, never alike for long, and is known at each second."""
    return 300 * MIB + 4096 * (second * 7919 % 1009)


def plan(interval: float = 10, limit: int | None = None) -> Plan:
    return Plan(
        scenario="told",
        variant="watch",
        calls=None,
        warmup=None,
        seed=0,
        threads=1,
        device="cpu",
        options={},
        result_kind="equal",
        reference="watch",
        calls_per_sample=None,
        limit_bytes=limit,
        watch=PlannedWatch("told", interval),
    )


def watched(
    file: Path,
    clock: ToldClock,
    source: ToldSource,
    *,
    hours: float,
    limits: Mapping[str, int] | None = None,
    on_alarm: Callable[[WatchEvent], Text | None] = lambda news: None,
    interval: float = 10,
    wait: float = 600,
) -> Outcome:
    """Watch it for so many hours since the watch began."""
    bounds = {FREE_MEMORY: 64 << 30} if limits is None else limits
    hooks = WatchHooks(limits=lambda reading: bounds, on_alarm=on_alarm)
    place = WatchPlace(plan(interval), file, hours * HOUR, wait, {})
    return Watch(place, source, clock, hooks).carry_out()


def traced(file: Path, hours: int) -> list[int]:
    """What Python's allocators hold, read now and then while it is watched for so many hours."""
    clock = ToldClock()
    taken: list[int] = []

    def measure(clock: ToldClock) -> None:
        gc.collect()
        taken.append(tracemalloc.get_traced_memory()[0])
        clock.at[clock.slept + hours * 5] = measure

    clock.at[hours * 20] = measure
    tracemalloc.start()
    watched(file, clock, ToldSource(clock, wavy), hours=hours, interval=60)
    return taken


def main() -> None:
    file, hours = Path(sys.argv[1]), float(sys.argv[2])
    if sys.argv[3] == "traced":
        json.dump(traced(file, int(hours)), sys.stdout)
        return
    throughput = float(sys.argv[3])
    kept = file.with_suffix(".now")
    clock = ToldClock(throughput=throughput, file=kept)
    if kept.exists() and kept.read_text("ascii"):
        clock.now = float(kept.read_text("ascii"))
    watched(file, clock, ToldSource(clock, wavy), hours=hours)


if __name__ == "__main__":
    main()
