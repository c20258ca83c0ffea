"""Leaks that Python's own heap does not show: malloc, raw mappings, references lost in C, views."""

from __future__ import annotations

import ctypes
import mmap
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from leakhunt import Context, variant

REQUIRES = ("numpy",)

_LIBC = ctypes.CDLL(None)
_LIBC.malloc.restype = ctypes.c_void_p
_LIBC.malloc.argtypes = [ctypes.c_size_t]
_LIBC.free.argtypes = [ctypes.c_void_p]
_INCREF = ctypes.pythonapi.Py_IncRef
_INCREF.argtypes = [ctypes.py_object]


@dataclass
class State:
    """What the service keeps from call to call."""

    kept: list[Any] = field(default_factory=list)


def setup(context: Context) -> State:
    """An empty service."""
    return State()


@variant(expect="leak in native code", rate=4112, culprit="_LIBC.malloc(4096)")
def malloc_lost(state: State, item: int) -> None:
    """A C library allocates 4 KiB, and its result is never freed."""
    _LIBC.malloc(4096)


@variant(expect="clean")
def malloc_freed(state: State, item: int) -> None:
    """The same, freed."""
    _LIBC.free(_LIBC.malloc(4096))


@variant(expect="leak in native code", rate=256, culprit="_LIBC.malloc(240)")
def small_malloc_lost(state: State, item: int) -> None:
    """A handle of 240 bytes is never freed."""
    _LIBC.malloc(240)


@variant(expect="leak in native code", rate=1052672, culprit="_LIBC.malloc(1 << 20)")
def large_malloc_lost(state: State, item: int) -> None:
    """A megabyte, which malloc maps on its own; touched, as a result would be."""
    ctypes.memset(_LIBC.malloc(1 << 20), 1, 1 << 20)


@variant(
    expect="mapping growth outside malloc and Python",
    rate=65536,
    culprit="State.kept",
    cause="unbounded-list",
)
def mmap_kept(state: State, item: int) -> None:
    """A raw mapping of 64 KiB per call, filled and kept."""
    region = mmap.mmap(-1, 1 << 16, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    region.write(bytes(1 << 16))
    state.kept.append(region)


@variant(expect="clean")
def mmap_closed(state: State, item: int) -> None:
    """The same, closed."""
    region = mmap.mmap(-1, 1 << 16, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    region.write(bytes(1 << 16))
    region.close()


@variant(
    expect="mapping growth outside malloc and Python", rate=65536, culprit="ctypes.memset(address"
)
def mmap_lost(state: State, item: int) -> None:
    """C code maps 64 KiB and forgets the address: nothing in Python knows of it.

    No instrument sees that call; RSS grows at the line that first touches the pages.
    """
    address = _mapped(1 << 16)
    ctypes.memset(address, 1, 1 << 16)


@variant(expect="clean")
def mmap_unmapped(state: State, item: int) -> None:
    """The same, unmapped."""
    address = _mapped(1 << 16)
    ctypes.memset(address, 1, 1 << 16)
    _LIBC.munmap(ctypes.c_void_p(address), ctypes.c_size_t(1 << 16))


def _mapped(size: int) -> int:
    """Anonymous private memory straight from the kernel, as C code gets it."""
    _LIBC.mmap.restype = ctypes.c_void_p
    private_anonymous = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    return int(
        _LIBC.mmap(
            None, ctypes.c_size_t(size), mmap.PROT_READ | mmap.PROT_WRITE, private_anonymous, -1,
            ctypes.c_long(0),
        )
    )  # fmt: skip


@variant(expect="leak in Python", rate=2105, culprit="bytearray(2000)")
def reference_leaked_in_c(state: State, item: int) -> None:
    """A C extension takes a reference too many: the object lives, and nobody refers to it."""
    result = bytearray(2000)
    _INCREF(result)


@variant(expect="clean")
def reference_returned_in_c(state: State, item: int) -> None:
    """The same with its reference given back."""
    result = bytearray(2000)
    _INCREF(result)
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(result))


@variant(expect="leak in Python", rate=80200, culprit="State.kept", cause="view-pins-storage")
def views_that_pin(state: State, item: int) -> None:
    """Ten numbers are kept, as a view: it pins the 80,000 bytes they were cut from."""
    state.kept.append(np.ones(10_000)[:10])


@variant(expect="clean")
def views_copied(state: State, item: int) -> None:
    """The last ten numbers are kept, as a copy."""
    state.kept[:] = [np.ones(10_000)[:10].copy()]


@variant(expect="clean")
def arrays_of_any_length(state: State, item: int) -> float:
    """Arrays of ever different sizes, freed."""
    return float(np.ones(1000 + 37 * (item % 997)).sum())


@variant(expect="leak in Python", rate=552, culprit="State.kept", cause="unbounded-list")
def array_kept_another_returned(state: State, item: int) -> Any:
    """An array per call is kept; numpy's pool gives it the buffer of one that was returned."""
    state.kept.append(np.full(50, item))
    return np.full(50, item) * 2


@variant(expect="clean")
def array_returned(state: State, item: int) -> Any:
    """Both arrays are made; neither is kept."""
    return np.full(50, item) * 2
