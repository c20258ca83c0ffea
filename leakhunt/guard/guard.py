"""The guard of a service: lets requests in, measures them, and releases memory.

What it decides by is in modules of their own, which share its lock: `latest_use`, `in_flight`,
`peak_meter`, `overload`, `wait_queue`, `gpu_memory`, and what other workers see in `counts`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from leakhunt.guard import process_guards
from leakhunt.guard.admission import Admission
from leakhunt.guard.breaker import CircuitBreaker
from leakhunt.guard.config import GuardConfig
from leakhunt.guard.counts import Counts
from leakhunt.guard.expected_peak import ExpectedPeak
from leakhunt.guard.growth import GrowthMeter
from leakhunt.guard.latest_use import NEVER, LatestUse
from leakhunt.guard.limits import LimitReader, MemoryUse, OwnMemory
from leakhunt.guard.peak_meter import MEASURED_SECONDS, PeakMeter
from leakhunt.guard.readiness import with_readiness
from leakhunt.guard.refusals import Refusal, RequestRefused
from leakhunt.guard.release import Releaser
from leakhunt.guard.status import GuardStatus, Reason
from leakhunt.guard.ticket import Ticket
from leakhunt.guard.wait_queue import WaitQueue, wake
from leakhunt.guard.worker_status import status_of, status_of_peer
from leakhunt.guard.workers import WorkerFiles

_WATCH_SECONDS = 1.0
# Waiting for another request to end may help.
_WORTH_WAITING = (Reason.CONCURRENCY, Reason.MEMORY)
_RELEASES_MEMORY = (Reason.MEMORY, Reason.HARD_WATERMARK)


class Guard:
    """Lets requests in as long as memory and concurrency allow it.

    Safe for threads and asyncio; a forked child starts with nothing in flight. Where memory cannot
    be read, requests are let in, and the log says so once: a guard must not be what ends a service.
    """

    def __init__(
        self,
        config: GuardConfig | None = None,
        *,
        read: Callable[[], MemoryUse] | None = None,
        own: OwnMemory | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`read`, `own` and `clock` are for tests."""
        self.config = config or GuardConfig()
        limit, request_bytes = self.config.limit, self.config.request_bytes
        assert not isinstance(limit, str)
        assert not isinstance(request_bytes, str)
        self._own = own or OwnMemory()
        self.clock = clock
        self._latest = LatestUse(read or LimitReader(limit, self._own, clock).read, self.config)
        self.expected = ExpectedPeak(request_bytes)
        self._peaks = PeakMeter(self.expected, self._own)
        self.breaker = CircuitBreaker(
            self.config.retry_seconds, self.config.most_retry_seconds, clock
        )
        self.releaser = Releaser(self._own.rss_bytes, clock, self.config.releases)
        self._on_watch: list[Callable[[int], None]] = []
        self._files = WorkerFiles(process_guards.next_number(), self.config.metrics_folder)
        self._joins = self._joins_late = False
        self._reset()
        process_guards.add(self)

    def reset_after_fork(self) -> None:
        """Nothing is in flight in a child that was just forked.

        A child of a process that serves nothing is a worker; another one may be anything, and is
        a worker from its first request on.
        """
        starts_workers = self._joins and not self._counts.has_worked
        self._reset()
        self._joins_late = self._joins and not starts_workers
        if starts_workers:
            self.join_workers()

    def _reset(self) -> None:
        self._lock = threading.Lock()  # another thread of the parent may hold its own
        self._counts = Counts()
        self._admission = Admission(
            self.config, self._latest, self.expected, self.breaker, self._counts
        )
        self._in_flight = self._admission.in_flight
        self._max_concurrency = self._admission.max_concurrency
        self._queue = WaitQueue(self.config.max_waiting, self._lock, self._counts)
        self._growth = GrowthMeter()
        # When memory is to be read or watched after a request.
        self._watch_at = self._due_at = NEVER
        self._draining = False
        for part in (self._latest, self._peaks, self.breaker, self.releaser):
            part.reset()

    def join_workers(self) -> bool:
        """Share the figures with the other workers behind the same port; whether there may be any.

        The middleware calls it. It makes a small file: see `workers.py`.
        """
        self._joins = True
        if self._files.are_shared and not self._files.is_lost:
            return True
        steps = [each.step for each in self.releaser.counts]
        cells = self._files.join(steps, bytes(self._counts.cells))
        if cells is None:
            return False
        with self._lock:
            self._counts.move_to(cells)
        return True

    def watch(self, call: Callable[[int], None]) -> None:
        """Call with RSS in bytes, at most once a second, when a request has ended or is refused."""
        self._on_watch.append(call)

    @property
    def in_flight(self) -> int:
        """Requests at work."""
        return len(self._in_flight.tickets)

    @property
    def served(self) -> int:
        """Requests that went well."""
        return self._counts.served

    @property
    def draining(self) -> bool:
        """Whether the process is about to be replaced."""
        return self._draining

    @draining.setter
    def draining(self, is_draining: bool) -> None:
        self._draining = self._counts.draining = is_draining

    # Admission

    def try_admit(self, body_bytes: int = 0) -> Ticket | Refusal:
        """A ticket, or why not; `body_bytes` is the length of the request's body, 0: unknown."""
        with self._lock:
            now = self.clock()
            in_flight = self._in_flight
            latest = self._latest
            peaks = self._peaks
            count = len(in_flight.tickets)
            # Nearly always there is room: no more than is needed is done before the handler.
            expected = (
                self.expected.of(body_bytes)
                if self.expected.is_known
                else latest.first_request_bytes
            )
            if (
                now < latest.admits_until
                and count < self._max_concurrency
                and self.breaker.is_closed
                and (not count or in_flight.pending_bytes + expected <= latest.room_bytes)
            ):
                ticket = Ticket(now, latest.used_bytes, expected, body_bytes)
            else:
                answer = self._admission.decide(now, body_bytes)
                self._note_due()
                if isinstance(answer, Refusal):
                    if answer.reason in _RELEASES_MEMORY and latest.use is not None:
                        self.release(latest.use)
                    return answer
                ticket = answer
            in_flight.tickets[ticket] = None
            in_flight.pending_bytes += ticket.expected_bytes
            self._counts.began(count + 1)
            if not peaks.is_open:
                peaks.open()
            peaks.requests += 1
            if peaks.together <= count:
                peaks.together = count + 1
            return ticket

    def admit(self, body_bytes: int = 0) -> Ticket | Refusal:
        """The same, and where it helps wait up to `queue_seconds`; blocks its thread."""
        answer = self.try_admit(body_bytes)
        if isinstance(answer, Ticket):
            return answer
        deadline = time.monotonic() + self.config.queue_seconds
        while isinstance(answer, Refusal) and _may_wait(answer, deadline):
            if not self._queue.wait(deadline):
                answer = replace(answer, reason=Reason.QUEUE)
                break
            answer = self.try_admit(body_bytes)
        return self._counted(answer)

    async def admit_async(self, body_bytes: int = 0) -> Ticket | Refusal:
        """The same in a coroutine."""
        answer = self.try_admit(body_bytes)
        if isinstance(answer, Ticket):
            return answer
        deadline = time.monotonic() + self.config.queue_seconds
        while isinstance(answer, Refusal) and _may_wait(answer, deadline):
            if not await self._queue.wait_async(deadline):
                answer = replace(answer, reason=Reason.QUEUE)
                break
            answer = self.try_admit(body_bytes)
        return self._counted(answer)

    @contextmanager
    def place(self, body_bytes: int = 0) -> Iterator[Ticket]:
        """A place for work that no middleware sees: a job of a queue, an event of Gradio.

        Raises:
            RequestRefused: there is none.
        """
        answer = self.admit(body_bytes)
        if isinstance(answer, Refusal):
            raise RequestRefused(answer)
        has_failed = True
        try:
            yield answer
            has_failed = False
        except MemoryError:
            self.refuse_until_well()
            raise
        finally:
            self.finish(answer, has_failed=has_failed)

    def finish(self, ticket: Ticket, *, has_failed: bool = False) -> float:
        """Give a ticket back; the seconds it was at work. A second time does nothing."""
        now = self.clock()
        seconds = now - ticket.started
        with self._lock:
            if not ticket.is_open:
                return seconds
            ticket.is_open = False
            in_flight = self._in_flight
            # Not there: it was let in before a fork.
            if in_flight.tickets.pop(ticket, self) is None:
                in_flight.pending_bytes -= ticket.expected_bytes
            self._counts.ended(seconds, len(in_flight.tickets), has_failed)
            if (
                now < self._due_at
                and seconds < MEASURED_SECONDS
                and not (ticket.is_probe or self._queue.waiters)
            ):
                return seconds  # nothing is due, as after most requests
            use = self._read_after(ticket, now, seconds)
            if ticket.is_probe:
                is_well = use is None or use.share < self.config.hard
                self._admission.probed(is_well=is_well and not has_failed)
            waiter = self._queue.pop()
            is_watch_due = self._is_watch_due(now)
        if waiter is not None:
            wake(waiter)
        if use is not None and use.share >= self.config.soft:
            self.release(use)
        if is_watch_due:
            self._watch(now, use)
        return seconds

    def release(self, use: MemoryUse) -> bool:
        """Release memory in a thread of its own, if a try is due; True if it was started."""
        return self.releaser.start(self._own.rss_bytes(), use.limit_bytes, self._after_release)

    def refuse_until_well(self) -> None:
        """Open the breaker: a handler ran out of memory."""
        self.breaker.trip()
        self._admission.note_breaker()

    # Status

    def status(self) -> GuardStatus:
        """How it is now. Some hundred microseconds: the allocator is asked."""
        now = self.clock()
        with self._lock:
            use = self._renew_use(now)
            rss = self._own.rss_bytes()
            growth = self._growth.rate()
            self._note_rss(now, rss)
            counts = self._counts
            counts.live_heap_bytes = self._own.live_bytes()
            counts.expected_bytes = self.expected.bytes
            counts.waiting = len(self._queue.waiters)
            status = status_of(
                counts,
                pid=os.getpid(),
                rss_bytes=rss,
                memory=use,
                growth=growth,
                breaker=self.breaker.state,
                is_alive=not self._admission.is_stuck(now, use),
                releases=self.releaser.counts,
                gpu_free_bytes=self._admission.gpu.free_bytes(now),
                started_seconds=self._own.started_seconds(),
            )
        return with_readiness(status, self.config)

    def statuses(self) -> tuple[GuardStatus, ...]:
        """The status of this worker and of the others behind the same port, by process id."""
        if self._files.is_lost:
            self.join_workers()
        own = self.status()
        others = [
            with_readiness(status_of_peer(peer, own, self.clock()), self.config)
            for peer in self._files.others()
        ]
        return tuple(sorted((own, *others), key=lambda each: each.pid))

    @property
    def has_peers(self) -> bool:
        """Whether there may be other workers, whose figures are reported with its own."""
        return self._files.are_shared

    def rss_bytes(self) -> int:
        """Resident memory of this process now."""
        return self._own.rss_bytes()

    # With the lock held

    def _read_after(self, ticket: Ticket, now: float, seconds: float) -> MemoryUse | None:
        """What there is to read when a request has ended: the client has its answer by now."""
        is_long = seconds >= MEASURED_SECONDS
        if is_long and self._peaks.is_due(now, is_high=self._latest.is_high):
            self._peaks.learn(ticket, self.in_flight)
            self._counts.live_heap_bytes = self._peaks.live_bytes
            self._counts.expected_bytes = self.expected.bytes
        are_others_at_work = is_long and self.in_flight > 0
        is_due = ticket.is_probe or now >= self._latest.refresh_at or are_others_at_work
        use = self._renew_use(now) if is_due else self._latest.use
        if are_others_at_work and use is not None:
            self._in_flight.used_bytes_at_end = use.used_bytes
        return use

    def _renew_use(self, now: float) -> MemoryUse | None:
        use = self._admission.renew_use(now)
        self._note_due()
        return use

    def _note_due(self) -> None:
        latest = self._latest
        self._due_at = NEVER if latest.is_high else min(latest.refresh_at, self._watch_at)

    def _is_watch_due(self, now: float) -> bool:
        if now < self._watch_at:
            return False
        self._watch_at = now + _WATCH_SECONDS
        self._note_due()
        return True

    def _note_rss(self, now: float, rss: int) -> None:
        if self._growth.add(now, rss):
            self._counts.note_points(self._growth.points)

    # Without the lock

    def _watch(self, now: float, use: MemoryUse | None) -> None:
        """Once a second, after a request."""
        if self._joins_late or self._files.is_lost:  # late: forked from a worker, and one itself
            self._joins_late = False
            self.join_workers()
        rss = self._own.rss_bytes()
        with self._lock:
            self._note_rss(now, rss)
            self._admission.is_stuck(now, use)
        for call in self._on_watch:
            call(rss)

    def _after_release(self) -> None:
        with self._lock:
            self._counts.note_releases(self.releaser.counts)
            self._latest.expire()
            waiters = self._queue.pop_all()
        for waiter in waiters:
            wake(waiter)

    def _counted(self, answer: Ticket | Refusal) -> Ticket | Refusal:
        if isinstance(answer, Refusal):
            now = self.clock()
            with self._lock:
                self._counts.refuse(answer.reason)
                is_watch_due = self._is_watch_due(now)
            if is_watch_due:  # a full process may have no request that ends
                self._watch(now, self._latest.use)
        return answer


def _may_wait(refusal: Refusal, deadline: float) -> bool:
    return refusal.reason in _WORTH_WAITING and time.monotonic() < deadline
