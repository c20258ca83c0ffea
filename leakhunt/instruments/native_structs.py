"""What structs of C, C++ and Rust refer to, behind the fields of an object.

A Pillow image over borrowed memory, a capsule, a connection that calls Python functions: what each
of them holds is not in the object itself, but in a struct that a pointer leads to, or one behind
that. The words of such a struct are followed where they are addresses of memory that is allocated.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import sys
from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# A function of Python that a connection of sqlite3 calls is behind five structs.
_LINKS = 5
# So many are looked at; of a large one, the beginning: a long array is no field of an object.
_MOST_STRUCTS = 200_000
_MOST_BYTES = 4096
# Of what a library hands out of a chunk of its own it is not known where it ends.
_PART_BYTES = 128
_WORD = 8
# A head of its own that a library has before what it hands out: that of sqlite is a word.
_HEADS = (0, _WORD, 2 * _WORD)
# An object begins with its reference count and its type.
_HEAD_BYTES = object.__basicsize__
# Blocks of pymalloc are alike in a pool, which begins with what it is: struct pool_header in
# CPython's Include/internal/pycore_obmalloc.h.
_POOL_BYTES = 16 << 10
_POOL_HEAD = struct.Struct("=36xI4xI")
_POOL_STEP = 16
_POOL_CLASSES = 32
# A chunk of glibc begins with its size and flags; the next one says whether it is in use. Struct
# malloc_chunk in malloc/malloc.c.
_CHUNK_STEP = 16
_LARGEST_CHUNK = 1 << 40
_CHUNK_FLAGS, _IS_MAPPED, _BEFORE_IN_USE = 7, 2, 1


def referring_structs(
    holders: Sequence[Any], wanted: Collection[int], known: NDArray[np.uint64]
) -> dict[int, Counter[int]]:
    """How many words in structs behind `holders` refer to what is `wanted`.

    By the id of what is wanted, then by the position among the holders: a struct that several lead
    to is the nearest one's. Objects that are `known`, by their ids, are not followed. Nothing is
    found where the process cannot read its own memory without a fault.
    """
    try:
        with _Memory() as memory:
            return _Search(memory, wanted, known).of(holders)
    except OSError:
        return {}


class _Search:
    """Each struct once, the nearest first."""

    def __init__(self, memory: _Memory, wanted: Collection[int], known: NDArray[np.uint64]) -> None:
        import numpy as np

        self._memory = memory
        self._wanted = np.fromiter(wanted, np.uint64, len(wanted))
        # Each sorted: what is looked for is little beside what is known.
        self._seen = [np.sort(np.concatenate((known, self._wanted)))]

    def of(self, holders: Sequence[Any]) -> dict[int, Counter[int]]:
        """The words that refer to what is wanted."""
        import numpy as np

        found: dict[int, Counter[int]] = {}
        counted: set[int] = set()
        words, _, owners = _words(list(map(_fields, holders)))
        for _ in range(_LINKS):
            starts, nearest = self._new(words)
            blocks = list(map(self._memory.block, starts.tolist()))
            words, offsets, which = _words(blocks)
            places, owners = starts[which] + offsets, owners[nearest][which]
            for at in np.flatnonzero(np.isin(words, self._wanted)).tolist():
                if (place := int(places[at])) not in counted:  # blocks may overlap
                    counted.add(place)
                    found.setdefault(int(words[at]), Counter())[int(owners[at])] += 1
        return found

    def _new(self, words: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
        """The words that are addresses of memory not seen yet, each once, and where they stand."""
        import numpy as np

        at = np.flatnonzero(self._memory.has(words))
        starts, first = np.unique(words[at], return_index=True)
        for seen in self._seen:
            follows = ~_is_in(starts, seen)
            starts, first = starts[follows], first[follows]
        starts, first = starts[:_MOST_STRUCTS], first[:_MOST_STRUCTS]
        self._seen.append(starts)
        return starts, at[first]


def _is_in(numbers: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which of some numbers are among those that are sorted."""
    import numpy as np

    if not len(known):
        return np.zeros(len(numbers), bool)
    at = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
    found: NDArray[np.bool_] = known[at] == numbers
    return found


def _fields(holder: Any) -> bytes:
    """The memory of an object, as its type tells how long it is, without what every one has."""
    size = type(holder).__basicsize__ // _WORD * _WORD
    return ctypes.string_at(id(holder), size)[_HEAD_BYTES:]


