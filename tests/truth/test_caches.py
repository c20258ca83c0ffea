"""The caches of the zoo: what is known of them is what a run past their bounds shows."""

from __future__ import annotations

import json

import pytest
from cache_bounds import BOUNDS, DATA, LEAKING, Measured, in_a_process, workloads, wrong

RATES = dict(workloads())
CLEAN = [workload for workload, rate in RATES.items() if not rate]
TWINS = [workload for workload, rate in RATES.items() if rate]
# Caches as they were met in real services, and twins of theirs that leak.
BRIEF = (
    "leak-zoo-caches:statements-pruned",
    "leak-zoo-caches:schemas-by-object",
    "leak-zoo-caches:builders-by-frame",
    "leak-zoo-caches:glyphs-at-random",
    f"{LEAKING}:handles-freed",
    f"{LEAKING}:keys-kept-beside-the-cache",
    f"{LEAKING}:plans-not-pruned",
)


def test_every_cache_says_where_it_ends_and_every_twin_how_fast_it_leaks() -> None:
    assert sorted(BOUNDS) == sorted(CLEAN)
    assert all(workload.startswith(f"{LEAKING}:") for workload in TWINS)
    assert len(CLEAN) >= 26
    assert len(TWINS) >= 8
    for workload, bound in BOUNDS.items():
        assert 50 <= bound.calls <= 4000, workload


def test_the_committed_bounds_cover_the_caches_and_are_as_said() -> None:
    rows = json.loads(DATA.read_bytes())["workloads"]
    assert {row["workload"]: row.pop("leaks") for row in rows} == {
        workload: bool(rate) for workload, rate in RATES.items()
    }
    faults = {row["workload"]: wrong(Measured(**row), RATES[row["workload"]]) for row in rows}
    assert not {workload: fault for workload, fault in faults.items() if fault}


@pytest.mark.parametrize("workload", BRIEF)
def test_a_cache_is_level_past_its_bound_and_a_twin_is_not(workload: str) -> None:
    assert wrong(in_a_process(workload), RATES[workload]) == ""


def test_what_is_not_as_said_is_told() -> None:
    cache, twin = "leak-zoo-caches:schemas-by-object", f"{LEAKING}:plans-not-pruned"
    size = round(BOUNDS[cache].mib * 2**20)
    level = Measured(cache, 5120, 1024, size, 0, 0.0)
    assert wrong(level, 0) == ""
    assert "not level" in wrong(Measured(cache, 5120, 1024, size, size // 10, 100.0), 0)
    assert "ends at" in wrong(Measured(cache, 5120, 1024, size * 2, 0, 0.0), 0)
    assert "full after" in wrong(Measured(cache, 5120, 3000, size, 0, 0.0), 0)
    assert "grows by" in wrong(Measured(twin, 5000, 5000, size, 0, 0.0), RATES[twin])
