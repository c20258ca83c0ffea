"""References that C and C++ code holds without telling the collector.

A type of an extension may leave fields out of what it tells, or tell nothing at all: the type of
an array, the zone of a time, what a class of Cython or Rust was given. The field itself is in the
object, and is found there as an address. A tensor holds its memory, and what a graph of autograd
needs of it, behind further pointers: of these, torch is asked.
"""

from __future__ import annotations

import ctypes
import datetime
import gc
import struct
import sys
import weakref
from collections import Counter
from collections.abc import Sequence
from typing import Any

from leakhunt.instruments.object_facts import (
    buffers,
    has_hidden_referents,
    inside,
    is_plain_tensors,
)
from leakhunt.instruments.reference_chains import referents_of

# Longer ones are types, whose many fields are known.
_MOST_BYTES = 4096
# They have the address of what they do not keep.
_WEAK = (weakref.ref, weakref.ProxyType, weakref.CallableProxyType)


# Where a type has the function that frees its objects: behind its size, name and two sizes.
_DEALLOCATOR = object.__basicsize__ + 4 * ctypes.sizeof(ctypes.c_void_p)
# What C code hands on as a pointer.
_OPAQUE = type(datetime.datetime_CAPI)


class HiddenFields:
    """The fields of objects, searched for a few others."""

    def __init__(self, wanted: Sequence[Any]) -> None:
        self._wanted = {id(each): struct.pack("P", id(each)) for each in wanted}
        self._kinds: dict[type, bool] = {}
        self._leading: dict[type, bool] = {}

    def may_hide(self, kind: type) -> bool:
        """Whether objects of a type may have fields that it does not tell of."""
        found = self._kinds.get(kind)
        if found is None:
            # Those of the interpreter tell of all, but one; some are shorter than they say.
            found = self._kinds[kind] = (
                (kind is _OPAQUE or not _is_interpreters(kind))
                and kind.__basicsize__ <= _MOST_BYTES
                and not issubclass(kind, _WEAK)
            )
        return found

    def may_lead_on(self, kind: type) -> bool:
        """Whether objects of a type may have pointers to memory that their type manages."""
        found = self._leading.get(kind)
        if found is None:
            owner = _owner_of_memory(kind)
            found = self._leading[kind] = (
                self.may_hide(kind)
                and self.may_hide(owner)
                and not issubclass(kind, type)
                and not has_hidden_referents(kind)
            )
        return found

    def hidden(self, each: Any, told: Sequence[Any]) -> Counter[int]:
        """How many fields of an object refer to each of those wanted, by id, and are not `told`."""
        data = ctypes.string_at(id(each), type(each).__basicsize__)
        found: Counter[int] = Counter()
        for name, address in self._wanted.items():
            if address in data and id(each) != name:
                untold = data.count(address) - sum(id(below) == name for below in told)
                found[name] += max(untold, 0)
        return found


class _SymbolInfo(ctypes.Structure):
    """What dladdr(3) says of an address."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


def _is_interpreters(kind: type) -> bool:
    """Whether a type is the interpreter's own: those of an extension may be without a module."""
    return kind.__module__ == "builtins" and _loaded_at(kind) == _loaded_at(object)


def _loaded_at(kind: type) -> int:
    """Where the shared object or program is loaded that a type is in; 0: it was made later."""
    info = _SymbolInfo()
    found = ctypes.CDLL(None).dladdr(ctypes.c_void_p(id(kind)), ctypes.byref(info))
    return int(info.base or 0) if found else 0


def _owner_of_memory(kind: type) -> type:
    """The type, of one and its bases, whose own C code frees the objects: not a class of Python."""
    of_classes = _deallocator(HiddenFields)
    while _deallocator(kind) == of_classes and kind.__base__ is not None:
        kind = kind.__base__
    return kind


def _deallocator(kind: type) -> int | None:
    return ctypes.c_void_p.from_address(id(kind) + _DEALLOCATOR).value


def told_by(each: Any) -> list[Any]:
    """What an object says that it refers to; of one that is not tracked, what is known of it."""
    return referents_of(each) if gc.is_tracked(each) else inside(each)


def held_by_tensors(each: Any, tensors: Sequence[Any]) -> int:
    """How many references torch has to an object: to a tensor, or to the memory of tensors."""
    if is_plain_tensors(type(each)):
        return int(each._use_count() > 1) if hasattr(each, "_use_count") else 0
    place = _memory(each) if tensors else None
    if place is None:
        return 0
    start, size = place
    storages = {name for tensor in tensors for name, _ in buffers(tensor)}
    return sum(start <= address < start + size for _, address in storages)


def _memory(each: Any) -> tuple[int, int] | None:
    """Where the memory of an array or of bytes is, and how much."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    if type(each) in (bytes, bytearray):
        each = numpy.frombuffer(each, dtype="u1") if each else each
    if type(each) is not numpy.ndarray:
        return None
    return int(each.__array_interface__["data"][0]), int(each.nbytes)
