"""The interpreter's free lists, emptied before each call that memray watches.

A block that one line allocates and frees may wait in a free list (of dicts, lists, tuples, floats,
...) and be handed to another line without an allocation: memray would name the first line for what
the second one retains. A full collection empties all of these lists.
"""

from __future__ import annotations

import gc
import sys
from typing import Any

from leakhunt.instruments import Call

# Python 3.12 freezes some hundred objects of its own, and `gc.unfreeze` does not bring them back.
OF_THE_INTERPRETER = 1_000


def may_freeze() -> bool:
    """Whether this process survives that its objects are frozen.

    A thread that used greenlets and ends asks the collector who refers to its main greenlet, and
    frees that where nobody is found: frozen objects are not (`gc.get_referrers`; greenlet 3.5).
    """
    return "greenlet" not in sys.modules


def has_frozen() -> bool:
    """Whether this process has frozen objects, which nobody else may give back to the collector."""
    return gc.get_freeze_count() > OF_THE_INTERPRETER


class FreeLists:
    """While it is on, empties them before each call, for a look at the objects made since the last.

    Where the process has frozen objects itself, or where none may be frozen, a look at all that
    are not frozen.
    """

    def __init__(self) -> None:
        self.is_on = False
        self._has_frozen = self._is_asked = self._is_ours = False

    def wrapped(self, call: Call) -> Call:
        """The call, with empty free lists before it while it is on."""

        def called(state: Any, item: Any) -> Any:
            if self.is_on:
                self.empty()
            return call(state, item)

        return called

    def empty(self) -> None:
        """Collect all that is not frozen, and freeze it, if that may be."""
        if not may_freeze():
            self.thaw()
        gc.collect()
        if not self._is_asked:  # once: the interpreter counts them one by one
            self._is_asked = True
            self._is_ours = not has_frozen()
        if self._is_ours and may_freeze():
            gc.freeze()
            self._has_frozen = True

    def thaw(self) -> None:
        """Give the objects back to the collector, which lists and searches no frozen ones."""
        if self._has_frozen:
            gc.unfreeze()
            self._has_frozen = False
