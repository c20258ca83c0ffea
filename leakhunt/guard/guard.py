"""The guard of a service: what is let in, what it costs, and how it is with the memory.

One file, since admission, learning and release share one state under one lock.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from leakhunt.errors import LeakhuntError
from leakhunt.guard.breaker import BreakerState, CircuitBreaker, Pass
from leakhunt.guard.config import GuardConfig
from leakhunt.guard.counts import Counts
from leakhunt.guard.expected import ExpectedHeight
from leakhunt.guard.growth import GrowthMeter, rate_of
from leakhunt.guard.limits import LimitReader, LimitSource, MemoryUse, OwnMemory
from leakhunt.guard.release import Releaser
from leakhunt.guard.status import GuardStatus, Reason
from leakhunt.guard.workers import FellowWorker, WorkerFiles
from leakhunt.text.message import message

_LOG = logging.getLogger("leakhunt.guard")
# Shorter requests are not measured at their height: two readings would cost more than 1 % of them.
# Nor is every one of many: the kernel keeps the peak of those between.
_MEASURED_SECONDS = 0.010
_LEARN_SECONDS = 0.050
# Below the soft watermark, when the first have been measured, heights matter little yet.
_LEARN_SELDOM_SECONDS = 0.5
_FIRST_MEASURED = 32
# Floors of RSS: the least of so many is what is not the requests'.
_FLOORS = 64
_FEW_FLOORS = 8
# No process takes fresh memory faster: until a quarter of what is left could be gone, what was read
# is good enough.
_FASTEST_BYTES_PER_SECOND = 4 << 30
_MOST_READ_SECONDS = 1.0
# A peak that is so far above the present RSS is set back before it is used again.
_DIRTY_PEAK_BYTES = 4 << 20
# The first requests, of which nothing is known, may have this part of the headroom each.
_FIRST_SHARE = 0.5
_GPU_LOOK_SECONDS = 1.0
_WATCH_SECONDS = 1.0
# Readings of RSS of another worker that end earlier than this say nothing of its growth now.
_LATE_SECONDS = 150.0

# Waiting for another request to end may help.
_WORTH_WAITING = (Reason.CONCURRENCY, Reason.MEMORY)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is not worked on: 503, why, and when to come again."""

    reason: Reason
    retry_after_seconds: int
    status: int = 503


