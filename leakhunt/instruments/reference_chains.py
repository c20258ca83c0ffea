"""Who holds an object: the chain of references from a root down, and how it is told.

Nothing that a class of the user's defines is called on the way.
"""

from __future__ import annotations

import gc
import sys
import threading
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

# A path has no more parts than this, and tells what is repeated so often once.
MOST_PARTS = 12
_SCENARIO = "leakhunt_scenario_"
_FOLDED = 4
# Links that are followed from the other roots before threads and frames are.
LINKS_BEFORE_THREADS = 5
# CPython 3.12.0 to 3.12.5 lists freed iterators of futures among the referents of this module: they
# are freed once more, and the next full collection never ends (gh-122695).
_ASKED_IN_VAIN = "_asyncio"
_LISTS_FREED = 0x030C0000 <= sys.hexversion < 0x030C06F0


def _without_the_freed(*objects: Any) -> list[Any]:
    """What objects refer to; of the module `_asyncio` its dict only."""
    spaces: list[Any] = []
    asked = []
    for each in objects:
        if type(each) is types.ModuleType and vars(each).get("__name__") == _ASKED_IN_VAIN:
            spaces.append(vars(each))
        else:
            asked.append(each)
    return [*spaces, *gc.get_referents(*asked)]


# What objects refer to, as far as the collector knows; nobody else asks it.
referents_of = _without_the_freed if _LISTS_FREED else gc.get_referents


class Holders:
    """Who holds some objects: the shortest chains from the roots, in one search for all of them.

    Roots are the scenario's state, modules, threads and other threads' frames. From the roots down,
    every object is looked at once; the other way round would be once for every link.
    """

    def __init__(self, state: Any, target: Iterable[Any]) -> None:
        own = map(id, own_frames())
        missing = {id(each) for each in target}
        level, late = roots(state)
        self._above: dict[int, Any] = dict.fromkeys([*map(id, (*level, *late)), *own])
        missing -= set(self._above)
        links = 0
        while level and missing:
            level = self._below(level, missing)
            links += 1
            if links == LINKS_BEFORE_THREADS or not level:
                level, late = level + late, []

    def _below(self, level: list[Any], missing: set[int]) -> list[Any]:
        """What the objects of a level lead to, and none of those before."""
        following = []
        for each in level:
            for below in referents_of(each):
                name = id(below)
                if name in self._above or not (gc.is_tracked(below) or name in missing):
                    continue
                self._above[name] = each
                missing.discard(name)
                following.append(below)
            if not missing:
                break
        return following

    def chain(self, target: Any) -> list[Any]:
        """From a root down to `target`; `target` alone where nothing in Python holds it."""
        if id(target) not in self._above:
            return _in_thread_local(target) or [target]
        links, above = [target], self._above[id(target)]
        while above is not None:
            links.append(above)
            above = self._above[id(above)]
        return links[::-1]


def roots(state: Any) -> tuple[list[Any], list[Any]]:
    """Where chains start: the scenario's state and modules; threads and other threads' frames.

    An object is named by those first where it is at most `LINKS_BEFORE_THREADS` links from them:
    an attribute says more than an argument of some thread.
    """
    modules = [each for each in list(sys.modules.values()) if isinstance(each, types.ModuleType)]
    # The scenario's last: it has imported what belongs to others.
    modules.sort(key=lambda each: each.__name__.startswith(_SCENARIO))
    here = threading.get_ident()
    frames = [frame for name, frame in sys._current_frames().items() if name != here]
    return [state, *modules], [*threading.enumerate(), *frames]


def path_of(links: Sequence[Any], state: Any) -> str:
    """The chain as an expression: ``State.kept``, ``logging.root.manager.loggerDict['zoo']``."""
    links = _without_dummies(links)
    parts = [_root_name(links[0], state)]
    owner = None  # whose attributes the link above is
    for above, below in pairwise(links):
        if are_attributes(above, below):
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


