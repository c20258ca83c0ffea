"""Replace a worker before its memory is full, without a failed request.

The hand-over: past its own threshold (each worker draws one, so that they do not go together), a
worker takes its turn, answers with ``Connection: close`` for a while so that clients come back on
new connections, stops accepting, finishes what is at work, and ends by SIGTERM, which gunicorn,
uvicorn and their workers take as a graceful stop. Their supervisor starts the next one. New
connections meanwhile wait in the listening socket, which the workers share.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from leakhunt.errors import UsageError
from leakhunt.guard.config import size_of_setting
from leakhunt.guard.guard import Guard
from leakhunt.guard.sockets import listening_sockets
from leakhunt.text.message import message

_LOG = logging.getLogger("leakhunt.guard")
_POLL_SECONDS = 0.02
# Of a worker's room: so much of it filled is reason enough while the breaker is open.
_EARLY_SHARE = 0.25
# The event loop of this process, by its id: that of a parent is none of a child's.
_LOOPS: dict[int, asyncio.AbstractEventLoop] = {}


@dataclass(frozen=True, slots=True)
class RecyclingConfig:
    """When and how a worker is replaced.

    Args:
        max_bytes: RSS from which it is; a number, a text like ``"1.5 GiB"``, or after a ``+`` above
            what the worker holds after its first `settled_requests` requests.
        jitter: each worker's threshold is up to this share lower, drawn at its start.
        settled_requests: number of first requests; the lowest RSS after any of them counts as what
            a worker holds when it is ready.
        drain_seconds: seconds in which it answers with ``Connection: close`` before it stops
            accepting.
            At least the keep-alive time of the server, so that no idle connection is left.
        settle_seconds: from the end of accepting to the stop, what has just been accepted is read.
        grace_seconds: after this time it stops with requests at work; the server has its own limit.
        turn_seconds: so long after one worker has ended, no other of the same parent takes its
            turn: at least what a fresh one takes to be ready.
    """

    max_bytes: int | str
    jitter: float = 0.10
    settled_requests: int = 20
    drain_seconds: float = 5.0
    settle_seconds: float = 0.5
    grace_seconds: float = 120.0
    turn_seconds: float = 10.0

    def __post_init__(self) -> None:
        """Check the size.

        Raises:
            UsageError: it is none, or the jitter is no share.
        """
        size_of_setting(self._plain_size())
        if not 0 <= self.jitter < 1:
            raise UsageError(
                message(
                    "guard.invalid-jitter",
                    "guard: jitter: expected 0 or more, and less than 1, got {got}",
                    got=self.jitter,
                )
            )

    def _plain_size(self) -> int | str:
        size = self.max_bytes
        return size.strip().removeprefix("+") if isinstance(size, str) else size

    def threshold_bytes(self, ready_bytes: int) -> int:
        """The size in bytes, without jitter, for a worker that holds so much when it is ready."""
        size = size_of_setting(self._plain_size())
        assert size is not None
        is_above = isinstance(self.max_bytes, str) and self.max_bytes.strip().startswith("+")
        return ready_bytes + size if is_above else size


def end_by_sigterm() -> None:
    """Ask this process to stop gracefully, as gunicorn and uvicorn understand it."""
    os.kill(os.getpid(), signal.SIGTERM)


class Recycler:
    """Watches a guard's process and hands it over once. A forked child begins anew.

    `end` ends the process; the default is SIGTERM. Where nobody starts it anew (a single uvicorn
    without ``--workers``), do not use it.
    """

    def __init__(
        self,
        guard: Guard,
        config: RecyclingConfig,
        *,
        end: Callable[[], object] = end_by_sigterm,
        turn: Turn | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.config = config
        self._guard = guard
        self._end = end
        self._given_turn = turn
        self._chance = chance
        self._begin()
        guard.watch(self.look)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._turn = self._given_turn or Turn(os.getppid(), self.config.turn_seconds)
        self._share = 1 - self.config.jitter * self._chance()
        self._ready_bytes: int | None = None
        self._least_bytes: int | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def threshold_bytes(self) -> int | None:
        """The threshold of the worker, with its jitter; None until it has settled."""
        if self._ready_bytes is None:
            return None
        # Jitter is of the room above a ready worker: below that a worker would never start work.
        room = self.config.threshold_bytes(self._ready_bytes) - self._ready_bytes
        return self._ready_bytes + round(room * self._share)

    def look(self, rss_bytes: int) -> None:
        """Begin the hand-over if memory is past the threshold and it is this worker's turn."""
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            if self._thread is not None:
                return
            if self._ready_bytes is None:
                served = self._guard.served
                if served:
                    self._least_bytes = min(rss_bytes, self._least_bytes or rss_bytes)
                if served < self.config.settled_requests or self._least_bytes is None:
                    return
                self._ready_bytes = self._least_bytes
            threshold = self.threshold_bytes
            assert threshold is not None
            if not self._is_due(rss_bytes, threshold) or not self._turn.take():
                return
            self._thread = threading.Thread(
                target=self._hand_over, name="leakhunt-guard-recycle", daemon=True
            )
        _LOG.info(
            "leakhunt.guard: worker %d holds %d bytes, threshold %d: hand-over",
            os.getpid(),
            rss_bytes,
            threshold,
        )
        self._guard.draining = True
        self._thread.start()

    def _is_due(self, rss_bytes: int, threshold: int) -> bool:
        """Past the threshold; or past a part of it while the container is full.

        Then the worker refuses requests, and a fresh one would hold less.
        """
        assert self._ready_bytes is not None
        early = self._ready_bytes + (threshold - self._ready_bytes) * _EARLY_SHARE
        return rss_bytes >= threshold or (rss_bytes >= early and not self._guard.breaker.is_closed)

    def _hand_over(self) -> None:
        time.sleep(self.config.drain_seconds)
        stop_accepting()
        time.sleep(self.config.settle_seconds)
        deadline = time.monotonic() + self.config.grace_seconds
        while self._guard.in_flight and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        # What was answered last is still on its way out of the server's buffers.
        time.sleep(_POLL_SECONDS)
        self._turn.end()
        self._end()


