"""Cyclic garbage as a graph: the cycles in it, and what hangs on each.

What the collector found unreachable is cycles (strongly connected objects) and what they alone
refer to. Every object belongs to one cycle: an inner cycle takes what hangs on it before an outer
one does. Nothing that a class of the user's defines is called on the way.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from leakhunt.instruments.object_facts import Sizes, native_sizes, referents
from leakhunt.instruments.reference_chains import referents_of

# What hangs on garbage and is not tracked by the collector is followed so deep.
_LEVELS = 6


@dataclass(frozen=True, slots=True)
class GarbageCycle:
    """Strongly connected garbage, and what hangs on it.

    `members` are the numbers of the objects in the cycle, `objects` how many the collector frees
    with it, `python_bytes` and `native_bytes` what all of that takes.
    """

    members: tuple[int, ...]
    objects: int
    python_bytes: int
    native_bytes: int


def edges_of(objects: Sequence[Any]) -> list[list[int]]:
    """Of each object the numbers of those among `objects` that it refers to."""
    numbers = {id(each): number for number, each in enumerate(objects)}
    return [
        [numbers[id(below)] for below in referents_of(each) if id(below) in numbers]
        for each in objects
    ]


def cycles_of(objects: Sequence[Any], edges: Sequence[Sequence[int]]) -> list[GarbageCycle]:
    """The cycles of garbage, each with what hangs on it and on no cycle that it leads to."""
    found = [group for group in components(edges) if is_cyclic(group, edges)]
    owners = _owners(found, edges)
    counts, python, native = ([0] * len(found) for _ in range(3))
    sizes = Sizes()
    for number, each in enumerate(objects):
        if (owner := owners[number]) >= 0:
            counts[owner] += 1
            python[owner] += sizes.of(each)
    for number, size in _untracked(objects, sizes):
        if owners[number] >= 0:
            python[owners[number]] += size
    for number, size in native_sizes(objects):
        if owners[number] >= 0:
            native[owners[number]] += size
    return [
        GarbageCycle(tuple(group), counts[at], python[at], native[at])
        for at, group in enumerate(found)
    ]


def is_cyclic(group: Sequence[int], edges: Sequence[Sequence[int]]) -> bool:
    """Whether strongly connected objects are a cycle: several, or one that refers to itself."""
    return len(group) > 1 or group[0] in edges[group[0]]


def components(edges: Sequence[Sequence[int]]) -> list[list[int]]:
    """The strongly connected components, those that lead to others after these."""
    import rustworkx

    graph = rustworkx.PyDiGraph()
    graph.add_nodes_from(range(len(edges)))
    graph.add_edges_from_no_data(
        [(above, below) for above, following in enumerate(edges) for below in following]
    )
    found: list[list[int]] = rustworkx.strongly_connected_components(graph)
    return found


def _owners(cycles: Sequence[Sequence[int]], edges: Sequence[Sequence[int]]) -> list[int]:
    """The number of the cycle that each object is in or hangs on; -1: on none."""
    owners = [-1] * len(edges)
    for at, group in enumerate(cycles):
        for member in group:
            owners[member] = at
    for at, group in enumerate(cycles):
        waiting = list(group)
        while waiting:
            for below in edges[waiting.pop()]:
                if owners[below] < 0:
                    owners[below] = at
                    waiting.append(below)
    return owners


def _untracked(objects: Sequence[Any], sizes: Sizes) -> Iterator[tuple[int, int]]:
    """The size of each object that only garbage refers to and that the collector does not track.

    Each with the number of an object that refers to it: words, bytes, arrays, plain dicts. Whether
    others refer to it, too, is told by the count of its references.
    """
    known = set(map(id, objects))
    counts: dict[int, int] = {}
    owner: dict[int, int] = {}
    found: list[Any] = []
    alone: set[int] = set()
    following: list[tuple[int, Any]] = list(enumerate(objects))
    base = _own_references()
    for _ in range(_LEVELS):
        for number, each in following:
            for below in referents(each):
                name = id(below)
                if name in known or gc.is_tracked(below):
                    continue
                if name not in counts:
                    counts[name], owner[name] = 0, number
                    found.append(below)
                counts[name] += 1
        following = []
        below = each = None
        references = map(sys.getrefcount, found)
        new = [
            at
            for at, count in enumerate(references)
            if count - base == counts[id(found[at])] and id(found[at]) not in alone
        ]
        if not new:
            return
        for at in new:
            name = id(found[at])
            alone.add(name)
            yield owner[name], sizes.of(found[at])
        following = [(owner[id(found[at])], found[at]) for at in new]


def _own_references() -> int:
    """What `sys.getrefcount` says of an object to which a list alone refers, by way of `map`."""
    only = [object()]
    return next(map(sys.getrefcount, only))
