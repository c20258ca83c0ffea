"""What runs of caches come to."""

from __future__ import annotations

from dataclasses import replace

from cache_runs import NO_VERDICT, CacheRun, figures

FILLED = CacheRun(
    "zoo:cache", 0, False, "no_leak", "bounded cache", calls=2000, seconds=20, ceiling_bytes=1100
)
CEILINGS = {"zoo:cache": 1000}


def test_a_cache_that_is_called_a_leak_is_a_false_positive() -> None:
    alarm = replace(FILLED, status="leak", kind="leak in Python", ceiling_bytes=None)
    came_to = figures([FILLED] * 3 + [alarm], CEILINGS)
    assert (came_to["clean_runs"], came_to["false_alarms"]) == (4, 1)
    assert came_to["false_alarms_per_100"] == 25.0
    assert came_to["certified"] == 3


def test_neither_doubt_nor_failure_is_right() -> None:
    for status in ("inconclusive", NO_VERDICT):
        for leaks in (False, True):
            doubtful = replace(FILLED, status=status, leaks=leaks)
            assert not doubtful.is_right
            assert not doubtful.is_false_alarm


def test_ceilings_are_compared_with_the_truth() -> None:
    far = replace(FILLED, ceiling_bytes=3000, verified=True)
    silent = replace(FILLED, ceiling_bytes=None)
    came_to = figures([FILLED, far, silent], CEILINGS)
    assert came_to["ceilings_said"] == 2
    assert came_to["ceilings_verified"] == 1
    assert came_to["ceilings_within_a_quarter"] == 1
    assert came_to["median_ceiling_of_truth"] == 2.05


def test_leaks_are_counted_with_the_calls_that_they_took() -> None:
    found = replace(FILLED, leaks=True, status="leak", calls=400, seconds=30.0)
    missed = replace(found, status="no_leak", calls=9000)
    came_to = figures([found, missed], {})
    assert (came_to["leaking_runs"], came_to["found"]) == (2, 1)
    assert came_to["median_calls_to_leak"] == 400
    assert came_to["false_alarms_per_100"] is None
