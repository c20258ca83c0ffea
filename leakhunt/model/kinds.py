"""The classes of a verdict."""

from __future__ import annotations

from enum import StrEnum

from leakhunt.text.language import mark


class Kind(StrEnum):
    """What a run as a whole is: who grew, or why nothing did."""

    PYTHON_LEAK = mark("leak in Python")
    NATIVE_LEAK = mark("leak in native code")
    CUDA_LEAK = mark("leak in CUDA")
    MAPPING_GROWTH = mark("mapping growth outside malloc and Python")
    RESOURCE_GROWTH = mark("descriptors, threads or children growing")
    SHARED_MEMORY = mark("shared memory left behind")
    BOUNDED_CACHE = mark("bounded cache")
    ALLOCATOR_RETENTION = mark("allocator retention")
    FILLS_LIMIT = mark("retained memory fills the limit")
    CUDA_RETENTION = mark("CUDA caching or fragmentation")
    PAGE_CACHE = mark("page cache, not a leak")
    COPY_ON_WRITE = mark("copy-on-write after fork")
    GARBAGE = mark("cyclic garbage only")
    CLEAN = mark("clean")
    OUTSIDE_GROWTH = mark("growth seen from outside only")
    INCONCLUSIVE = mark("inconclusive")
    KILLED = mark("killed while growing")
    SPIKE = mark("killed by the peak of one call")

    @property
    def is_leak(self) -> bool:
        """Whether something grows for good."""
        return self in _LEAKS


_LEAKS = (
    Kind.PYTHON_LEAK,
    Kind.NATIVE_LEAK,
    Kind.CUDA_LEAK,
    Kind.MAPPING_GROWTH,
    Kind.RESOURCE_GROWTH,
    Kind.SHARED_MEMORY,
)
