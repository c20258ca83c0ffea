"""Which containers and which types of objects grow, and the chain of references that holds them.

Containers are followed by their lengths, since what they hold (bytes, arrays) is often not tracked
by the collector; types by objgraph's counts.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import sys
import threading
import tracemalloc
import types
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby, islice, pairwise
from typing import Any

import objgraph

from leakhunt.findings import Finding, Sort
from leakhunt.instruments import Watched
from leakhunt.instruments.traits import (
    graph_nodes,
    native_bytes,
    of_kinds,
    referents,
    tensors_with_graphs,
    traits,
)

_CONTAINERS = (list, dict, set, deque)
_CACHE = type(functools.cache(len))
_LENGTHS = [kind.__len__ for kind in _CONTAINERS]
_WEAK = (weakref.WeakSet, weakref.WeakValueDictionary, weakref.WeakKeyDictionary)
# So many of the fastest growing containers, and types, are looked at.
MOST_CONTAINERS = 12
MOST_TYPES = 6
# What hangs on an item is followed to so many objects.
MOST_REACHED = 400
ITEMS_LOOKED_AT = 3
# A path has no more parts than this, and tells what is repeated so often once.
MOST_PARTS = 12
_FOLDED = 4
# Objects whose referents are listed together.
_TOGETHER = 20_000
_TRACES = Mapping[tracemalloc.Traceback, str]


class Objects:
    """Counts at each mark; chains at the end."""

    def __init__(self, watched: Watched) -> None:
        self._state = watched.state
        self._module = watched.module
        self._places = watched.places
        self._instrument = watched.instrument
        self._calls: list[int] = []
        self._lengths: list[dict[int, int]] = []
        self._types: list[Counter[str]] = []
        self._nodes: list[int] = []
        self.caveats: list[str] = []

    def mark(self, calls: int) -> None:
        """The length of every container, the number of objects of every type."""
        gc.collect()
        objects = gc.get_objects()
        containers = [*of_kinds(objects, _can_tell), *untracked_dicts(objects)]
        own = {id(self._lengths), id(self._types), id(self._nodes), id(self._calls)}
        own |= set(map(id, self._lengths)) | set(map(id, self._types))
        self._calls.append(calls)
        self._types.append(count_types(objects))
        self._nodes.append(sum(map(graph_nodes, tensors_with_graphs(objects))))
        self._lengths.append({id(each): len(each) for each in containers if id(each) not in own})

    def findings(self, sites: _TRACES | None = None) -> Iterator[Finding]:
        """Containers with what they keep, types, and autograd graphs; `sites` name tracebacks."""
        gc.collect()
        objects = gc.get_objects()
        lengths = self._grown_lengths()
        containers = [each for each in objects if id(each) in lengths]
        containers += [each for each in untracked_dicts(objects) if id(each) in lengths]
        examples = self._examples(objects)
        tensor = self._tensor_with_graph(objects)
        del objects
        holders = Holders(self._state, [*containers, *examples.values(), tensor])
        told: list[Callable[[], Finding]] = [
            *(partial(self._container, each, lengths[id(each)], holders, sites or {})
              for each in containers),
            *(partial(self._type, name, each, holders, sites or {})
              for name, each in examples.items()),
            *([partial(self._graph, tensor, holders)] if tensor is not None else []),
        ]  # fmt: skip
        for tell in told:
            try:
                yield tell()
            except Exception as error:  # objects may do anything when they are looked at
                self.caveats.append(
                    f"an object could not be looked at ({type(error).__name__}: {error})"
                )

    def _grown_lengths(self) -> dict[int, tuple[int, ...]]:
        """The containers that were longer at every mark, the fastest first, by id."""
        if not self._lengths:
            return {}
        grown = {}
        for name in self._lengths[-1]:
            course = tuple(marked.get(name, 0) for marked in self._lengths)
            # One more at each mark is what the watching itself keeps.
            if _rises(course) and course[-1] - course[0] > len(course):
                grown[name] = course
        fastest = sorted(grown, key=lambda name: grown[name][0] - grown[name][-1])
        return {name: grown[name] for name in fastest[:MOST_CONTAINERS]}

    def _container(
        self, container: Any, course: tuple[int, ...], holders: Holders, sites: _TRACES
    ) -> Finding:
        links = holders.chain(container)
        found: Sequence[tuple[Any, ...]] = list(newest(container))
        if (cache := cache_of(links)) is not None:
            found = cached_items(cache, found)
        items = [item[0] for item in found]
        reached = [list(self._reached(item, [container, *links])) for item in found]
        traces = list(_traces(reached, sites))
        allocated = traces[0] if traces else None
        native = sum(native_bytes(group) for group in reached) / max(len(items), 1)
        facts: dict[str, Any] = {
            "items": [type_name(item) for item in items],
            "native_bytes": round(native),
            "slot_bytes": round(sys.getsizeof(container) / max(len(container), 1), 1),
            **{name: told for item in items for name, told in traits(item).items()},
        }
        facts |= held_in(links)
        if issubclass(type(links[0]), types.ModuleType):
            facts["held_by"] = self._places.origin(
                getattr(links[0], "__file__", None) or "<frozen>"
            )
        if is_weak(links) or all(_is_weak_reference(item) for item in items):
            facts["weak"] = "weak references only"
        frames = (
            self._places.frame(place.filename, place.lineno) for place in reversed(allocated or ())
        )
        return Finding(
            instrument=self._instrument,
            sort=Sort.CONTAINER,
            what=type_name(container),
            calls=tuple(self._calls),
            counts=course,
            sizes=(0,) * len(course),
            stack=tuple(frame for frame in frames if frame is not None),
            chain=self._told(links, items),
            keeps=tuple(dict.fromkeys(sites[each] for each in traces)),
            facts=facts,
        )

    def _examples(self, objects: Sequence[Any]) -> dict[str, Any]:
        """The types of which there were more at every mark, each with its newest object."""
        growth = self._types[-1] - self._types[0]
        names = [
            name
            for name, _ in growth.most_common()
            if _rises([marked[name] for marked in self._types])
        ][:MOST_TYPES]
        kinds = {
            kind: name for kind in set(map(type, objects)) if (name := long_name(kind)) in names
        }
        newest: dict[str, Any] = {}
        for each in objects:  # the newest come last
            if type(each) in kinds:
                newest[kinds[type(each)]] = each
        return newest

    def _type(self, name: str, example: Any, holders: Holders, sites: _TRACES) -> Finding:
        links = holders.chain(example)
        traces = _traces([[example, *gc.get_referents(example)]], sites)
        return Finding(
            instrument=self._instrument,
            sort=Sort.TYPE,
            what=name,
            calls=tuple(self._calls),
            counts=tuple(marked[name] for marked in self._types),
            sizes=(0,) * len(self._calls),
            chain=self._told(links, ()) if len(links) > 1 else (),
            keeps=tuple(dict.fromkeys(sites[each] for each in traces)),
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
            sort=Sort.GRAPH,
            what="autograd graph",
            calls=tuple(self._calls),
            counts=tuple(self._nodes),
            sizes=(0,) * len(self._nodes),
            chain=self._told(links, ()),
            facts={"grad_fn": type_name(tensor.grad_fn)},
        )

    def _reached(self, item: tuple[Any, ...], above: Sequence[Any]) -> Iterator[Any]:
        """What an item keeps alive: all of it, and all below but what is everybody's."""
        seen = {id(each) for each in above} | {id(self._state), id(self._module)}
        seen |= {id(vars(self._module)), id(getattr(self._state, "__dict__", None))}
        own = [vars(each) for each in item if type(each) is types.ModuleType]
        queue = deque((*item, *own))
        while queue and len(seen) < MOST_REACHED:
            each = queue.popleft()
            if id(each) in seen or (_is_everybodys(each) and not _is_among(each, (*item, *own))):
                continue
            seen.add(id(each))
            yield each
            queue.extend(referents(each))

    def _told(self, links: Sequence[Any], items: Sequence[Any]) -> tuple[str, ...]:
        """The chain in words: ``State.kept``, ``list``, ``bytearray``."""
        held = (" | ".join(dict.fromkeys(map(type_name, items))),) if items else ()
        return (path_of(links, self._state), type_name(links[-1]), *held) if links else held


