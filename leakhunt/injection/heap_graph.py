"""The objects of another process as a graph, from what its agent sends: who retains how much.

The process goes on while it is read, so the graph is of no single moment: what is referred to and
was not sent is left out, and counted as lost. Dominators are rustworkx's, the rest is numpy's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.int64]
_Addresses: TypeAlias = NDArray[np.uint64]
TOP = 0
_TOGETHER = 200_000
# What is owned by more objects than this, or so far from what owns them all, is everybody's.
_MOST_OWNERS = 64
_MOST_STEPS = 2000
_MOST_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class TypeKind:
    """A type of objects: its name, and a letter for what they are, as `agent.looking` has it."""

    name: str
    letter: str


@dataclass(frozen=True, slots=True)
class HeapGraph:
    """The dominator tree. By the number of the node: `TOP` is above all roots.

    `addresses` are the objects', of frames small numbers; `kinds` maps a kind's address to what it
    is, `kind_of` is that address; `found_from` is the node through which the shortest path from a
    root came, `above` the immediate dominator. `own` are the bytes of an object with what hangs on
    it alone, `native` those of them that Python did not allocate. `lost` counts references to what
    was not sent. `labels` are the modules of modules, classes and functions, by address; `roots`
    the names of modules and frames. `unrooted` are the nodes that no root leads to.
    """

    addresses: _Addresses
    kind_of: _Addresses
    kinds: Mapping[int, TypeKind]
    labels: Mapping[int, str]
    roots: Mapping[int, str]
    found_from: Numbers
    above: Numbers
    depth: Numbers
    own: Numbers
    native: Numbers
    unrooted: NDArray[np.bool_]
    objects: int
    lost: int
    said: dict[str, int]

    def sums(self, values: Numbers) -> Numbers:
        """Of each node, the values of all that would be freed with it, its own included."""
        total = values.copy()
        order = np.argsort(-self.depth, kind="stable")
        depths = -self.depth[order]
        starts = np.flatnonzero(np.diff(depths, prepend=depths[0] - 1))
        for begin, end in zip(starts, (*starts[1:], len(order)), strict=True):
            nodes = order[begin:end]
            if self.depth[nodes[0]] > 0:
                np.add.at(total, self.above[nodes], total[nodes])
        return total

    def retained_apart(self, nodes: Sequence[int]) -> Mapping[int, int]:
        """What each of some nodes retains, without what another one of them below it does."""
        sums = self.sums(self.own)
        found = {node: int(sums[node]) for node in nodes}
        for node in found:
            above = int(self.above[node])
            while above != TOP and above not in found:
                above = int(self.above[above])
            if above != TOP:
                found[above] -= int(sums[node])
        return found

    def below(self) -> Mapping[int, Numbers]:
        """The nodes right below each that has some."""
        order = np.argsort(self.above[1:], kind="stable") + 1
        above = self.above[order]
        starts = np.flatnonzero(np.diff(above, prepend=-1))
        ends = (*starts[1:], len(order))
        return {int(above[b]): order[b:e] for b, e in zip(starts, ends, strict=True)}

    def way_to(self, node: int) -> list[int]:
        """The nodes from a root down to one."""
        links = []
        while node != TOP:
            links.append(node)
            node = int(self.found_from[node])
        return links[::-1]

    def node_of(self, address: int) -> int | None:
        """The node of an object; None: it has none."""
        found = np.flatnonzero(self.addresses == np.uint64(address))
        return int(found[0]) if len(found) else None

    def kind(self, node: int) -> TypeKind:
        """What a node is."""
        if node != TOP and int(self.addresses[node]) in self.roots and not self.kind_of[node]:
            return TypeKind("frame", "F")
        return self.kinds.get(int(self.kind_of[node]), TypeKind("?", ""))


class _Pieces:
    """What was sent, taken apart."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.names: dict[int, list[str]] = {}
        self.said: dict[str, int] = {}
        self.roots: dict[int, str] = {}
        self.frames: list[tuple[int, _Addresses]] = []
        data: dict[bytes, list[bytes]] = {letter: [] for letter in (b"O", b"E", b"L", b"B")}
        frame = 0
        for piece in pieces:
            letter, rest = piece[:1], piece[1:]
            if letter == b"E" and frame:
                self.frames.append((frame, np.frombuffer(rest, np.uint64)))
                frame = 0
            elif letter in data:
                data[letter].append(rest)
            elif letter == b"F":
                frame, name = json.loads(rest)
                self.roots[frame] = name
            else:
                self._facts(letter, json.loads(rest))
        rows, edges, leaves, natives = data.values()
        self.rows = np.frombuffer(b"".join(rows), np.uint64).reshape(-1, 4)
        self.edges = np.frombuffer(b"".join(edges), np.uint64)
        self.leaves = np.frombuffer(b"".join(leaves), np.uint64).reshape(-1, 3)
        self.natives = np.frombuffer(b"".join(natives), np.uint64).reshape(-1, 3)

    def _facts(self, letter: bytes, told: Any) -> None:
        match letter:
            case b"N":
                self.names = {int(key): value for key, value in told.items()}
            case b"S":
                self.said = told
            case b"R":
                self.roots |= {int(key): name for key, name in told}


