"""Which objects would free what is new if they were gone: holders, by the dominator tree.

New are the objects that were not there at the first mark and are at the last. A holder was there
before, and owns at least a part of what is new: not two owners of the same, but the one above both.
"""

from __future__ import annotations

import gc
import tracemalloc
import types
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from leakhunt.instruments import InstrumentedRun
from leakhunt.instruments.containers import object_traceback
from leakhunt.instruments.dominators import TOP, Dominators, dominators
from leakhunt.instruments.graph_library import load_libraries
from leakhunt.instruments.object_facts import GC_HEAD_BYTES
from leakhunt.instruments.object_ids import ids_of
from leakhunt.instruments.reference_chains import (
    are_attributes,
    owner_file,
    path_of,
    referents_of,
    type_name,
    type_name_of,
)
from leakhunt.instruments.references_to import are_held_untold
from leakhunt.model.attribution import Finding, FindingKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# A holder of less than this part of what is new is none; its parent is not it if one below it owns
# so much of it.
_MIN_SHARE = 0.05
_NEARLY_ALL = 0.8
# What nobody owns is told if it is so much of what is new: less may share its lines with others.
_MAJORITY_SHARE = 0.5
# Objects of which it is asked where they were allocated.
_MAX_PLACED = 40_000
# Types of what is held that are named.
_TYPES_NAMED = 3
# The keys of the sites that a traceback is of.
Sites = Callable[[tracemalloc.Traceback], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Unowned:
    """New objects of a type to which no object refers: how many, and their bytes, at each mark.

    `place` is where most of them were allocated, `places` where what they own was; `block_bytes`
    is what was allocated there for one of them, without what it owns.
    """

    kind: str
    calls: tuple[int, ...]
    counts: tuple[int, ...]
    sizes: tuple[int, ...]
    place: tracemalloc.Traceback
    places: tuple[tracemalloc.Traceback, ...]
    block_bytes: int


@dataclass(frozen=True, slots=True)
class Owned:
    """The holders that were found, and which part of what is new the growing containers own.

    `unowned` is what nobody owns, and is more at each mark.
    """

    findings: tuple[Finding, ...]
    shares: Mapping[int, float]
    unowned: tuple[Unowned, ...] = ()


class GrowingHolders:
    """Remembers at each mark which objects there are, and says at the end who owns the new ones."""

    def __init__(self, run: InstrumentedRun) -> None:
        load_libraries()
        self._run = run
        self._calls: list[int] = []
        self._names: list[NDArray[np.uint64]] = []
        self._tracebacks: dict[int, tuple[tracemalloc.Traceback, ...]] = {}

    @property
    def own(self) -> tuple[Any, ...]:
        """Our own containers, which grow with every mark."""
        return self._calls, self._names, self._tracebacks

    def mark(self, calls: int, objects: Sequence[Any]) -> None:
        """Remember which objects there are."""
        self._calls.append(calls)
        self._names.append(ids_of(objects))

    def place(self) -> None:
        """Ask where the newest objects, and what hangs on them, were allocated."""
        if len(self._names) < 2:
            return
        import numpy as np

        objects = gc.get_objects()
        for at in np.flatnonzero(np.isin(ids_of(objects), self._since(-2)))[-_MAX_PLACED:].tolist():
            each = objects[at]
            leaves = (below for below in referents_of(each) if not gc.is_tracked(below))
            traces = (object_traceback(one) for one in (each, *leaves))
            if found := tuple(dict.fromkeys(trace for trace in traces if trace is not None)):
                self._tracebacks[id(each)] = found

    def found(
        self,
        lengths: Mapping[int, Sequence[int]],
        sites: Sites,
        without: Iterable[Any] = (),
    ) -> Owned:
        """The holders; `lengths` are those of the containers that grow, at each mark, by id.

        `sites` name tracebacks; `without` are objects of the instrument's own.

        Raises:
            ImportError: rustworkx is not installed.
        """
        born = self._born()
        if not born and not lengths:
            return Owned((), {})
        tree = dominators(self._run.state, (self, vars(self), *self.own, *without))
        growth = _Growth(tree, born, lengths)
        shares = {
            id(each): growth.sums[node] / max(growth.total, 1)
            for node, each in enumerate(tree.objects)
            if id(each) in lengths
        }
        findings = tuple(self._finding(growth, node, sites) for node in growth.holders())
        return Owned(findings, shares, tuple(self._unowned(growth)))

    def _since(self, mark: int) -> NDArray[np.uint64]:
        """The objects of the last mark that were not there at that one, by id."""
        import numpy as np

        return np.setdiff1d(self._names[-1], self._names[mark], assume_unique=True)

    def _born(self) -> dict[int, int]:
        """Since which mark they are there, of the new objects."""
        born: dict[int, int] = {}
        for mark in range(len(self._names) - 1):
            born |= dict.fromkeys(self._since(mark).tolist(), mark + 1)
        return born

    def _unowned(self, growth: _Growth) -> Iterator[Unowned]:
        for kind, nodes in growth.unowned().items():
            grown = growth.below(*nodes)
            roots: Counter[tracemalloc.Traceback] = Counter()
            counts = [0] * len(self._calls)
            for node in nodes:
                name = id(growth.tree.objects[node])
                roots.update(self._tracebacks.get(name, ())[:1])
                counts[growth.since(node)] += 1
            rises = all(count > 0 for count in counts[1:])
            if rises and roots and growth.is_much(nodes) and not _are_held(growth, nodes):
                yield Unowned(
                    type_name_of(kind),
                    tuple(self._calls),
                    tuple(accumulate(counts)),
                    grown.sizes,
                    roots.most_common(1)[0][0],
                    self._places_of(growth, grown),
                    _block_bytes(growth.tree.objects[nodes[-1]]),
                )

    def _places_of(self, growth: _Growth, grown: _Below) -> tuple[tracemalloc.Traceback, ...]:
        """Where the new objects, and what hangs on them, were allocated; each place once."""
        objects = (growth.tree.objects[node] for node, _ in grown.new)
        traces = (trace for each in objects for trace in self._tracebacks.get(id(each), ()))
        return tuple(dict.fromkeys(traces))

    def _finding(self, growth: _Growth, node: int, sites: Sites) -> Finding:
        tree = growth.tree
        links = tree.chain(node)
        if len(links) > 1 and are_attributes(links[-2], links[-1]):
            links = links[:-1]
        grown = growth.below(node)
        state = self._run.state
        facts: dict[str, Any] = {
            "owns": round(growth.sums[node] / max(growth.total, 1), 4),
            "native_growth": sum(tree.native[each] for each, _ in grown.new),
            "types": dict(grown.types.most_common(2 * _TYPES_NAMED)),
        }
        if (owner := owner_file(links)) is not None:
            facts["held_by"] = self._run.places.origin(owner)
        return Finding(
            instrument=self._run.instrument,
            sort=FindingKind.HOLDER,
            what=type_name(links[-1]),
            calls=tuple(self._calls),
            counts=grown.counts,
            sizes=grown.sizes,
            chain=(path_of(links, state), type_name(links[-1]), *growth.held(node)),
            keeps=tuple(
                dict.fromkeys(key for each in self._places_of(growth, grown) for key in sites(each))
            ),
            facts=facts,
        )


@dataclass(frozen=True, slots=True)
class _Below:
    """What is new below a holder: nodes with their marks; counts and bytes at each mark."""

    new: Sequence[tuple[int, int]]
    counts: tuple[int, ...]
    sizes: tuple[int, ...]
    types: Counter[str]


class _Growth:
    """What is new, in the dominator tree."""

    def __init__(
        self, tree: Dominators, born: Mapping[int, int], lengths: Mapping[int, Sequence[int]]
    ) -> None:
        self.tree = tree
        self._marks = 1 + max(born.values(), default=0)
        self._marks = max(self._marks, *map(len, lengths.values()), 1)
        self._since = array("B", bytes(len(tree.objects)))  # 0: not new
        self._lengths: dict[int, Sequence[int]] = {}
        weights = array("q", bytes(8 * len(tree.objects)))
        self._own = _with_untracked(tree, lengths)
        for node, each in enumerate(tree.objects):
            mark = born.get(id(each))
            if mark is not None:
                self._since[node] = mark
                weights[node] = self._own[node]
            elif id(each) in lengths:
                course = self._lengths[node] = lengths[id(each)]
                weights[node] = self._own[node] * (course[-1] - course[0]) // max(course[-1], 1)
        self.sums = tree.sums(weights)
        self.total = self.sums[TOP]
        self._below = tree.below()

    def holders(self) -> Iterator[int]:
        """The nearest that own (nearly) all of what another owns; no two of the same."""
        waiting = [TOP]
        while waiting:
            node = waiting.pop()
            large = [each for each in self._below[node] if self._is_large(each)]
            owned = sum(self.sums[each] for each in large)
            largest = max((self.sums[each] for each in large), default=0)
            is_names = self._is_names(node)
            if largest >= _NEARLY_ALL * self.sums[node] or (
                is_names and owned >= _NEARLY_ALL * self.sums[node]
            ):
                waiting += large
            elif node != TOP and not _is_everybodys(self.tree.objects[node]):
                yield node
            else:
                waiting += large

    def _is_large(self, node: int) -> bool:
        return not self._since[node] and self.sums[node] >= max(_MIN_SHARE * self.total, 1)

    def _is_names(self, node: int) -> bool:
        """Whether what it refers to are attributes or variables, and no items of one thing."""
        if node == TOP:
            return True
        each, parent = self.tree.objects[node], self.tree.objects[self.tree.found_from[node]]
        if type(each) is dict:
            return "__builtins__" in each or (parent is not None and are_attributes(parent, each))
        return not issubclass(type(each), list | tuple | set | frozenset | dict)

    def since(self, node: int) -> int:
        """The mark at which it was new."""
        return self._since[node]

    def unowned(self) -> dict[type, list[int]]:
        """What is new and has no owner, by type."""
        found: dict[type, list[int]] = {}
        for node in self.tree.unowned:
            if self._since[node]:
                found.setdefault(type(self.tree.objects[node]), []).append(node)
        return found

    def is_much(self, nodes: Iterable[int]) -> bool:
        """Whether these own most of what is new."""
        return sum(self.sums[node] for node in nodes) >= max(_MAJORITY_SHARE * self.total, 1)

    def below(self, *holders: int) -> _Below:
        """What is new below holders."""
        marks = self._marks
        new: list[tuple[int, int]] = []
        counts, sizes = [0] * marks, [0] * marks
        kinds: Counter[type] = Counter()
        waiting = [*holders]
        while waiting:
            node = waiting.pop()
            waiting += self._below[node]
            if since := self._since[node]:
                new.append((node, since))
                counts[since] += 1
                sizes[since] += self._own[node]
                kinds[type(self.tree.objects[node])] += 1
            elif node in self._lengths:
                course = self._lengths[node]
                items = (self.tree.objects[below] for below in self._below[node])
                is_counted = any(map(gc.is_tracked, items))
                each = self._own[node] // max(course[-1], 1)
                for mark in range(1, len(course)):
                    sizes[mark] += each * (course[mark] - course[mark - 1])
                    # What is tracked is counted itself.
                    counts[mark] += (course[mark] - course[mark - 1]) * (not is_counted)
        names: Counter[str] = Counter()
        for kind, number in kinds.items():
            names[type_name_of(kind)] += number
        return _Below(new, tuple(accumulate(counts)), tuple(accumulate(sizes)), names)

    def held(self, holder: int) -> tuple[str, ...]:
        """The types of what is right below it, those that own most first."""
        owned: Counter[str] = Counter()
        waiting = [holder]
        while waiting:  # through what is old, down to what is new
            for node in self._below[waiting.pop()]:
                if self._since[node]:
                    owned[type_name(self.tree.objects[node])] += self.sums[node]
                elif self.sums[node]:
                    waiting.append(node)
        named = [name for name, _ in owned.most_common(_TYPES_NAMED)]
        return (" | ".join(named),) if named else ()


def _block_bytes(each: Any) -> int:
    """The size of the block that an object which the collector tracks is in."""
    items = tuple.__len__(each) * tuple.__itemsize__ if issubclass(type(each), tuple) else 0
    return GC_HEAD_BYTES + type(each).__basicsize__ + items


def _are_held(growth: _Growth, nodes: Sequence[int]) -> bool:
    """Whether objects that nobody tells of are held nevertheless: two of the newest are asked for.

    They are in fields or structs of others, which own them.
    """
    newest = sorted(nodes, key=growth.since)[-2:]
    return len(newest) > 1 and are_held_untold(*(growth.tree.objects[node] for node in newest))


def _with_untracked(tree: Dominators, lengths: Mapping[int, Sequence[int]]) -> array[int]:
    """The bytes of each node with those that hang on it and that no mark knows: not tracked.

    A container that grows keeps its own, tracked or not.
    """
    own = array("q", tree.own)
    for node in reversed(tree.order):
        each = tree.objects[node]
        if node != TOP and not gc.is_tracked(each) and id(each) not in lengths:
            own[tree.above[node]] += own[node]
            own[node] = 0
    return own


def _is_everybodys(each: Any) -> bool:
    """Modules, classes, threads and frames hold what others made."""
    kinds = types.ModuleType | type | types.FrameType | types.FunctionType
    return issubclass(type(each), kinds) or (type(each) is dict and "__builtins__" in each)
