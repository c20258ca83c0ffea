"""References that C and C++ code holds without telling the collector.

A type of an extension may leave fields out of what it tells, or tell nothing at all: the type of
an array, the zone of a time, what a class of Cython or Rust was given. The field itself is in the
object, and is found there as an address. A tensor holds its memory, and what a graph of autograd
needs of it, behind further pointers: of these, torch is asked.
"""

from __future__ import annotations

import ctypes
import gc
import struct
import sys
import weakref
from collections import Counter
from collections.abc import Sequence
from typing import Any

from leakhunt.instruments.object_facts import buffers, inside, is_plain_tensors
from leakhunt.instruments.reference_chains import referents_of

# Longer ones are types, whose many fields are known.
_MOST_BYTES = 4096
# They have the address of what they do not keep.
_WEAK = (weakref.ref, weakref.ProxyType, weakref.CallableProxyType)


class HiddenFields:
    """The fields of objects, searched for a few others."""

    def __init__(self, wanted: Sequence[Any]) -> None:
        self._wanted = {id(each): struct.pack("P", id(each)) for each in wanted}
        self._kinds: dict[type, bool] = {}

    def may_hide(self, kind: type) -> bool:
        """Whether objects of a type may have fields that it does not tell of."""
        found = self._kinds.get(kind)
        if found is None:
            # Those of the interpreter tell of all, and some are shorter than they say.
            found = self._kinds[kind] = (
                kind.__module__ != "builtins"
                and kind.__basicsize__ <= _MOST_BYTES
                and not issubclass(kind, _WEAK)
            )
        return found

    def hidden(self, each: Any) -> Counter[int]:
        """How many fields of an object refer to each of those wanted, by id, untold."""
        data = ctypes.string_at(id(each), type(each).__basicsize__)
        found: Counter[int] = Counter()
        for name, address in self._wanted.items():
            if address in data:
                told = referents_of(each) if gc.is_tracked(each) else inside(each)
                untold = data.count(address) - sum(id(below) == name for below in told)
                found[name] += max(untold, 0)
        return found


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
