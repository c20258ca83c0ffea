"""Descriptors, threads and children that are never given back, each beside the same tidied up."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from leakhunt import Context, variant

_STACK_BYTES = 128 << 10


@dataclass
class State:
    """What the service keeps from call to call."""

    folder: str
    kept: list[Any] = field(default_factory=list)
    local: threading.local = field(default_factory=threading.local)
    end: threading.Event = field(default_factory=threading.Event)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)


def setup(context: Context) -> State:
    """An empty service with a loop of its own."""
    threading.stack_size(_STACK_BYTES)
    return State(str(context.folder))


def teardown(state: State) -> None:
    """Let the threads end."""
    state.end.set()


def work() -> bytes:
    """About a millisecond of honest work."""
    return hashlib.pbkdf2_hmac("sha256", b"key", b"salt", 3000)


@variant(
    expect="descriptors, threads or children growing",
    rate=1,
    culprit="os.open(os.devnull",
    cause="descriptors-left-open",
)
def files_left_open(state: State, item: int) -> None:
    """A file is opened by its descriptor, which is dropped."""
    os.open(os.devnull, os.O_RDONLY)


@variant(expect="clean")
def files_closed(state: State, item: int) -> None:
    """The same, closed."""
    os.close(os.open(os.devnull, os.O_RDONLY))


@variant(
    expect="descriptors, threads or children growing",
    rate=1,
    culprit="socket.socket()",
    cause="sockets-not-closed",
)
def sockets_kept(state: State, item: int) -> None:
    """A connection per call goes into a pool that nobody empties."""
    state.kept.append(socket.socket())


@variant(expect="clean")
def sockets_closed(state: State, item: int) -> None:
    """A connection per call, closed."""
    with socket.socket():
        pass


@variant(
    expect="descriptors, threads or children growing",
    rate=1,
    culprit="tempfile.TemporaryFile",
    cause="temporary-files",
)
def temporary_files_kept(state: State, item: int) -> None:
    """An upload is spooled to a temporary file that stays open."""
    upload = tempfile.TemporaryFile(dir=state.folder)  # noqa: SIM115 - the leak itself
    upload.write(b"data")
    state.kept.append(upload)


@variant(expect="clean")
def temporary_files_closed(state: State, item: int) -> None:
    """An upload is spooled to a temporary file that is closed."""
    with tempfile.TemporaryFile(dir=state.folder) as upload:
        upload.write(b"data")


@variant(
    expect="descriptors, threads or children growing",
    rate=1,
    culprit="threading.Thread(",
    cause="threads-not-ended",
)
def threads_that_never_end(state: State, item: int) -> None:
    """A watcher thread per request, which waits for something that does not come."""
    work()
    threading.Thread(target=state.end.wait, daemon=True).start()


@variant(expect="clean")
def threads_joined(state: State, item: int) -> None:
    """A thread per request, which ends."""
    work()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@variant(
    expect="descriptors, threads or children growing",
    rate=1,
    culprit="pool.submit(work)",
    cause="executor-not-shut-down",
)
def executors_not_shut_down(state: State, item: int) -> None:
    """A pool of threads per request, never shut down."""
    pool = ThreadPoolExecutor(1)
    pool.submit(work).result()
    state.kept.append(pool)


@variant(expect=("clean", "cyclic garbage only"))
def executors_shut_down(state: State, item: int) -> None:
    """A pool of threads per request, shut down."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


@variant(
    expect="descriptors, threads or children growing",
    rate=1,
    culprit="_child",
    cause="children-not-reaped",
)
def children_not_waited_for(state: State, item: int) -> None:
    """A helper process per request, whose end nobody takes note of."""
    _child()


@variant(expect="clean")
def children_waited_for(state: State, item: int) -> None:
    """A helper process per request, waited for."""
    os.waitpid(_child(), 0)


def _child() -> int:
    child = os.posix_spawn("/bin/true", ["true"], {})
    # Its start is part of the call, so that the readings after it are steady.
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    return child


@variant(expect="leak in Python", rate=1060, culprit="buffers", cause="thread-local-growth")
def thread_locals_kept(state: State, item: int) -> None:
    """A buffer per request goes into a list in thread-local storage."""
    buffers = getattr(state.local, "buffers", None)
    if buffers is None:
        buffers = state.local.buffers = []
    buffers.append(bytearray(1000))


@variant(expect="clean")
def thread_locals_replaced(state: State, item: int) -> None:
    """A buffer in thread-local storage, replaced at every request."""
    state.local.buffer = bytearray(1000)


@variant(expect="leak in Python", rate=957, culprit="State.kept", cause="tasks-never-finished")
def tasks_never_finished(state: State, item: int) -> None:
    """An asyncio task per request waits for a future that nobody resolves."""
    work()

    async def request() -> None:
        state.kept.append(asyncio.ensure_future(_wait_for_ever()))
        await asyncio.sleep(0)

    state.loop.run_until_complete(request())


@variant(expect=("clean", "cyclic garbage only"))
def tasks_finished(state: State, item: int) -> None:
    """An asyncio task per request, awaited."""

    async def request() -> None:
        await asyncio.ensure_future(asyncio.sleep(0))

    state.loop.run_until_complete(request())


async def _wait_for_ever() -> None:
    await asyncio.get_running_loop().create_future()
