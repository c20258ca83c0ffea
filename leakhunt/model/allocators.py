"""The facts about allocators in a run file's environment: who serves malloc, and who Python.

Which one it was decides what its series can say: each rounds sizes up in its own way, and not each
tells what is in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from leakhunt.text.language import mark

# Names of the facts; their values are as `described`.
ALLOCATOR: Final = mark("allocator")
PYTHON_ALLOCATOR: Final = mark("Python allocator")

GLIBC: Final = "glibc"
MUSL: Final = "musl"
JEMALLOC: Final = "jemalloc"
TCMALLOC: Final = "tcmalloc"
MIMALLOC: Final = "mimalloc"
# What serves Python in a free-threaded build; it does not tell what is in use.
FREE_THREADED: Final = "mimalloc (free-threaded)"

# How an allocator got into a process.
C_LIBRARY: Final = "C library"
LINKED: Final = "linked"
PRELOADED: Final = "preloaded"

# One allocator rounds a block up to its next size class, at most a quarter larger, another one adds
# a header: a leak that is the same leak differs by so much of itself.
ROUNDING_SHARE: Final = 0.25


def described(name: str, version: str, source: str) -> str:
    """``jemalloc 5.3.0 (preloaded)``."""
    return f"{' '.join(filter(None, (name, version)))} ({source})"


def allocator_of(environment: Mapping[str, str]) -> str:
    """The name of what served malloc: ``jemalloc``; empty where the run did not record it."""
    return environment.get(ALLOCATOR, "").partition(" ")[0]


# What ``--try allocators`` is called, as a remedy.
TRY_ALLOCATORS: Final = "allocators"
# The settings of glibc that are tried, by what they are called: one arena for all threads; blocks
# above 64 KiB mapped each, and the heap's end handed back from there on. Either threshold also ends
# glibc's raising of both.
GLIBC_SETTINGS: Final[Mapping[str, Mapping[str, str]]] = {
    mark("one arena"): {"MALLOC_ARENA_MAX": "1"},
    mark("low thresholds"): {
        "MALLOC_MMAP_THRESHOLD_": "65536",
        "MALLOC_TRIM_THRESHOLD_": "65536",
    },
}
PRELOAD: Final = "LD_PRELOAD"
