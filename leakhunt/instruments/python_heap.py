"""Python's heap: allocation sites by tracemalloc, and the objects that grow."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import objgraph

from leakhunt.instruments import ActiveInstrument, Call, InstrumentedRun
from leakhunt.instruments.objects import Objects
from leakhunt.model.attribution import Finding, FindingKind, Instrument
from leakhunt.text.message import Text

FRAMES = 25
# Sites are told down to so many, the largest growth first; the rest is a leak of a leak.
MAX_SITES = 300
_PACKAGE = Path(__file__).parents[1]
# What these allocate is the watching itself.
_OWN = (
    *(
        str(_PACKAGE / part)
        for part in ("instruments", "worker", "pytest_plugin", "probes", "storage", "agent", "text")
    ),
    tracemalloc.__file__,
    objgraph.__file__,
)


def is_own(file: str) -> bool:
    """Whether what a file allocates is the watching itself."""
    return file.startswith(_OWN)


def make(run: InstrumentedRun) -> ActiveInstrument:
    """Allocation sites and objects together, or the objects alone, which costs no tracing."""
    if run.instrument is Instrument.OBJGRAPH:
        return ObjectsOnly(run)
    return PythonHeap(run)


class ObjectsOnly:
    """Types and containers that grow; for processes that tracing would slow down too much."""

    def __init__(self, run: InstrumentedRun) -> None:
        self._objects = Objects(run)

    @property
    def caveats(self) -> Sequence[Text]:
        """What could not be looked at."""
        return self._objects.caveats

    def start(self, call: Call) -> Call:
        """Nothing to start."""
        return call

    def mark(self, calls: int) -> None:
        """Count objects."""
        self._objects.mark(calls)

    def findings(self) -> Iterator[Finding]:
        """Containers and types."""
        yield from self._objects.findings()


class PythonHeap:
    """Sites from tracemalloc, and the objects, each told with the site it came from."""

    def __init__(self, run: InstrumentedRun) -> None:
        self._places = run.places
        self._objects = Objects(run)
        self._calls: list[int] = []
        self._counted: list[dict[tracemalloc.Traceback, tuple[int, int]]] = []

    @property
    def caveats(self) -> Sequence[Text]:
        """What could not be looked at."""
        return self._objects.caveats

    def start(self, call: Call) -> Call:
        """Trace allocations from here on."""
        tracemalloc.start(FRAMES)
        return call

    def mark(self, calls: int) -> None:
        """Blocks and bytes alive, by traceback."""
        self._objects.mark(calls)
        # Grouped first: tracemalloc's filters look at every single block.
        grouped = tracemalloc.take_snapshot().statistics("traceback")
        self._calls.append(calls)
        self._counted.append(
            {
                statistic.traceback: (statistic.count, statistic.size)
                for statistic in grouped
                if not is_own(statistic.traceback[-1].filename)
            }
        )

    def findings(self) -> Iterator[Finding]:
        """The sites whose blocks or bytes grew most, and the objects that keep them."""
        self._objects.end_tracing()
        sites = self._grown()
        keys = {traceback: str(number) for number, traceback in enumerate(sites)}
        yield from self._objects.findings(lambda at: [keys[at]] if at in keys else [])
        for traceback, key in keys.items():
            counted = [marked.get(traceback, (0, 0)) for marked in self._counted]
            yield Finding(
                instrument=Instrument.TRACEMALLOC,
                sort=FindingKind.SITE,
                what="Python",
                calls=tuple(self._calls),
                counts=tuple(count for count, _ in counted),
                sizes=tuple(size for _, size in counted),
                stack=self._places.traced(traceback),
                key=key,
            )

    def _grown(self) -> list[tracemalloc.Traceback]:
        gc.collect()
        first, last = self._counted[0], self._counted[-1]
        growth = {
            traceback: size - first.get(traceback, (0, 0))[1]
            for traceback, (count, size) in last.items()
            if size > first.get(traceback, (0, 0))[1]
        }
        return sorted(growth, key=lambda traceback: -growth[traceback])[:MAX_SITES]
