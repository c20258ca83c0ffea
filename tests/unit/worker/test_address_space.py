"""What resident memory is made of: arenas and stacks by regions, and what malloc holds free."""

from __future__ import annotations

import ctypes
import mmap
import sys
import threading
from dataclasses import replace

import pytest

from leakhunt.model.allocators import GLIBC
from leakhunt.probes.allocator import serving
from leakhunt.worker.address_space import (
    Region,
    arenas_resident,
    generated_code_resident,
    made_of,
    stacks_resident,
)
from leakhunt.worker.readings import start_reading, whole_reading

MIB = 1 << 20
KIB = 1024
HEAP = 64 * MIB
ON_GLIBC = pytest.mark.skipif(
    sys.platform != "linux" or serving().name != GLIBC, reason="only glibc has these arenas"
)


def test_an_arenas_heap_is_known_by_its_place_and_what_is_mapped_behind_it() -> None:
    at = 3 * HEAP
    heap = Region(at, at + 5 * MIB, "rw-p", "", 4 * MIB)
    rest = Region(at + 5 * MIB, at + HEAP, "---p", "")
    assert arenas_resident([heap, rest]) == 4 * MIB
    assert arenas_resident([heap]) == 0, "a mapping that only begins there is another one"
    assert arenas_resident([Region(at, at + HEAP, "rw-p", "", HEAP)]) == HEAP, "one that is full"
    assert arenas_resident([Region(at, at + 5 * MIB, "rw-p", "/a/file", 4 * MIB), rest]) == 0


def test_what_was_merged_with_a_heap_from_below_is_none_of_it() -> None:
    at = 3 * HEAP
    both = Region(at - 9 * MIB, at + 2 * MIB, "rw-p", "", 11 * MIB)
    rest = Region(at + 2 * MIB, at + HEAP, "---p", "")
    assert arenas_resident([both, rest]) == 2 * MIB


def test_a_guard_that_was_merged_with_the_end_of_a_heap_hides_neither() -> None:
    at = 3 * HEAP
    heap = Region(at, at + 5 * MIB, "rw-p", "", 4 * MIB)
    rest_and_guard = Region(at + 5 * MIB, at + HEAP + 4 * KIB, "---p", "")
    stack = Region(at + HEAP + 4 * KIB, at + HEAP + 8 * MIB, "rw-p", "", 40 * KIB)
    assert arenas_resident([heap, rest_and_guard, stack]) == 4 * MIB
    assert stacks_resident([heap, rest_and_guard, stack]) == 40 * KIB


def test_code_that_is_no_files_was_generated() -> None:
    made = Region(MIB, 2 * MIB, "rwxp", "", 600 * KIB)
    named = Region(3 * MIB, 4 * MIB, "r-xp", "[anon:v8]", 40 * KIB)
    library = Region(5 * MIB, 6 * MIB, "r-xp", "/usr/lib/libc.so.6", MIB)
    others = [Region(7 * MIB, 8 * MIB, "r-xp", "[vdso]", 8 * KIB), replace(made, rights="rw-p")]
    assert generated_code_resident([made, named, library, *others]) == 640 * KIB


@ON_GLIBC
def test_a_page_of_code_made_here_is_counted() -> None:
    before = made_of()["generated_code"]
    rights = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    with mmap.mmap(-1, 64 * KIB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, rights) as code:
        code.write(b"\xc3" * 64 * KIB)
        assert made_of()["generated_code"] - before == 64 * KIB


def test_the_heap_of_brk_is_the_main_arena() -> None:
    assert arenas_resident([Region(4096, 8192, "rw-p", "[heap]", 4096)]) == 4096


