"""Which containers and which types of objects grow, with who holds them and what they keep.

Containers are followed by their lengths, since what they hold (bytes, arrays) is often not tracked
by the collector; types by objgraph's counts.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
import types
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import objgraph

from leakhunt.instruments import InstrumentedRun
from leakhunt.instruments.containers import (
    cache_of,
    cached_items,
    is_supported,
    is_weak,
    is_weak_reference,
    newest,
    object_traceback,
    owning_cache,
    retained_by,
    untracked_dicts,
)
from leakhunt.instruments.growing_holders import GrowingHolders, Owned, Sites, Unowned
from leakhunt.instruments.object_facts import (
    graph_nodes,
    native_bytes,
    of_kinds,
    referents,
    tensors_with_graphs,
    traits,
)
from leakhunt.instruments.object_ids import among, ids_of
from leakhunt.instruments.reference_chains import (
    Holders,
    owner_file,
    path_of,
    referents_of,
    type_name,
)
from leakhunt.model.attribution import Finding, FindingKind, Instrument
from leakhunt.text.language import mark
from leakhunt.text.message import Text, message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# So many of the fastest growing containers, and types, are looked at.
MAX_CONTAINERS = 12
MAX_TYPES = 6
# What hangs on an item is followed to so many objects; before it is known what it hangs on itself,
# to more.
MAX_REACHED = 400
_MAX_RECORDED = 4 * MAX_REACHED


@dataclass(frozen=True, slots=True)
class _Lengths:
    """The lengths of containers at a mark: their ids, which rise, and how long each is."""

    names: NDArray[np.uint64]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, containers: Sequence[Any], without: Sequence[Any]) -> _Lengths:
        """The lengths of `containers`, `without` some."""
        import numpy as np

        # What is shared is seen more than once.
        names, places = np.unique(ids_of(containers), return_index=True)
        lengths = np.fromiter(map(len, containers), np.int64, len(containers))[places]
        others = ~np.isin(names, ids_of(without))
        return cls(names[others], lengths[others])

    def at(self, names: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The length of each of these; 0 of one that was not there."""
        import numpy as np

        if not len(self.names):
            return np.zeros(len(names), np.int64)
        places = np.minimum(np.searchsorted(self.names, names), len(self.names) - 1)
        return np.where(self.names[places] == names, self.lengths[places], 0)


_INSTRUMENTS = __name__.rpartition(".")[0]


