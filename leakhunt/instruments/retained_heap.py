"""Who retains how much of a process that has settled: the dominator tree, cut to what is large."""

from __future__ import annotations

import gc
import types
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from leakhunt.instruments import Call, InstrumentedRun
from leakhunt.instruments.dominators import TOP, Dominators, dominators
from leakhunt.instruments.graph_library import require_rustworkx
from leakhunt.instruments.reference_chains import (
    are_attributes,
    owner_file,
    path_of,
    type_name,
)
from leakhunt.model.attribution import Finding, FindingKind, Instrument
from leakhunt.text.message import Text

# A holder retains at least this part of all; so do the parts of it that are named.
_LEAST_SHARE = 0.002
_LEAST_BYTES = 64 << 10
_NEARLY_ALL = 0.8
_MOST_PARTS = 12
# A package that is named has this part of all.
_LEAST_OF_A_PACKAGE = 0.002
ALL = "all objects"
PACKAGE = "package"
_OTHER = "other"


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
        yield self._finding(ALL, len(tree.objects) - 1, heap.bytes[TOP], heap.native[TOP])
        for number, node in enumerate(heap.holders):
            links = heap.links(node)
            facts: dict[str, Any] = {"native_bytes": heap.native[node]}
            if (owner := owner_file(links)) is not None:
                facts["held_by"] = str(self._run.places.origin(owner))
            facts["parts"] = [heap.part(each) for each in heap.parts(node)]
            yield self._finding(
                type_name(links[-1]),
                heap.objects[node],
                heap.bytes[node],
                chain=(path_of(links, self._run.state),),
                key=str(number),
                facts=facts,
            )
        for name, size in heap.package_bytes.most_common():
            yield self._finding(
                PACKAGE,
                heap.package_objects[name],
                size,
                heap.package_native[name],
                chain=(name,),
                key=name,
            )

    def _finding(self, what: str, objects: int, size: int, native: int = 0, **more: Any) -> Finding:
        facts = {"native_bytes": native, **more.pop("facts", {})}
        return Finding(
            instrument=Instrument.RETAINED,
            sort=FindingKind.HOLDER,
            what=what,
            calls=(self._calls,),
            counts=(objects,),
            sizes=(size,),
            facts=facts,
            **more,
        )


class _Heap:
    """All that is retained, given to holders and, what is small or everybody's, to packages."""

    def __init__(self, tree: Dominators, run: InstrumentedRun) -> None:
        self._tree = tree
        self._run = run
        self.bytes = tree.sums(tree.own)
        self.native = tree.sums(tree.native)
        self.objects = tree.sums([int(node != TOP) for node in range(len(tree.objects))])
        self._below = tree.below()
        self._least = max(_LEAST_SHARE * self.bytes[TOP], _LEAST_BYTES)
        self.holders: list[int] = []
        self.package_bytes: Counter[str] = Counter()
        self.package_native: Counter[str] = Counter()
        self.package_objects: Counter[str] = Counter()
        self._share_out()
        self.holders.sort(key=lambda node: -self.bytes[node])
        self._fold_small_packages()

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

    def parts(self, holder: int) -> list[int]:
        """The largest right below a holder; what only leads to one other is passed through."""
        found = sorted(self._large(holder), key=lambda node: -self.bytes[node])
        return found[:_MOST_PARTS]

    def _large(self, node: int) -> list[int]:
        return [each for each in self._below[node] if self.bytes[each] >= self._least]

    def _share_out(self) -> None:
        waiting = [TOP]
        while waiting:
            node = waiting.pop()
            large = self._large(node)
            if node == TOP:
                # What is shared by all: texts, mostly.
                self.package_bytes[_OTHER] += self._tree.own[TOP]
                for each in self._below[node]:
                    if self.bytes[each] < self._least:
                        self._give(each, each)
                waiting += large
            elif self._is_everybodys(node) or self._is_on_the_way(node, large):
                waiting += large
                self._give(node, node, large)
            else:
                self.holders.append(node)

    def _is_on_the_way(self, node: int, large: Sequence[int]) -> bool:
        """Whether what is large below a node has nearly all of it, and a name of its own."""
        least = _NEARLY_ALL * self.bytes[node]
        if self._has_attributes(node):
            return sum(self.bytes[each] for each in large) >= least
        objects = self._tree.objects
        return any(self.bytes[each] >= least and gc.is_tracked(objects[each]) for each in large)

    def _give(self, node: int, owner: int, without: Sequence[int] = ()) -> None:
        """Count a node without some below it to the package that its object is of."""
        name = self._package(self._tree.objects[owner], owner)
        self.package_bytes[name] += self.bytes[node] - sum(self.bytes[each] for each in without)
        self.package_native[name] += self.native[node] - sum(self.native[each] for each in without)
        self.package_objects[name] += self.objects[node] - sum(
            self.objects[each] for each in without
        )

    def _package(self, each: Any, node: int) -> str:
        """The package whose module, class, function or instance it is, else that of its path."""
        while node != TOP:
            each = self._tree.objects[node]
            if name := _module_name(each):
                return name.partition(".")[0]
            node = self._tree.found_from[node]
        return _OTHER

    def _has_attributes(self, node: int) -> bool:
        """Whether what is below it has names of its own, rather than a place in one container."""
        each, found_from = self._tree.objects[node], self._tree.found_from[node]
        if type(each) is dict:
            return are_attributes(self._tree.objects[found_from], each)
        return not issubclass(type(each), list | tuple | set | frozenset | dict)

    def _is_everybodys(self, node: int) -> bool:
        """Modules, classes and functions: what is large below them is told by its own name."""
        each, found_from = self._tree.objects[node], self._tree.found_from[node]
        kinds = types.ModuleType | type | types.FunctionType | types.FrameType
        if issubclass(type(each), kinds):
            return True
        if type(each) is not dict:
            return False
        above = self._tree.objects[found_from]
        return "__builtins__" in each or (issubclass(type(above), types.ModuleType | type))

    def _fold_small_packages(self) -> None:
        """What small packages have is told together."""
        least = _LEAST_OF_A_PACKAGE * self.bytes[TOP]
        small = [name for name, size in self.package_bytes.items() if size < least]
        for counted in (self.package_bytes, self.package_native, self.package_objects):
            rest = sum(counted.pop(name, 0) for name in small)
            counted[_OTHER] += rest


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