def heap_graph(pieces: Iterable[bytes]) -> HeapGraph:
    """The graph of what an agent sends for ``graph``."""
    sent = _Pieces(pieces)
    frames = np.array([number for number, _ in sent.frames], np.uint64)
    ids, first = np.unique(sent.rows[:, 0], return_index=True)
    # TOP, frames, and objects in the order of their addresses, which is also that of `known`.
    addresses = np.concatenate([np.zeros(1, np.uint64), frames, ids])
    before = 1 + len(frames)
    count = len(addresses)
    kind_of = np.concatenate([np.zeros(before, np.uint64), sent.rows[first, 1]])
    sizes = np.concatenate([np.zeros(before, np.int64), sent.rows[first, 2].astype(np.int64)])
    referring = np.repeat(sent.rows[:, 0], sent.rows[:, 3].astype(np.int64))
    sources = np.concatenate(
        [np.searchsorted(ids, referring) + before,
         *(np.full(len(found), 1 + at) for at, (_, found) in enumerate(sent.frames))]
    ).astype(np.int64)  # fmt: skip
    targets = np.concatenate([sent.edges, *(found for _, found in sent.frames)])
    inner = _places(ids, targets)
    edges = _distinct(sources[inner >= 0], inner[inner >= 0] + before, count)
    outer_from, outer_to = sources[inner < 0], targets[inner < 0]
    roots = _places(ids, np.array([each for each in sent.roots if each >= 4000], np.uint64))
    starts = np.concatenate([roots[roots >= 0] + before, np.arange(1, before)]).astype(np.int64)
    lists = _Lists(edges, count)
    found_from, reached = lists.search(starts)
    unrooted = ~reached
    unrooted[TOP] = False
    more = lists.rest(found_from, reached)
    above = _dominators(edges, np.concatenate([starts, more]), count)
    depth = _depths(above)
    tree = _Tree(above, depth)
    own, native, lost = tree.owned(sent, (outer_from, outer_to), sizes)
    return HeapGraph(
        addresses=addresses,
        kind_of=kind_of,
        kinds={key: TypeKind(*each) for key, each in sent.names.items() if each[1] != "M"},
        labels={key: each[0] for key, each in sent.names.items() if each[1] == "M"},
        roots=sent.roots,
        found_from=found_from,
        above=above,
        depth=depth,
        own=own,
        native=native,
        unrooted=unrooted,
        objects=len(ids),
        lost=lost,
        said=sent.said,
    )


def _places(ids: _Addresses, wanted: _Addresses) -> Numbers:
    """Where each of `wanted` is in `ids`, which are in order; -1: nowhere."""
    if not len(ids):
        return np.full(len(wanted), -1, np.int64)
    at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where(ids[at] == wanted, at, -1).astype(np.int64)


def _distinct(sources: Numbers, targets: Numbers, count: int) -> tuple[Numbers, Numbers]:
    """Each edge once, and none from a node to itself."""
    keys = np.unique((sources * count + targets)[sources != targets])
    return keys // count, keys % count