class Objects:
    """Counts at each mark; chains at the end."""

    def __init__(self, run: InstrumentedRun) -> None:
        self._state = run.state
        self._module = run.module
        self._places = run.places
        self._instrument = run.instrument
        self._calls: list[int] = []
        self._lengths: list[_Lengths] = []
        self._types: list[Counter[str]] = []
        self._nodes: list[int] = []
        self._holders = GrowingHolders(run)
        # Of a container by id, while it was traced; of an object by id.
        self._newest: dict[int, list[tuple[Any, ...]]] = {}
        self._tracebacks: dict[int, tracemalloc.Traceback] = {}
        self.caveats: list[Text] = []
        self.unowned: tuple[Unowned, ...] = ()

    def mark(self, calls: int, is_collected: bool = False) -> None:
        """The length of every container, the number of objects of every type."""
        if not is_collected:
            gc.collect()
        objects = gc.get_objects()
        objects = list(of_kinds(objects, _is_watched))
        self._holders.mark(calls, objects)
        self._calls.append(calls)
        self._types.append(count_types(objects, self._instrument))
        self._nodes.append(sum(map(graph_nodes, tensors_with_graphs(objects))))
        containers = [*of_kinds(objects, is_supported), *untracked_dicts(objects)]
        own = (self._lengths, self._types, self._nodes, self._calls)
        self._lengths.append(_Lengths.of(containers, (*own, *self._types, *self._holders.own)))

    def end_tracing(self) -> None:
        """Remember where what grows was allocated, and stop tracemalloc.

        Under it a search through all objects takes ten times as long.
        """
        gc.collect()
        objects = gc.get_objects()
        containers = self._containers(objects, self._grown_lengths())
        self._record_tracebacks(containers, self._examples(objects).values())
        self._holders.place()
        tracemalloc.stop()

    def findings(
        self, sites: Sites | None = None, without: Sequence[Any] = ()
    ) -> Iterator[Finding]:
        """Containers with what they keep, types, autograd graphs, and who owns what is new.

        `sites` name the tracebacks that `end_tracing` found; `without` are objects of another
        instrument's own. What nobody owns is `unowned` then.
        """
        lengths = self._grown_lengths()
        found = self._looked_at(lengths, sites or _no_sites)
        # What we hold, too, has no single owner.
        self._newest.clear()
        owned = self._owned(lengths, sites or _no_sites, without)
        for finding, name in found:
            share = owned.shares.get(name)
            facts = {"owns": round(share, 4)} if share is not None else {}
            yield replace(finding, facts={**finding.facts, **facts})
        self.unowned = owned.unowned
        yield from owned.findings

    def _owned(
        self, lengths: Mapping[int, Sequence[int]], sites: Sites, without: Sequence[Any]
    ) -> Owned:
        try:
            own = (
                self,
                vars(self),
                self._calls,
                self._lengths,
                self._types,
                self._nodes,
                self._tracebacks,
                *without,
            )
            return self._holders.found(lengths, sites, (*own, *self._lengths, *self._types))
        except Exception as error:  # objects may do anything when they are looked at
            self.caveats.append(
                message(
                    "instrument.dominators",
                    "holders not ranked by what they retain ({name}: {error})",
                    name=type(error).__name__,
                    error=str(error),
                )
            )
            return Owned((), {})

    def _record_tracebacks(self, containers: Iterable[Any], examples: Iterable[Any]) -> None:
        """Where what hangs on the newest items, and examples of types, were allocated."""
        for container in containers:
            # What cannot be looked at is a caveat later.
            with suppress(Exception):
                items = self._newest[id(container)] = list(newest(container))
                for item in cached_items(owning_cache(container, items), items):
                    self._record(self._reached(item, [container], _MAX_RECORDED))
        for example in examples:
            self._record([example, *referents_of(example)])

    def _record(self, objects: Iterable[Any]) -> None:
        for each in objects:
            if (traceback := object_traceback(each)) is not None:
                self._tracebacks[id(each)] = traceback

    def _containers(self, objects: Sequence[Any], lengths: Mapping[int, object]) -> list[Any]:
        """The containers of these ids among `objects`, and the dicts below them."""
        untracked = (each for each in untracked_dicts(objects) if id(each) in lengths)
        return [*among(objects, lengths), *untracked]

    def _looked_at(
        self, lengths: Mapping[int, tuple[int, ...]], sites: Sites
    ) -> list[tuple[Finding, int]]:
        """Containers, types and graphs, each with the id of the object that it is about."""
        gc.collect()
        objects = gc.get_objects()
        containers = self._containers(objects, lengths)
        examples = self._examples(objects)
        tensor = self._tensor_with_graph(objects)
        del objects
        holders = Holders(self._state, [*containers, *examples.values(), tensor])
        findings: list[tuple[Callable[[], Finding], int]] = [
            *((partial(self._container, each, lengths[id(each)], holders, sites), id(each))
              for each in containers),
            *((partial(self._type, name, each, holders, sites), 0)
              for name, each in examples.items()),
            *([(partial(self._graph, tensor, holders), 0)] if tensor is not None else []),
        ]  # fmt: skip
        found = []
        for make, name in findings:
            try:
                found.append((make(), name))
            except Exception as error:  # objects may do anything when they are looked at
                self.caveats.append(
                    message(
                        "instrument.object",
                        "an object could not be inspected ({name}: {error})",
                        name=type(error).__name__,
                        error=str(error),
                    )
                )
        return found

    def _grown_lengths(self) -> dict[int, tuple[int, ...]]:
        """The containers that were longer at every mark, the fastest first, by id."""
        if not self._lengths:
            return {}
        # One more at each mark is what the watching itself keeps.
        first, last = self._lengths[0], self._lengths[-1]
        rising = last.lengths - first.at(last.names) > len(self._lengths)
        names = last.names[rising]
        courses = zip(*(marked.at(names).tolist() for marked in self._lengths), strict=True)
        grown = {name: course for name, course in zip(names.tolist(), courses, strict=True)
                 if _rises(course)}  # fmt: skip
        fastest = sorted(grown, key=lambda name: grown[name][0] - grown[name][-1])
        return {name: grown[name] for name in fastest[:MAX_CONTAINERS]}

    def _container(
        self, container: Any, course: tuple[int, ...], holders: Holders, sites: Sites
    ) -> Finding:
        links = holders.chain(container)
        found: Sequence[tuple[Any, ...]] = self._newest.get(id(container)) or list(
            newest(container)
        )
        if (cache := cache_of(links)) is not None:
            found = cached_items(cache, found)
        items = [item[0] for item in found]
        reached = [list(self._reached(item, [container, *links])) for item in found]
        traces = list(self._traces(reached))
        allocated = next((each for each in traces if sites(each)), None)
        native = sum(native_bytes(group) for group in reached) / max(len(items), 1)
        facts: dict[str, Any] = {
            "items": [type_name(item) for item in items],
            "native_bytes": round(native),
            "slot_bytes": round(sys.getsizeof(container) / max(len(container), 1), 1),
            **{name: told for item in items for name, told in traits(item).items()},
        }
        facts |= retained_by(links)
        if (owner := owner_file(links)) is not None:
            facts["held_by"] = self._places.origin(owner)
        if is_weak(links) or all(is_weak_reference(item) for item in items):
            facts["weak"] = "weak references only"
        return Finding(
            instrument=self._instrument,
            sort=FindingKind.CONTAINER,
            what=type_name(container),
            calls=tuple(self._calls),
            counts=course,
            sizes=(0,) * len(course),
            stack=self._places.traced(allocated or ()),
            chain=self._description(links, items),
            keeps=tuple(dict.fromkeys(key for each in traces for key in sites(each))),
            facts=facts,
        )

    def _examples(self, objects: Sequence[Any]) -> dict[str, Any]:
        """The types of which there were more at every mark, each with its newest object."""
        growth = self._types[-1] - self._types[0]
        names = [
            name
            for name, _ in growth.most_common()
            if _rises([marked[name] for marked in self._types])
        ][:MAX_TYPES]
        kinds = {
            kind: name for kind in set(map(type, objects)) if (name := long_name(kind)) in names
        }
        newest: dict[str, Any] = {}
        for each in objects:  # the newest come last
            if type(each) in kinds:
                newest[kinds[type(each)]] = each
        return newest

    def _type(self, name: str, example: Any, holders: Holders, sites: Sites) -> Finding:
        links = holders.chain(example)
        traces = self._traces([[example, *referents_of(example)]])
        return Finding(
            instrument=self._instrument,
            sort=FindingKind.TYPE,
            what=name,
            calls=tuple(self._calls),
            counts=tuple(marked[name] for marked in self._types),
            sizes=(0,) * len(self._calls),
            chain=self._description(links, ()) if len(links) > 1 else (),
            keeps=tuple(dict.fromkeys(key for each in traces for key in sites(each))),
            facts=traits(example),
        )

    def _tensor_with_graph(self, objects: Sequence[Any]) -> Any:
        """The tensor with the longest autograd graph, if graphs grew: nodes are no objects."""
        if not self._nodes or self._nodes[-1] <= self._nodes[0]:
            return None
        return max(tensors_with_graphs(objects), key=graph_nodes, default=None)

    def _graph(self, tensor: Any, holders: Holders) -> Finding:
        links = holders.chain(tensor)
        return Finding(
            instrument=self._instrument,
            sort=FindingKind.GRAPH,
            what=mark("autograd graph"),
            calls=tuple(self._calls),
            counts=tuple(self._nodes),
            sizes=(0,) * len(self._nodes),
            chain=self._description(links, ()),
            facts={"grad_fn": type_name(tensor.grad_fn)},
        )

    def _traces(self, groups: Iterable[Iterable[Any]]) -> Iterator[tracemalloc.Traceback]:
        """Where these objects were allocated, as far as it was traced; each place once."""
        found = (self._tracebacks.get(id(each)) for group in groups for each in group)
        yield from dict.fromkeys(each for each in found if each is not None)

    def _reached(
        self, item: tuple[Any, ...], above: Sequence[Any], most: int = MAX_REACHED
    ) -> Iterator[Any]:
        """What an item keeps alive: all of it, and all below but what is everybody's."""
        seen = {id(each) for each in above} | {id(self._state), id(self._module)}
        seen |= {id(vars(self._module)), id(getattr(self._state, "__dict__", None))}
        own = [vars(each) for each in item if type(each) is types.ModuleType]
        queue = deque((*item, *own))
        while queue and len(seen) < most:
            each = queue.popleft()
            if id(each) in seen or (is_everybodys(each) and not _is_among(each, (*item, *own))):
                continue
            seen.add(id(each))
            yield each
            queue.extend(referents(each))

    def _description(self, links: Sequence[Any], items: Sequence[Any]) -> tuple[str, ...]:
        """The chain in words: ``State.kept``, ``list``, ``bytearray``."""
        item_types = (" | ".join(dict.fromkeys(map(type_name, items))),) if items else ()
        return (
            (path_of(links, self._state), type_name(links[-1]), *item_types)
            if links
            else item_types
        )


