"""A cache by bytes."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from leakhunt.errors import UsageError
from leakhunt.guard import (
    ByteCache,
)
from leakhunt.guard.byte_cache import held_bytes

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
