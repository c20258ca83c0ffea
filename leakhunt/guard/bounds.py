"""Bounds for what services let grow: results that are kept, and temporary files."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import psutil

from leakhunt.errors import UsageError
from leakhunt.text.message import message

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
# Of deeper nesting, and of more items, only this much is looked at; the rest is extrapolated.
_DEPTH = 4
_ITEMS = 1000
_PREFIX = "leakhunt-scope-"


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


@contextmanager
def temporary_scope(folder: Path | str | None = None) -> Iterator[Path]:
    """A folder for temporary files, removed with all of them at the end, whatever happens.

    What processes that were killed have left in `folder` (default: the system's) is removed at
    the start: its name has the process's id and start.
    """
    base = Path(folder) if folder is not None else Path(tempfile.gettempdir())
    remove_leftovers(base)
    me = psutil.Process()
    made = tempfile.mkdtemp(prefix=f"{_PREFIX}{me.pid}-{_started(me)}-", dir=base)
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def remove_leftovers(folder: Path) -> int:
    """Remove the scopes of processes of this user that are gone; how many."""
    count = 0
    for left in folder.glob(f"{_PREFIX}*"):
        pid, _, rest = left.name.removeprefix(_PREFIX).partition("-")
        started = rest.partition("-")[0]
        if not pid.isdigit() or not started.isdigit() or _lives(int(pid), int(started)):
            continue
        with contextlib.suppress(OSError):
            if left.is_symlink() or (hasattr(os, "getuid") and left.stat().st_uid != os.getuid()):
                continue
            shutil.rmtree(left, ignore_errors=True)
            count += 1
    return count


def _lives(pid: int, started: int) -> bool:
    try:
        return _started(psutil.Process(pid)) == started
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def _started(process: psutil.Process) -> int:
    return round(process.create_time() * 100)