def _traces(groups: Iterable[Iterable[Any]], sites: _TRACES) -> Iterator[tracemalloc.Traceback]:
    """Where these objects were allocated, as far as it is one of the sites."""
    for each in (one for group in groups for one in group):
        traceback = object_traceback(each)
        if traceback is not None and traceback in sites:
            yield traceback


def _rises(course: Sequence[int]) -> bool:
    return all(earlier < later for earlier, later in pairwise(course))


def count_types(objects: Sequence[Any]) -> Counter[str]:
    """How many objects there are of each type, by its long name."""
    if not tracemalloc.is_tracing():
        return Counter(objgraph.typestats(objects, shortnames=False))
    # objgraph makes a string for every object, and tracing would make each of them dear.
    found: Counter[str] = Counter()
    for kind, count in Counter(map(type, objects)).items():
        found[long_name(kind)] += count
    return found


def long_name(kind: type) -> str:
    """A type's name as objgraph tells it: with its module, ``builtins.dict``."""
    return f"{kind.__module__}.{kind.__name__}"


def object_traceback(each: Any) -> tracemalloc.Traceback | None:
    """Where an object was allocated.

    Before Python 3.12 tracemalloc does not find instances of classes written in Python: their block
    begins two pointers (to their attributes) earlier than it looks.
    """
    found = tracemalloc.get_object_traceback(each)
    if found is not None or not type(each).__flags__ & _MANAGED_DICT or not _traceback_of_block:
        return found
    frames = _traceback_of_block(0, id(each) - _PRE_HEADER_BYTES)
    return tracemalloc.Traceback(frames) if frames else None


