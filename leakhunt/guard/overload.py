"""For how long memory has been over the hard watermark, and what follows from that."""

from __future__ import annotations

from leakhunt.guard.config import GuardConfig
from leakhunt.guard.limits import MemoryUse


class Overload:
    """Since when memory is over the hard watermark. Not safe for threads."""

    def __init__(self, config: GuardConfig) -> None:
        self._config = config
        self._over_since: float | None = None
        self._stuck_since: float | None = None

    def note(self, use: MemoryUse | None) -> None:
        """Take a reading into account."""
        if use is not None and use.share < self._config.hard:
            self._over_since = None

    def opens_breaker(self, now: float, use: MemoryUse, in_flight: int) -> bool:
        """Whether memory is over it, and requests in flight are unlikely to give it back."""
        self.note(use)
        if use.share < self._config.hard:
            return False
        if self._over_since is None:
            self._over_since = now
        return not in_flight or now - self._over_since >= self._config.retry_seconds

    def is_stuck(self, now: float, use: MemoryUse | None, in_flight: int) -> bool:
        """Whether memory has been over it for long with nothing in flight: a restart helps only."""
        if use is None or use.share < self._config.hard or in_flight:
            self._stuck_since = None
            return False
        if self._stuck_since is None:
            self._stuck_since = now
        return now - self._stuck_since >= self._config.stuck_seconds