class _Lists:
    """The edges by the node that they come from."""

    def __init__(self, edges: tuple[Numbers, Numbers], count: int) -> None:
        self._sources, self._targets = edges
        self._begin = np.searchsorted(self._sources, np.arange(count + 1))
        self._count = count

    def search(self, starts: Numbers) -> tuple[Numbers, NDArray[np.bool_]]:
        """Of each node the one before it on the shortest path from `starts`, and whether any is."""
        found_from = np.zeros(self._count, np.int64)
        reached = np.zeros(self._count, np.bool_)
        reached[TOP] = True
        self._spread(starts[~reached[starts]], found_from, reached)
        return found_from, reached

    def rest(self, found_from: Numbers, reached: NDArray[np.bool_]) -> Numbers:
        """Further starts from which all is reached that no root leads to.

        First what nothing else refers to, then one object of each knot, at last every object.
        """
        begun: list[Numbers] = []
        for turn in range(_MOST_ROUNDS):
            left = np.flatnonzero(~reached)
            if not len(left):
                break
            within = ~(reached[self._sources] | reached[self._targets])
            starts = np.setdiff1d(left, self._targets[within])
            if not len(starts):
                starts = left if turn + 1 == _MOST_ROUNDS else self._one_of_each(left, within)
            begun.append(starts)
            self._spread(starts, found_from, reached)
        left = np.flatnonzero(~reached)
        if len(left):
            begun.append(left)
            self._spread(left, found_from, reached)
        return np.concatenate(begun) if begun else np.zeros(0, np.int64)

    def _one_of_each(self, left: Numbers, within: NDArray[np.bool_]) -> Numbers:
        import rustworkx

        graph = rustworkx.PyGraph()
        graph.add_nodes_from([None] * len(left))
        sources = np.searchsorted(left, self._sources[within])
        targets = np.searchsorted(left, self._targets[within])
        graph.add_edges_from_no_data(list(zip(sources.tolist(), targets.tolist(), strict=True)))
        return left[sorted(min(each) for each in rustworkx.connected_components(graph))]

    def _spread(self, starts: Numbers, found_from: Numbers, reached: NDArray[np.bool_]) -> None:
        front = starts
        reached[front] = True
        while len(front):
            begin, end = self._begin[front], self._begin[front + 1]
            lengths = end - begin
            total = int(lengths.sum())
            offsets = np.repeat(begin - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
            targets = self._targets[np.arange(total) + offsets]
            sources = np.repeat(front, lengths)
            is_new = ~reached[targets]
            new, first = np.unique(targets[is_new], return_index=True)
            found_from[new] = sources[is_new][first]
            reached[new] = True
            front = new


def _dominators(edges: tuple[Numbers, Numbers], starts: Numbers, count: int) -> Numbers:
    import rustworkx

    graph = rustworkx.PyDiGraph()
    graph.add_nodes_from([None] * count)
    sources = np.concatenate([np.zeros(len(starts), np.int64), edges[0]])
    targets = np.concatenate([starts, edges[1]])
    for at in range(0, len(sources), _TOGETHER):
        part = slice(at, at + _TOGETHER)
        pairs = zip(sources[part].tolist(), targets[part].tolist(), strict=True)
        graph.add_edges_from_no_data(list(pairs))
    found = rustworkx.immediate_dominators(graph, TOP)
    above = np.zeros(count, np.int64)
    above[np.fromiter(found.keys(), np.int64)] = np.fromiter(found.values(), np.int64)
    return above


def _depths(above: Numbers) -> Numbers:
    """How deep each node is in the tree, by jumps of twice the length each time."""
    depth: Numbers = (np.arange(len(above)) != TOP).astype(np.int64)
    jump: Numbers = above.copy()
    while jump.any():
        depth += depth[jump]
        jump = jump[jump]
    return depth


@dataclass(frozen=True, slots=True)
class _Tree:
    """The dominator tree: who shares what."""

    above: Numbers
    depth: Numbers

    def owned(
        self, sent: _Pieces, outer: tuple[Numbers, _Addresses], sizes: Numbers
    ) -> tuple[Numbers, Numbers, int]:
        """Bytes by node with what hangs on it and has none; the native ones; references lost."""
        sources, targets = outer
        own, native = sizes.copy(), np.zeros(len(sizes), np.int64)
        leaves, first = np.unique(sent.leaves[:, 0], return_index=True)
        bytes_of = sent.leaves[first, 2].astype(np.int64)
        places = _places(leaves, targets)
        lost = int((places < 0).sum())
        owners = self._common_owners(sources[places >= 0], places[places >= 0], len(leaves))
        np.add.at(own, owners, bytes_of)
        if len(sent.natives):
            known = np.unique(sent.rows[:, 0])
            before = len(sizes) - len(known)
            memory, first, which = np.unique(
                sent.natives[:, 1], return_index=True, return_inverse=True
            )
            holders = _places(known, sent.natives[:, 0]) + before
            shared = self._common_owners(holders, which.reshape(-1), len(memory))
            size = sent.natives[first, 2].astype(np.int64)
            np.add.at(own, shared, size)
            np.add.at(native, shared, size)
        return own, native, lost

    def _common_owners(self, nodes: Numbers, leaves: Numbers, count: int) -> Numbers:
        """Of each leaf, the nearest node that dominates all that refer to it."""
        keys = np.unique(leaves * len(self.above) + nodes)
        leaves, nodes = keys // len(self.above), keys % len(self.above)
        begin = np.searchsorted(leaves, np.arange(count + 1))
        number = np.diff(begin)
        owner = np.zeros(count, np.int64)
        has_any = number > 0
        owner[has_any] = nodes[begin[:-1][has_any]]
        owner[number > _MOST_OWNERS] = TOP
        for turn in range(1, _MOST_OWNERS):
            these = np.flatnonzero((number > turn) & (number <= _MOST_OWNERS))
            if not len(these):
                break
            owner[these] = self._common(owner[these], nodes[begin[these] + turn])
        return owner

    def _common(self, one: Numbers, other: Numbers) -> Numbers:
        """The nearest node that dominates both, pair by pair."""
        one, other = one.copy(), other.copy()
        for _ in range(_MOST_STEPS):
            differ = np.flatnonzero(one != other)
            if not len(differ):
                return one
            deeper = self.depth[one[differ]] >= self.depth[other[differ]]
            one[differ[deeper]] = self.above[one[differ[deeper]]]
            other[differ[~deeper]] = self.above[other[differ[~deeper]]]
        return np.where(one == other, one, TOP)


def unpacked(data: bytes, width: int) -> Iterator[Sequence[int]]:
    """Rows of numbers of a piece, without its letter."""
    yield from np.frombuffer(data, np.uint64).reshape(-1, width).tolist()
