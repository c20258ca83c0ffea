"""A stretch in which the allocations of a visited process are traced: by memray, else tracemalloc.

Memray sees C code as well. It is the process's own, or borrowed from where leakhunt is installed;
its capture is read here.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import Any

import psutil

from leakhunt.agent import tracing
from leakhunt.analysis.attached import TRACE_COST, TRACE_WHY
from leakhunt.engine.events import Events
from leakhunt.injection.capture_reader import (
    CaptureOrder,
    UnreadableCaptureError,
    read_capture,
)
from leakhunt.injection.visit import Visit
from leakhunt.instruments.frames import Places
from leakhunt.model.attribution import Finding, FindingKind, Instrument
from leakhunt.storage.run_file import finding_of
from leakhunt.text.message import Message, Text, message

_FRAMES = 12
# How long the CPU use without tracing is measured, to compare with that under tracing.
_UNTRACED_SECONDS = 3.0
# How the report on a run knows the capture of its longest stretch.
_CAPTURE = ".0.memray.bin"
# A word of the agent on why it is not memray, and what is said of it.
_WHY_NOT: Mapping[str, Message] = {
    "asked": message("attach.trace.asked", "memray was not wanted"),
    "not-here": message("attach.trace.not-here", "memray is not installed beside leakhunt"),
    "tracing": message("attach.trace.tracing", "the process itself traces with tracemalloc"),
    "no-memory-file": message("attach.trace.no-memory-file", "its Python has no memfd_create"),
    "greenlet": message(
        "attach.trace.greenlet", "the process uses greenlets, and memray's hooks in them would stay"
    ),
    "profiler": message(
        "attach.trace.profiler", "memray would replace the profile function of {detail}"
    ),
    "missing": message("attach.trace.missing", "memray is not installed in the process"),
    "other-build": message(
        "attach.trace.other-build",
        "memray is not installed in the process, and leakhunt's is for another Python",
    ),
    "format": message(
        "attach.trace.format",
        "memray {version} of the process writes captures that memray {ours} cannot read",
    ),
    "other-root": message(
        "attach.trace.other-root",
        "the process has another root, which only root can enter to read the names of C functions",
    ),
    "failed": message("attach.trace.failed", "memray failed ({detail})"),
}
_VALUES = ("detail", "version", "ours")
# By whether it is borrowed.
_WHOSE: Mapping[bool, Message] = {
    False: message("attach.trace.own", "memray {version} of the process sees C code as well"),
    True: message(
        "attach.trace.borrowed",
        "memray {version} of leakhunt can be loaded in the process, and sees C code as well",
    ),
}
_COSTS: Mapping[Instrument, Message] = {
    Instrument.MEMRAY: message(
        "attach.trace.costs-memray",
        "Python code that allocates is some 10 to 25 times slower meanwhile, and the process pauses"
        " at both ends: some milliseconds, 0.3 s with torch",
    ),
    Instrument.TRACEMALLOC: message(
        "attach.trace.costs-tracemalloc",
        "Python code that allocates is some 30 to 90 times slower meanwhile",
    ),
}


@dataclass(slots=True)
class TracedStretch:
    """What a stretch left: findings of one instrument, and facts about it.

    `longest_ns` is the longest step in which no other thread ran; `stays_bytes` what loading memray
    took, which stays; 0: it was not loaded, or was there.
    """

    instrument: Instrument
    findings: Sequence[Finding] = ()
    facts: dict[str, Text] = field(default_factory=dict)
    longest_ns: int = 0
    stays_bytes: int = 0


class TraceRun:
    """Traces the allocations of a visited process; `run_file` is that of the visit."""

    def __init__(self, visit: Visit, main: str, run_file: Path, events: Events) -> None:
        self._visit, self._main, self._events = visit, main, events
        self._places = Places(main)
        self._capture = run_file.with_name(run_file.name.partition(".")[0] + _CAPTURE)

    def carry_out(self, seconds: float, *, by_memray: bool = True) -> TracedStretch:
        """Trace for so long; what was allocated meanwhile and is alive at the end.

        Raises:
            ScenarioFailed: the process ended, or the agent failed.
            ProcessLookupError: it ended.
        """
        self._visit.load(Path(tracing.__file__).read_text(encoding="utf-8"))
        choice = self._choice(by_memray)
        stays = int(choice.get("stays", 0))
        if choice["tool"] == "":
            refused = _Told(Instrument.MEMRAY, refusal=choice)
            return self._result(refused, seconds, "", stays=stays)
        reason = _why(choice)
        if choice["tool"] == Instrument.MEMRAY:
            told = self._traced(Instrument.MEMRAY, seconds, reason)
            if told.refusal is None or told.refusal["why"] == "busy":
                return self._result(told, seconds, reason, stays=stays)
            reason = _why_not(told.refusal)
        told = self._traced(Instrument.TRACEMALLOC, seconds, reason)
        return self._result(told, seconds, reason, stays=stays)

    def _choice(self, by_memray: bool) -> dict[str, Any]:
        """What the agent traces by, and why."""
        other = {"tool": Instrument.TRACEMALLOC.value}
        if not by_memray:
            return {**other, "why": "asked"}
        here = importlib.util.find_spec("memray")
        if here is None or not here.submodule_search_locations:
            return {**other, "why": "not-here"}
        folder = ""
        if not self._visit.target.sees_our_files():
            if os.geteuid():
                return {**other, "why": "other-root"}
        else:
            folder = str(Path(next(iter(here.submodule_search_locations))).parent)
        suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
        choice = self._visit.ask(f"tracer {json.dumps({'folder': folder, 'suffix': suffix})}")
        if choice["tool"] == Instrument.MEMRAY and not self._can_read(choice["version"]):
            return {**choice, **other, "why": "format", "ours": distribution_version("memray")}
        return choice

    def _can_read(self, version: str) -> bool:
        """Whether captures of that memray can be read here: an empty one is tried."""
        import memray

        if version == distribution_version("memray"):
            return True
        self._pieces(Instrument.MEMRAY, 0.0)
        if not self._capture.is_file():
            return True  # it cannot be traced at all, which is told then
        try:
            memray.FileReader(self._capture).close()
        except OSError:
            return False
        finally:
            self._capture.unlink(missing_ok=True)
        return True

    def _traced(self, tool: Instrument, seconds: float, reason: Text) -> _Told:
        """Say what it costs, trace, and measure what it did cost."""
        cost = _COSTS[tool]
        self._events.noted(
            message(
                "attach.tracing",
                "tracing allocations for {seconds:g} s by {tool} ({reason}): {cost}",
                seconds=seconds,
                tool=tool.value,
                reason=reason,
                cost=cost,
            )
        )
        before = self._cores_used(min(seconds, _UNTRACED_SECONDS))
        told = self._pieces(tool, seconds)
        told.before = before
        return told

    def _pieces(self, tool: Instrument, seconds: float) -> _Told:
        """Have the agent trace; a capture of memray's is a file then."""
        order = {"tool": tool.value, "seconds": seconds, "frames": _FRAMES}
        told = _Told(tool)
        clock = _CpuClock(self._visit.target.pid)
        for piece in self._visit.stream(f"traced {json.dumps(order)}"):
            letter, data = piece[:1], piece[1:]
            match letter:
                case b"G":
                    clock.note()
                case b"M":
                    with self._capture.open("ab" if told.has_capture else "wb") as file:
                        file.write(data)
                    told.has_capture = True
                case b"T":
                    told.places = json.loads(data)
                case b"S":
                    told.longest_ns = json.loads(data)["longest_ns"]
                case b"X":
                    told.refusal = json.loads(data)
        told.during = clock.cores
        return told

    def _result(self, told: _Told, seconds: float, reason: Text, *, stays: int) -> TracedStretch:
        stretch = TracedStretch(told.tool, longest_ns=told.longest_ns, stays_bytes=stays)
        if told.refusal is not None:
            stretch.facts[TRACE_WHY] = _refused(told.refusal)
            return stretch
        stretch.facts[TRACE_WHY] = message(
            "attach.trace.by",
            "Allocations were traced for {seconds:g} s by {tool}: {reason}.",
            seconds=seconds,
            tool=told.tool.value,
            reason=reason,
        )
        stretch.facts[TRACE_COST] = message(
            "attach.trace-cost",
            "CPU while traced: {during:.0%} of a core (before: {before:.0%})",
            during=told.during,
            before=told.before,
        )
        calls = (0, max(round(seconds), 1))
        find = self._of_capture if told.tool is Instrument.MEMRAY else self._of_places
        try:
            stretch.findings = list(find(told, calls))
        except UnreadableCaptureError as error:
            refusal = {"why": "failed", "detail": str(error)}
            stretch.facts = {TRACE_WHY: _refused(refusal)}
        return stretch

    def _of_capture(self, told: _Told, calls: tuple[int, int]) -> Iterator[Finding]:
        """The sites of memray's capture.

        Raises:
            UnreadableCaptureError: it cannot be read.
        """
        if told.has_capture:
            target = self._visit.target
            root = "" if target.sees_our_files() else str(target.root)
            order = CaptureOrder(str(self._capture), self._main, calls, root)
            yield from map(finding_of, read_capture(order))

    def _of_places(self, told: _Told, calls: tuple[int, int]) -> Iterator[Finding]:
        for number, (stack, size, count) in enumerate(told.places):
            yield Finding(
                instrument=Instrument.TRACEMALLOC,
                sort=FindingKind.SITE,
                what="",
                calls=calls,
                counts=(0, count),
                sizes=(0, size),
                stack=self._places.frames((file, line, "") for file, line in reversed(stack)),
                key=str(number),
                facts={"apart": True},
            )

    def _cores_used(self, seconds: float) -> float:
        """How many cores the process keeps busy in the coming seconds.

        Raises:
            ProcessLookupError: it has ended.
        """
        clock = _CpuClock(self._visit.target.pid)
        clock.note()
        time.sleep(seconds)
        clock.note()
        return clock.cores


