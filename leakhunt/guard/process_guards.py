"""The guards of this process: workers that run the same code number them alike."""

from __future__ import annotations

import itertools
import os
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leakhunt.guard.guard import Guard

_NUMBERS = itertools.count()
_GUARDS: weakref.WeakSet[Guard] = weakref.WeakSet()


def next_number() -> int:
    """The number of a guard that is about to be made."""
    return next(_NUMBERS)


def add(guard: Guard) -> None:
    """Reset a guard in each child that is forked from now on."""
    _GUARDS.add(guard)


def is_draining() -> bool:
    """Whether a guard of this process has begun a hand-over."""
    return any(guard.draining for guard in list(_GUARDS))


def _reset_guards() -> None:
    for guard in list(_GUARDS):
        guard.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_guards)
