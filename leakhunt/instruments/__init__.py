"""Instruments: they watch an instrumented run, worker side, and leave findings.

One instrument a run. It is started well before the calls that it counts, so that what replaces
older things is told from what comes on top; it counts at its marks; at the end it says what it
found. Its run's memory figures are never judged.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from leakhunt.instruments.frames import Places
from leakhunt.model.attribution import Finding, Instrument
from leakhunt.text.message import Text

# A call of the variant: what the loop calls, and what an instrument may wrap.
Call = Callable[[Any, Any], Any]

_MODULES = {
    Instrument.TRACEMALLOC: "python_heap",
    Instrument.OBJGRAPH: "python_heap",
    Instrument.MEMRAY: "native_heap",
    Instrument.CUDA: "cuda_heap",
    Instrument.RESOURCES: "resources",
    Instrument.LINES: "line_rss",
    Instrument.RETAINED: "retained_heap",
    Instrument.GARBAGE: "cyclic_garbage",
}


@dataclass(frozen=True, slots=True)
class InstrumentedRun:
    """What an instrument needs to know of the run it watches.

    `state` is what the scenario's ``setup`` returned, and ends retention chains; `module` is the
    scenario file's; `capture` is where a capture file may be left (its suffix is the
    instrument's).
    """

    instrument: Instrument
    state: Any
    module: Any
    places: Places
    capture: Path


class ActiveInstrument(Protocol):
    """One instrument at work. `caveats` are what a reader of its findings must know."""

    @property
    def caveats(self) -> Sequence[Text]: ...

    def start(self, call: Call) -> Call:
        """Begin to watch, between two calls; what is returned is called instead of `call`."""

    def mark(self, calls: int) -> None:
        """Count what is alive after so many calls."""

    def findings(self) -> Iterable[Finding]:
        """Stop watching and say what was found."""


def instrument_for(run: InstrumentedRun) -> ActiveInstrument:
    """The instrument for a run.

    Raises:
        MissingRequirement: it is not installed, or cannot work here.
    """
    name = _MODULES[run.instrument]
    made: ActiveInstrument = importlib.import_module(f"leakhunt.instruments.{name}").make(run)
    return made
