"""What a worker writes beside its samples: readings, inventories, an instrument's findings."""

from __future__ import annotations

import contextlib
import gc
import traceback
from collections import Counter
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Protocol

import objgraph

from leakhunt.errors import MissingRequirement
from leakhunt.instruments import Call, InstrumentedRun, instrument_for
from leakhunt.instruments.frames import Places
from leakhunt.model.attribution import Instrument
from leakhunt.model.run import Phase, Purpose, Reading
from leakhunt.storage.run_writer import DiskFull, capture_of, encode
from leakhunt.text.message import Message, message
from leakhunt.text.record import fields_of
from leakhunt.worker.protocol import Order
from leakhunt.worker.readings import (
    collected_reading,
    full_reading,
    mappings,
    settle,
    start_reading,
)

_TYPES_SHOWN = 12
_MAPPINGS_SHOWN = 5
_COULD_NOT_COUNT = message("instrument.count", "count")
_REPORT_FAILED = message("instrument.tell", "report its findings")


class Calling(Protocol):
    """The worker's loop, as far as an instrument needs it: what it calls may be wrapped."""

    state: Any
    function: Call
    done: int


class MeasuredRecorder:
    """What a measured run writes beside its samples: full readings, and what there is more of."""

    def start(self) -> Iterator[bytes]:
        """The reading before the first call."""
        # Kept from before the readings it would otherwise show up in.
        self._inventory = _Inventory()
        start = start_reading()
        self._last = (start, start)
        yield _reading(start)

    def pause(self, phase: Phase) -> Iterator[bytes]:
        """The readings after a phase."""
        before = full_reading("look")
        if phase.purpose is Purpose.WARM_UP:
            self._inventory = _Inventory()
        # What is live is known only just after a collection, and the collector keeps its own pace.
        self._last = (before, collected_reading())
        yield from map(_reading, self._last)

    def end(self) -> Iterator[bytes]:
        """The settling, and the inventory."""
        yield from map(_reading, settle(self._last))
        yield from self._inventory.growth()


class UnderInstrument:
    """What a run under an instrument writes beside its samples: its marks and its findings."""

    def __init__(self, order: Order, module: ModuleType, calls: Calling) -> None:
        assert order.instrument is not None
        self._calls = calls
        self._name = order.instrument
        self._is_on = False
        self._failures: list[Message] = []
        self._instrument = instrument_for(
            InstrumentedRun(
                instrument=order.instrument,
                state=calls.state,
                module=module,
                places=Places(order.scenario_file),
                capture=capture_of(order.run_file),
            )
        )

    def start(self) -> Iterator[bytes]:
        """Nothing is watched yet."""
        yield encode({"record": "mark", "calls": 0})

    def pause(self, phase: Phase) -> Iterator[bytes]:
        """Start to watch after the first phase; count after every other."""
        del phase
        if not self._is_on:
            self._is_on = True
            self._calls.function = self._instrument.start(self._calls.function)
        else:
            with self._telling(_COULD_NOT_COUNT):
                self._instrument.mark(self._calls.done)
        yield encode({"record": "mark", "calls": self._calls.done})

    def end(self) -> Iterator[bytes]:
        """What was found; of what is retained, also the memory that it is a part of."""
        if self._name is Instrument.RETAINED:
            yield _reading(collected_reading())
        with self._telling(_REPORT_FAILED):
            for finding in self._instrument.findings():
                yield encode({"record": "finding", **fields_of(finding)})
        caveats = [*self._instrument.caveats, *self._failures]
        yield encode({"record": "note", "kind": "watched", "caveats": caveats})

    @contextlib.contextmanager
    def _telling(self, what: Message) -> Iterator[None]:
        """An instrument that fails is no failure of the scenario: it is told, and that is all."""
        try:
            yield
        except (DiskFull, MissingRequirement):
            raise
        except Exception as error:  # it looks at objects that may do anything
            traceback.print_exc()
            self._failures.append(
                message(
                    "instrument.failed",
                    "{name} could not {what} ({kind}: {error})",
                    name=str(self._name),
                    what=what,
                    kind=type(error).__name__,
                    error=str(error),
                )
            )


def _reading(reading: Reading) -> bytes:
    return encode({"record": "settle", **fields_of(reading)})


class _Inventory:
    """What there is at the end of the warm-up, to be compared with what there is at the end."""

    def __init__(self) -> None:
        self._mappings = mappings()
        self._types = _count_types()

    def growth(self) -> Iterator[bytes]:
        """Which types of tracked objects there are more of, and which mappings grew most."""
        types = (_count_types() - self._types).most_common(_TYPES_SHOWN)
        yield encode({"record": "note", "kind": "types", "growth": types})
        grown = [
            (kind, number - self._mappings.get(kind, (0, 0))[0], size - before)
            for kind, (number, size) in mappings().items()
            if size > (before := self._mappings.get(kind, (0, 0))[1])
        ]
        grown.sort(key=lambda entry: -entry[2])
        yield encode({"record": "note", "kind": "mappings", "growth": grown[:_MAPPINGS_SHOWN]})


def _count_types() -> Counter[str]:
    gc.collect()
    return Counter(objgraph.typestats(shortnames=False))