def _traceback_getter() -> Any:
    """CPython's own lookup by address; None where it is not exported."""
    getter = getattr(ctypes.pythonapi, "_PyTraceMalloc_GetTraceback", None)
    if getter is not None:
        getter.restype, getter.argtypes = ctypes.py_object, (ctypes.c_uint, ctypes.c_size_t)
    return getter


_MANAGED_DICT = 1 << 4  # Py_TPFLAGS_MANAGED_DICT
_PRE_HEADER_BYTES = 4 * ctypes.sizeof(ctypes.c_void_p)
_traceback_of_block = _traceback_getter()


def untracked_dicts(objects: Sequence[Any]) -> Iterator[dict[Any, Any]]:
    """The dicts that the collector does not track (of words and numbers only), below `objects`."""
    seen: set[int] = set()
    for first in range(0, len(objects), _TOGETHER):
        for each in gc.get_referents(*objects[first : first + _TOGETHER]):
            if type(each) is dict and not gc.is_tracked(each) and id(each) not in seen:
                seen.add(id(each))
                yield each


class Holders:
    """Who holds some objects: the shortest chains from the roots, in one search for all of them.

    Roots are the scenario's state, modules, threads and other threads' frames. From the roots down,
    every object is looked at once; the other way round would be once for every link.
    """

    def __init__(self, state: Any, held: Iterable[Any]) -> None:
        own = set(map(id, _own_frames()))
        missing = {id(each) for each in held}
        roots = [state, *_roots()]
        self._above: dict[int, Any] = {id(root): None for root in roots} | dict.fromkeys(own)
        missing -= set(self._above)
        queue = deque(roots)
        while queue and missing:
            each = queue.popleft()
            for below in gc.get_referents(each):
                name = id(below)
                if name in self._above or not (gc.is_tracked(below) or name in missing):
                    continue
                self._above[name] = each
                missing.discard(name)
                queue.append(below)

    def chain(self, held: Any) -> list[Any]:
        """From a root down to `held`; `held` alone where nothing in Python holds it."""
        if id(held) not in self._above:
            return _in_thread_local(held) or [held]
        links, above = [held], self._above[id(held)]
        while above is not None:
            links.append(above)
            above = self._above[id(above)]
        return links[::-1]


def _roots() -> Iterator[Any]:
    yield from (each for each in list(sys.modules.values()) if isinstance(each, types.ModuleType))
    yield from threading.enumerate()
    here = threading.get_ident()
    yield from (frame for name, frame in sys._current_frames().items() if name != here)


def newest(container: Any) -> Iterator[tuple[Any, ...]]:
    """The items that came last, as far as the container knows: of a dict, (value, key).

    Of what is a plain value, the key comes first: it tells more.
    """
    if issubclass(type(container), dict):
        for key in islice(dict.__reversed__(container), ITEMS_LOOKED_AT):
            value = dict.__getitem__(container, key)
            yield (key, value) if _is_plain(value) else (value, key)
    elif issubclass(type(container), set):
        every = set.__iter__(container)
        traced = (each for each in every if object_traceback(each) is not None)
        found = traced if tracemalloc.is_tracing() else every
        yield from ((each,) for each in islice(found, ITEMS_LOOKED_AT))
    else:
        backwards = deque if issubclass(type(container), deque) else list
        newest_first = backwards.__reversed__(container)
        yield from ((each,) for each in islice(newest_first, ITEMS_LOOKED_AT))