@dataclass(slots=True)
class _Told:
    """What the agent told of a stretch; `before` and `during` are cores that were busy."""

    tool: Instrument
    places: Sequence[Any] = ()
    has_capture: bool = False
    longest_ns: int = 0
    refusal: dict[str, str] | None = None
    before: float = 0.0
    during: float = 0.0


class _CpuClock:
    """The CPU time of a process from the first note to the last."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._notes: list[tuple[float, float]] = []

    def note(self) -> None:
        """Read it now.

        Raises:
            ProcessLookupError: the process has ended.
        """
        try:
            times = psutil.Process(self._pid).cpu_times()
        except psutil.NoSuchProcess:
            raise ProcessLookupError from None
        self._notes.append((time.monotonic(), times.user + times.system))

    @property
    def cores(self) -> float:
        """How many cores it kept busy."""
        if len(self._notes) < 2:
            return 0.0
        (since, first), (until, last) = self._notes[0], self._notes[-1]
        return (last - first) / (until - since) if until > since else 0.0


def _why(choice: Mapping[str, str]) -> Text:
    """Why that tool: for memray whose it is, else why it is not."""
    if choice["tool"] == Instrument.MEMRAY:
        whose = _WHOSE[bool(choice["borrowed"])]
        return message(whose.id, whose.text, version=choice["version"])
    return _why_not(choice)


def _why_not(choice: Mapping[str, str]) -> Text:
    told = _WHY_NOT[choice["why"]]
    return message(
        told.id, told.text, **{name: choice[name] for name in _VALUES if f"{{{name}}}" in told.text}
    )


def _refused(refusal: Mapping[str, str]) -> Text:
    """Why nothing was traced."""
    if refusal["why"] == "busy":
        return message(
            "attach.trace.busy",
            "Allocations were not traced: memray already traces the process.",
        )
    return message(
        "attach.trace.refused", "Allocations were not traced: {detail}.", detail=refusal["detail"]
    )
