"""What would be freed if an object were gone: the dominator tree of all objects, by rustworkx.

Nodes are the objects that the collector tracks, from the roots down, the shortest paths first, with
dicts, and arrays and texts that are large. What else it does not track has no node: it counts to
the object that owns it, or to the nearest one that owns all of its owners. Nothing that a class of
the user's defines is called.
"""

from __future__ import annotations

import gc
import sys
import types
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from leakhunt.instruments.containers import MANAGED_DICT
from leakhunt.instruments.object_facts import (
    GC_HEAD_BYTES,
    buffers,
    has_buffers,
    has_hidden_referents,
    hidden_referents,
    hides_some,
    inside,
    size_function,
    with_text_keys,
)
from leakhunt.instruments.reference_chains import (
    LINKS_BEFORE_THREADS,
    own_frames,
    referents_of,
    roots,
)

# The node above all roots.
TOP = 0
# Edges that are handed to rustworkx together: tuples of all of them would take more than the graph.
_TOGETHER = 50_000
# What is owned by two objects is everybody's if no common owner is found in so many steps.
_MAX_STEPS = 2_000
# References to a leaf that only one object owns: that object's, and three of ours.
_ALONE = 4
# From here on, what is not tracked is worth a name of its own; a dict is, whatever is in it.
_LARGE_BYTES = 64 << 10
_POINTER_BYTES = 8
# The most attributes that an object without a dict has, with its class.
_MOST_ATTRIBUTES = 31
# Pointers before the attributes; 3.12 has those in a separate block, with a header of one pointer.
_POINTERS_BESIDE = 1 if sys.version_info[:2] == (3, 12) else 2
# An allocator hands out multiples of this.
_ALIGNED_BYTES = 16


@dataclass(frozen=True, slots=True)
class Dominators:
    """The dominator tree. All by the number of the node; `TOP` is the node above all roots.

    `objects` are the objects (None at `TOP`); `found_from` is the node through which the shortest
    path from a root came, `above` the immediate dominator. `order` has each node after the one
    above it. `own` are the bytes of an object with what hangs on it and is not tracked; `native`
    those of them that Python did not allocate. To the `unowned` no object refers, and no root.
    """

    objects: Sequence[Any]
    found_from: Sequence[int]
    above: Sequence[int]
    order: Sequence[int]
    own: Sequence[int]
    native: Sequence[int]
    unowned: Sequence[int] = ()

    def sums(self, values: Sequence[int]) -> array[int]:
        """Of each node, the values of all that would be freed with it, its own included."""
        total = array("q", values)
        for node in reversed(self.order):
            if node != TOP:
                total[self.above[node]] += total[node]
        return total

    def chain(self, node: int) -> list[Any]:
        """The shortest path from a root down to an object."""
        links = []
        while node != TOP:
            links.append(self.objects[node])
            node = self.found_from[node]
        return links[::-1]

    def below(self) -> list[list[int]]:
        """The nodes right below each."""
        return children_of(self.above)


def children_of(above: Sequence[int]) -> list[list[int]]:
    """Of each node those right below it; nodes without any share one list."""
    nothing: list[int] = []
    below = [nothing] * len(above)
    for node, parent in enumerate(above):
        if node != TOP:
            if below[parent] is nothing:
                below[parent] = []
            below[parent].append(node)
    return below


def dominators(state: Any, without: Iterable[Any] = ()) -> Dominators:
    """The dominator tree of this process; `state` is a root, `without` and our frames are not.

    Raises:
        ImportError: rustworkx is not installed.
    """
    import rustworkx

    collects = gc.isenabled()
    gc.disable()  # it would go through the heap again and again, for tuples of ours
    try:
        graph = rustworkx.PyDiGraph()
        walk = _Walk(graph, state, without)
        found = rustworkx.immediate_dominators(graph, TOP)
        del graph, walk.graph
        above = array("I", bytes(4 * len(walk.objects)))
        for node, parent in found.items():
            above[node] = parent
        del found
        order = _from_the_top(above)
        owned = _Owned(above, order, walk.numbers)
        for node, each in enumerate(walk.objects):
            if node != TOP:
                owned.add(node, each)
        own, native = owned.totals()
        unowned = tuple(walk.unowned)
        return Dominators(walk.objects, walk.found_from, above, order, own, native, unowned)
    finally:
        if collects:
            gc.enable()


