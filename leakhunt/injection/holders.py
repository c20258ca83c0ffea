"""Who retains how much of a process that is visited: its graph, cut to what is large and named.

The rules are those of `leakhunt.instruments.retained_heap`, for objects that are not ours to touch.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from leakhunt.injection.heap_graph import TOP, HeapGraph
from leakhunt.injection.visit import Visit
from leakhunt.instruments.frames import Places
from leakhunt.model.attribution import Finding, FindingKind, Instrument

_LEAST_SHARE = 0.002
_LEAST_BYTES = 64 << 10
_NEARLY_ALL = 0.8
_MOST_HOLDERS = 60
_MOST_PARTS = 12
_ALL, _PACKAGE, _OTHER = "all objects", "package", "other"
# Letters of what is everybody's: modules, classes, functions and frames.
_EVERYBODYS = "mtfF"
_HAVE_A_DICT = "mt"


def holder_findings(graph: HeapGraph, visit: Visit, places: Places) -> Iterator[Finding]:
    """All objects together first, then holders, each with its parts, then packages."""
    heap = _Heap(graph)
    yield _finding(_ALL, graph.objects, int(heap.bytes[TOP]), int(heap.native[TOP]))
    holders = heap.holders[:_MOST_HOLDERS]
    wanted = [node for each in holders for node in (each, *heap.parts(each))]
    names = named(graph, visit, wanted)
    for number, node in enumerate(holders):
        told = names.get(node, {})
        facts: dict[str, Any] = {"native_bytes": int(heap.native[node])}
        if told.get("file"):
            facts["held_by"] = str(places.origin(told["file"]))
        facts["parts"] = [
            {"path": names[each]["path"], "type": names[each]["kind"],
             "objects": int(heap.objects[each]), "bytes": int(heap.bytes[each])}
            for each in heap.parts(node) if names.get(each)
        ]  # fmt: skip
        yield _finding(
            told.get("kind") or graph.kind(node).name,
            int(heap.objects[node]),
            int(heap.bytes[node]),
            chain=(told.get("path") or heap.plain_path(node),),
            key=str(number),
            facts=facts,
        )
    for name, size in heap.package_bytes.most_common():
        if size > 0:
            yield _finding(
                _PACKAGE,
                heap.package_objects[name],
                size,
                heap.package_native[name],
                chain=(name,),
                key=name,
            )


def named(graph: HeapGraph, visit: Visit, nodes: Sequence[int]) -> Mapping[int, dict[str, Any]]:
    """What the agent says of nodes; without those that are not there any more."""
    ways = [[int(graph.addresses[each]) for each in graph.way_to(node)] for node in nodes]
    told = visit.ask(f"named {json.dumps(ways)}").get("named", []) if ways else []
    return {node: each for node, each in zip(nodes, told, strict=True) if each}


def _finding(what: str, objects: int, size: int, native: int = 0, **more: Any) -> Finding:
    facts = {"native_bytes": native, **more.pop("facts", {})}
    return Finding(
        instrument=Instrument.RETAINED,
        sort=FindingKind.HOLDER,
        what=what,
        calls=(1,),
        counts=(objects,),
        sizes=(size,),
        facts=facts,
        **more,
    )


class _Heap:
    """All that is retained, given to holders and, what is small or everybody's, to packages."""

    def __init__(self, graph: HeapGraph) -> None:
        self._graph = graph
        self.bytes = graph.sums(graph.own)
        self.native = graph.sums(graph.native)
        ones = graph.own * 0 + 1
        ones[TOP] = 0
        self.objects = graph.sums(ones)
        self._below = graph.below()
        self._least = max(_LEAST_SHARE * int(self.bytes[TOP]), _LEAST_BYTES)
        self.holders: list[int] = []
        self.package_bytes: Counter[str] = Counter()
        self.package_native: Counter[str] = Counter()
        self.package_objects: Counter[str] = Counter()
        self._share_out()
        self.holders.sort(key=lambda node: -int(self.bytes[node]))
        self._fold()

    def parts(self, holder: int) -> list[int]:
        """The largest right below a holder."""
        return sorted(self._large(holder), key=lambda node: -int(self.bytes[node]))[:_MOST_PARTS]

    def plain_path(self, node: int) -> str:
        """The way to a node by types, where it has no name any more."""
        return " -> ".join(self._graph.kind(each).name for each in self._graph.way_to(node))

    def _large(self, node: int) -> list[int]:
        below = self._below.get(node)
        return [] if below is None else below[self.bytes[below] >= self._least].tolist()

    def _share_out(self) -> None:
        waiting = [TOP]
        while waiting:
            node = waiting.pop()
            large = self._large(node)
            if node == TOP:
                self.package_bytes[_OTHER] += int(self._graph.own[TOP])
                for each in self._below.get(TOP, ()):
                    if self.bytes[each] < self._least:
                        self._give(int(each), int(each), ())
                waiting += large
            elif self._is_everybodys(node) or self._is_on_the_way(node, large):
                waiting += large
                self._give(node, node, large)
            else:
                self.holders.append(node)

    def _is_everybodys(self, node: int) -> bool:
        letter = self._graph.kind(node).letter
        return bool(letter) and (letter in _EVERYBODYS or self._is_of_attributes(node))

    def _is_of_attributes(self, node: int) -> bool:
        """Whether it is the dict of a module or a class."""
        above = self._graph.kind(int(self._graph.found_from[node])).letter
        is_dict = self._graph.kind(node).letter == "d"
        return is_dict and bool(above) and above in _HAVE_A_DICT

    def _is_on_the_way(self, node: int, large: Sequence[int]) -> bool:
        """Whether what is large below a node has nearly all of it, and a name of its own."""
        least = _NEARLY_ALL * int(self.bytes[node])
        if self._graph.kind(node).letter not in ("c", "d"):
            return sum(int(self.bytes[each]) for each in large) >= least
        return any(self.bytes[each] >= least for each in large)

    def _give(self, node: int, owner: int, without: Sequence[int]) -> None:
        """Count a node without some below it to the package that its object is of."""
        name = self._package(owner)
        for counted, of in (
            (self.package_bytes, self.bytes),
            (self.package_native, self.native),
            (self.package_objects, self.objects),
        ):
            counted[name] += int(of[node]) - sum(int(of[each]) for each in without)

    def _package(self, node: int) -> str:
        graph = self._graph
        while node != TOP:
            label = graph.labels.get(int(graph.addresses[node]))
            if not label:
                kind = graph.kind(node).name
                label = kind.rpartition(".")[0] if "." in kind else ""
            if label and label != "builtins":
                return label.partition(".")[0]
            node = int(graph.found_from[node])
        return _OTHER

    def _fold(self) -> None:
        """What small packages have is told together."""
        least = _LEAST_SHARE * int(self.bytes[TOP])
        small = [name for name, size in self.package_bytes.items() if size < least]
        for counted in (self.package_bytes, self.package_native, self.package_objects):
            rest = sum(counted.pop(name, 0) for name in small)
            counted[_OTHER] += rest
