"""Clean workloads that fool other rules: what grows, jumps or swings here is bounded."""

from __future__ import annotations

import collections
import ctypes
import hashlib
import json
import math
import random
import re
import struct
import sys
import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from leakhunt import Context, variant

REQUIRES = ("numpy",)
CACHE_ENTRIES = 60
WORDS = 18


@dataclass
class State:
    """What the service keeps from call to call."""

    random: random.Random
    cache: collections.OrderedDict[Any, Any] = field(default_factory=collections.OrderedDict)
    recent: collections.deque[Any] = field(default_factory=lambda: collections.deque(maxlen=50))
    buffer: bytearray = field(default_factory=bytearray)
    kept: list[Any] = field(default_factory=list)
    calls: int = 0


def setup(context: Context) -> State:
    """An empty service."""
    return State(random.Random(context.seed))


def work() -> bytes:
    """About a millisecond of honest work, so that a call is long enough to be sampled alone."""
    return hashlib.pbkdf2_hmac("sha256", b"key", b"salt", 3000)


@variant(expect=("bounded cache", "clean"))
def lru_cache_that_fills(state: State, item: int) -> None:
    """A bounded cache of 60 entries of 20 KB, filled in the first 60 calls."""
    work()
    state.cache[item] = bytearray(20_000)
    if len(state.cache) > CACHE_ENTRIES:
        state.cache.popitem(last=False)


@variant(expect=("bounded cache", "clean"))
def lru_cache_of_many(state: State, item: int) -> None:
    """The same with 500 entries of 1 KB and short calls."""
    state.cache[item] = bytearray(1000)
    if len(state.cache) > 500:
        state.cache.popitem(last=False)


@variant(expect=("bounded cache", "clean"))
def vocabulary_that_saturates(state: State, item: int) -> None:
    """A vector of 40 KB for each of 18 words, as they come: the last ones keep it waiting."""
    work()
    word = state.random.randrange(WORDS)
    if word not in state.cache:
        state.cache[word] = np.ones(5000)


@variant(expect=("bounded cache", "clean"))
def one_late_step(state: State, item: int) -> None:
    """A table of 4 MB is built once, at call 170."""
    work()
    state.calls += 1
    if state.calls == 170:
        state.kept.append(bytearray(4 << 20))


@variant(expect=("bounded cache", "clean"))
def high_water_mark(state: State, item: int) -> None:
    """A buffer as large as the largest request so far; requests are bounded."""
    work()
    size = state.random.randrange(1000, 200_000)
    if size > len(state.buffer):
        state.buffer = bytearray(size)


@variant(expect=("clean", "allocator retention", "bounded cache"))
def transient_of_200_megabytes(state: State, item: int) -> int:
    """One request in fifty needs 200 MB for a moment, in small pieces."""
    work()
    if item % 50 != 30:
        return 0
    return len([bytes(2000) for _ in range(100_000)])


@variant(expect=("clean", "allocator retention", "bounded cache"))
def fragmentation(state: State, item: int) -> None:
    """Blocks of all sizes, of which every tenth outlives the others for a while."""
    blocks = [bytearray(state.random.randrange(600, 60_000)) for _ in range(200)]
    state.recent.extend(blocks[::10])


@variant(expect=("clean", "cyclic garbage only", "bounded cache"))
def free_lists_that_fill(state: State, item: int) -> int:
    """Tuples, floats and frames by the hundred: the interpreter keeps some of them for later."""

    def depth(level: int) -> float:
        return float(level) if level == 0 else depth(level - 1) + 1.0

    return len([tuple([number] * (number % 20)) for number in range(100 + item % 200)]) + int(
        depth(item % 60)
    )


@variant(expect=("clean", "bounded cache"))
def shape_cache(state: State, item: int) -> None:
    """A compiled pattern and a struct for each of forty formats: re and struct cache them."""
    kind = item % 40
    re.match(f"(a|b){{{kind}}}c+", "ab" * kind)
    struct.calcsize(f"{kind + 1}d{kind}s")


@variant(expect=("clean", "bounded cache"))
def interned_words(state: State, item: int) -> None:
    """A bounded set of words, interned again and again."""
    state.recent.append(sys.intern(f"word-{item % 300}"))


@variant(expect=("clean", "bounded cache"))
def bounded_queue(state: State, item: int) -> None:
    """A queue of the last fifty requests, of sizes that vary."""
    work()
    state.recent.append(bytearray(state.random.randrange(1000, 50_000)))


@variant(expect="clean")
def json_re_numpy(state: State, item: int) -> float:
    """What services do all day: parse, match, compute."""
    data = json.loads(json.dumps({"values": list(range(item % 100)), "name": f"n{item}"}))
    found = re.findall(r"\d+", data["name"])
    return float(np.array(data["values"], dtype=float).sum()) + len(found)


@variant(expect=("clean", "cyclic garbage only"))
def sawtooth_by_hand(state: State, item: int) -> None:
    """A batch that is written out when it is full: a sawtooth of a megabyte."""
    work()
    state.kept.append(bytearray(50_000))
    if len(state.kept) == 20:
        state.kept.clear()


@variant(expect=("clean", "cyclic garbage only", "allocator retention"))
def cyclic_trees(state: State, item: int) -> int:
    """A document tree whose nodes know their parents, some 100 KB a call."""
    root: dict[str, Any] = {"parent": None, "children": []}
    for number in range(100):
        root["children"].append({"parent": root, "number": number, "text": "x" * 800 + str(number)})
    return len(root["children"])


@variant(expect=("clean", "allocator retention", "bounded cache"))
def memory_freed_by_a_thread(state: State, item: int) -> None:
    """A thread of its own makes and frees the buffers: malloc keeps an arena for it."""
    thread = threading.Thread(target=lambda: [bytearray(5000) for _ in range(100)])
    thread.start()
    thread.join()


@variant(expect=("clean", "bounded cache"))
def memory_that_falls(state: State, item: int) -> None:
    """What was loaded at the start is let go bit by bit."""
    work()
    if not state.calls:
        state.kept = [bytearray(20_000) for _ in range(150)]
    state.calls += 1
    if state.kept:
        state.kept.pop()


@variant(expect=("clean", "bounded cache"))
def two_level_arena(state: State, item: int) -> None:
    """Half a megabyte that is sometimes there and sometimes not."""
    work()
    if state.random.random() < 0.05:
        state.buffer = bytearray(0 if len(state.buffer) else 500_000)


@variant(expect=("clean", "bounded cache"))
def slow_tide(state: State, item: int) -> None:
    """Load that comes and goes within a hundred calls."""
    work()
    state.buffer = bytearray(round(200_000 * (1 + math.sin(item / 16))))


@variant(expect="clean")
def native_scratch(state: State, item: int) -> None:
    """C code allocates and frees pieces of many sizes."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    pieces = [libc.malloc(64 * (1 + (item + number) % 50)) for number in range(30)]
    for piece in pieces:
        libc.free(ctypes.c_void_p(piece))
