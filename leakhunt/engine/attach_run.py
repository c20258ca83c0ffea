"""One visit, from the first reading to the last word, into run files: what `attach` watches.

The measured run has its samples and full readings; what its objects are comes in files of their
own beside it, as runs under an instrument have them.
"""

from __future__ import annotations

import json
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from leakhunt.agent import looking
from leakhunt.engine.attach_trace import TraceRun
from leakhunt.engine.events import Events, RunStart
from leakhunt.environment import describe_environment_of_service
from leakhunt.errors import ScenarioFailed
from leakhunt.injection.heap_graph import HeapGraph, heap_graph
from leakhunt.injection.holders import holder_findings, named
from leakhunt.injection.outside import libraries, memory_bounds_of, outside_reading
from leakhunt.injection.visit import Visit, ended
from leakhunt.instruments import reference_chains
from leakhunt.instruments.frames import Places
from leakhunt.model.allocators import ALLOCATOR, PYTHON_ALLOCATOR
from leakhunt.model.attribution import Finding, FindingKind, Instrument
from leakhunt.model.libraries import LIBRARIES, libraries_fact
from leakhunt.model.plan import Plan
from leakhunt.model.run import Ending, Outcome, Phase, Purpose
from leakhunt.model.series import (
    ANONYMOUS,
    DESCRIPTORS,
    DURATION,
    LIVE_HEAP,
    PYTHON_BLOCKS,
    RSS,
    SERIES,
    THREADS,
    Series,
)
from leakhunt.runner.supervisor import BY_THE_USER
from leakhunt.service.process_tree import Tree
from leakhunt.storage import run_writer
from leakhunt.storage.follow import Tail
from leakhunt.storage.run_file import SUFFIX
from leakhunt.storage.run_writer import Appender, encode
from leakhunt.text.message import Text, message