def test_a_stack_lies_above_a_guard_of_one_page() -> None:
    guard = Region(MIB, MIB + 4 * KIB, "---p", "")
    stack = Region(MIB + 4 * KIB, 9 * MIB, "rw-p", "", 40 * KIB)
    assert stacks_resident([guard, stack]) == 40 * KIB
    apart = Region(MIB + 8 * KIB, 9 * MIB, "rw-p", "", 40 * KIB)
    assert stacks_resident([guard, apart]) == 0
    main = Region(4096, 8192, "rw-p", "[stack]", 4096)
    assert stacks_resident([main]) == 4096


def test_a_stack_with_its_guard_inside_is_known_by_the_kernels_word_or_not_told() -> None:
    """As glibc lays them out from 2.42 on."""
    main = Region(4096, 8192, "rw-p", "[stack]", 4096)
    above = Region(MIB, 2 * MIB, "rw-p", "", 4 * KIB)
    stack = Region(2 * MIB, 10 * MIB, "rw-p", "", 12 * KIB, has_guard=True)
    assert stacks_resident([main, above, stack], with_threads=True) == 16 * KIB
    unknown = replace(stack, has_guard=False)
    assert stacks_resident([main, above, unknown], with_threads=True) is None
    assert stacks_resident([main, above], with_threads=False) == 4 * KIB


@ON_GLIBC
def test_blocks_that_are_freed_between_live_ones_are_pinned() -> None:
    """One block in twenty stays: a trim gives back the pages between, and not those they are on."""
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    blocks = []
    start_reading()
    before = whole_reading("trimmed").values
    for _ in range(20_000):
        blocks.append(library.malloc(2000))
        ctypes.memset(blocks[-1], 1, 2000)
    for place, block in enumerate(blocks):
        if place % 20:
            library.free(block)
    serving().trim()
    after = whole_reading("trimmed").values
    for block in blocks[::20]:
        library.free(block)
    live = after["live_heap"] - before["live_heap"]
    retained = after["malloc_resident"] - before["malloc_resident"]
    assert 1.5 * MIB < live < 3 * MIB
    assert 1.5 * MIB < retained - live < 8 * MIB, "a page or two for each block that stays"
    # Other tests of this process may have left free memory that these blocks came from.
    assert after["malloc_free"] > 25 * MIB, "free, and not resident"


@ON_GLIBC
def test_a_thread_that_waits_has_a_stack() -> None:
    before = made_of()["thread_stacks"]
    stop, ready = threading.Event(), threading.Barrier(9)

    def wait() -> None:
        ready.wait()
        stop.wait()

    threads = [threading.Thread(target=wait) for _ in range(8)]
    for thread in threads:
        thread.start()
    ready.wait()
    during = made_of()["thread_stacks"]
    stop.set()
    for thread in threads:
        thread.join()
    assert 8 * 4 * KIB <= during - before < 8 * MIB


@ON_GLIBC
def test_a_reading_leaves_nothing_behind() -> None:
    read = serving().live_bytes
    assert read is not None
    for _ in range(20):
        made_of()
    before = read()
    for _ in range(64):
        made_of()
    assert abs(read() - before) < 64 * KIB


@ON_GLIBC
def test_full_heaps_of_threads_arenas_are_counted_however_they_are_merged() -> None:
    """Two hundred megabytes of one thread are three full heaps and one that is not."""
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    blocks: list[int] = []
    stop, full = threading.Event(), threading.Event()

    def fill() -> None:
        for _ in range(1700):
            blocks.append(library.malloc(120_000))
            ctypes.memset(blocks[-1], 1, 120_000)
        full.set()
        stop.wait()

    serving().trim()  # or the thread would be given what is free and resident
    before = whole_reading("trimmed").values
    thread = threading.Thread(target=fill)
    thread.start()
    full.wait()
    after = whole_reading("trimmed").values
    for block in blocks:
        library.free(block)
    stop.set()
    thread.join()
    serving().trim()
    live = after["live_heap"] - before["live_heap"]
    retained = after["malloc_resident"] - before["malloc_resident"]
    assert live > 190 * MIB
    assert retained == pytest.approx(live, rel=0.03)
