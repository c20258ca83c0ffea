"""A cache by bytes, temporary files, and jobs whose time-out frees their worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from leakhunt.errors import UsageError
from leakhunt.guard import (
    ByteCache,
    JobCrashed,
    JobPool,
    JobPoolConfig,
    JobsFull,
    JobTimedOut,
    temporary_scope,
)
from leakhunt.guard.bounds import held_bytes, remove_leftovers

MIB = 1 << 20


def test_a_cache_never_holds_more_bytes_than_it_may() -> None:
    cache: ByteCache[int, bytes] = ByteCache(100, size_of=len)
    for key in range(10):
        assert cache.put(key, bytes(30))
        assert cache.bytes <= 100
    assert len(cache) == 3
    assert cache.get(9) == bytes(30)
    assert cache.get(0) is None
    assert (cache.hits, cache.misses) == (1, 1)


def test_what_was_used_last_stays() -> None:
    cache: ByteCache[str, bytes] = ByteCache(90, size_of=len)
    for key in "abc":
        cache.put(key, bytes(30))
    cache.get("a")
    cache.put("d", bytes(30))
    assert cache.get("a") is not None
    assert cache.get("b") is None


def test_a_value_larger_than_the_cache_is_not_held_and_drops_none() -> None:
    cache: ByteCache[str, bytes] = ByteCache(90, size_of=len)
    cache.put("a", bytes(30))
    assert not cache.put("large", bytes(91))
    assert cache.get("a") is not None
    assert not cache.put("a", bytes(91))  # nor does an old value of that key stay
    assert cache.get("a") is None
    assert cache.bytes == 0


def test_old_values_are_not_answered() -> None:
    now = [0.0]
    cache: ByteCache[str, int] = ByteCache(90, ttl_seconds=10, clock=lambda: now[0])
    cache.put("a", 1)
    now[0] = 9.9
    assert cache.get("a") == 1
    now[0] = 10.0
    assert cache.get("a") is None
    assert len(cache) == 0


def test_a_value_is_made_once_even_if_it_is_none() -> None:
    cache: ByteCache[str, None] = ByteCache(1000)
    made: list[int] = []
    for _ in range(3):
        assert cache.get_or_make("a", lambda: made.append(1)) is None
    assert made == [1]


def test_a_cache_of_no_size_is_refused() -> None:
    with pytest.raises(UsageError, match="expected 1 or more"):
        ByteCache(0)


def test_many_threads_keep_the_count_right() -> None:
    cache: ByteCache[int, bytes] = ByteCache(10_000, size_of=len)

    def work(seed: int) -> None:
        for step in range(2000):
            key = (seed * 7919 + step * 31) % 97
            cache.get_or_make(key, lambda key=key: bytes(100 + key))  # type: ignore[misc]

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert cache.bytes == sum(len(value) for value, _, _ in cache._items.values()) <= 10_000


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        (bytes(1000), 1000, 1100),
        ("x" * 1000, 1000, 1100),
        (np.zeros(1000), 8000, 8300),
        (np.zeros(1000)[10:], 7900, 8300),
        ([bytes(1000)] * 100_000, 100_000_000, 104_500_000),
        ({"sound": np.zeros(1000), "text": "a"}, 8000, 9000),
    ],
)
def test_the_size_of_a_result(value: object, least: int, most: int) -> None:
    assert least <= held_bytes(value) <= most


def test_a_tensor_counts_with_its_storage() -> None:
    torch = pytest.importorskip("torch")
    assert 4000 <= held_bytes(torch.zeros(1000)) <= 4300


def test_temporary_files_go_whatever_happens(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), temporary_scope(tmp_path) as folder:
        (folder / "speech.wav").write_bytes(bytes(10))
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_files_of_a_killed_process_go_with_the_next_scope(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from leakhunt.guard import temporary_scope\n"
        "with temporary_scope(sys.argv[1]) as folder:\n"
        "    (folder / 'left.wav').write_bytes(bytes(10))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    with temporary_scope(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]
        # Nobody takes away what belongs to a process that lives.
        assert remove_leftovers(tmp_path) == 0
    assert not list(tmp_path.iterdir())


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


def unpicklable() -> object:
    return lambda: None


held: list[bytearray] = []


@pytest.fixture(scope="module")
def pool() -> Iterator[JobPool]:
    # One process, started by fork: what is tested is the pool, and a spawn takes a second here.
    # A fork holds what this process does.
    most = psutil.Process().memory_info().rss + 50 * MIB
    config = JobPoolConfig(workers=1, max_waiting=2, max_bytes=most, start_method="fork")
    with JobPool(config) as made:
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
    large = pool.submit(grow, 600).result(60)
    after = pool.submit(pid_after).result(60)
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