class Turn:
    """One worker of a parent at a time: a lock on a file, free when its holder is gone.

    Its time of change says when the last one ended.
    """

    def __init__(self, parent_pid: int, pause_seconds: float, folder: Path | None = None) -> None:
        # Of this user, and of this parent: another user's file could not be locked.
        user = os.getuid() if hasattr(os, "getuid") else 0
        name = f"leakhunt-guard-{user}-{parent_pid}.lock"
        self._path = (folder or Path(tempfile.gettempdir())) / name
        self._pause = pause_seconds
        self._file: IO[bytes] | None = None

    def take(self) -> bool:
        """Whether it is this process's turn now; it stays so until the process ends."""
        if sys.platform == "win32":
            return True
        import fcntl

        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            existed = self._path.exists()
            descriptor = os.open(self._path, flags, 0o600)
        except OSError as error:
            _LOG.warning("leakhunt.guard: no file for turns (%s); this worker takes its own", error)
            return True
        file = os.fdopen(descriptor, "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        if existed and time.time() - os.fstat(file.fileno()).st_mtime < self._pause:
            file.close()
            return False
        self._file = file
        os.utime(self._path)
        return True

    def end(self) -> None:
        """The pause begins: this process is about to end."""
        with contextlib.suppress(OSError):
            os.utime(self._path)


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
    for held in gc.get_referents(loop):
        for each in list(held) if isinstance(held, set) else ():
            if hasattr(each, "is_serving") and hasattr(each, "sockets") and each.is_serving():
                found.extend(listener.fileno() for listener in each.sockets)
                each.close()
    return found


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Settings of recycling from measured figures.

    `max_requests` and its `jitter` are for gunicorn's ``--max-requests`` and
    ``--max-requests-jitter`` (uvicorn: ``--limit-max-requests``); None: nothing grows, recycle not
    at all. `max_memory_per_child_bytes` is for `RecyclingConfig`. `seconds` is how long a worker
    lives then, None without a rate of requests.
    """

    max_requests: int | None
    max_requests_jitter: int
    max_memory_per_child_bytes: int
    seconds: float | None


def recommend(  # noqa: PLR0913 - each is a figure of its own
    *,
    limit_bytes: int,
    workers: int,
    fresh_bytes: int,
    growth_bytes_per_request: float,
    request_bytes: int = 0,
    concurrency: int = 1,
    shared_bytes: int = 0,
    jitter: float = 0.10,
    reserve: float = 0.10,
    requests_per_second: float = 0.0,
) -> Recommendation:
    """When to replace workers, so that all of them at their largest fit below the limit.

    `limit_bytes` is that of the container. Of it go: `reserve`, `shared_bytes` (what the parent
    loaded before the fork and children only read, counted once), one fresh worker more (a
    hand-over starts one while the old one ends), and what requests take at their height.
    `fresh_bytes` is what a child holds for itself after its first requests: pages of the parent
    become its own as reference counts change them, so read it then (`private_bytes`) and not just
    after the fork. The growth is that of the upper bound of a measured rate, to be safe.

    Raises:
        UsageError: a fresh worker does not fit.
    """
    heights = request_bytes * concurrency
    room = limit_bytes * (1 - reserve) - shared_bytes - fresh_bytes
    per_worker = room / workers - heights
    if per_worker <= fresh_bytes:
        raise UsageError(
            message(
                "guard.workers-do-not-fit",
                "guard: {workers} workers do not fit: expected more than {fresh:,.0f} bytes for"
                " each, got {room:,.0f}. Use fewer workers or a larger limit",
                workers=workers,
                fresh=fresh_bytes,
                room=max(per_worker, 0),
            )
        )
    most = round(per_worker)
    if growth_bytes_per_request <= 0:
        return Recommendation(None, 0, most, None)
    # gunicorn adds its jitter to max_requests: the latest worker must still fit.
    latest = int((per_worker - fresh_bytes) / growth_bytes_per_request)
    spread = int(latest * jitter)
    requests = max(latest - spread, 1)
    seconds = requests * workers / requests_per_second if requests_per_second else None
    return Recommendation(requests, spread, most, seconds)


def private_bytes(pid: int | None = None) -> int:
    """What a process holds for itself, in bytes: its USS, without what it shares by a fork."""
    return int(psutil.Process(pid).memory_full_info().uss)
