"""Jobs whose time-out frees their worker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from leakhunt.guard import (
    JobCrashed,
    JobPool,
    JobPoolConfig,
    JobsFull,
    JobTimedOut,
)

MIB = 1 << 20


def sleep_for_ever() -> None:
    time.sleep(1000)


def pid_after(seconds: float = 0.0) -> int:
    time.sleep(seconds)
    return os.getpid()


def crash() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    raise ValueError("as it was told")


def grow(mib: int) -> int:
    held.append(bytearray(mib * MIB))
    return os.getpid()


def rss_bytes() -> int:
    return psutil.Process().memory_info().rss


def unpicklable() -> object:
    return lambda: None


held: list[bytearray] = []


@pytest.fixture(scope="module")
def pool() -> Iterator[JobPool]:
    # One process, started by fork: what is tested is the pool, and a spawn takes a second here.
    with JobPool(JobPoolConfig(workers=1, max_waiting=2, start_method="fork")) as made:
        yield made


def test_a_job_answers_and_its_process_is_used_again(pool: JobPool) -> None:
    first = pool.submit(pid_after).result(60)
    assert first != os.getpid()
    assert pool.submit(pid_after).result(60) == first


def test_a_job_that_fails_says_why(pool: JobPool) -> None:
    with pytest.raises(ValueError, match="as it was told"):
        pool.submit(fail).result(60)


def test_a_time_out_ends_the_process_and_the_next_job_is_done(pool: JobPool) -> None:
    before = pool.submit(pid_after).result(60)
    with pytest.raises(JobTimedOut, match=r"longer than 0\.2 s"):
        pool.submit(sleep_for_ever, timeout_seconds=0.2).result(60)
    assert not psutil.pid_exists(before)
    assert pool.submit(pid_after).result(60) != before


def test_a_process_that_is_killed_is_told_and_replaced(pool: JobPool) -> None:
    with pytest.raises(JobCrashed, match="exit code -9"):
        pool.submit(crash).result(60)
    assert pool.submit(pid_after).result(60)


def test_a_result_that_cannot_be_sent_is_told(pool: JobPool) -> None:
    with pytest.raises(JobCrashed):
        pool.submit(unpicklable).result(60)


def test_a_process_that_has_grown_is_replaced_after_its_job(pool: JobPool) -> None:
    # A fork's RSS is far below its parent's: pages of libraries are not copied.
    most = pool.submit(rss_bytes).result(60) + 50 * MIB
    with JobPool(JobPoolConfig(workers=1, max_bytes=most, start_method="fork")) as growing:
        small = growing.submit(grow, 1).result(60)
        large = growing.submit(grow, 100).result(60)
        assert large == small
        after = growing.submit(pid_after).result(60)
        assert after != large
        assert not psutil.pid_exists(large)


def test_so_many_jobs_wait_and_no_more(pool: JobPool) -> None:
    running = [pool.submit(pid_after, 0.5) for _ in range(3)]
    with pytest.raises(JobsFull):
        pool.submit(pid_after)
    assert len({each.result(60) for each in running}) == 1
    pool.submit(pid_after).result(60)


def test_a_closed_pool_leaves_no_process() -> None:
    pool = JobPool(JobPoolConfig(workers=1, start_method="fork"))
    pid = pool.submit(pid_after).result(60)
    stuck = pool.submit(sleep_for_ever)
    waits = pool.submit(pid_after)
    while pool.pids and not stuck.running():
        time.sleep(0.01)
    pool.close(wait_seconds=0.1)
    assert not psutil.pid_exists(pid)
    assert waits.cancelled()
    with pytest.raises(JobsFull):
        pool.submit(pid_after)


def test_jobs_run_in_fresh_processes_by_default() -> None:
    with JobPool(JobPoolConfig(workers=1)) as pool:
        assert pool.submit(os.getpid).result(120) in pool.pids
