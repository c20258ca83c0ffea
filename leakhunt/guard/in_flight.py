"""The requests in flight, and the memory that they are still to take."""

from __future__ import annotations

from leakhunt.guard.limits import MemoryUse
from leakhunt.guard.ticket import Ticket


class InFlight:
    """Requests that were let in and have not ended. Not safe for threads: its owner holds a lock.

    The guard changes `tickets` and `pending_bytes` itself: a call would cost each request more.
    """

    __slots__ = ("pending_bytes", "tickets", "used_bytes_at_end")

    def __init__(self) -> None:
        # The oldest first.
        self.tickets: dict[Ticket, None] = {}
        # Sum of their expected peaks.
        self.pending_bytes = 0
        # Memory in use when another request ended last: it may have left what has grown by then.
        self.used_bytes_at_end = 0

    def leaves_room(self, use: MemoryUse, expected_bytes: int, hard: float) -> bool:
        """Whether one more request keeps memory below this share of the limit, at all peaks.

        What has grown since the oldest request started, and since another one ended, is theirs: it
        is not to come again. What one that ended has left retained is nobody's.
        """
        if use.used_bytes >= use.limit_bytes * hard:
            return False
        if not self.tickets:
            return True
        oldest = next(iter(self.tickets))
        realized = max(use.used_bytes - max(oldest.used_bytes, self.used_bytes_at_end), 0)
        to_come = max(self.pending_bytes - realized, 0) + expected_bytes
        return use.used_bytes + to_come <= use.limit_bytes * hard
