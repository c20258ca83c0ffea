"""How a visitor imports; sent there as source text, before the rest.

A child that is forked while another thread imports a module has that module's lock for good: it
hangs once it imports the same. What the process has already, and that is nearly always all, is not
imported.
"""

from __future__ import annotations

import _thread
import posix
import sys

# Where the lock, whose hooks a process cannot forget, is found again by the next visit.
_LOCK_NAME = "_leakhunt_imports"


def import_unforked(*names: str) -> None:
    """Import what the process lacks, while it does not fork."""
    missing = [name for name in names if name not in sys.modules]
    if missing:
        with _lock():
            for name in missing:
                __import__(name)


def _lock() -> _thread.LockType:
    """What is held where the process forks, from the first import on; its hooks are C functions."""
    made: _thread.LockType | None = vars(sys).get(_LOCK_NAME)
    if made is None:
        made = vars(sys)[_LOCK_NAME] = _thread.allocate_lock()
        posix.register_at_fork(
            before=made.acquire, after_in_parent=made.release, after_in_child=made.release
        )
    return made
