"""Who retains how much of a process that is visited: its graph, cut to what is large and named.

The objects are not ours to touch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from leakhunt.agent.looking import DEEP
from leakhunt.injection.heap_graph import TOP, HeapGraph
from leakhunt.injection.visit import Visit
from leakhunt.instruments.frames import Places
from leakhunt.instruments.heap_shares import HeapShares
from leakhunt.model.attribution import Finding
from leakhunt.model.retained import OTHER

_MOST_HOLDERS = 60
# Letters of what is everybody's: modules, classes, functions and frames.
_EVERYBODYS = "mtfF"
_HAVE_A_DICT = "mt"


def holder_findings(graph: HeapGraph, visit: Visit, places: Places) -> Iterator[Finding]:
    """All objects together first, then holders, each with its parts, then packages."""
    heap = _Heap(graph)
    holders = heap.holders[:_MOST_HOLDERS]
    names = named(graph, visit, [node for each in holders for node in (each, *heap.parts(each))])

    def told(node: int) -> tuple[str, str, dict[str, Any]]:
        found = names.get(node, {})
        facts: dict[str, Any] = {
            "parts": [
                {"path": names[each]["path"], "type": names[each]["kind"],
                 "objects": heap.objects[each], "bytes": heap.bytes[each]}
                for each in heap.parts(node) if names.get(each)
            ]
        }  # fmt: skip
        if found.get("file"):
            facts["held_by"] = str(places.origin(found["file"]))
        path = found.get("path") or heap.plain_path(node)
        return found.get("kind") or graph.kind(node).name, path, facts

    yield from heap.findings(1, told, holders)


def named(graph: HeapGraph, visit: Visit, nodes: Sequence[int]) -> Mapping[int, dict[str, Any]]:
    """What the agent says of nodes; without those that are not there any more."""
    ways = [[int(graph.addresses[each]) for each in graph.way_to(node)] for node in nodes]
    if not ways:
        return {}
    about = "" if graph.said.get("walked") else DEEP
    answer = visit.ask(f"named {json.dumps({'ways': ways, 'about': about})}")
    told, longest = answer["named"], answer["longest_ns"]
    graph.said["longest_ns"] = max(graph.said.get("longest_ns", 0), longest)
    return {node: each for node, each in zip(nodes, told, strict=True) if each}


class _Heap(HeapShares):
    """The objects of a process that is visited."""

    def __init__(self, graph: HeapGraph) -> None:
        self._graph = graph
        self._nodes_below = graph.below()
        ones = graph.own * 0 + 1
        ones[TOP] = 0
        sums = (graph.sums(each).tolist() for each in (graph.own, graph.native, ones))
        super().__init__(int(graph.own[TOP]), *sums)

    def plain_path(self, node: int) -> str:
        """The way to a node by types, where it has no name any more."""
        return " -> ".join(self._graph.kind(each).name for each in self._graph.way_to(node))

    def _below(self, node: int) -> Sequence[int]:
        found = self._nodes_below.get(node)
        return [] if found is None else found.tolist()

    def _is_everybodys(self, node: int) -> bool:
        letter = self._graph.kind(node).letter
        return bool(letter) and (letter in _EVERYBODYS or self._is_of_attributes(node))

    def _is_of_attributes(self, node: int) -> bool:
        """Whether it is the dict of a module or a class."""
        above = self._graph.kind(int(self._graph.found_from[node])).letter
        is_dict = self._graph.kind(node).letter == "d"
        return is_dict and bool(above) and above in _HAVE_A_DICT

    def _has_attributes(self, node: int) -> bool:
        return self._graph.kind(node).letter not in ("c", "d")

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
        return OTHER