def owner_file(links: Sequence[Any]) -> str | None:
    """The file of the code whose container the last link is; None where that cannot be told.

    The nearest class, function or instance above it (not one of the standard library, which serves
    everyone) says by its module; else the module that holds it all.
    """
    for link in reversed(links[:-1]):
        name = _module_of(link)
        module = sys.modules.get(name)
        if name.partition(".")[0] not in sys.stdlib_module_names and module is not None:
            return getattr(module, "__file__", None)
    if issubclass(type(links[0]), types.ModuleType):
        return getattr(links[0], "__file__", None) or "<frozen>"
    return None


def _module_of(link: Any) -> str:
    """Where a class or a function, or else the class of an instance, was defined."""
    if type(link) is types.FunctionType:
        name = link.__module__
    else:
        kind = link if issubclass(type(link), type) else type(link)
        name = type.__getattribute__(kind, "__module__")
    return name if type(name) is str else ""


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


def are_attributes(above: Any, below: Any) -> bool:
    """Whether `below` is the dict that the attributes of `above` are in."""
    if type(below) is not dict:
        return False
    kind = type(above)
    return issubclass(kind, threading.local | type) or vars_of(above) is below


def edge_name(holder: Any, target: Any) -> str:
    """How `holder` refers to `target`: ``.name``, ``[...]``, ``['key']``; empty in C code."""
    kind = type(holder)
    if issubclass(kind, dict):
        return f"[{_key_of(holder, target)!r}]"
    if issubclass(kind, list | tuple | deque):
        return "[...]"
    if issubclass(kind, set | frozenset):
        return "{...}"
    for name in _EDGES.get(kind, ()):
        if getattr(holder, name, None) is target:
            return f".{name}"
    for name, slot in slots_of(kind):
        if value_of(slot, holder) is target:
            return f".{name}"
    names: dict[str, Any] = (
        dict(holder.f_locals) if kind is types.FrameType else vars_of(holder) or {}
    )
    return f".{_key_of(names, target)}" if any(v is target for v in names.values()) else ""


# The attributes by which these refer to others, which no dict of theirs shows.
_EDGES: Mapping[type, tuple[str, ...]] = {
    types.CellType: ("cell_contents",),
    types.MethodType: ("__self__", "__func__"),
    types.FunctionType: ("__closure__", "__defaults__", "__kwdefaults__"),
    types.TracebackType: ("tb_frame", "tb_next"),
    types.GeneratorType: ("gi_frame",),
    types.CoroutineType: ("cr_frame", "cr_await"),
    types.AsyncGeneratorType: ("ag_frame", "ag_await"),
}


def slots_of(kind: type) -> Iterator[tuple[str, Any]]:
    for base in kind.__mro__:
        for name, member in vars(base).items():
            if type(member) is types.MemberDescriptorType:
                yield name, member


def value_of(slot: Any, holder: Any) -> Any:
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
    plain = module == "builtins" or module.startswith(_SCENARIO)
    return kind.__qualname__ if plain else f"{module}.{kind.__qualname__}"


def _key_of(attributes: dict[Any, Any], target: Any) -> Any:
    """The key of `target`; a key that is no word is cut short."""
    for key, value in list(dict.items(attributes)):
        if value is target or key is target:
            return key if type(key) is str and len(key) < 60 else type_name(key)
    return "..."


def _root_name(root: Any, state: Any) -> str:
    if root is state:
        return type_name(root) if vars_of(root) is not None else "state"
    if isinstance(root, types.ModuleType):
        return root.__name__.removeprefix(_SCENARIO)
    if isinstance(root, types.FrameType):
        return f"frame of {root.f_code.co_qualname}()"
    if isinstance(root, threading.Thread):
        return f"thread {root.name}"
    return f"{type_name(root)} that C code holds"


def own_frames() -> Iterator[types.FrameType]:
    """Our own frames on the stack, which refer to everything we look at."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _in_thread_local(target: Any) -> list[Any]:
    """The chain from a thread-local's attributes, which only C code refers to."""
    for each in gc.get_objects():
        if issubclass(type(each), threading.local):
            attributes = vars(each)
            for value in attributes.values():
                if value is target:
                    return [each, target]
    return []
