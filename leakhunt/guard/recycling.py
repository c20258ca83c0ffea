"""Replace a worker before its memory is full, without a failed request.

The hand-over: past its own threshold (each worker draws one, so that they do not go together), a
worker takes its turn, answers with ``Connection: close`` for a while so that clients come back on
new connections, stops accepting, finishes what is at work, and ends by SIGTERM, which gunicorn,
uvicorn and their workers take as a graceful stop. Their supervisor starts the next one. New
connections meanwhile wait in the listening socket, which the workers share.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from leakhunt.errors import UsageError
from leakhunt.guard.accepting import stop_accepting
from leakhunt.guard.config import size_of_setting
from leakhunt.guard.guard import Guard
from leakhunt.guard.worker_turn import Turn
from leakhunt.text.message import message

_LOG = logging.getLogger("leakhunt.guard")
_POLL_SECONDS = 0.02
# Of a worker's room: so much of it filled is reason enough while the breaker is open.
_EARLY_SHARE = 0.25
# Nobody knows how long it was refusing between two requests that are further apart.
_LONGEST_LOOK_SECONDS = 5.0


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
        full_seconds: so much longer refusing than serving, because the container is full, is reason
            enough for a worker that gives back at least a quarter of its room.
    """

    max_bytes: int | str
    jitter: float = 0.10
    settled_requests: int = 20
    drain_seconds: float = 5.0
    settle_seconds: float = 0.5
    grace_seconds: float = 120.0
    turn_seconds: float = 10.0
    full_seconds: float = 30.0

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
        self._fresh_bytes = self._guard.rss_bytes()
        self._refusing_seconds = 0.0
        self._was_refusing = False
        self._looked_at = self._guard.clock()
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
            of_parent = self._fresh_bytes
            self._begin()
            # A child is looked at for the first time after its first request.
            self._fresh_bytes = min(self._fresh_bytes, of_parent)
        with self._lock:
            if self._thread is not None:
                return
            self._settle(rss_bytes)
            threshold = self.threshold_bytes
            is_due = threshold is not None and self._is_due(rss_bytes, threshold)
            if not (is_due or self._is_stuck(rss_bytes)) or not self._turn.take():
                return
            self._thread = threading.Thread(
                target=self._hand_over, name="leakhunt-guard-recycle", daemon=True
            )
        _LOG.info(
            "leakhunt.guard: worker %d holds %d bytes, %s: hand-over",
            os.getpid(),
            rss_bytes,
            f"threshold {threshold}" if is_due else "and the container stays full",
        )
        self._guard.draining = True
        self._thread.start()

    def _settle(self, rss_bytes: int) -> None:
        """Learn what a worker holds before its first request, and what after the first ones."""
        served = self._guard.served
        if not served:
            self._fresh_bytes = rss_bytes
        if self._ready_bytes is not None or not served:
            return
        self._least_bytes = min(rss_bytes, self._least_bytes or rss_bytes)
        if served >= self.config.settled_requests:
            self._ready_bytes = self._least_bytes

    def _is_stuck(self, rss_bytes: int) -> bool:
        """Whether the container stays full, and a fresh worker in this one's place would hold less.

        Workers that refuse nearly all grow no more, and may never have settled: none would be past
        a threshold, and they would refuse for good.
        """
        now, is_refusing = self._guard.clock(), not self._guard.breaker.is_closed
        passed, self._looked_at = now - self._looked_at, now
        was_refusing, self._was_refusing = self._was_refusing, is_refusing
        if not is_refusing:
            self._refusing_seconds = max(self._refusing_seconds - passed, 0.0)
        elif was_refusing:
            self._refusing_seconds += min(passed, _LONGEST_LOOK_SECONDS)
        room = self.config.threshold_bytes(self._fresh_bytes) - self._fresh_bytes
        gives_back = rss_bytes - self._fresh_bytes
        is_full = self._refusing_seconds >= self.config.full_seconds
        return is_full and room > 0 and gives_back >= room * _EARLY_SHARE

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
