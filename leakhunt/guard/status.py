"""What a guard tells of itself: why it refuses, and how it is with its process."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leakhunt.guard.breaker import BreakerState
from leakhunt.guard.growth import GrowthRate
from leakhunt.guard.limits import MemoryUse
from leakhunt.guard.release import ReleaseCount

# Upper bounds of the request histogram, in seconds.
BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Reason(StrEnum):
    """Why a request is refused."""

    CONCURRENCY = "concurrency"
    MEMORY = "memory"
    HARD_WATERMARK = "hard watermark"
    BREAKER = "circuit breaker"
    GPU_MEMORY = "gpu memory"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True)
class GuardStatus:
    """How it is with the guard and its process; sizes in bytes, None where not known.

    `started_seconds`: when the process started, in seconds since 1970.
    """

    pid: int
    rss_bytes: int
    live_heap_bytes: int | None
    memory: MemoryUse | None
    growth: GrowthRate | None
    in_flight: int
    waiting: int
    expected_request_bytes: int
    breaker: BreakerState
    draining: bool
    is_ready: bool
    is_alive: bool
    reasons: tuple[str, ...]
    served: int
    failed: int
    refused: dict[str, int]
    releases: tuple[ReleaseCount, ...]
    request_seconds: float
    request_buckets: tuple[int, ...]
    gpu_free_bytes: int | None = None
    started_seconds: float | None = None

    @property
    def headroom_bytes(self) -> int | None:
        """What is left of the limit."""
        return None if self.memory is None else self.memory.headroom_bytes

    @property
    def seconds_to_out_of_memory(self) -> float | None:
        """At the present growth rate; None: it does not grow, or is not known."""
        if self.memory is None or self.growth is None or not self.growth.grows:
            return None
        return max(self.memory.headroom_bytes, 0) / self.growth.bytes_per_second
