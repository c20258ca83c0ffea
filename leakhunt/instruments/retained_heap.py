"""Who retains how much of a process that has settled: the dominator tree, cut to what is large."""

from __future__ import annotations

import gc
import types
from collections.abc import Iterator, Sequence
from typing import Any

from leakhunt.instruments import Call, InstrumentedRun
from leakhunt.instruments.dominators import TOP, Dominators, dominators
from leakhunt.instruments.graph_library import require_rustworkx
from leakhunt.instruments.heap_shares import HeapShares
from leakhunt.instruments.reference_chains import (
    are_attributes,
    owner_file,
    path_of,
    type_name,
)
from leakhunt.model.attribution import Finding, Instrument
from leakhunt.model.retained import OTHER
from leakhunt.text.message import Text


def make(run: InstrumentedRun) -> RetainedMemory:
    """It looks at the end only.

    Raises:
        MissingRequirement: rustworkx is not installed.
    """
    require_rustworkx(Instrument.RETAINED)
    return RetainedMemory(run)


class RetainedMemory:
    """Nothing is watched; what is there at the end is told."""

    def __init__(self, run: InstrumentedRun) -> None:
        self._run = run
        self._calls = 0
        self.caveats: Sequence[Text] = ()

    def start(self, call: Call) -> Call:
        """Nothing to start."""
        return call

    def mark(self, calls: int) -> None:
        """Remember how many calls there were."""
        self._calls = calls

    def findings(self) -> Iterator[Finding]:
        """All objects together first, then holders, each with its parts, then packages."""
        gc.collect()
        tree = dominators(self._run.state, (self, vars(self)))
        heap = _Heap(tree, self._run)

        def describe(node: int) -> tuple[str, str, dict[str, Any]]:
            links = heap.links(node)
            facts: dict[str, Any] = {"parts": [heap.part(each) for each in heap.parts(node)]}
            if (owner := owner_file(links)) is not None:
                facts["held_by"] = str(self._run.places.origin(owner))
            return type_name(links[-1]), path_of(links, self._run.state), facts

        yield from heap.findings(self._calls, describe, heap.holders)


class _Heap(HeapShares):
    """The objects of this process."""

    def __init__(self, tree: Dominators, run: InstrumentedRun) -> None:
        self._tree = tree
        self._run = run
        self._nodes_below = tree.below()
        objects = tree.sums([int(node != TOP) for node in range(len(tree.objects))])
        super().__init__(tree.own[TOP], tree.sums(tree.own), tree.sums(tree.native), objects)

    def links(self, node: int) -> list[Any]:
        """The shortest path to a holder; attributes are told by what they are of."""
        links = self._tree.chain(node)
        if len(links) > 1 and are_attributes(links[-2], links[-1]):
            return links[:-1]
        return links

    def part(self, node: int) -> dict[str, Any]:
        """A part of a holder."""
        links = self.links(node)
        return {
            "path": path_of(links, self._run.state),
            "type": type_name(links[-1]),
            "objects": self.objects[node],
            "bytes": self.bytes[node],
        }

    def _below(self, node: int) -> Sequence[int]:
        return self._nodes_below[node]

    def _can_hold(self, node: int) -> bool:
        return gc.is_tracked(self._tree.objects[node])

    def _package(self, node: int) -> str:
        """The package whose module, class, function or instance it is, else that of its path."""
        while node != TOP:
            each = self._tree.objects[node]
            if name := _module_name(each):
                return name.partition(".")[0]
            node = self._tree.found_from[node]
        return OTHER

    def _has_attributes(self, node: int) -> bool:
        each, found_from = self._tree.objects[node], self._tree.found_from[node]
        if type(each) is dict:
            return are_attributes(self._tree.objects[found_from], each)
        return not issubclass(type(each), list | tuple | set | frozenset | dict)

    def _is_everybodys(self, node: int) -> bool:
        each, found_from = self._tree.objects[node], self._tree.found_from[node]
        kinds = types.ModuleType | type | types.FunctionType | types.FrameType
        if issubclass(type(each), kinds):
            return True
        if type(each) is not dict:
            return False
        above = self._tree.objects[found_from]
        return "__builtins__" in each or (issubclass(type(above), types.ModuleType | type))


def _module_name(each: Any) -> str:
    """The module of a module, class, function, or namespace; empty: it has none of its own."""
    if issubclass(type(each), types.ModuleType):
        name = types.ModuleType.__getattribute__(each, "__dict__").get("__name__")
    elif issubclass(type(each), type):
        name = type.__getattribute__(each, "__dict__").get("__module__")
    elif type(each) in (types.FunctionType, types.BuiltinFunctionType):
        name = each.__module__
    elif type(each) is dict:
        name = each.get("__name__") if "__builtins__" in each or "__spec__" in each else None
    else:
        name = type.__getattribute__(type(each), "__dict__").get("__module__")
    return name if type(name) is str and name != "builtins" else ""
