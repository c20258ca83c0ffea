"""Whether a request is let in, where the latest reading of memory does not answer it at once."""

from __future__ import annotations

import sys

from leakhunt.guard.breaker import CircuitBreaker, Pass
from leakhunt.guard.config import GuardConfig
from leakhunt.guard.counts import Counts
from leakhunt.guard.expected_peak import ExpectedPeak
from leakhunt.guard.gpu_memory import GpuMemory, is_gpu_short
from leakhunt.guard.in_flight import InFlight
from leakhunt.guard.latest_use import LatestUse
from leakhunt.guard.limits import MemoryUse
from leakhunt.guard.overload import Overload
from leakhunt.guard.refusals import Refusal
from leakhunt.guard.status import Reason
from leakhunt.guard.ticket import Ticket


class Admission:
    """Decides by concurrency, GPU, memory and circuit breaker, in this order.

    Not safe for threads: its owner holds a lock. It begins anew in a forked child.
    """

    def __init__(
        self,
        config: GuardConfig,
        latest: LatestUse,
        expected: ExpectedPeak,
        breaker: CircuitBreaker,
        counts: Counts,
    ) -> None:
        self.max_concurrency = config.max_concurrency or sys.maxsize
        self.in_flight = InFlight()
        self.gpu = GpuMemory(config)
        self._overload = Overload(config)
        self._config = config
        self._latest = latest
        self._expected = expected
        self._breaker = breaker
        self._counts = counts

    def decide(self, now: float, body_bytes: int) -> Ticket | Refusal:
        """A ticket, or why not, for a request with a body of this length (0: unknown)."""
        in_flight = self.in_flight
        if len(in_flight.tickets) >= self.max_concurrency:
            return self._refusal(Reason.CONCURRENCY)
        if is_gpu_short(self.gpu.free_bytes(now), self._config):
            return self._refusal(Reason.GPU_MEMORY)
        latest, expected_bytes = self._latest, 0
        use = latest.use if latest.is_valid(now) else self.renew_use(now)
        if use is not None:
            is_known, hard = self._expected.is_known, self._config.hard
            expected_bytes = (
                self._expected.of(body_bytes) if is_known else latest.first_request_bytes
            )
            if not in_flight.leaves_room(use, expected_bytes, hard):
                use = self.renew_use(now) or use  # nobody is refused on an old reading
                if not in_flight.leaves_room(use, expected_bytes, hard):
                    return self._refusal(self._reason_against(now, use))
        passes = Pass.THROUGH if self._breaker.is_closed else self._ask_breaker()
        if passes is Pass.REFUSED:
            return self._refusal(Reason.BREAKER)
        used_bytes = use.used_bytes if use else 0
        return Ticket(now, used_bytes, expected_bytes, body_bytes, passes is Pass.PROBE)

    def renew_use(self, now: float) -> MemoryUse | None:
        """Read the use of the limit, and let others know; None: it cannot be read."""
        use = self._counts.memory = self._latest.renew(now)
        self._overload.note(use)
        return use

    def is_stuck(self, now: float, use: MemoryUse | None) -> bool:
        """Whether memory is full with nothing in flight, so that only a restart helps."""
        return self._overload.is_stuck(now, use, len(self.in_flight.tickets))

    def probed(self, *, is_well: bool) -> None:
        """A request that probed whether the breaker may close has ended."""
        self._breaker.probed(is_well=is_well)
        self.note_breaker()

    def note_breaker(self) -> None:
        """Let other workers know the state of the breaker."""
        self._counts.note_breaker(*self._breaker.state_until)

    def _ask_breaker(self) -> Pass:
        passes = self._breaker.ask()
        self.note_breaker()
        return passes

    def _reason_against(self, now: float, use: MemoryUse) -> Reason:
        if not self._overload.opens_breaker(now, use, len(self.in_flight.tickets)):
            return Reason.MEMORY
        self._breaker.trip()
        self.note_breaker()
        return Reason.HARD_WATERMARK

    def _refusal(self, reason: Reason) -> Refusal:
        wait = max(self._breaker.retry_after_seconds, self._config.retry_seconds)
        return Refusal(reason, max(round(wait + 0.5), 1))