def _is_plain(value: Any) -> bool:
    return value is None or issubclass(type(value), int)


def path_of(links: Sequence[Any], state: Any) -> str:
    """The chain as an expression: ``State.kept``, ``logging.root.manager.loggerDict['zoo']``."""
    links = _without_dummies(links)
    parts = [_root_name(links[0], state)]
    owner = None  # whose attributes the link above is
    for above, below in pairwise(links):
        if _are_attributes(above, below):
            owner = above
            continue
        if issubclass(type(below), type):
            parts = [type_name_of(below)]
        else:
            name = f".{_key_of(above, below)}" if owner is not None else ""
            name = name or edge_name(above, below)
            parts.append(name or f" ({type_name(above)}) -> {type_name(below)}")
        owner = None
    return "".join(_folded(parts))


def _folded(parts: Sequence[str]) -> Iterator[str]:
    """A path in which what comes again and again is told once, and which ends."""
    runs = [(part, len(list(same))) for part, same in groupby(parts)]
    if len(runs) > MOST_PARTS:
        runs = [*runs[: MOST_PARTS - 3], (" ... ", 1), *runs[-2:]]
    for part, times in runs:
        yield part if times < _FOLDED else f"{part}{part}..."
        if 1 < times < _FOLDED:
            yield part * (times - 1)


def _without_dummies(links: Sequence[Any]) -> Sequence[Any]:
    """The links without what a thread-local keeps its attributes for each thread in."""
    for at, link in enumerate(links):
        if issubclass(type(link), threading.local):
            for below in range(at + 1, len(links)):
                inside = links[below]
                if type(inside) is dict and all(type(key) is str for key in inside):
                    return [*links[: at + 1], *links[below:]]
    return links


def _are_attributes(above: Any, below: Any) -> bool:
    if type(below) is not dict:
        return False
    kind = type(above)
    return issubclass(kind, threading.local | type) or vars_of(above) is below


def edge_name(holder: Any, held: Any) -> str:
    """How `holder` refers to `held`: ``.name``, ``[...]``, ``['key']``; empty where C code does."""
    kind = type(holder)
    if issubclass(kind, dict):
        return f"[{_key_of(holder, held)!r}]"
    if issubclass(kind, list | tuple | deque):
        return "[...]"
    if issubclass(kind, set | frozenset):
        return "{...}"
    for name in _EDGES.get(kind, ()):
        if getattr(holder, name, None) is held:
            return f".{name}"
    for name, slot in _slots_of(kind):
        if _value_of(slot, holder) is held:
            return f".{name}"
    names: dict[str, Any] = (
        dict(holder.f_locals) if kind is types.FrameType else vars_of(holder) or {}
    )
    return f".{_key_of(names, held)}" if any(v is held for v in names.values()) else ""


# The attributes by which these refer to others, which no dict of theirs shows.
_EDGES: Mapping[type, tuple[str, ...]] = {
    types.CellType: ("cell_contents",),
    types.MethodType: ("__self__", "__func__"),
    types.FunctionType: ("__closure__", "__defaults__", "__kwdefaults__"),
    types.TracebackType: ("tb_frame", "tb_next"),
    types.GeneratorType: ("gi_frame",),
    types.CoroutineType: ("cr_frame", "cr_await"),
}


def _slots_of(kind: type) -> Iterator[tuple[str, Any]]:
    for base in kind.__mro__:
        for name, member in vars(base).items():
            if type(member) is types.MemberDescriptorType:
                yield name, member


def _value_of(slot: Any, holder: Any) -> Any:
    try:
        return slot.__get__(holder)
    except AttributeError:
        return None


def vars_of(each: Any) -> dict[str, Any] | None:
    """The attributes of an instance, module or class; None where it has none of its own.

    Nothing that its class defines is called.
    """
    if issubclass(type(each), threading.local):
        return dict(vars(each))
    if issubclass(type(each), type):
        return dict(type.__getattribute__(each, "__dict__"))
    try:
        attributes = object.__getattribute__(each, "__dict__")
    except Exception:  # whatever a property of that name does
        return None
    return attributes if type(attributes) is dict else None