class RequestRefused(LeakhuntError):
    """Work that is not let in."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(message("guard.refused", "refused: {reason}", reason=str(refusal.reason)))
        self.refusal = refusal


@dataclass(slots=True, eq=False)
class Ticket:
    """A request that was let in; it is given back by `Guard.finish`, once."""

    started: float
    used_bytes: int
    expected_bytes: int
    body_bytes: int
    is_probe: bool = False
    is_open: bool = True


@dataclass(slots=True)
class _Window:
    """From when the peak is told, and how many requests were at work together since."""

    rss_bytes: int = 0
    together: int = 0
    requests: int = 0
    is_open: bool = False


# Of the guards of a process: workers that run the same code count them alike.
_NUMBERS = itertools.count()
_GUARDS: weakref.WeakSet[Guard] = weakref.WeakSet()


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
        limit, height = self.config.limit, self.config.request_bytes
        assert not isinstance(limit, str)
        assert not isinstance(height, str)
        self._own = own or OwnMemory()
        self._clock = clock
        self._read = read or LimitReader(limit, self._own, clock).read
        self.expected = ExpectedHeight(height)
        self._most = self.config.max_concurrency or sys.maxsize
        self.breaker = CircuitBreaker(
            self.config.retry_seconds, self.config.most_retry_seconds, clock
        )
        self.releaser = Releaser(self._own.rss_bytes, clock, self.config.releases)
        self._on_watch: list[Callable[[int], None]] = []
        self._unreadable = False
        self._use: MemoryUse | None = None
        self._files = WorkerFiles(next(_NUMBERS), self.config.metrics_folder)
        self._joins = self._joins_late = False
        self._counts = Counts()
        self._begin()
        _GUARDS.add(self)

    def reset_after_fork(self) -> None:
        """Nothing is in flight in a child that was just forked.

        A child of a process that serves nothing is a worker; another one may be anything, and is
        a worker from its first request on.
        """
        starts_workers = self._joins and not self._counts.has_worked
        self._counts = Counts()
        self._begin()
        self._joins_late = self._joins and not starts_workers
        if starts_workers:
            self.join_workers()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._tickets: dict[Ticket, None] = {}
        self._pending = 0
        self._waiters: deque[Callable[[], None]] = deque()
        self._window, self._is_peak_ours = _Window(), False
        self._read_at = self._refresh_at = self._learn_at = -1e9
        self._watch_at = self._due_at = -1e9
        # Of the last reading: what is left below the hard watermark, 0 where each request is to be
        # looked at; what a request counts that nothing is known of; whether to release memory.
        self._room, self._used_bytes, self._first_bytes, self._is_high = 0.0, 0, 0, False
        self._gpu_at = -1e9
        self._gpu_free: int | None = None
        self._stuck_since: float | None = None
        self._over_since: float | None = None
        self._overheads: deque[int] = deque(maxlen=_FLOORS)
        self._live_before: int | None = None
        self._ended_bytes = 0
        self._growth = GrowthMeter()
        self._draining = False
        self.breaker.reset()
        self.releaser.reset()

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
        return len(self._tickets)

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
            now, count, heights = self._clock(), len(self._tickets), self.expected
            expected = heights.of(body_bytes) if heights.is_known else self._first_bytes
            # Nearly always there is room: no more than is needed is done before the handler.
            if (
                now < self._read_at
                and self._room > 0
                and count < self._most
                and self.breaker.is_closed
                and (not count or self._pending + expected <= self._room)
            ):
                answer = Ticket(now, self._used_bytes, expected, body_bytes)
            else:
                decided = self._decide(now, body_bytes)
                if isinstance(decided, Refusal):
                    return decided
                answer = decided
            self._tickets[answer] = None
            self._pending += answer.expected_bytes
            self._counts.began(count + 1)
            window = self._window
            if not window.is_open:
                self._open_window(window)
            window.requests += 1
            if window.together <= count:
                window.together = count + 1
            return answer

    def admit(self, body_bytes: int = 0) -> Ticket | Refusal:
        """The same, and where it helps wait up to `queue_seconds`; blocks its thread."""
        answer = self.try_admit(body_bytes)
        if isinstance(answer, Ticket):
            return answer
        deadline = time.monotonic() + self.config.queue_seconds
        while isinstance(answer, Refusal) and self._may_wait(answer, deadline):
            event = threading.Event()
            if not self._wait(event.set):
                return self._refused(Refusal(Reason.QUEUE, answer.retry_after_seconds))
            event.wait(max(deadline - time.monotonic(), 0))
            self._wait_no_more(event.set)
            answer = self.try_admit(body_bytes)
        return self._refused(answer)

    async def admit_async(self, body_bytes: int = 0) -> Ticket | Refusal:
        """The same in a coroutine."""
        answer = self.try_admit(body_bytes)
        if isinstance(answer, Ticket):
            return answer
        deadline = time.monotonic() + self.config.queue_seconds
        loop = asyncio.get_running_loop()
        while isinstance(answer, Refusal) and self._may_wait(answer, deadline):
            event = asyncio.Event()

            def wake(event: asyncio.Event = event) -> None:
                loop.call_soon_threadsafe(event.set)

            if not self._wait(wake):
                return self._refused(Refusal(Reason.QUEUE, answer.retry_after_seconds))
            try:
                await asyncio.wait_for(event.wait(), max(deadline - time.monotonic(), 0.001))
            except TimeoutError:
                pass
            finally:
                self._wait_no_more(wake)
            answer = self.try_admit(body_bytes)
        return self._refused(answer)

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
        now = self._clock()
        seconds = now - ticket.started
        with self._lock:
            if not ticket.is_open:
                return seconds
            ticket.is_open = False
            # Not there: it was let in before a fork.
            if self._tickets.pop(ticket, self) is None:
                self._pending -= ticket.expected_bytes
            self._counts.ended(seconds, len(self._tickets), has_failed)
            if (
                now < self._due_at
                and seconds < _MEASURED_SECONDS
                and not (ticket.is_probe or self._waiters or self._is_high)
            ):
                return seconds  # nothing is due, as after most requests
            use = self._read_after(ticket, now, seconds)
            if ticket.is_probe:
                is_well = use is None or use.share < self.config.hard
                self.breaker.probed(is_well=is_well and not has_failed)
                self._note_breaker()
            waiter = self._waiters.popleft() if self._waiters else None
            is_watched = self._is_to_be_watched(now)
        if waiter is not None:
            _woken(waiter)
        if use is not None and use.share >= self.config.soft:
            self.release(use)
        if is_watched:
            self._look(now, use)
        return seconds

    def release(self, use: MemoryUse) -> bool:
        """Release memory in a thread of its own, if a try is due; True if it was started."""
        return self.releaser.start(self._own.rss_bytes(), use.limit_bytes, self._released)

    def refuse_until_well(self) -> None:
        """Open the breaker: a handler ran out of memory."""
        self.breaker.trip()
        self._note_breaker()

    # Status

    def status(self) -> GuardStatus:
        """How it is now. Some hundred microseconds: the allocator is asked."""
        now = self._clock()
        with self._lock:
            use = self._memory(now, force=True)
            rss = self._own.rss_bytes()
            growth = self._growth.rate()
            self._note_rss(now, rss)
            counts = self._counts
            counts.live_heap_bytes = self._own.live_bytes()
            counts.expected_bytes = self.expected.bytes
            counts.waiting = len(self._waiters)
            status = GuardStatus(
                pid=os.getpid(),
                rss_bytes=rss,
                live_heap_bytes=counts.live_heap_bytes,
                memory=use,
                growth=growth,
                in_flight=len(self._tickets),
                waiting=len(self._waiters),
                expected_request_bytes=self.expected.bytes,
                breaker=self.breaker.state,
                draining=self.draining,
                is_ready=False,
                is_alive=not self._is_stuck(now, use),
                reasons=(),
                served=counts.served,
                failed=counts.failed,
                refused=counts.refused,
                releases=self.releaser.counts,
                request_seconds=counts.seconds,
                request_buckets=counts.buckets,
                gpu_free_bytes=self._gpu(now),
                started_seconds=self._own.started_seconds(),
            )
            return self._with_reasons(status)

    def statuses(self) -> tuple[GuardStatus, ...]:
        """How it is with this worker, and with the others behind the same port, by process id."""
        if self._files.is_lost:
            self.join_workers()
        own = self.status()
        others = [self._status_of(each, own) for each in self._files.others()]
        return tuple(sorted((own, *others), key=lambda each: each.pid))

    @property
    def has_fellows(self) -> bool:
        """Whether there may be other workers, whose figures are told with its own."""
        return self._files.are_shared

    def _status_of(self, worker: FellowWorker, own: GuardStatus) -> GuardStatus:
        """How it is with another worker: as it has counted, and by the kernel."""
        counts, now = worker.counts, self._clock()
        memory = counts.memory or own.memory  # one that has had no request has read none
        if memory is not None and memory.source is LimitSource.GIVEN:
            memory = replace(memory, used_bytes=worker.rss_bytes)
        elif memory is not None and memory.source is LimitSource.ADDRESS_SPACE:
            memory = replace(memory, used_bytes=worker.address_space_bytes)
        elif own.memory is None or (memory is not None and memory.source is own.memory.source):
            memory = own.memory  # of the container or the machine: what we have just read ourselves
        points = counts.points()[1] if worker.points_are_whole else []
        is_late = not points or now - points[-1][0] > _LATE_SECONDS
        status = GuardStatus(
            pid=worker.pid,
            rss_bytes=worker.rss_bytes,
            live_heap_bytes=counts.live_heap_bytes,
            memory=memory,
            growth=None if is_late else rate_of(points),
            in_flight=counts.in_flight,
            waiting=counts.waiting,
            expected_request_bytes=counts.expected_bytes,
            breaker=counts.breaker(now),
            draining=counts.draining,
            is_ready=False,
            is_alive=True,
            reasons=(),
            served=counts.served,
            failed=counts.failed,
            refused=counts.refused,
            releases=counts.releases(worker.steps),
            request_seconds=counts.seconds,
            request_buckets=counts.buckets,
            gpu_free_bytes=own.gpu_free_bytes,
            started_seconds=worker.started_seconds,
        )
        return self._with_reasons(status)

    def rss_bytes(self) -> int:
        """Resident memory of this process now."""
        return self._own.rss_bytes()

    # With the lock held

    def _read_after(self, ticket: Ticket, now: float, seconds: float) -> MemoryUse | None:
        """What there is to read when a request has ended: the client has its answer by now."""
        use = self._use
        is_long = seconds >= _MEASURED_SECONDS
        if is_long and now >= self._learn_at:
            is_early = self.expected.count < _FIRST_MEASURED
            is_high = use is not None and use.share >= self.config.soft
            seldom = not (is_early or is_high)
            self._learn_at = now + (_LEARN_SELDOM_SECONDS if seldom else _LEARN_SECONDS)
            self._learn(ticket)
        if ticket.is_probe or now >= self._refresh_at or (is_long and self._tickets):
            use = self._memory(now, force=True)
        if is_long and self._tickets and use is not None:
            self._ended_bytes = use.used_bytes  # what has grown so far is no sign of the others
        return use

    def _decide(self, now: float, body_bytes: int) -> Ticket | Refusal:
        most = self.config.max_concurrency
        count = len(self._tickets)
        if most is not None and count >= most:
            return self._refusal(Reason.CONCURRENCY)
        if self.config.min_gpu_free and self._lacks_gpu(self._gpu(now)):
            return self._refusal(Reason.GPU_MEMORY)
        use = self._use if now < self._read_at else self._memory(now)
        expected = 0
        if use is not None:
            expected = self._expected(use, body_bytes)
            if not self._lets_in(use, expected):
                use = self._memory(now, force=True) or use  # nobody is refused on an old reading
                if not self._lets_in(use, expected):
                    self.release(use)
                    return self._refusal(self._why_not(now, use))
        answer = Pass.THROUGH if self.breaker.is_closed else self._ask_breaker()
        if answer is Pass.REFUSED:
            return self._refusal(Reason.BREAKER)
        used = use.used_bytes if use else 0
        return Ticket(now, used, expected, body_bytes, answer is Pass.PROBE)

    def _ask_breaker(self) -> Pass:
        answer = self.breaker.ask()
        self._note_breaker()
        return answer

    def _note_breaker(self) -> None:
        self._counts.note_breaker(*self.breaker.state_until)

    def _note_rss(self, now: float, rss: int) -> None:
        if self._growth.add(now, rss):
            self._counts.note_points(self._growth.points)

    def _expected(self, use: MemoryUse, body_bytes: int) -> int:
        if self.expected.is_known:
            return self.expected.of(body_bytes)
        return self._first_bytes_of(use)

    def _first_bytes_of(self, use: MemoryUse) -> int:
        # The memory of the machine is shared with all that runs on it: nothing to be divided.
        if use.source is LimitSource.HOST:
            return 0
        return max(round((use.limit_bytes * self.config.hard - use.used_bytes) * _FIRST_SHARE), 0)

    def _why_not(self, now: float, use: MemoryUse) -> Reason:
        """Over the hard watermark the breaker opens, unless requests at work may give it back."""
        if use.share < self.config.hard:
            self._over_since = None
            return Reason.MEMORY
        if self._over_since is None:
            self._over_since = now
        if self._tickets and now - self._over_since < self.config.retry_seconds:
            return Reason.MEMORY
        self.breaker.trip()
        self._note_breaker()
        return Reason.HARD_WATERMARK

    def _lets_in(self, use: MemoryUse, expected: int) -> bool:
        if use.used_bytes >= use.limit_bytes * self.config.hard:
            return False
        return not self._tickets or self._fits(use, expected)

    def _fits(self, use: MemoryUse, expected: int) -> bool:
        """Whether the heights that are still to come stay below the hard watermark.

        What has grown since the oldest request at work started, and since another one ended, is
        theirs: it is not to come again. What one that ended has left retained is nobody's.
        """
        oldest = next(iter(self._tickets))
        realized = max(use.used_bytes - max(oldest.used_bytes, self._ended_bytes), 0)
        to_come = max(self._pending - realized, 0) + expected
        return use.used_bytes + to_come <= use.limit_bytes * self.config.hard

    def _refusal(self, reason: Reason) -> Refusal:
        wait = max(self.breaker.retry_after_seconds, self.config.retry_seconds)
        return Refusal(reason, max(round(wait + 0.5), 1))

    def _memory(self, now: float, *, force: bool = False) -> MemoryUse | None:
        """The use of the limit, at most so often; None: it cannot be read."""
        if not force and now < self._read_at:
            return self._use
        self._read_at = self._refresh_at = now + self.config.read_seconds
        try:
            self._use = self._read()
        except Exception as error:  # whatever it is, requests go on
            if not self._unreadable:
                _LOG.warning("leakhunt.guard: memory cannot be read (%r); it does not limit", error)
            self._unreadable, self._use = True, None
            self._room, self._is_high = 0.0, False
            self._counts.memory = None
        else:
            self._unreadable = False
            self._counts.memory = self._use
            left = self._use.limit_bytes * self.config.hard - self._use.used_bytes
            if left > 0:
                self._over_since = None
            safe = min(left / _FASTEST_BYTES_PER_SECOND, _MOST_READ_SECONDS)
            wait = max(safe, self.config.read_seconds)
            self._read_at = now + wait
            self._refresh_at = now + max(wait / 2, self.config.read_seconds)
            self._room = 0.0 if self.config.min_gpu_free else left
            self._used_bytes = self._use.used_bytes
            self._first_bytes = self._first_bytes_of(self._use)
            self._is_high = self._use.share >= self.config.soft
        self._due_at = min(self._refresh_at, self._watch_at)
        return self._use

    def _open_window(self, window: _Window) -> None:
        if not self._is_peak_ours:  # that of the start, when models were loaded
            self._own.reset_peak()
            self._is_peak_ours = True
        window.rss_bytes, window.together, window.requests = self._own.rss_bytes(), 0, 0
        window.is_open = True

    def _learn(self, ticket: Ticket) -> None:
        window = self._window
        rss = self._own.rss_bytes()
        peak = max(self._own.peak_bytes() or 0, rss)
        # What a byte of input takes is known of a request that was alone.
        body = ticket.body_bytes if window.requests == 1 else 0
        self.expected.learn(peak - self._floor(rss, window.rss_bytes), window.together, body)
        self._counts.expected_bytes = self.expected.bytes
        if peak - rss > _DIRTY_PEAK_BYTES:
            self._own.reset_peak()
        # The next window begins here, with those that are still at work.
        window.rss_bytes, window.together = rss, len(self._tickets)
        window.requests = len(self._tickets)
        window.is_open = bool(self._tickets)

    def _is_to_be_watched(self, now: float) -> bool:
        if now < self._watch_at:
            return False
        self._watch_at = now + _WATCH_SECONDS
        self._due_at = min(self._refresh_at, self._watch_at)
        return True

    def _floor(self, rss: int, started: int) -> int:
        """What RSS would have been without the request: less than it started from.

        What malloc retained then, and lent to it, is gone after the next trim, and the same request
        asks the system for all of it. The least that RSS was above the live heap of late is what no
        trim gives back; with the live heap before the request that is the floor. Where the live
        heap is not told, it is the least RSS of the last few: over more, a leak would be a height.
        """
        live = self._counts.live_heap_bytes = self._own.live_bytes()
        if live is None:
            self._overheads.append(rss)
            return min(started, *list(self._overheads)[-_FEW_FLOORS:])
        self._overheads.append(rss - live)
        before, self._live_before = self._live_before, live
        return started if before is None else min(started, before + min(self._overheads))

    def _gpu(self, now: float) -> int | None:
        """Free bytes of the GPU; None without one that is in use."""
        if not self.config.min_gpu_free:
            return None
        if now - self._gpu_at >= _GPU_LOOK_SECONDS:
            self._gpu_at, self._gpu_free = now, gpu_free_bytes()
        return self._gpu_free

    def _lacks_gpu(self, free: int | None) -> bool:
        least = self.config.min_gpu_free
        assert not isinstance(least, str)
        return free is not None and free < least

    def _with_reasons(self, status: GuardStatus) -> GuardStatus:
        """The same, with why it is unready."""
        reasons = []
        if status.draining:
            reasons.append("draining")
        if status.breaker is BreakerState.OPEN:
            reasons.append(str(Reason.BREAKER))
        unready = self.config.unready or self.config.hard
        if status.memory is not None and status.memory.share >= unready:
            reasons.append(str(Reason.MEMORY))
        if self._lacks_gpu(status.gpu_free_bytes):
            reasons.append(str(Reason.GPU_MEMORY))
        return replace(status, is_ready=not reasons, reasons=tuple(reasons))

    def _is_stuck(self, now: float, use: MemoryUse | None) -> bool:
        if use is None or use.share < self.config.hard or self._tickets:
            self._stuck_since = None
            return False
        if self._stuck_since is None:
            self._stuck_since = now
        return now - self._stuck_since >= self.config.stuck_seconds

    # Without the lock

    def _look(self, now: float, use: MemoryUse | None) -> None:
        """Once a second, after a request."""
        if self._joins_late or self._files.is_lost:  # late: forked from a worker, and one itself
            self._joins_late = False
            self.join_workers()
        rss = self._own.rss_bytes()
        with self._lock:
            self._note_rss(now, rss)
            self._is_stuck(now, use)
        for call in self._on_watch:
            call(rss)

    def _released(self) -> None:
        with self._lock:
            self._counts.note_releases(self.releaser.counts)
            self._read_at = -1e9
            waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            _woken(waiter)

    def _may_wait(self, refusal: Refusal, deadline: float) -> bool:
        return refusal.reason in _WORTH_WAITING and time.monotonic() < deadline

    def _wait(self, wake: Callable[[], None]) -> bool:
        with self._lock:
            if len(self._waiters) >= self.config.max_waiting:
                return False
            self._waiters.append(wake)
            self._counts.waiting = len(self._waiters)
            return True

    def _wait_no_more(self, wake: Callable[[], None]) -> None:
        with self._lock:
            if wake in self._waiters:
                self._waiters.remove(wake)
            self._counts.waiting = len(self._waiters)

    def _refused(self, answer: Ticket | Refusal) -> Ticket | Refusal:
        if isinstance(answer, Refusal):
            now = self._clock()
            with self._lock:
                self._counts.refuse(answer.reason)
                is_watched = self._is_to_be_watched(now)
            if is_watched:  # a full process may have no request that ends
                self._look(now, self._use)
        return answer


def _woken(waiter: Callable[[], None]) -> None:
    try:
        waiter()
    except RuntimeError:  # its event loop is closed
        _LOG.debug("leakhunt.guard: a request that waited is gone")


def gpu_free_bytes() -> int | None:
    """Free memory of the default GPU, as the driver says; None where torch does not use one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    free: int = torch.cuda.mem_get_info()[0]
    return free


def is_draining() -> bool:
    """Whether a guard of this process has begun a hand-over."""
    return any(guard.draining for guard in list(_GUARDS))


def _reset_guards() -> None:
    for guard in list(_GUARDS):
        guard.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_guards)