def _no_sites(traceback: tracemalloc.Traceback) -> Sequence[str]:
    del traceback
    return ()


def _rises(course: Sequence[int]) -> bool:
    return all(earlier < later for earlier, later in pairwise(course))


def _is_watched(kind: type) -> bool:
    """Whether objects of this type are not what the watching itself keeps."""
    module = getattr(kind, "__module__", "")
    return kind is not tracemalloc.Traceback and not str(module).startswith(_INSTRUMENTS)


def count_types(objects: Sequence[Any], instrument: Instrument) -> Counter[str]:
    """How many objects there are of each type, by its long name."""
    if instrument is Instrument.OBJGRAPH:
        return Counter(objgraph.typestats(objects, shortnames=False))
    # objgraph makes a string for every object, and a Counter an int: each of them would be traced.
    import numpy as np

    kinds = list(map(type, objects))
    _, first, counts = np.unique(ids_of(kinds), return_index=True, return_counts=True)
    found: Counter[str] = Counter()
    for at, count in zip(first.tolist(), counts.tolist(), strict=True):
        found[long_name(kinds[at])] += count
    return found


def long_name(kind: type) -> str:
    """A type's name as objgraph tells it: with its module, ``builtins.dict``."""
    return f"{kind.__module__}.{kind.__name__}"


def _is_among(each: Any, some: Iterable[Any]) -> bool:
    return any(each is one for one in some)


def is_everybodys(each: Any) -> bool:
    """Modules, classes and what a module defines are kept by all, not by one item."""
    return issubclass(type(each), (types.ModuleType, type)) or (
        type(each) is dict and "__builtins__" in each
    )