_OUTSIDE = (RSS, ANONYMOUS, THREADS, DESCRIPTORS)
_INSIDE = (LIVE_HEAP, PYTHON_BLOCKS)
# So many samples are wanted of a stretch, a second apart at least, and so many marks.
_WANTED_SAMPLES = 600
MARKS = 6
# What grows by less than so much between the first mark and the last is what looking leaves.
_LEAST_GROWTH = MARKS
_MOST_CONTAINERS, _MOST_TYPES = 12, 6
_NO_FACTS: Mapping[str, Text] = {}
_SECOND_NS = 1_000_000_000
VISIT_NOTE = "visit"


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched of a process: for how long, whether it is touched, how long it is traced.

    `by_memray`: it may be traced by memray, where that can be loaded. `lists_all`: all objects are
    listed in one call, however long that takes.
    """

    seconds: float
    touches: bool
    trace_seconds: float
    by_memray: bool = True
    lists_all: bool = False


@dataclass(slots=True)
class _Marks:
    """The lengths of containers and the numbers of objects at each mark."""

    seconds: list[int] = field(default_factory=list)
    lengths: list[dict[int, int]] = field(default_factory=list)
    kinds: list[Counter[str]] = field(default_factory=list)
    kind_of: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Cost:
    objects: int = 0
    longest_ns: int = 0
    lost: int = 0
    walked: int = 0
    memray_bytes: int = 0

    def add(self, said: Mapping[str, int]) -> None:
        self.objects = max(self.objects, said.get("objects", 0))
        self.longest_ns = max(self.longest_ns, said.get("longest_ns", 0))
        self.walked = max(self.walked, said.get("walked", 0))


class AttachRun:
    """A visit at work."""

    def __init__(self, visit: Visit, plan: Plan, folder: Path, events: Events) -> None:
        self._visit, self._plan, self._events = visit, plan, events
        self._file = folder / f"{plan.variant}{SUFFIX}"
        self._tree = Tree(visit.target.pid)
        self._marks = _Marks()
        self.cost = _Cost()
        self._started = time.monotonic()
        visit.load(Path(reference_chains.__file__).read_text(encoding="utf-8"))
        visit.load(Path(looking.__file__).read_text(encoding="utf-8"))
        self._facts = visit.ask("facts")
        self._allocator = visit.ask("allocator")
        numbers = visit.ask("numbers")
        known = {each.name: each for each in self._tree.series if each.name in _OUTSIDE}
        self._series: tuple[Series, ...] = (
            *known.values(),
            *(SERIES[name].series for name in _INSIDE if name in numbers),
            SERIES[DURATION].series,
        )
        self._main: str = self._facts["main"] or "main.py"
        self._places = Places(self._main)

    def carry_out(self, watched: Watched, limits: Callable[[], Mapping[str, int]]) -> Outcome:
        """All of it; what ended it early is the outcome."""
        run_writer.create(self._file, self._header(self._plan, limits()))
        appender = Appender(self._file)
        outcome = Outcome(Ending.OK)
        try:
            with Tail(self._file) as tail:
                if watched.seconds:
                    self._events.started(RunStart(self._plan.variant, None))
                outcome = self._watched(watched, appender, tail)
        finally:
            appender.close()
            run_writer.finish(self._file, outcome, time.monotonic() - self._started)
            if watched.seconds:
                self._events.ended(self._plan.variant, outcome)
        return outcome

    def note(self, facts: Mapping[str, Any]) -> None:
        """What is known of the visit when it is over; the file is whole before and after."""
        appender = Appender(self._file)
        try:
            appender.append(encode({"record": "note", "kind": VISIT_NOTE, **facts}))
        finally:
            appender.close()

    def _watched(self, watched: Watched, appender: Appender, tail: Tail) -> Outcome:
        def write(record: Mapping[str, Any]) -> None:
            appender.append(encode(record))
            tail.follow()
            if watched.seconds:
                self._events.sampled(self._plan.variant, tail)

        def settle(step: str, word: str) -> None:
            values = {**self._visit.ask(word), **outside_reading(self._visit.target.pid)}
            write({"record": "settle", "step": step, "values": values})

        outcome = Outcome(Ending.OK)
        try:
            settle("start", "look")
            try:
                if watched.seconds:
                    self._grow(watched, write, settle)
            except KeyboardInterrupt:  # what there is by then is looked at all the same
                outcome = Outcome(Ending.INTERRUPTED, BY_THE_USER)
            self._settle(watched, settle)
            self._look_at_objects(watched)
            if watched.trace_seconds and outcome.ending is Ending.OK:
                self._trace(watched)
        except KeyboardInterrupt:
            outcome = Outcome(Ending.INTERRUPTED, BY_THE_USER)
        except ScenarioFailed as error:
            outcome = Outcome(Ending.CRASHED, error.text)
        except ProcessLookupError:
            outcome = Outcome(Ending.CRASHED, ended(self._visit.target.pid))
        return outcome

    def _settle(self, watched: Watched, settle: Callable[[str, str], None]) -> None:
        """The last full readings, and where that is allowed what each step gives back."""
        settle("end", "look")
        if watched.touches:
            self._events.noted(message("attach.touching", "collecting garbage and trimming"))
            settle("collected", "look_collected")
            settle("emptied", "emptied")
            settle("trimmed", "trimmed")

    def _grow(
        self,
        watched: Watched,
        write: Callable[[Mapping[str, Any]], None],
        settle: Callable[[str, str], None],
    ) -> None:
        """Samples at even distances, with marks between them."""
        each = max(round(watched.seconds / _WANTED_SAMPLES), 1)
        wanted = max(int(watched.seconds) // each, 1)
        phase = Phase(0, wanted, Purpose.JUDGED, each, collects=False)
        write({"record": "phase", **asdict(phase)})
        started = time.monotonic()
        marks = {round(wanted * turn / (MARKS - 1)) for turn in range(MARKS)}
        second = 0
        for number in range(wanted + 1):
            if number in marks:
                self._mark(second, watched)
                if watched.touches:
                    settle("look", "look")
                    settle("look_collected", "look_collected")
            if number == wanted:
                return
            before = second
            second = max(second + each, int(time.monotonic() - started) // each * each)
            time.sleep(max(started + second - time.monotonic(), 0.0))
            outside = self._tree.read([self._visit.target.pid])
            passed = {DURATION: (second - before) * _SECOND_NS}
            values = {**outside, **self._visit.ask("numbers"), **passed}
            row = [values[series.name] for series in self._series]
            write({"record": "sample", "call": second - 1, "values": row})

    def _mark(self, second: int, watched: Watched) -> None:
        lengths: dict[int, int] = {}
        numbers: list[tuple[int, int]] = []
        names: dict[int, Any] = {}
        for piece in self._visit.stream(_word("lengths", watched)):
            letter, data = piece[:1], piece[1:]
            match letter:
                case b"C":
                    for address, kind, length in struct.iter_unpack("<3Q", data):
                        lengths[address] = length
                        self._marks.kind_of[address] = kind
                case b"K":
                    numbers += struct.iter_unpack("<2Q", data)
                case b"N":
                    names = {int(key): value for key, value in json.loads(data).items()}
                case b"S":
                    self.cost.add(json.loads(data))
        kinds: Counter[str] = Counter()
        for kind, number in numbers:
            kinds[names[kind][0]] += number
        self._marks.seconds.append(second)
        self._marks.lengths.append(lengths)
        self._marks.kinds.append(kinds)

    def _look_at_objects(self, watched: Watched) -> None:
        """The graph of all objects, and what it says; a file for each instrument it stands for."""
        self._events.noted(message("attach.reading-objects", "reading the objects, in slices"))
        graph = heap_graph(self._visit.stream(_word("graph", watched)))
        self.cost.lost = graph.lost
        self._write_findings(
            Instrument.RETAINED, list(holder_findings(graph, self._visit, self._places))
        )
        if len(self._marks.seconds) > 1:
            self._write_findings(Instrument.OBJGRAPH, list(self._growers(graph)))
        self.cost.add(graph.said)  # with what the names took

    def _growers(self, graph: HeapGraph) -> Iterator[Finding]:
        """Containers that were longer at every mark, and types of which there was more."""
        courses = dict(self._grown())
        nodes = {address: graph.node_of(address) for address in courses}
        known = [node for node in nodes.values() if node is not None]
        names = named(graph, self._visit, known)
        retained = graph.retained_apart(known)
        for address, course in courses.items():
            node = nodes[address]
            told = names.get(node, {}) if node is not None else {}
            items = tuple(dict.fromkeys(told.get("items", ())))
            facts: dict[str, Any] = {"items": list(items)}
            if told.get("file"):
                facts["held_by"] = self._places.origin(told["file"])
            held = (" | ".join(items),) if items else ()
            what = told.get("kind") or "container"
            path = (told["path"], what, *held) if told else ()
            # It has grown on while the graph was read, until it was named.
            length = max(course[-1], told.get("length", 0))
            each = retained.get(node, 0) / length if node is not None else 0.0
            yield self._grower(FindingKind.CONTAINER, what, course, each, chain=path, facts=facts)
        for name, course in self._grown_kinds():
            yield self._grower(FindingKind.TYPE, name, course)

    def _grower(
        self,
        sort: FindingKind,
        what: str,
        course: Sequence[int],
        bytes_each: float = 0.0,
        **more: Any,
    ) -> Finding:
        """What has grown; each item of a container taken to retain as much as those at the end."""
        return Finding(
            instrument=Instrument.OBJGRAPH,
            sort=sort,
            what=what,
            calls=tuple(self._marks.seconds),
            counts=tuple(course),
            sizes=tuple(round(count * bytes_each) for count in course),
            **more,
        )

    def _grown(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        marks = self._marks.lengths
        grown = []
        for address, last in marks[-1].items():
            course = tuple(marked.get(address, 0) for marked in marks)
            if last - course[0] > _LEAST_GROWTH and _rises(course):
                grown.append((address, course))
        grown.sort(key=lambda each: each[1][0] - each[1][-1])
        yield from grown[:_MOST_CONTAINERS]

    def _grown_kinds(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        marks = self._marks.kinds
        growth = marks[-1] - marks[0]
        found = (
            (name, tuple(marked[name] for marked in marks)) for name, _ in growth.most_common()
        )
        rising = [(name, course) for name, course in found if _rises(course)]
        yield from rising[:_MOST_TYPES]

    def _trace(self, watched: Watched) -> None:
        """Trace allocations for a stretch; what was made in it and is alive at its end."""
        run = TraceRun(self._visit, self._main, self._file, self._events)
        stretch = run.carry_out(watched.trace_seconds, by_memray=watched.by_memray)
        self.cost.add({"longest_ns": stretch.longest_ns})
        self.cost.memray_bytes = stretch.stays_bytes
        self._write_findings(stretch.instrument, stretch.findings, stretch.facts)

    def _write_findings(
        self,
        instrument: Instrument,
        findings: Sequence[Finding],
        facts: Mapping[str, Text] = _NO_FACTS,
    ) -> None:
        """A file of a run under an instrument: its header, findings and footer."""
        plan = replace(self._plan, instrument=instrument)
        name = f"{self._plan.variant}.{instrument}{SUFFIX}"
        file = self._file.with_name(name)
        header = self._header(plan, {})
        run_writer.create(file, {**header, "facts": {**header["facts"], **facts}})
        appender = Appender(file)
        try:
            if instrument is Instrument.RETAINED:
                values = {**self._visit.ask("look"), **outside_reading(self._visit.target.pid)}
                step = "look_collected"
                appender.append(encode({"record": "settle", "step": step, "values": values}))
            for each in findings:
                appender.append(encode({"record": "finding", **asdict(each)}))
        finally:
            appender.close()
            run_writer.finish(file, Outcome(Ending.OK), time.monotonic() - self._started)

    def _header(self, plan: Plan, limits: Mapping[str, int]) -> dict[str, Any]:
        return {
            "started_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "plan": asdict(plan),
            "facts": {"inside view": _inside_view(self._visit)},
            "environment": self._environment(),
            "series": [asdict(series) for series in self._series],
            "unavailable": self._unavailable(),
            "limits": dict(limits),
        }

    def _environment(self) -> dict[str, str]:
        target = self._visit.target
        versions = libraries(target, self._facts["path"], self._facts["modules"])
        names = {"cpython": "CPython"}
        implementation = names.get(self._facts["implementation"], self._facts["implementation"])
        return {
            **describe_environment_of_service(self._tree.variables(), False),
            "python": f"{implementation} {self._facts['version']}",
            LIBRARIES: libraries_fact(versions),
            ALLOCATOR: str(self._allocator["allocator"]),
            PYTHON_ALLOCATOR: str(self._allocator["Python allocator"]),
        }

    def _unavailable(self) -> dict[str, Text]:
        return {
            name: str(self._allocator[name]) for name in (LIVE_HEAP,) if name in self._allocator
        }


def limits_of(pid: int) -> Callable[[], Mapping[str, int]]:
    """What may stop a process, read when it is asked for."""
    return lambda: memory_bounds_of(pid)


def _word(word: str, watched: Watched) -> str:
    """A word about all objects, as it is asked for."""
    return f"{word} {looking.DEEP}" if watched.lists_all else word


def _inside_view(visit: Visit) -> Text:
    return message("attach.inside", "attached ({way})", way=visit.way.value)


def _rises(course: Sequence[int]) -> bool:
    return all(earlier < later for earlier, later in pairwise(course))
