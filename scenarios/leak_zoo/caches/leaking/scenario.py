"""What looks like a bounded cache at first, and grows for ever: each beside a bounded twin."""

from __future__ import annotations

import collections
import ctypes
import heapq
import weakref
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from leakhunt import Context, variant

REQUIRES = ("numpy",)
_LIBC = ctypes.CDLL(None)
_LIBC.malloc.restype = ctypes.c_void_p
_LIBC.malloc.argtypes = [ctypes.c_size_t]
_LIBC.free.argtypes = [ctypes.c_void_p]


class Key:
    """What a schema is looked up by, with the text that it was made of."""

    def __init__(self, number: int) -> None:
        self.text = f"{number} " * 200


@lru_cache(maxsize=1024)
def schema(key: Key) -> dict[str, object]:
    """A schema of 60 fields."""
    return {f"field-{number}": object() for number in range(60)}


class Statements:
    """Statements and their plans, of which only the statements are pruned."""

    def __init__(self) -> None:
        self.compiled: dict[str, list[str]] = {}
        self.plans: dict[str, bytes] = {}

    def compile(self, key: str) -> None:
        """Keep the statement and its plan; prune back to 500 when there are 750."""
        self.compiled[key] = [f"{key}:{part}" * 4 for part in range(60)]
        self.plans[key] = bytes(2000)
        if len(self.compiled) > 750:
            for old in list(self.compiled)[:250]:
                del self.compiled[old]


class Expiring:
    """Entries that expire after so many calls; the heap of what expires keeps them as well."""

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self.entries: dict[int, bytearray] = {}
        self.heap: list[tuple[int, bytearray]] = []

    def add(self, now: int, value: bytearray) -> None:
        """Keep it, and let go what is too old: from the entries only."""
        self.entries[now] = value
        heapq.heappush(self.heap, (now + self.calls, value))
        self.entries.pop(now - self.calls, None)


class Session:
    """Something with an end of its own."""

    def __init__(self, number: int) -> None:
        self.body = bytearray(3000)
        self.number = number

    def close(self) -> None:
        """Let the body go."""
        self.body = bytearray()


class Tenant:
    """A tenant's own cache of 20 answers."""

    def __init__(self) -> None:
        self.answers: collections.OrderedDict[Hashable, bytearray] = collections.OrderedDict()

    def add(self, key: Hashable) -> None:
        """Keep the last 20."""
        self.answers[key] = bytearray(3000)
        if len(self.answers) > 20:
            self.answers.popitem(last=False)


class Generations:
    """Two generations, and what became of the older ones."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.young: dict[int, bytes] = {}
        self.history: list[dict[int, bytes]] = []

    def add(self, key: int) -> None:
        """Keep it; a full generation becomes the old one, whose hits are still to be counted."""
        self.young[key] = bytes(2000)
        if len(self.young) >= self.size:
            self.history.append(self.young)
            self.young = {}


@dataclass
class State:
    """What the service keeps from call to call."""

    seen: list[Key] = field(default_factory=list)
    statements: Statements = field(default_factory=Statements)
    expiring: Expiring = field(default_factory=lambda: Expiring(400))
    history: dict[int, list[bytes]] = field(default_factory=dict)
    tenants: dict[int, Tenant] = field(default_factory=dict)
    generations: Generations = field(default_factory=lambda: Generations(100))
    sessions: weakref.WeakValueDictionary[int, Session] = field(
        default_factory=weakref.WeakValueDictionary
    )
    in_use: collections.deque[Session] = field(
        default_factory=lambda: collections.deque(maxlen=300)
    )
    ring: list[Any] = field(default_factory=lambda: [None] * 128)
    firsts: list[Any] = field(default_factory=list)
    handles: collections.deque[Any] = field(default_factory=collections.deque)


def setup(context: Context) -> State:
    """An empty service."""
    return State()


def work() -> int:
    """Some 3 ms, as a real call takes."""
    return sum(range(150_000))


@variant(expect="leak in Python", rate=1177, culprit="State.seen", cause="unbounded-list")
def keys_kept_beside_the_cache(state: State, item: int) -> None:
    """functools.lru_cache of 1,024 schemas, whose keys a list keeps as well."""
    work()
    key = Key(item)
    state.seen.append(key)
    schema(key)


@variant(expect="leak in Python", rate=2129, culprit="statements.plans", cause="unbounded-dict")
def plans_not_pruned(state: State, item: int) -> None:
    """A dict of statements that is pruned, and their plans, which are not."""
    work()
    state.statements.compile(f"select {item}")


@variant(expect="leak in Python", rate=3207, culprit="expiring.heap", cause="unbounded-list")
def expired_but_in_the_heap(state: State, item: int) -> None:
    """Entries expire after 400 calls, and stay in the heap of what is to expire."""
    work()
    state.expiring.add(item, bytearray(3000))


@variant(expect="leak in Python", rate=1056, culprit="State.history", cause="unbounded-list")
def values_that_grow(state: State, item: int) -> None:
    """A table of 300 users, each of whom has an ever longer history."""
    work()
    state.history.setdefault(item * 7 % 300, []).append(bytes(1000))


@variant(expect="leak in Python", rate=3238, culprit="State.tenants", cause="unbounded-dict")
def bounded_for_each_tenant(state: State, item: int) -> None:
    """A cache of 20 entries for each tenant, and a new tenant every 20 calls."""
    work()
    state.tenants.setdefault(item // 20, Tenant()).add(item)


@variant(expect="leak in Python", rate=2143, culprit="generations.history", cause="unbounded-list")
def generations_kept(state: State, item: int) -> None:
    """Generations of 100 entries, of which the older ones stay in a list."""
    work()
    state.generations.add(item)


@variant(expect="leak in Python", rate=3712, culprit="_registry", cause="finalizers-on-what-stays")
def finalizers_that_hold_on(state: State, item: int) -> None:
    """Sessions by weak reference; what closes them is a method, so none ever goes."""
    work()
    state.sessions[item] = session = Session(item)
    weakref.finalize(session, session.close)
    state.in_use.append(session)


@variant(expect="leak in Python", rate=16329, culprit="State.firsts", cause="view-pins-storage")
def views_of_the_ring(state: State, item: int) -> None:
    """A ring of 128 batches; the first row of each is kept, and with it the batch."""
    work()
    batch = np.full((4, 500), float(item))
    state.ring[item % len(state.ring)] = batch
    state.firsts.append(batch[0])


@variant(expect="leak in native code", rate=8208, culprit="_LIBC.malloc(8192)")
def handles_not_freed(state: State, item: int) -> None:
    """A pool of 200 handles of a C library; what is replaced is never freed."""
    work()
    state.handles.append(_LIBC.malloc(8192))
    if len(state.handles) > 200:
        state.handles.popleft()


@variant(expect="clean")
def handles_freed(state: State, item: int) -> None:
    """The same, freed."""
    work()
    state.handles.append(_LIBC.malloc(8192))
    if len(state.handles) > 200:
        _LIBC.free(state.handles.popleft())
