"""Caches that services write themselves: each grows for 50 to 4,000 calls and is level then."""

from __future__ import annotations

import collections
import queue
import random
import sys
import threading
import types
import weakref
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

import numpy as np

from leakhunt import Context, variant

REQUIRES = ("numpy",)
THREADS = 48
BATCH = 8_000
WORDS = 300


class StatementCache(dict[str, list[str]]):
    """Compiled statements: pruned back to 500 when it holds more than 750."""

    capacity = 500

    def compiled(self, key: str) -> list[str]:
        """What the statement is compiled to, some 20 KB."""
        if key not in self:
            self[key] = [f"{key}:{part}" * 4 for part in range(120)]
            if len(self) > self.capacity * 1.5:
                for old in list(self)[: len(self) - self.capacity]:
                    del self[old]
        return self[key]


class TwoGenerations:
    """The younger half takes new entries; when it is full, the older half is let go."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.young: dict[Hashable, bytes] = {}
        self.old: dict[Hashable, bytes] = {}

    def add(self, key: Hashable, value: bytes) -> None:
        """Keep it, at least until as many others came."""
        self.young[key] = value
        if len(self.young) >= self.size:
            self.old, self.young = self.young, {}


class ByBytes:
    """An LRU whose bound is the bytes of its entries, of all sizes."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0
        self.entries: collections.OrderedDict[Hashable, bytearray] = collections.OrderedDict()

    def add(self, key: Hashable, value: bytearray) -> None:
        """Keep it, and let the oldest go until all fit."""
        self.entries[key] = value
        self.held += len(value)
        while self.held > self.most:
            self.held -= len(self.entries.popitem(last=False)[1])


class Document:
    """Something that is worth keeping while somebody uses it."""

    def __init__(self, number: int) -> None:
        self.text = f"{number} " * 600


class Prices:
    """A service object with a method whose results are kept."""

    @cache  # noqa: B019 - of one object, for some hundred products
    def of(self, product: int) -> tuple[float, ...]:
        """The prices of a product, by day."""
        return tuple(product + day / 7 for day in range(90))


@dataclass
class State:
    """What the service keeps from call to call."""

    random: random.Random
    statements: StatementCache = field(default_factory=StatementCache)
    generations: TwoGenerations = field(default_factory=lambda: TwoGenerations(400))
    by_bytes: ByBytes = field(default_factory=lambda: ByBytes(8 << 20))
    prices: Prices = field(default_factory=Prices)
    table: dict[Any, Any] = field(default_factory=dict)
    ordered: collections.OrderedDict[Any, Any] = field(default_factory=collections.OrderedDict)
    recent: collections.deque[Any] = field(default_factory=lambda: collections.deque(maxlen=1200))
    documents: weakref.WeakValueDictionary[int, Document] = field(
        default_factory=weakref.WeakValueDictionary
    )
    in_use: collections.deque[Document] = field(
        default_factory=lambda: collections.deque(maxlen=500)
    )
    ring: list[Any] = field(default_factory=lambda: [None] * 256)
    jobs: queue.Queue[int] = field(default_factory=queue.Queue)
    threads: list[threading.Thread] = field(default_factory=list)
    local: threading.local = field(default_factory=threading.local)
    buffer: bytearray = field(default_factory=bytearray)


def setup(context: Context) -> State:
    """An empty service."""
    return State(random.Random(context.seed))


def work() -> int:
    """Some 3 ms, as a real call takes."""
    return sum(range(150_000))


@lru_cache(maxsize=1024)
def schema(key: object) -> dict[str, object]:
    """A schema of 60 fields."""
    return {f"field-{number}": object() for number in range(60)}


@lru_cache(maxsize=1024)
def built(frame: types.FrameType | None) -> str:
    """Something that depends on the caller."""
    return frame.f_code.co_name if frame else ""


@lru_cache(maxsize=1_000_000)
def glyph(character: int) -> bytes:
    """The picture of a character."""
    return bytes(3000)


@variant(expect=("bounded cache", "clean"))
def schemas_by_object(state: State, item: int) -> int:
    """functools.lru_cache of 1,024 schemas, whose key never comes twice."""
    work()
    return len(schema(object()))


@variant(expect=("bounded cache", "clean"))
def builders_by_frame(state: State, item: int) -> int:
    """functools.lru_cache of 1,024 frames of callers, each with all its locals."""
    work()
    rows = [f"row {item} {number}" for number in range(300)]
    built(sys._getframe())
    return len(rows)


@variant(expect=("bounded cache", "clean"))
def statements_pruned(state: State, item: int) -> int:
    """A dict of statements, pruned back to 500 entries when it holds 750."""
    work()
    return len(state.statements.compiled(f"select {item}"))


@variant(expect=("bounded cache", "clean"))
def glyphs_at_random(state: State, item: int) -> int:
    """A cache without a practical bound, on keys that run out: 1,500, three at random a call."""
    work()
    return sum(len(glyph(state.random.randrange(1500))) for _ in range(3))