def _words(
    blocks: Sequence[bytes],
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.intp]]:
    """The words of some blocks, with the offset of each in its block, and which block that is."""
    import numpy as np

    lengths = np.fromiter((len(each) // _WORD for each in blocks), np.intp, len(blocks))
    which = np.repeat(np.arange(len(blocks)), lengths)
    first = np.cumsum(lengths) - lengths
    offsets = (np.arange(len(which)) - first[which]).astype(np.uint64) * np.uint64(_WORD)
    return np.frombuffer(b"".join(blocks), np.uint64), offsets, which


class _Memory:
    """The memory of this process that C code allocates from, read by the system: it never faults.

    Raises:
        OSError: there is no /proc, or it may not be read.
    """

    def __init__(self) -> None:
        import numpy as np

        lines = Path("/proc/self/maps").read_text().splitlines()
        mappings = (line.split(maxsplit=5) for line in lines)
        spans = [each[0].split("-") for each in mappings if _is_allocated(each)]
        self._firsts = np.array([int(first, 16) for first, _ in spans], np.uint64)
        self._ends = np.array([int(end, 16) for _, end in spans], np.uint64)
        self._file = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
        # The size of the blocks of a pool, by where it begins; where large chunks begin and end.
        self._pools: dict[int, int] = {}
        self._large: list[tuple[int, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def has(self, addresses: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of some words are addresses of words in it."""
        import numpy as np

        at = np.searchsorted(self._firsts, addresses, "right") - 1
        found: NDArray[np.bool_] = (at >= 0) & (addresses < self._ends[at])
        found &= addresses % np.uint64(_WORD) == 0
        return found

    def block(self, address: int) -> bytes:
        """What is allocated at an address, or its beginning; nothing if no block begins there."""
        pool = address // _POOL_BYTES * _POOL_BYTES
        size = self._pools.get(pool)
        if size is None:
            size = self._pools[pool] = _pool_block_bytes(self._read(pool, _POOL_HEAD.size))
        if size:
            is_start = (address - pool - _POOL_HEAD.size) % size == 0
            return self._read(address, size) if is_start else b""
        return self._read(address, min(self._rest_of_chunk(address), _MOST_BYTES))

    def _rest_of_chunk(self, address: int) -> int:
        """How much is allocated from an address on; 0: nothing begins there.

        A library may have a head of its own before what it hands out, or hand out parts of a chunk
        that is known by its own pointer. What is mapped begins at a page.
        """
        for head in _HEADS:
            if size := self._chunk_bytes(address - head):
                if size > _MOST_BYTES:
                    insort(self._large, (address - head, address - head + size))
                return size - head
        if address % mmap.PAGESIZE == 0:
            return _MOST_BYTES
        at = bisect_right(self._large, (address,)) - 1
        return max(min(self._large[at][1] - address, _PART_BYTES), 0) if at >= 0 else 0

    def _chunk_bytes(self, address: int) -> int:
        """The size of the chunk of glibc whose memory begins at an address; 0: none does."""
        head = self._read(address - _WORD, _WORD)
        if address % _CHUNK_STEP or not head:
            return 0
        size, flags = _word_at(head) & ~_CHUNK_FLAGS, _word_at(head) & _CHUNK_FLAGS
        if not 2 * _CHUNK_STEP <= size <= _LARGEST_CHUNK or size % _CHUNK_STEP:
            return 0
        if not flags & _IS_MAPPED:
            following = self._read(address - _WORD + size, _WORD)
            if not following or not _word_at(following) & _BEFORE_IN_USE:
                return 0
        return size - _WORD

    def _read(self, address: int, size: int) -> bytes:
        try:
            return os.pread(self._file, size, address)
        except OSError:  # it is not mapped, or not any more
            return b""


def _is_allocated(mapping: Sequence[str]) -> bool:
    """Whether a line of /proc/self/maps is of memory that is written to, and of no file."""
    name = mapping[5].strip() if len(mapping) > 5 else ""
    return mapping[1].startswith("rw") and (name in ("", "[heap]") or name.startswith("[anon"))


def _pool_block_bytes(head: bytes) -> int:
    """The size of the blocks of a pool of pymalloc; 0: it is the head of none."""
    if len(head) < _POOL_HEAD.size:
        return 0
    size_class, last = _POOL_HEAD.unpack(head)
    size = (size_class + 1) * _POOL_STEP
    return size if size_class < _POOL_CLASSES and last == _POOL_BYTES - size else 0


def _word_at(data: bytes) -> int:
    return int.from_bytes(data, sys.byteorder)