def type_name(each: Any) -> str:
    """``bytearray``, ``numpy.ndarray``, ``State``: without the scenario's module."""
    return type_name_of(type(each))


def type_name_of(kind: type) -> str:
    """The same of a type itself."""
    module = kind.__module__
    plain = module == "builtins" or module.startswith("leakhunt_scenario_")
    return kind.__qualname__ if plain else f"{module}.{kind.__qualname__}"


def held_in(links: Sequence[Any]) -> dict[str, Any]:
    """Facts about a container by what holds it: a thread-local, or a cache with or without end."""
    facts: dict[str, Any] = {}
    if any(issubclass(type(link), threading.local) for link in links):
        facts["thread_local"] = "one for each thread"
    cache = cache_of(links)
    if cache is not None:
        most = cache.cache_parameters()["maxsize"]
        facts |= {"unbounded_cache": True} if most is None else {"most_items": most}
        if most is None and _is_method(cache.__wrapped__):
            facts["cached_method"] = cache.__wrapped__.__qualname__
    if issubclass(type(links[-1]), deque) and links[-1].maxlen is not None:
        facts["most_items"] = links[-1].maxlen
    return facts


def cache_of(links: Sequence[Any]) -> Any:
    """The functools cache whose own dict the last link is, and not what a cached object holds."""
    if len(links) < 2 or not issubclass(type(links[-2]), _CACHE):
        return None
    is_own = type(links[-1]) is dict and len(links[-1]) == links[-2].cache_info().currsize
    return links[-2] if is_own else None


def cached_items(cache: Any, items: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
    """(result, key) of a bounded cache's newest items: its dict leads to C objects only."""
    kind = next((type(item[0]) for item in items), None)
    if kind is None or kind.__name__ != "_lru_list_elem":
        return items
    below = gc.get_referents(cache)  # key, result and type of each element, the oldest first
    ends = [at for at, each in enumerate(below) if each is kind and at >= 2]
    return [(below[at - 1], below[at - 2]) for at in ends[-ITEMS_LOOKED_AT:]]


def _is_method(function: Any) -> bool:
    owner = getattr(function, "__qualname__", "").rpartition(".")[0]
    return bool(owner) and not owner.endswith("<locals>")


def is_weak(links: Sequence[Any]) -> bool:
    """Whether the last link is the inside of a weak set or dict, which holds nothing alive."""
    return any(issubclass(type(link), _WEAK) for link in links[-3:-1])


def _is_weak_reference(item: Any) -> bool:
    return issubclass(type(item), weakref.ReferenceType) and item.__callback__ is None


def _can_tell(kind: type) -> bool:
    """Whether it is a container whose length is a plain one: a subclass may say anything."""
    return issubclass(kind, _CONTAINERS) and kind.__len__ in _LENGTHS


def _is_among(each: Any, some: Iterable[Any]) -> bool:
    return any(each is one for one in some)


def _is_everybodys(each: Any) -> bool:
    """Modules, classes and what a module defines are kept by all, not by one item."""
    return issubclass(type(each), types.ModuleType | type) or (
        type(each) is dict and "__builtins__" in each
    )


def _key_of(attributes: dict[Any, Any], held: Any) -> Any:
    """The key of `held`; a key that is no word is cut short."""
    for key, value in list(dict.items(attributes)):
        if value is held or key is held:
            return key if type(key) is str and len(key) < 60 else type_name(key)
    return "..."


def _root_name(root: Any, state: Any) -> str:
    if root is state:
        return type_name(root) if vars_of(root) is not None else "state"
    if isinstance(root, types.ModuleType):
        return root.__name__.removeprefix("leakhunt_scenario_")
    if isinstance(root, types.FrameType):
        return f"frame of {root.f_code.co_qualname}()"
    if isinstance(root, threading.Thread):
        return f"thread {root.name}"
    return f"{type_name(root)} that C code holds"


def _own_frames() -> Iterator[types.FrameType]:
    """Our own frames on the stack, which refer to everything we look at."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _in_thread_local(held: Any) -> list[Any]:
    """The chain from a thread-local's attributes, which only C code refers to."""
    for each in gc.get_objects():
        if issubclass(type(each), threading.local):
            attributes = vars(each)
            for value in attributes.values():
                if value is held:
                    return [each, held]
    return []
