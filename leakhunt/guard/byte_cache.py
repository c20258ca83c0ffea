"""A cache of results that is bounded in bytes."""

from __future__ import annotations

import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Generic, TypeVar

from leakhunt.errors import UsageError
from leakhunt.text.message import message

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
# Of deeper nesting, and of more items, only this much is looked at; the rest is extrapolated.
_DEPTH = 4
_ITEMS = 1000


class ByteCache(Generic[Key, Value]):
    """The results last used, as long as they fit into `max_bytes`. Safe for threads.

    A value that is larger than `max_bytes` is not held. `size_of` says how many bytes a value
    takes; the default knows bytes, texts, arrays, tensors and containers of these. `ttl_seconds`:
    what is older is not answered.
    """

    def __init__(
        self,
        max_bytes: int,
        *,
        size_of: Callable[[Value], int] | None = None,
        ttl_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_bytes < 1:
            raise UsageError(
                message(
                    "guard.invalid-cache-size",
                    "guard: max_bytes of a cache: expected 1 or more, got {got}",
                    got=max_bytes,
                )
            )
        self.max_bytes = max_bytes
        self._size_of = size_of or held_bytes
        self._ttl = ttl_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._items: OrderedDict[Key, tuple[Value, int, float]] = OrderedDict()
        self._bytes = 0
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def bytes(self) -> int:
        """What its values take."""
        return self._bytes

    def get(self, key: Key, default: Value | None = None) -> Value | None:
        """The value of a key, which is then the last used; `default` without one."""
        with self._lock:
            found = self._items.get(key)
            if found is not None and self._is_old(found[2]):
                self._drop(key)
                found = None
            if found is None:
                self.misses += 1
                return default
            self.hits += 1
            self._items.move_to_end(key)
            return found[0]

    def put(self, key: Key, value: Value) -> bool:
        """Hold a value; False if it is larger than the whole cache."""
        size = self._size_of(value)
        with self._lock:
            if key in self._items:
                self._drop(key)
            if size > self.max_bytes:
                return False
            while self._bytes + size > self.max_bytes:
                self._drop(next(iter(self._items)))
            self._items[key] = (value, size, self._clock())
            self._bytes += size
            return True

    def get_or_make(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of a key; without one, what `make` returns, which is then held.

        Threads that miss at the same time each make their own; the last one is held.
        """
        missing: Any = _MISSING
        found = self.get(key, missing)
        if found is not missing:
            return found  # type: ignore[return-value]
        value = make()
        self.put(key, value)
        return value

    def clear(self) -> None:
        """Hold nothing; a `release` of a guard."""
        with self._lock:
            self._items.clear()
            self._bytes = 0

    def _drop(self, key: Key) -> None:
        self._bytes -= self._items.pop(key)[1]

    def _is_old(self, since: float) -> bool:
        return self._ttl is not None and self._clock() - since >= self._ttl


_MISSING = object()


def held_bytes(value: object, depth: int = _DEPTH) -> int:
    """About how many bytes a value takes, with buffers of arrays and tensors, and items."""
    buffer = getattr(value, "nbytes", None)
    size = sys.getsizeof(value, 64)
    if isinstance(buffer, int):
        # numpy's own size has the buffer of an array that owns it.
        return size if size > buffer else size + buffer
    if depth == 0 or isinstance(value, str | bytes | bytearray):
        return size
    if isinstance(value, Mapping):
        items: list[object] = [each for pair in value.items() for each in pair]
    elif isinstance(value, list | tuple | set | frozenset):
        items = list(value)
    elif hasattr(value, "__dict__"):
        items = [vars(value)]
    else:
        return size
    step = max(len(items) // _ITEMS, 1)
    looked_at = items[::step]
    inner = sum(held_bytes(each, depth - 1) for each in looked_at)
    return size + round(inner * len(items) / len(looked_at)) if looked_at else size
