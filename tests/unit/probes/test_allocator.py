"""Each allocator is found in the process, says what is in use, and reads a null run as nothing."""

from __future__ import annotations

import ctypes.util
import json
import mmap
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from preloaded_allocators import preloaded

from leakhunt.model.allocators import PYTHON_ALLOCATOR, allocator_of, described
from leakhunt.probes.allocator import (
    HeapOfGlibc,
    mapped_allocator,
    python_allocator,
    serving,
)

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="symbols are looked up on Linux only")
BLOCKS = 1000
BLOCK_BYTES = 4096
NULL_READINGS = 2000

# Says of itself: its allocator; what so many blocks come to, and are again once they are freed; and
# how far readings of nothing are apart.
SPEAKER = f"""
import ctypes, gc, json
from array import array
from leakhunt.probes.allocator import serving, python_allocator
found = serving()
told = {{"name": str(found), "python": python_allocator(), "why": str(found.unavailable or "")}}
if found.live_bytes:
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    blocks = array("q", [0] * {BLOCKS})
    before = found.live_bytes()
    for at in range({BLOCKS}):
        blocks[at] = library.malloc({BLOCK_BYTES})
    told["taken"] = found.live_bytes() - before
    for block in blocks:
        library.free(block)
    told["left"] = found.live_bytes() - before
    null = array("q", [0] * {NULL_READINGS})
    for _ in range(2):
        gc.collect()
        for at in range({NULL_READINGS}):
            null[at] = found.live_bytes()
    told["noise"] = max(null) - min(null)
found.trim()
print(json.dumps(told))
"""


def facts_of(preload: str = "", **variables: str) -> dict[str, str | int]:
    """What a Python says of its allocator that was started with this library and variables."""
    environment = {**os.environ, "LD_PRELOAD": preload, **variables}
    command = [sys.executable, "-P", "-c", SPEAKER]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    document: dict[str, str | int] = json.loads(ended.stdout)
    return document


@ON_LINUX
def test_the_c_librarys_own_malloc_is_named_and_reads_nothing_of_a_null_run() -> None:
    facts = facts_of()
    assert str(facts["name"]).partition(" ")[0] in ("glibc", "musl")
    assert str(facts["name"]).endswith("(C library)")
    if "taken" in facts:
        assert facts["taken"] == pytest.approx(BLOCKS * BLOCK_BYTES, rel=0.01)
        assert facts["noise"] == 0


@ON_LINUX
def test_a_python_that_was_started_by_its_name_alone_has_the_same_allocator() -> None:
    says = "from leakhunt.probes.allocator import serving; print(serving())"
    paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": paths}
    found = [
        subprocess.run(
            [name, "-P", "-c", says], env=environment, capture_output=True, text=True, check=True
        ).stdout
        for name in (sys.executable, Path(sys.executable).name)
    ]
    assert found[0] == found[1] and "(C library)" in found[0]


@ON_LINUX
@pytest.mark.parametrize("name", ["jemalloc", "tcmalloc"])
def test_an_allocator_that_was_preloaded_says_what_is_in_use(name: str) -> None:
    facts = facts_of(preloaded(name))
    assert str(facts["name"]).startswith(f"{name} ")
    assert str(facts["name"]).endswith("(preloaded)")
    assert any(letter.isdigit() for letter in str(facts["name"])), "its version is told"
    assert facts["taken"] == pytest.approx(BLOCKS * BLOCK_BYTES, rel=0.01)
    assert abs(int(facts["left"])) < BLOCK_BYTES * 2
    assert facts["noise"] == 0


@ON_LINUX
def test_mimalloc_says_why_it_does_not_tell_what_is_in_use() -> None:
    facts = facts_of(preloaded("mimalloc"))
    assert str(facts["name"]).startswith("mimalloc ")
    assert str(facts["name"]).endswith("(preloaded)")
    assert "taken" not in facts
    assert "mimalloc" in str(facts["why"])


@ON_LINUX
@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_an_allocator_nobody_knows_goes_by_its_file_and_reads_nothing(tmp_path: Path) -> None:
    source = tmp_path / "own.c"
    source.write_text(
        "#include <stddef.h>\nextern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t);\n"
        "void *malloc(size_t size) { return __libc_malloc(size); }\n"
        # What the executable itself calls (malloc, free) leads to its own table where it is no PIE.
        "void *calloc(size_t number, size_t size) { return __libc_calloc(number, size); }\n"
    )
    library = tmp_path / "libown.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    facts = facts_of(str(library))
    assert facts["name"] == "libown.so (preloaded)"
    assert "taken" not in facts, "psutil would read the C library's heap, which serves nobody"
    assert "libown.so" in str(facts["why"])


@ON_LINUX
def test_a_preload_that_is_no_allocator_changes_nothing() -> None:
    library = ctypes.util.find_library("z")
    if library is None:
        pytest.skip("libz is not installed (Debian: apt-get install zlib1g)")
    assert facts_of(library)["name"] == facts_of()["name"]


def test_pymalloc_that_is_switched_off_is_told() -> None:
    assert facts_of()["python"] == python_allocator()
    assert facts_of(PYTHONMALLOC="malloc")["python"] in ("malloc", "mimalloc (free-threaded)")


@ON_LINUX
@pytest.mark.parametrize("name", ["", "jemalloc", "tcmalloc", "mimalloc"])
def test_another_process_is_known_by_the_files_it_maps(name: str) -> None:
    environment = {**os.environ, "LD_PRELOAD": preloaded(name) if name else ""}
    waits = "import sys; print('here', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-P", "-c", waits],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = mapped_allocator(process.pid)
        process.communicate()
    own = allocator_of({"allocator": str(serving())})
    assert found == (f"{name} (preloaded)" if name else f"{own} (C library)")


def test_the_name_of_an_allocator_stands_first_in_its_fact() -> None:
    fact = described("jemalloc", "5.3.0", "preloaded")
    assert fact == "jemalloc 5.3.0 (preloaded)"
    assert allocator_of({"allocator": fact, PYTHON_ALLOCATOR: "pymalloc"}) == "jemalloc"
    assert allocator_of({}) == ""


def test_what_glibc_counts_too_much_of_resized_mappings_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heaps, mappings = 1000, 10 * mmap.PAGESIZE
    read = HeapOfGlibc(lambda: (heaps, mappings))
    start = read()
    assert start == 1000 + 10 * mmap.PAGESIZE
    for _ in range(400):  # past a page of errors
        mappings += 16
        assert read() == start
    mappings += 16 - 3 * mmap.PAGESIZE
    heaps += 24
    assert read() == start + 24 - 3 * mmap.PAGESIZE


@ON_LINUX
def test_resized_mappings_that_are_freed_leave_nothing_in_the_live_heap() -> None:
    read = serving().live_bytes
    if read is None:
        pytest.skip("this C library does not report the bytes in use")
    library = ctypes.CDLL(None)
    library.malloc.restype = library.realloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    library.realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    for _ in range(2):
        before = read()
        for _ in range(100):  # beyond 32 MiB each has a mapping of its own
            library.free(library.realloc(library.malloc(40 << 20), 50 << 20))
        after = read()
    assert after == before
