"""Has the server of this process stop accepting connections, whatever its event loop is."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading

from leakhunt.guard.sockets import listening_sockets

# The event loop of this process, by its id: that of a parent is none of a child's.
_LOOPS: dict[int, asyncio.AbstractEventLoop] = {}


def note_event_loop() -> None:
    """Remember the event loop that this runs in: the one whose server must stop accepting."""
    _LOOPS.clear()
    _LOOPS[os.getpid()] = asyncio.get_running_loop()


def stop_accepting() -> int:
    """Take the listening sockets out of the event loop of this process; how many.

    Connections wait in them for the other workers or the next one: they are shared with the one
    that starts workers. Without an event loop (WSGI), or with one that is neither asyncio's nor
    uvloop's, nothing is done: their servers stop accepting by themselves when they are told to end.
    """
    loop = _LOOPS.get(os.getpid())
    if loop is None or loop.is_closed():
        return 0
    is_own = type(loop).__module__.startswith("asyncio")
    stopped: list[int] = []
    done = threading.Event()

    def stop() -> None:
        with contextlib.suppress(Exception):  # of whatever the loop is: it ends soon anyway
            stopped.extend(_removed_readers(loop) if is_own else _closed_servers(loop))
        done.set()

    with contextlib.suppress(RuntimeError):  # closed meanwhile
        loop.call_soon_threadsafe(stop)
        done.wait(1.0)
    return len(stopped)


def _removed_readers(loop: asyncio.AbstractEventLoop) -> list[int]:
    """The listening sockets stay open, and nobody looks at them."""
    found = listening_sockets()
    for descriptor in found:
        with contextlib.suppress(Exception):
            loop.remove_reader(descriptor)
    return found


def _closed_servers(loop: asyncio.AbstractEventLoop) -> list[int]:
    """The listening sockets of uvloop's servers; these copies of them are closed.

    uvloop does not accept by readers, so that removing them does nothing, and has no public list of
    its servers: they are in a set that the loop refers to. A server that is closed twice, here and
    when the worker ends, takes no harm.
    """
    found: list[int] = []
    for referents in gc.get_referents(loop):
        for each in list(referents) if isinstance(referents, set) else ():
            if hasattr(each, "is_serving") and hasattr(each, "sockets") and each.is_serving():
                found.extend(listener.fileno() for listener in each.sockets)
                each.close()
    return found
