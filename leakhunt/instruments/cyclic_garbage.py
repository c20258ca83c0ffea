"""Cyclic garbage by name: which cycles the calls leave to the collector, and what closes them.

The collector is held off, and what it finds unreachable between two calls is looked at before it is
freed. The process is as it was afterwards: flags, thresholds, what is frozen, what is traced.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import wraps
from typing import Any

from leakhunt.instruments import Call, InstrumentedRun
from leakhunt.instruments.containers import object_traceback
from leakhunt.instruments.cycle_shapes import CycleShape, shape_of, token
from leakhunt.instruments.free_lists import has_frozen, may_freeze
from leakhunt.instruments.garbage_graph import GarbageCycle, cycles_of, edges_of
from leakhunt.instruments.graph_library import require_rustworkx
from leakhunt.instruments.python_heap import FRAMES
from leakhunt.model.attribution import Finding, FindingKind, Instrument
from leakhunt.text.message import Text, message

# Shapes are told down to so many, the largest first.
MAX_SHAPES = 40
# Cycles of the same types that looked the same so often are not looked at any more.
_TRUSTED = 5
# Kinds of cycles that are known again without being looked at.
_MAX_KNOWN = 10_000


def make(run: InstrumentedRun) -> CyclicGarbage:
    """The cycles that the collector of this process finds.

    Raises:
        MissingRequirement: rustworkx is not installed.
    """
    require_rustworkx(Instrument.GARBAGE)
    return CyclicGarbage(run)


@dataclass
class _Tally:
    """How many cycles of one shape there were, and what was freed with them."""

    count: int = 0
    size: int = 0
    native: int = 0
    objects: int = 0


@dataclass
class _KnownShape:
    """A shape that cycles of the same types have, and how often it was the same."""

    shape: CycleShape
    times: int = 0


# A shape, and the line where the object that closes it was made.
_Key = tuple[CycleShape, tuple[str, int]]


@dataclass
class _SavedState:
    """What was changed in the process, to be put back."""

    debug: int
    was_enabled: bool
    is_frozen: bool
    is_tracing: bool

    def put_back(self) -> None:
        """As it was."""
        gc.set_debug(self.debug)
        if self.is_frozen:
            gc.unfreeze()
        if self.is_tracing:
            tracemalloc.stop()
        if self.was_enabled:
            gc.enable()


class CyclicGarbage:
    """Cycles by shape, added up over the calls between the marks."""

    def __init__(self, run: InstrumentedRun) -> None:
        self._places = run.places
        self._changed: _SavedState | None = None
        self._calls: list[int] = []
        self._tallies: dict[_Key, _Tally] = defaultdict(_Tally)
        self._marked: list[dict[_Key, _Tally]] = []
        self._known: dict[int, _KnownShape] = {}
        self._made_at: dict[_Key, tracemalloc.Traceback] = {}
        self.caveats: list[Text] = []

    def start(self, call: Call) -> Call:
        """Look at the garbage of the call before at the beginning of each.

        What a call returned is garbage only once its caller has let go of it.
        """

        @wraps(call)
        def instrumented(state: Any, item: Any) -> Any:
            if self._changed is None:
                return call(state, item)
            self._look()
            try:
                return call(state, item)
            except BaseException:
                self._let_go()
                raise

        return instrumented

    def mark(self, calls: int) -> None:
        """Begin to hold the collector off; at later marks, count."""
        if self._changed is None and not self._calls:
            self._hold_off()
        elif self._changed is not None:
            self._look()
        self._calls.append(calls)
        self._marked.append({key: _Tally(**asdict(tally)) for key, tally in self._tallies.items()})

    def findings(self) -> Iterator[Finding]:
        """Every shape of cycles, the largest first."""
        self._let_go()
        sizes = {key: tally.size + tally.native for key, tally in self._tallies.items()}
        for key in sorted(sizes, key=lambda each: -sizes[each])[:MAX_SHAPES]:
            yield self._finding(key, sum(sizes.values()))

    def _hold_off(self) -> None:
        gc.collect()
        frozen = may_freeze() and not has_frozen()
        tracing = not tracemalloc.is_tracing()
        self._changed = _SavedState(gc.get_debug(), gc.isenabled(), frozen, tracing)
        if tracing:
            tracemalloc.start(FRAMES)
        if frozen:  # what was there before is no garbage of these calls, and long to go through
            gc.freeze()
        gc.disable()
        gc.set_debug(self._changed.debug | gc.DEBUG_SAVEALL)

    def _let_go(self) -> None:
        if self._changed is not None:
            self._changed.put_back()
            self._changed = None
            gc.collect()

    def _look(self) -> None:
        """Count what is unreachable, and free it."""
        assert self._changed is not None
        before, _ = tracemalloc.get_traced_memory()
        gc.collect(0)  # of the new objects, without emptying the interpreter's free lists
        by_finalizers = max(before - tracemalloc.get_traced_memory()[0], 0)
        gc.collect()
        found, gc.garbage[:] = gc.garbage[:], []
        gc.set_debug(self._changed.debug)
        added: dict[_Key, _Tally] = {}
        try:
            added = self._count(found)
        except Exception as error:  # objects may do anything when they are looked at
            self._note(error)
        gc.collect()  # the interpreter's free lists are emptied before it is weighed
        before, _ = tracemalloc.get_traced_memory()
        del found
        gc.collect()
        freed = before - tracemalloc.get_traced_memory()[0]
        self._add(added, freed + by_finalizers)
        gc.set_debug(self._changed.debug | gc.DEBUG_SAVEALL)

    def _note(self, error: Exception) -> None:
        caveat = message(
            "instrument.object",
            "an object could not be inspected ({name}: {error})",
            name=type(error).__name__,
            error=str(error),
        )
        if caveat not in self.caveats:
            self.caveats.append(caveat)

    def _count(self, found: Sequence[Any]) -> dict[_Key, _Tally]:
        """The cycles by shape, with their sizes as the objects tell them."""
        edges = edges_of(found)
        added: dict[_Key, _Tally] = defaultdict(_Tally)
        for cycle in cycles_of(found, edges):
            members = [found[number] for number in cycle.members]
            shape, lead = self._shape(cycle, members, edges)
            traceback = object_traceback(lead)
            innermost = traceback[-1] if traceback else None
            key = (shape, (innermost.filename, innermost.lineno) if innermost else ("", 0))
            if traceback is not None:
                self._made_at.setdefault(key, traceback)
            tally = added[key]
            tally.count += 1
            tally.size += cycle.python_bytes
            tally.native += cycle.native_bytes
            tally.objects += cycle.objects
        return added

    def _shape(
        self, cycle: GarbageCycle, members: Sequence[Any], edges: Sequence[Sequence[int]]
    ) -> tuple[CycleShape, Any]:
        """The shape of a cycle, and the member that closes it."""
        words = list(map(token, members))
        name = hash((len(words), *sorted(words)))
        known = self._known.get(name)
        if known is None or known.times < _TRUSTED:
            places = {number: at for at, number in enumerate(cycle.members)}
            own = [
                [places[below] for below in edges[number] if below in places]
                for number in cycle.members
            ]
            shape = shape_of(members, own)
            if known is not None and known.shape == shape:
                known.times += 1
            elif len(self._known) < _MAX_KNOWN:
                self._known[name] = _KnownShape(shape)
        else:
            shape = known.shape
        lead = words.index(shape.lead) if shape.lead in words else 0
        return shape, members[lead]

    def _add(self, added: Mapping[_Key, _Tally], freed: int) -> None:
        """Add up, with the bytes that Python has really freed shared out by what the objects say.

        An object does not tell all that it takes: its attributes lie beside it.
        """
        counted = sum(tally.size for tally in added.values())
        scale = max(freed / counted, 1.0) if counted else 1.0
        for key, tally in added.items():
            total = self._tallies[key]
            total.count += tally.count
            total.size += round(tally.size * scale)
            total.native += tally.native
            total.objects += tally.objects

    def _finding(self, key: _Key, whole: int) -> Finding:
        shape, _ = key
        first = self._marked[0].get(key, _Tally())
        marked = [each.get(key, first) for each in self._marked]
        last = marked[-1]
        traceback = self._made_at.get(key)
        facts: dict[str, Any] = {
            "cycle": str(shape.kind),
            f"cycle_{shape.kind}".replace("-", "_"): True,
            "cut": list(shape.cut),
            "weak_reference": shape.is_weakable,
            "objects": round(last.objects / max(last.count, 1), 1),
            "native_bytes": round(last.native / max(last.count, 1)),
            "garbage_bytes": whole,
        }
        closed_at = self._places.frame(*shape.closed_at) if shape.closed_at else None
        if closed_at is not None:
            facts["closed_at"] = asdict(closed_at)
        return Finding(
            instrument=Instrument.GARBAGE,
            sort=FindingKind.CYCLE,
            what=", ".join(shape.types),
            calls=tuple(self._calls),
            counts=tuple(each.count for each in marked),
            sizes=tuple(each.size + each.native for each in marked),
            stack=self._places.traced(traceback) if traceback is not None else (),
            chain=shape.chain,
            facts=facts,
        )