@variant(expect=("bounded cache", "clean"))
def words_by_frequency(state: State, item: int) -> None:
    """A vector for each of 300 words; the rare ones keep the table waiting."""
    work()
    for _ in range(6):
        word = min(int(WORDS ** state.random.random()), WORDS)
        if word not in state.table:
            state.table[word] = np.ones(2000)


@variant(expect=("bounded cache", "clean"))
def method_with_known_products(state: State, item: int) -> float:
    """A method whose results are kept for ever, for each of 700 products."""
    work()
    return state.prices.of(item * 11 % 700)[0]


@variant(expect=("bounded cache", "clean"))
def half_is_dropped(state: State, item: int) -> None:
    """A dict that drops its older half when it holds 800 entries."""
    work()
    state.table[item] = bytearray(4000)
    if len(state.table) >= 800:
        for key in list(state.table)[:400]:
            del state.table[key]


@variant(expect=("bounded cache", "clean"))
def ordered_dict_as_lru(state: State, item: int) -> None:
    """An OrderedDict of the 900 last used of 3,000 users, met at random."""
    work()
    user = state.random.randrange(3000)
    if user in state.ordered:
        state.ordered.move_to_end(user)
        return
    state.ordered[user] = bytearray(5000)
    if len(state.ordered) > 900:
        state.ordered.popitem(last=False)


@variant(expect=("bounded cache", "clean"))
def last_requests(state: State, item: int) -> None:
    """A deque of the last 1,200 requests, for the page of statistics."""
    work()
    state.recent.append({"number": item, "path": f"/items/{item}", "body": bytearray(2000)})


@variant(expect=("bounded cache", "clean"))
def random_victim(state: State, item: int) -> None:
    """A dict of 700 entries that lets any one go for a new one."""
    work()
    if len(state.table) >= 700:
        del state.table[state.random.choice(list(state.table))]
    state.table[item] = bytearray(6000)


@variant(expect=("bounded cache", "clean"))
def two_generations(state: State, item: int) -> None:
    """Two generations of 400 entries, of which the older one goes."""
    work()
    state.generations.add(item, bytes(8000))


@variant(expect=("bounded cache", "clean"))
def lru_of_all_sizes(state: State, item: int) -> None:
    """600 entries of 500 B to 50 KB: level, but never still."""
    work()
    state.ordered[item] = bytearray(state.random.randrange(500, 50_000))
    if len(state.ordered) > 600:
        state.ordered.popitem(last=False)


@variant(expect=("bounded cache", "clean"))
def lru_by_bytes(state: State, item: int) -> None:
    """Entries of 500 B to 20 KB, 8 MiB of them."""
    work()
    state.by_bytes.add(item, bytearray(state.random.randrange(500, 20_000)))


@variant(expect=("bounded cache", "clean"))
def expire_after_calls(state: State, item: int) -> None:
    """Sessions that expire 1,000 calls after they began, swept once in fifty calls."""
    work()
    state.table[item] = bytearray(3000)
    if item % 50 == 0:
        for old in [key for key in state.table if key < item - 1000]:
            del state.table[old]


@variant(expect=("bounded cache", "clean"))
def weak_values(state: State, item: int) -> int:
    """Documents by weak reference, of which the last 500 are in use."""
    work()
    state.documents[item] = document = Document(item)
    state.in_use.append(document)
    return len(state.documents)


@variant(expect=("bounded cache", "clean"))
def buffers_by_shape(state: State, item: int) -> None:
    """A buffer for each of 900 shapes, as they come."""
    work()
    rows, columns = divmod(item * 7 % 900, 30)
    if (rows, columns) not in state.table:
        state.table[rows, columns] = np.zeros((rows + 10, columns + 10))


@variant(expect=("bounded cache", "clean"))
def ring_of_batches(state: State, item: int) -> None:
    """A ring of 256 prefetched batches of 64 KB."""
    work()
    state.ring[item % len(state.ring)] = np.full(BATCH, float(item))


@variant(expect=("bounded cache", "clean"))
def vocabulary_interned(state: State, item: int) -> None:
    """Interned names of 1,800 tags, each with its counts."""
    work()
    tag = sys.intern(f"tag-{item * 7 % 1800}-" + "x" * 200)
    state.table.setdefault(tag, [0] * 30)[item % 30] += 1


@variant(expect=("bounded cache", "clean"))
def longest_so_far(state: State, item: int) -> None:
    """A table that doubles until the longest input fits; inputs grow for 1,500 calls."""
    work()
    needed = min(item, 1500) * 340
    while len(state.buffer) < needed:
        state.buffer.extend(bytes(len(state.buffer) or 1000))


def serve_jobs(state: State) -> None:
    """What a thread of the pool does: its buffer is made once."""
    state.local.buffer = bytearray(200_000)
    while True:
        state.jobs.get()
        state.jobs.task_done()


@variant(expect=("bounded cache", "clean"))
def buffers_of_threads(state: State, item: int) -> None:
    """A pool that starts a thread in eight calls, 48 in all, each with a buffer of its own."""
    work()
    if item % 8 == 0 and len(state.threads) < THREADS:
        state.threads.append(threading.Thread(target=serve_jobs, args=(state,), daemon=True))
        state.threads[-1].start()
    state.jobs.put(item)
    state.jobs.join()