class _Walk:
    """All objects that are tracked, from the roots on, with their edges in the graph."""

    def __init__(self, graph: Any, state: Any, without: Iterable[Any]) -> None:
        self.graph = graph
        self.objects: list[Any] = [None]
        self.found_from = array("I", [TOP])
        self.numbers: dict[int, int] = {}
        self.unowned = array("I")
        self._edges: list[tuple[int, int]] = []
        self._without = {id(each) for each in (*without, *own_frames())}
        self._next = 1
        first, late = roots(state)
        for each in first:
            self._start_at(each)
        number = len(self.objects)
        for each in late:
            self._start_at(each)
        later = range(number, len(self.objects))
        self._follow(self._found(later, LINKS_BEFORE_THREADS))
        self._follow(later)
        self._follow(self._found())
        self._hand_over()  # what is waiting would be among the rest
        self._rest()
        self._hand_over()

    def _start_at(self, each: Any) -> None:
        if id(each) not in self.numbers and id(each) not in self._without:
            self._edges.append((TOP, self._number(each, TOP)))

    def _number(self, each: Any, found_from: int) -> int:
        number = len(self.objects)
        self.numbers[id(each)] = number
        self.objects.append(each)
        self.found_from.append(found_from)
        return number

    def _found(self, but: range = range(0), links: float = inf) -> Iterator[int]:
        """The nodes not followed yet, breadth first, `links` links away at most, but not `but`."""
        while self._next < len(self.objects) and links > 0:
            first, self._next = self._next, len(self.objects)
            yield from (node for node in range(first, self._next) if node not in but)
            links -= 1

    def _follow(self, nodes: Iterable[int]) -> None:
        """Number what these lead to."""
        numbers, edges, without = self.numbers, self._edges, self._without
        way_of = _TypeFacts().__getitem__
        for node in nodes:
            known = {node}
            found = _reached(self.objects[node], way_of(type(self.objects[node])))
            for below in found:
                number = numbers.get(id(below))
                if number is None:
                    if id(below) in without:
                        continue
                    if not gc.is_tracked(below):
                        way = way_of(type(below))
                        if way & _INSIDE:
                            found += _leading_on(below, way_of)  # this loop comes to them as well
                        if not way & _NODES or not _is_large(below, way):
                            continue
                    number = self._number(below, node)
                if number not in known:
                    known.add(number)
                    edges.append((node, number))
            if len(edges) > _TOGETHER:
                self._hand_over()

    def _rest(self) -> None:
        """What only C code holds: first what no other such object refers to, then cycles."""
        # Without a comprehension, whose own objects would refer to ours.
        owned: set[int] = set()
        rest: list[Any] = []
        own = [self, vars(self), *vars(self).values(), owned, rest]
        ours = self._without.union(map(id, own))
        ours |= {id(own), id(ours)}
        for each in gc.get_objects():
            if id(each) not in self.numbers and id(each) not in ours:
                rest.append(each)
        for each in rest:
            for below in referents_of(each):
                if below is not each:
                    owned.add(id(below))
        for each in rest:
            if id(each) not in owned and id(each) not in self.numbers:
                self._start_at(each)
                self.unowned.append(self.numbers[id(each)])
        self._follow(self._found())
        for each in rest:
            self._start_at(each)
            self._follow(self._found())

    def _hand_over(self) -> None:
        self.graph.add_nodes_from([None] * (len(self.objects) - self.graph.num_nodes()))
        self.graph.add_edges_from_no_data(self._edges)
        self._edges.clear()


def _reached(each: Any, way: int) -> list[Any]:
    """What an object refers to; a running frame says so by its variables only."""
    if type(each) is types.FrameType:
        above = (each.f_back,) if each.f_back is not None else ()
        return [*referents_of(each), *each.f_locals.values(), *above]
    found = referents_of(each)
    return found + hidden_referents(each) if way & _HIDES else found


def _leading_on(each: Any, way_of: Callable[[type], int]) -> list[Any]:
    """What may refer to something that is tracked, of what hangs on an object that is not."""
    if type(each) is not tuple:
        return hidden_referents(each)
    return [one for one in each if type(one) is tuple or way_of(type(one)) & _HIDES]


def _from_the_top(above: Sequence[int]) -> array[int]:
    below = children_of(above)
    order = array("I", [TOP])
    for node in order:  # it grows on the way
        order.extend(below[node])
    return order


