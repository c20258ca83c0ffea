"""The latest reading of memory, and how long it is good enough to let requests in."""

from __future__ import annotations

import logging
from collections.abc import Callable

from leakhunt.guard.config import GuardConfig
from leakhunt.guard.limits import LimitSource, MemoryUse

_LOG = logging.getLogger("leakhunt.guard")
# No process takes fresh memory faster: until a quarter of what is left could be gone, what was read
# is good enough.
_FASTEST_BYTES_PER_SECOND = 4 << 30
_MAX_READ_SECONDS = 1.0
# The first requests, of which nothing is known, may have this part of the headroom each.
_FIRST_SHARE = 0.5
NEVER = float("-inf")


class LatestUse:
    """The use of the limit as last read. Not safe for threads: its owner holds a lock.

    Attributes:
        use: None: it could not be read, or was not yet.
        admits_until: time until which requests that fit into `room_bytes` are let in without
            another look; `NEVER` where each is to be looked at.
        room_bytes: what is left below the hard watermark.
        used_bytes: of `use`.
        first_request_bytes: what a request counts while no peak of one is known.
        is_high: whether memory is above the soft watermark.
        refresh_at: time from which a request that has ended has it read again.
    """

    def __init__(self, read: Callable[[], MemoryUse], config: GuardConfig) -> None:
        self.read = read
        self._config = config
        self._is_unreadable = False
        self.reset()

    def reset(self) -> None:
        """Forget what was read: also in a forked child."""
        self.use: MemoryUse | None = None
        self.room_bytes = 0.0
        self.used_bytes = self.first_request_bytes = 0
        self.is_high = False
        self.refresh_at = NEVER
        self.expire()

    def expire(self) -> None:
        """Have it read again before the next request is let in."""
        self.admits_until = self._valid_until = NEVER

    def is_valid(self, now: float) -> bool:
        """Whether a request may be let in by it."""
        return now < self._valid_until

    def renew(self, now: float) -> MemoryUse | None:
        """Read the use of the limit; None: it cannot be read, which the log says once."""
        try:
            use = self.read()
        except Exception as error:  # whatever it is, requests go on
            if not self._is_unreadable:
                _LOG.warning("leakhunt.guard: memory cannot be read (%r); it does not limit", error)
            self._is_unreadable = True
            self.reset()
            self._valid_until = self.refresh_at = now + self._config.read_seconds
            return None
        self._is_unreadable = False
        self._note(use, now)
        return use

    def _note(self, use: MemoryUse, now: float) -> None:
        config = self._config
        room = use.limit_bytes * config.hard - use.used_bytes
        safe_seconds = min(room / _FASTEST_BYTES_PER_SECOND, _MAX_READ_SECONDS)
        wait = max(safe_seconds, config.read_seconds)
        self._valid_until = now + wait
        self.refresh_at = now + max(wait / 2, config.read_seconds)
        # The GPU is looked at for each request.
        self.admits_until = self._valid_until if room > 0 and not config.min_gpu_free else NEVER
        self.use, self.used_bytes, self.room_bytes = use, use.used_bytes, room
        # The memory of the machine is shared with all that runs on it: nothing to be divided.
        is_host = use.source is LimitSource.HOST
        self.first_request_bytes = 0 if is_host else max(round(room * _FIRST_SHARE), 0)
        self.is_high = use.share >= config.soft
