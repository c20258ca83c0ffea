"""What is let in, refused, learned and released: a scripted clock and scripted memory."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from leakhunt.errors import UsageError
from leakhunt.guard import (
    Guard,
    GuardConfig,
    LimitSource,
    MemoryUse,
    Refusal,
    RequestRefused,
    Ticket,
)
from leakhunt.guard.latest_use import NEVER
from leakhunt.guard.limits import OwnMemory
from leakhunt.guard.status import Reason

MIB = 1 << 20


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeMemory(OwnMemory):
    """RSS and its peak as the test says."""

    def __init__(self, rss: int) -> None:
        super().__init__()
        self.rss = rss
        self.peak = rss
        self.live: int | None = 50 * MIB

    def rss_bytes(self) -> int:
        return self.rss

    def live_bytes(self) -> int | None:
        return self.live

    def peak_bytes(self) -> int:
        return max(self.peak, self.rss)

    def reset_peak(self) -> None:
        self.peak = self.rss


class Bench:
    """A guard in a process of scripted memory, under a limit of 1,000 MiB."""

    def __init__(self, *, used: int = 100, source: LimitSource = LimitSource.GIVEN, **config: Any):
        self.clock = Clock()
        self.own = FakeMemory(used * MIB)
        self.limit = 1000 * MIB
        self.source = source
        self.broken = False
        config = {"queue_seconds": 0, "read_seconds": 0} | config
        self.guard = Guard(GuardConfig(**config), read=self.read, own=self.own, clock=self.clock)

    def read(self) -> MemoryUse:
        if self.broken:
            raise OSError("no such file")
        return MemoryUse(self.own.rss, self.limit, self.source)

    def use(self, mib: int) -> None:
        self.own.rss = mib * MIB
        self.guard._latest.expire()  # as after a while

    def request(self, *, takes: int = 0, body: int = 0, seconds: float = 0.1) -> Ticket | Refusal:
        """One request from start to end, which takes so many MiB at its peak."""
        answer = self.guard.try_admit(body)
        if isinstance(answer, Ticket):
            self.own.peak = max(self.own.peak, self.own.rss + takes * MIB)
            self.clock.now += seconds
            self.guard.finish(answer)
        return answer


def let_in(answer: Ticket | Refusal) -> Ticket:
    assert isinstance(answer, Ticket), answer
    return answer


def refused(answer: Ticket | Refusal) -> Reason:
    assert isinstance(answer, Refusal)
    return answer.reason


@pytest.mark.parametrize(
    "config",
    [
        {"soft": 0.9, "hard": 0.8},
        {"hard": 1.2},
        {"max_concurrency": 0},
        {"limit": "much"},
        {"request_bytes": "4 apples"},
    ],
)
def test_settings_that_mean_nothing_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        GuardConfig(**config)


def test_sizes_may_be_texts() -> None:
    assert GuardConfig(limit="1.5 GiB", min_gpu_free="1 GiB").limit == 1536 * MIB


def test_beyond_so_many_at_once_it_refuses_until_one_has_ended() -> None:
    bench = Bench(max_concurrency=2, request_bytes=1)
    first, _ = let_in(bench.guard.try_admit()), let_in(bench.guard.try_admit())
    assert refused(bench.guard.try_admit()) is Reason.CONCURRENCY
    bench.guard.finish(first)
    let_in(bench.guard.try_admit())


def test_a_ticket_that_is_given_back_twice_frees_one_place() -> None:
    bench = Bench(max_concurrency=1, request_bytes=1)
    first = let_in(bench.guard.try_admit())
    for _ in range(3):
        bench.guard.finish(first)
    let_in(bench.guard.try_admit())
    assert bench.guard.in_flight == 1
    assert bench.guard.served == 1


def test_what_does_not_fit_beside_those_at_work_is_refused() -> None:
    bench = Bench(used=500, request_bytes=150 * MIB)
    let_in(bench.guard.try_admit())
    let_in(bench.guard.try_admit())  # 500 + 2 x 150 of 900
    assert refused(bench.guard.try_admit()) is Reason.MEMORY
    # What the two have taken by now is no longer to come.
    bench.use(700)
    assert refused(bench.guard.try_admit()) is Reason.MEMORY
    bench.use(500)
    bench.limit = 2000 * MIB
    let_in(bench.guard.try_admit())


def test_memory_that_requests_have_taken_already_is_not_counted_twice() -> None:
    bench = Bench(used=500, request_bytes=150 * MIB)
    for expected in (0, 1):
        bench.use(500 + 150 * expected)
        let_in(bench.guard.try_admit())
    bench.use(750)  # nearly all of 300; the third needs 150 and there are 150
    assert refused(bench.guard.try_admit()) is Reason.MEMORY
    bench.limit = round(1100 * MIB)
    let_in(bench.guard.try_admit())


def test_a_request_alone_is_let_in_whatever_it_takes() -> None:
    bench = Bench(used=500, request_bytes=5000 * MIB)
    let_in(bench.guard.try_admit())


def test_it_learns_what_a_request_takes_at_its_peak() -> None:
    bench = Bench(used=500)
    assert bench.guard.expected.bytes == 0
    bench.request(takes=100)
    assert bench.guard.expected.bytes == 125 * MIB
    bench.request(takes=20)  # small ones do not take back a large one
    assert bench.guard.expected.bytes == 125 * MIB
    for _ in range(3):
        let_in(bench.guard.try_admit())
    assert refused(bench.guard.try_admit()) is Reason.MEMORY


def test_a_large_request_long_ago_is_forgotten() -> None:
    bench = Bench(used=500)
    bench.request(takes=300)
    for _ in range(512):
        bench.request(takes=8, seconds=1.0)
    assert bench.guard.expected.bytes == 10 * MIB


def test_memory_that_was_retained_and_lent_to_a_request_counts_as_its_own() -> None:
    bench = Bench(used=500)
    bench.request(seconds=1.0)  # 500 is what the service holds
    bench.use(580)  # of which malloc retains 80
    bench.request(takes=20, seconds=1.0)
    assert bench.guard.expected.bytes == 125 * MIB


@pytest.mark.parametrize("is_told", [True, False], ids=["live heap", "no live heap"])
def test_a_leak_is_no_peak_of_a_request(is_told: bool) -> None:
    bench = Bench(used=300)
    bench.limit = 10_000 * MIB
    if not is_told:
        bench.own.live = None
    for _ in range(200):
        bench.request(takes=10, seconds=1.0)
        bench.use(bench.own.rss // MIB + 2)
        if bench.own.live is not None:
            bench.own.live += 2 * MIB
    assert 12 * MIB <= bench.guard.expected.bytes <= 35 * MIB


def test_what_an_ended_request_left_is_not_taken_as_that_of_others() -> None:
    bench = Bench(used=500, request_bytes=150 * MIB)
    first, second = let_in(bench.guard.try_admit()), let_in(bench.guard.try_admit())
    bench.clock.now += 0.1
    bench.use(650)  # all of it the second one's, and retained
    bench.guard.finish(second)
    bench.use(650)
    assert refused(bench.guard.try_admit()) is Reason.MEMORY  # 650 + 150 to come + 150
    bench.guard.finish(first)
    let_in(bench.guard.try_admit())


def test_small_bodies_need_less_room_than_large_ones() -> None:
    bench = Bench(used=500)
    expected = bench.guard.expected
    bench.request(takes=100, body=10 * MIB)
    assert expected.of(10 * MIB) == expected.of(9 * MIB) == 125 * MIB
    assert expected.of(MIB) == 125 * MIB  # of none of this length was measured yet
    bench.clock.now += 1
    bench.request(takes=8, body=MIB)
    assert expected.of(MIB) == 10 * MIB
    assert expected.of(10 * MIB) == 125 * MIB
    assert expected.of(50 * MIB) == expected.of(0) == 125 * MIB


def test_a_body_takes_no_less_than_a_smaller_one() -> None:
    bench = Bench(used=500)
    for takes, body in ((80, MIB), (16, 10 * MIB)):
        bench.request(takes=takes, body=body, seconds=1.0)
    assert bench.guard.expected.of(10 * MIB) == 100 * MIB


def test_short_requests_are_not_measured() -> None:
    bench = Bench(used=500)
    bench.request(takes=100, seconds=0.002)
    assert not bench.guard.expected.is_known


def test_the_peak_of_the_start_is_no_peak_of_a_request() -> None:
    bench = Bench(used=500)
    bench.own.peak = 900 * MIB  # while the model was loaded
    bench.request(takes=10)
    assert bench.guard.expected.bytes == 12.5 * MIB


def test_the_first_requests_share_the_headroom() -> None:
    bench = Bench(used=500)
    let_in(bench.guard.try_admit())
    let_in(bench.guard.try_admit())  # two halves of 400
    assert refused(bench.guard.try_admit()) is Reason.MEMORY


def test_the_memory_of_the_machine_is_not_shared_out_to_the_first_requests() -> None:
    bench = Bench(used=500, source=LimitSource.HOST)
    for _ in range(20):
        let_in(bench.guard.try_admit())


def test_above_the_hard_watermark_the_breaker_opens_and_a_probe_closes_it() -> None:
    bench = Bench(used=950, request_bytes=1)
    guard = bench.guard
    assert refused(guard.try_admit()) is Reason.HARD_WATERMARK
    assert guard.breaker.state == "open"
    bench.use(300)
    answer = guard.try_admit()
    assert refused(answer) is Reason.BREAKER  # not before the wait is over
    assert isinstance(answer, Refusal) and answer.status == 503
    assert answer.retry_after_seconds >= 1
    bench.clock.now += 1.0
    assert guard.breaker.state == "half-open"
    probe = let_in(guard.try_admit())
    assert probe.is_probe
    assert refused(guard.try_admit()) is Reason.BREAKER  # one probe at a time
    bench.clock.now += 0.1
    guard.finish(probe)
    assert guard.breaker.state == "closed"
    let_in(guard.try_admit())


def test_requests_at_work_may_give_back_what_is_over_the_watermark() -> None:
    bench = Bench(used=300, request_bytes=1, retry_seconds=2.0)
    ticket = let_in(bench.guard.try_admit())
    bench.use(950)
    for _ in range(3):
        assert refused(bench.guard.try_admit()) is Reason.MEMORY
        bench.clock.now += 0.6
    assert bench.guard.breaker.state == "closed"
    bench.use(300)
    let_in(bench.guard.try_admit())
    bench.use(950)
    assert refused(bench.guard.try_admit()) is Reason.MEMORY  # counted anew
    bench.clock.now += 2.0
    assert refused(bench.guard.try_admit()) is Reason.HARD_WATERMARK
    assert bench.guard.breaker.state == "open"
    bench.guard.finish(ticket)


def test_a_probe_that_finds_it_full_opens_it_for_twice_as_long() -> None:
    bench = Bench(used=950, request_bytes=1)
    bench.guard.try_admit()
    bench.use(300)
    for wait in (1.0, 2.0, 4.0):
        assert bench.guard.breaker.retry_after_seconds == wait
        bench.clock.now += wait
        probe = let_in(bench.guard.try_admit())
        bench.use(950)
        bench.guard.finish(probe)
        bench.use(300)
    assert bench.guard.breaker.state == "open"


def test_memory_that_stays_full_is_not_probed() -> None:
    bench = Bench(used=950, request_bytes=1)
    for _ in range(50):
        assert refused(bench.guard.try_admit()) is Reason.HARD_WATERMARK
        bench.clock.now += 1.5
    assert bench.guard.breaker.retry_after_seconds <= 1.0


def test_a_handler_that_runs_out_of_memory_opens_the_breaker() -> None:
    bench = Bench(request_bytes=1)
    with pytest.raises(MemoryError), bench.guard.place():
        raise MemoryError
    assert refused(bench.guard.try_admit()) is Reason.BREAKER


def test_a_place_is_given_back_whatever_happens() -> None:
    bench = Bench(max_concurrency=1, request_bytes=1)
    for _ in range(3):
        with suppress(ValueError), bench.guard.place():
            with pytest.raises(RequestRefused, match="concurrency"), bench.guard.place():
                raise AssertionError("let in")
            raise ValueError
    assert bench.guard.in_flight == 0
    assert bench.guard.status().failed == 3


def test_memory_that_cannot_be_read_limits_nothing_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(used=950, max_concurrency=3)
    bench.broken = True
    for _ in range(3):
        let_in(bench.guard.try_admit())
    assert refused(bench.guard.try_admit()) is Reason.CONCURRENCY
    assert len(caplog.records) == 1
    status = bench.guard.status()
    assert status.memory is None and status.is_ready and status.is_alive
    bench.broken = False
    assert bench.guard.status().memory is not None


def test_it_is_unready_at_once_and_dead_only_when_nothing_helps() -> None:
    bench = Bench(used=300, request_bytes=1, stuck_seconds=60)
    assert bench.guard.status().is_ready
    bench.use(950)
    ticket = None
    for _ in range(3):
        status = bench.guard.status()
        assert not status.is_ready and status.is_alive
        bench.clock.now += 29
    bench.clock.now += 5
    assert not bench.guard.status().is_alive
    bench.use(300)
    assert bench.guard.status().is_alive
    ticket = let_in(bench.guard.try_admit())
    bench.use(950)
    bench.clock.now += 1000
    assert bench.guard.status().is_alive  # a request is at work, which may give it back
    bench.guard.finish(ticket)


def test_readiness_may_have_a_share_of_its_own() -> None:
    bench = Bench(used=850, unready=0.8, request_bytes=1)
    assert bench.guard.status().reasons == ("memory",)
    let_in(bench.guard.try_admit())


def test_headroom_rate_and_time_to_the_limit_are_told() -> None:
    bench = Bench(used=100, request_bytes=1)
    for step in range(120):
        bench.use(100 + step)
        bench.request(seconds=1.0)
    status = bench.guard.status()
    assert status.growth is not None and status.growth.grows
    assert status.growth.bytes_per_second == pytest.approx(MIB, rel=0.02)
    left = status.headroom_bytes
    assert left == 781 * MIB
    assert status.seconds_to_out_of_memory == pytest.approx(781, rel=0.02)


def test_level_memory_has_no_time_to_the_limit() -> None:
    bench = Bench(used=100, request_bytes=1)
    for step in range(200):
        bench.use(100 + step % 7)
        bench.request(seconds=1.0)
    status = bench.guard.status()
    assert status.growth is not None and not status.growth.grows
    assert status.seconds_to_out_of_memory is None


def test_a_gpu_that_is_nearly_full_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    free = [500 * MIB]
    monkeypatch.setattr("leakhunt.guard.gpu_memory.gpu_free_bytes", lambda: free[0])
    bench = Bench(min_gpu_free="1 GiB", request_bytes=1)
    assert refused(bench.guard.try_admit()) is Reason.GPU_MEMORY
    assert bench.guard.status().reasons == ("gpu memory",)
    free[0] = 3000 * MIB
    bench.clock.now += 2
    let_in(bench.guard.try_admit())
    assert bench.guard.status().gpu_free_bytes == 3000 * MIB


def test_a_thread_waits_for_a_place() -> None:
    bench = Bench(max_concurrency=1, queue_seconds=20.0, request_bytes=1)
    first = let_in(bench.guard.try_admit())
    answers: list[Ticket | Refusal] = []
    waiting = threading.Thread(target=lambda: answers.append(bench.guard.admit()))
    waiting.start()
    while not bench.guard.status().waiting:
        pass
    bench.guard.finish(first)
    waiting.join(20)
    let_in(answers[0])


def test_a_thread_waits_no_longer_than_it_may() -> None:
    bench = Bench(max_concurrency=1, queue_seconds=0.05, request_bytes=1)
    let_in(bench.guard.try_admit())
    assert refused(bench.guard.admit()) is Reason.CONCURRENCY
    status = bench.guard.status()
    assert status.waiting == 0
    assert status.refused == {"concurrency": 1}


def test_coroutines_wait_for_a_place_in_their_order() -> None:
    bench = Bench(max_concurrency=1, queue_seconds=20.0, request_bytes=1)
    order: list[int] = []

    async def one(number: int) -> None:
        ticket = let_in(await bench.guard.admit_async())
        order.append(number)
        await asyncio.sleep(0)
        bench.guard.finish(ticket)

    async def all_of_them() -> None:
        await asyncio.gather(*map(one, range(20)))

    asyncio.run(all_of_them())
    assert order == list(range(20))
    assert bench.guard.in_flight == 0


def test_so_many_may_wait_and_no_more() -> None:
    bench = Bench(max_concurrency=1, max_waiting=2, queue_seconds=0.05, request_bytes=1)
    let_in(bench.guard.try_admit())

    async def all_of_them() -> list[Ticket | Refusal]:
        return await asyncio.gather(*(bench.guard.admit_async() for _ in range(5)))

    answers = asyncio.run(all_of_them())
    assert sorted(map(refused, answers)) == [Reason.CONCURRENCY] * 2 + [Reason.QUEUE] * 3


def test_a_coroutine_that_is_cancelled_while_it_waits_leaves_nothing() -> None:
    bench = Bench(max_concurrency=1, queue_seconds=20.0, request_bytes=1)
    first = let_in(bench.guard.try_admit())

    async def cancelled() -> None:
        task = asyncio.ensure_future(bench.guard.admit_async())
        await asyncio.sleep(0.01)
        assert bench.guard.status().waiting == 1
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert bench.guard.status().waiting == 0
    bench.guard.finish(first)
    let_in(bench.guard.try_admit())


def test_many_threads_never_exceed_the_places() -> None:
    guard = Guard(GuardConfig(max_concurrency=3, queue_seconds=5.0, request_bytes=1))
    highest = [0]
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(50):
                answer = guard.admit()
                if isinstance(answer, Ticket):
                    highest[0] = max(highest[0], guard.in_flight)
                    guard.finish(answer)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert not errors
    assert 1 <= highest[0] <= 3
    assert guard.in_flight == 0
    status = guard.status()
    assert status.served + sum(status.refused.values()) == 16 * 50


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_begins_with_nothing_in_flight_and_its_own_memory() -> None:
    guard = Guard(GuardConfig(max_concurrency=1, limit="100 GiB", request_bytes=1))
    held = guard.admit()
    assert isinstance(held, Ticket)
    reading, writing = os.pipe()
    with guard._lock:  # as another thread may hold it at that moment
        child = os.fork()
        if not child:
            code = 1
            try:
                ballast = b"x" * (64 * MIB)
                inside = guard.try_admit()
                own = psutil.Process().memory_info().rss
                is_own = abs(guard.rss_bytes() - own) < 4 * MIB
                guard.finish(held)
                fits = isinstance(inside, Ticket) and guard.in_flight == 1
                os.write(writing, f"{fits} {is_own} {len(ballast)}".encode())
                code = 0
            finally:
                os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(reading, 100).split()[:2] == [b"True", b"True"]
    guard.finish(held)


def test_the_limits_of_this_process_are_read() -> None:
    status = Guard().status()
    assert status.memory is not None
    assert 0 < status.memory.used_bytes < status.memory.limit_bytes
    assert status.rss_bytes > MIB


def test_a_guard_is_freed_with_its_service() -> None:
    import weakref

    guard = Guard()
    watched: Callable[[], Guard | None] = weakref.ref(guard)
    del guard
    gc.collect()
    assert watched() is None


def test_memory_is_read_as_often_as_what_is_left_asks_for() -> None:
    bench = Bench(used=100, request_bytes=1, read_seconds=0.010)
    reads = [0]

    def counting() -> MemoryUse:
        reads[0] += 1
        return bench.read()

    bench.guard._latest.read = counting

    def in_a_second() -> int:
        before = reads[0]
        for _ in range(200):
            bench.request(seconds=0.005)
        return reads[0] - before

    bench.limit = 8 << 30
    in_a_second()
    assert in_a_second() <= 3
    bench.limit = 1000 * MIB  # 800 MiB left: a fifth of a second at 4 GiB/s
    in_a_second()
    assert 8 <= in_a_second() <= 13
    bench.use(890)
    assert 60 <= in_a_second() <= 110


def test_nobody_is_refused_on_an_old_reading() -> None:
    bench = Bench(used=100, request_bytes=1)
    bench.request()
    bench.own.rss = 950 * MIB
    let_in(bench.guard.try_admit())  # the reading of a moment ago is good enough
    bench.use(950)
    assert refused(bench.guard.try_admit()) is Reason.MEMORY
    bench.own.rss = 200 * MIB
    bench.clock.now += 1.0
    let_in(bench.guard.try_admit())


def test_most_requests_take_few_calls_and_no_reading() -> None:
    """What the guard costs a request is calls: of a few lines each, in code that is cold."""
    clock, readings, calls = Clock(), [], []

    def read() -> MemoryUse:
        readings.append(clock.now)
        return MemoryUse(100 * MIB, 4096 * MIB, LimitSource.CGROUP_V2)

    def count(frame: Any, event: str, arg: object) -> None:
        if event == "call" and str(Path("leakhunt", "guard")) in frame.f_code.co_filename:
            calls.append(frame.f_code.co_qualname)

    guard = Guard(GuardConfig(max_concurrency=8), read=read, own=FakeMemory(100 * MIB), clock=clock)
    other = guard.try_admit()
    assert isinstance(other, Ticket)
    for _ in range(50):
        guard.finish(guard.try_admit())  # type: ignore[arg-type]
    readings.clear()
    sys.setprofile(count)
    for _ in range(10):
        guard.finish(guard.try_admit())  # type: ignore[arg-type]
    sys.setprofile(None)
    one = ["Guard.try_admit", "Counts.began", "Guard.finish", "Counts.ended"]
    assert calls == 10 * one
    assert readings == []
    clock.now += 5.0
    guard.finish(guard.try_admit())  # type: ignore[arg-type]
    assert readings == [clock.now]
    assert guard.status().served == 61 and guard.in_flight == 1


class QuietGuard(Guard):
    """One that releases nothing: the thread that does so may end at any time."""

    def release(self, use: MemoryUse) -> bool:
        return False


class CarefulGuard(QuietGuard):
    """... and that looks at each request in full."""

    def try_admit(self, body_bytes: int = 0) -> Ticket | Refusal:
        self._latest.admits_until = NEVER
        return super().try_admit(body_bytes)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_let_in_at_once_is_what_is_let_in_after_a_full_look(seed: int) -> None:
    chance = random.Random(seed)
    clock = Clock()
    memory = FakeMemory(100 * MIB)
    source = chance.choice([LimitSource.CGROUP_V2, LimitSource.HOST])
    used = [chance.randint(100, 900) * MIB]
    config = GuardConfig(
        max_concurrency=chance.choice([None, 3]),
        request_bytes=chance.choice([None, 50 * MIB]),
        queue_seconds=0,
    )
    guards = [
        kind(config, read=lambda: MemoryUse(used[0], 1000 * MIB, source), own=memory, clock=clock)
        for kind in (QuietGuard, CarefulGuard)
    ]
    tickets: list[list[Ticket]] = []
    let_in = 0
    for _ in range(400):
        clock.now += chance.choice([0.0, 0.001, 0.02, 0.3])
        used[0] = min(max(used[0] + chance.randint(-60, 60) * MIB, 50 * MIB), 990 * MIB)
        memory.rss = memory.peak = used[0]
        memory.live = used[0] // 2
        if tickets and chance.random() < 0.5:
            for guard, ticket in zip(guards, tickets.pop(chance.randrange(len(tickets))),
                                     strict=True):  # fmt: skip
                guard.finish(ticket)
            continue
        body = chance.choice([0, 1000, 100_000, 10_000_000])
        answers = [guard.try_admit(body) for guard in guards]
        assert len({type(answer) for answer in answers}) == 1
        taken = [answer for answer in answers if isinstance(answer, Ticket)]
        assert not taken or taken[0].expected_bytes == taken[1].expected_bytes
        assert not taken or taken[0].used_bytes == taken[1].used_bytes
        if taken:
            let_in += 1
            tickets.append(taken)
        assert guards[0].in_flight == guards[1].in_flight == len(tickets)
    assert let_in > 20


def test_nobody_is_let_in_at_once_on_a_reading_over_the_hard_watermark() -> None:
    clock, used = Clock(), [100 * MIB]
    guard = QuietGuard(
        GuardConfig(queue_seconds=0),
        read=lambda: MemoryUse(used[0], 1000 * MIB, LimitSource.HOST),
        own=FakeMemory(100 * MIB),
        clock=clock,
    )
    used[0] = 950 * MIB
    guard.status()
    assert isinstance(guard.try_admit(), Refusal)