class _Owned:
    """Bytes by node: of each object itself, and of what is not tracked and hangs on it."""

    def __init__(
        self, above: Sequence[int], order: Sequence[int], numbers: Mapping[int, int]
    ) -> None:
        self._above = above
        self._numbers = numbers
        self._depth = array("I", bytes(4 * len(above)))
        for node in order:
            if node != TOP:
                self._depth[node] = self._depth[above[node]] + 1
        self._bytes = array("q", bytes(8 * len(above)))
        self._native = array("q", bytes(8 * len(above)))
        # Of what more than one may own, by its address: who owns them all, and the size.
        self._owner: dict[int, int] = {}
        self._size: dict[int, int] = {}
        self._buffers: dict[tuple[str, int], tuple[int, int]] = {}
        self._way_of = _TypeFacts().__getitem__

    def add(self, node: int, each: Any) -> None:
        """Count an object, and what hangs on it."""
        way = self._way_of(type(each))
        found = referents_of(each)
        beside = 0
        if way & _MANAGED:
            beside = min(len(found), _MOST_ATTRIBUTES) + _POINTERS_BESIDE
        self._bytes[node] += _size_of(each, way, beside * _POINTER_BYTES)
        if way & _BUFFERS:
            self._buffers_of(each, node)
        if way & _DICTS:
            found = with_text_keys(each, found)
        self._leaves(found, node, is_shared=False)
        if way & _HIDES:
            self._leaves(hidden_referents(each), node, is_shared=True)

    def totals(self) -> tuple[array[int], array[int]]:
        """The bytes of each node, and those of them that Python did not allocate."""
        for name, owner in self._owner.items():
            self._bytes[owner] += self._size[name]
        for owner, size in self._buffers.values():
            self._bytes[owner] += size
            self._native[owner] += size
        return self._bytes, self._native

    def _leaves(self, found: list[Any], node: int, *, is_shared: bool) -> None:
        for below in found:
            name = id(below)
            if name in self._numbers:
                continue
            way = self._way_of(type(below))
            owner: int | None = node
            if not is_shared and sys.getrefcount(below) <= _ALONE:
                self._bytes[node] += _size_of(below, way)
                is_alone = True
            elif way & _SMALL:
                continue
            else:
                owner = self._shared(name, below, way, node)
                is_alone = False
            if owner is None:
                continue
            if way & _BUFFERS:
                self._buffers_of(below, owner)
            if way & _INSIDE:
                self._leaves(inside(below), owner, is_shared=not is_alone)

    def _shared(self, name: int, each: Any, way: int, node: int) -> int | None:
        """Who owns a leaf now that `node` owns it too; None: the same as before."""
        before = self._owner.get(name)
        if before is None:
            self._size[name] = _size_of(each, way)
            self._owner[name] = node
            return node
        if before in (node, TOP):
            return None
        owner = self._common(before, node)
        if owner == before:
            return None
        self._owner[name] = owner
        return owner

    def _buffers_of(self, each: Any, node: int) -> None:
        for name, size in buffers(each):
            before = self._buffers.get(name)
            owner = node if before is None else self._common(before[0], node)
            self._buffers[name] = owner, size

    def _common(self, one: int, other: int) -> int:
        """The nearest node that dominates both."""
        above, depth = self._above, self._depth
        for _ in range(_MAX_STEPS):
            if one == other:
                return one
            if depth[one] < depth[other]:
                one, other = other, one
            one = above[one]
        return TOP


# What there is to know of a type: whether its size is told by C code; whether its objects have
# memory of their own beside it, something inside, something that they do not tell the collector;
# whether they are too small to ask who owns them together; whether their attributes need no dict,
# and are in no size; whether those that are large have a node, though they are not tracked; whether
# they are dicts.
_PLAIN, _BUFFERS, _INSIDE, _HIDES, _SMALL, _MANAGED, _NODES, _DICTS = (1 << bit for bit in range(8))


_WITH_ITEMS = (list, dict, set, frozenset, tuple, deque)
_HOLD_MUCH = (dict, bytes, bytearray, str)


class _TypeFacts(dict[type, int]):
    """What there is to know of a type, found once."""

    def __missing__(self, kind: type) -> int:
        hides = _HIDES if has_hidden_referents(kind) else 0
        found = (
            (_PLAIN if _tells_its_size(kind) else 0)
            | (_BUFFERS if has_buffers(kind) else 0)
            | (_INSIDE if hides_some(kind) else 0)
            | (_NODES if kind in _HOLD_MUCH or hides else 0)
            | (_MANAGED if _has_attributes_beside(kind) else 0)
            | (_DICTS if issubclass(kind, dict) else 0)
            | (_SMALL if kind is int or kind is float else 0)
            | hides
        )
        self[kind] = found
        return found


def _has_attributes_beside(kind: type) -> bool:
    """Whether its objects' attributes are in no size; what containers refer to are mostly items."""
    return bool(kind.__flags__ & MANAGED_DICT) and not issubclass(kind, _WITH_ITEMS)


def _taken(size: int) -> int:
    """What an allocator takes for a block."""
    return -(-size // _ALIGNED_BYTES) * _ALIGNED_BYTES


def _size_of(each: Any, way: int, beside: int = 0) -> int:
    """As an allocator hands it out, and without a call of what a class of the user's defines.

    `beside`: bytes of its attributes, which are in no size.
    """
    try:
        own = sys.getsizeof if way & _PLAIN else size_function(type(each))
        heads = 0 if way & _PLAIN else GC_HEAD_BYTES
        return _taken(own(each) + heads + beside)
    except Exception:  # a C class may refuse, of an object that is not ready
        return 0


def _is_large(each: Any, way: int) -> bool:
    """Whether something that is not tracked is worth a node; of a dict, by what is in it."""
    if type(each) is dict:
        return len(each) > 0
    return _size_of(each, way) >= _LARGE_BYTES


def _tells_its_size(kind: type) -> bool:
    """Whether C code says how large its objects are."""
    found = next(vars(base)["__sizeof__"] for base in kind.__mro__ if "__sizeof__" in vars(base))
    return type(found) in (types.MethodDescriptorType, types.WrapperDescriptorType)
