"""Containers: which there are, what came last into them, and whether they end.

Nothing that a class of the user's defines is called on the way.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import threading
import tracemalloc
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from leakhunt.instruments.reference_chains import referents_of

_CACHE = type(functools.cache(len))
_WEAK = (weakref.WeakSet, weakref.WeakValueDictionary, weakref.WeakKeyDictionary)
_CONTAINERS = (list, dict, set, deque)
_LENGTHS = [kind.__len__ for kind in _CONTAINERS]
ITEMS_LOOKED_AT = 3
# Objects whose referents are listed together.
_TOGETHER = 20_000


def is_supported(kind: type) -> bool:
    """Whether it is a container whose length is a plain one: a subclass may say anything."""
    return issubclass(kind, _CONTAINERS) and kind.__len__ in _LENGTHS


def untracked_dicts(objects: Sequence[Any]) -> Iterator[dict[Any, Any]]:
    """The dicts that the collector does not track (of words and numbers only), below `objects`."""
    seen: set[int] = set()
    for first in range(0, len(objects), _TOGETHER):
        for each in referents_of(*objects[first : first + _TOGETHER]):
            if type(each) is dict and not gc.is_tracked(each) and id(each) not in seen:
                seen.add(id(each))
                yield each


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


def retained_by(links: Sequence[Any]) -> dict[str, Any]:
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


def owning_cache(container: Any, items: Sequence[tuple[Any, ...]]) -> Any:
    """The functools cache whose own dict a container is, by its `items`; None: it is of none.

    As `cache_of` says, where it is not known yet who holds the container.
    """
    if _element_kind(items) is None:
        return None
    above = gc.get_referrers(container)
    return next((each for each in above if issubclass(type(each), _CACHE)), None)


def _element_kind(items: Sequence[tuple[Any, ...]]) -> type | None:
    """The type of a bounded cache's elements, if these are some."""
    kind = next((type(item[0]) for item in items), None)
    return kind if kind is not None and kind.__name__ == "_lru_list_elem" else None


def cached_items(cache: Any, items: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
    """(result, key) of a bounded cache's newest items: its dict leads to C objects only."""
    kind = _element_kind(items)
    if kind is None or cache is None:
        return items
    below = referents_of(cache)  # key, result and type of each element, the oldest first
    ends = [at for at, each in enumerate(below) if each is kind and at >= 2]
    return [(below[at - 1], below[at - 2]) for at in ends[-ITEMS_LOOKED_AT:]]


def _is_method(function: Any) -> bool:
    owner = getattr(function, "__qualname__", "").rpartition(".")[0]
    return bool(owner) and not owner.endswith("<locals>")


def is_weak(links: Sequence[Any]) -> bool:
    """Whether the last link is the inside of a weak set or dict, which holds nothing alive."""
    return any(issubclass(type(link), _WEAK) for link in links[-3:-1])


def is_weak_reference(item: Any) -> bool:
    """Whether it is a weak reference that keeps nothing, not even a callback."""
    return issubclass(type(item), weakref.ReferenceType) and item.__callback__ is None


MANAGED_DICT = 1 << 4  # Py_TPFLAGSMANAGED_DICT


_PRE_HEADER_BYTES = 4 * ctypes.sizeof(ctypes.c_void_p)


def object_traceback(each: Any) -> tracemalloc.Traceback | None:
    """Where an object was allocated.

    In Python 3.11 tracemalloc does not find instances of classes written in Python: their block
    begins two pointers (to their attributes) earlier than it looks.
    """
    found = tracemalloc.get_object_traceback(each)
    if found is not None or not type(each).__flags__ & MANAGED_DICT or not _traceback_of_block:
        return found
    frames = _traceback_of_block(0, id(each) - _PRE_HEADER_BYTES)
    return tracemalloc.Traceback(frames) if frames else None


def _traceback_getter() -> Any:
    """CPython's own lookup by address; None where it is not exported."""
    getter = getattr(ctypes.pythonapi, "_PyTraceMalloc_GetTraceback", None)
    if getter is not None:
        getter.restype, getter.argtypes = ctypes.py_object, (ctypes.c_uint, ctypes.c_size_t)
    return getter


_traceback_of_block = _traceback_getter()
