"""What early verdicts come to, and which workloads they are of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from early_runs import NO_VERDICT, SORTS, EarlyRun, figures, slowed, workloads

from leakhunt.scenario import find

FOUND = EarlyRun(
    "zoo:kept", "leaking", ("leak in Python",), "leak", "leak in Python", calls=60, seconds=50.0,
    named=True, cause="unbounded-list", wanted_cause="unbounded-list",
)  # fmt: skip
PASSED = EarlyRun("zoo:freed", "clean", ("clean",), "no_leak", "clean", calls=60, seconds=40.0)


def test_a_leak_that_is_called_clean_is_counted_by_itself() -> None:
    missed = replace(FOUND, status="no_leak", kind="clean", named=False, cause="")
    doubtful = replace(FOUND, status="inconclusive", kind="inconclusive", named=False, cause="")
    told = figures([FOUND, missed, doubtful])
    assert (told["leaking_runs"], told["found"], told["called_no_leak"]) == (3, 1, 1)
    assert (told["right_class"], told["named"]) == (1, 1)
    assert (told["causes_known"], told["causes_found"]) == (3, 1)
    assert told["median_seconds_to_leak"] == 50.0


def test_rare_leaks_are_neither_leaks_that_must_be_found_nor_false_alarms() -> None:
    rare = replace(FOUND, sort="rare")
    told = figures([rare, replace(rare, status="no_leak")])
    assert (told["leaking_runs"], told["false_alarms"]) == (0, 0)
    assert (told["rare_runs"], told["rare_found"], told["rare_called_no_leak"]) == (2, 1, 1)


def test_a_clean_workload_that_is_called_a_leak_is_a_false_alarm() -> None:
    alarm = replace(PASSED, status="leak", kind="leak in Python")
    told = figures([PASSED, alarm, replace(PASSED, status=NO_VERDICT, kind=NO_VERDICT)])
    assert (told["clean_runs"], told["false_alarms"], told["certified"]) == (3, 1, 1)
    assert told["median_seconds_to_leak"] is None


def test_caches_that_fill_later_are_counted_apart() -> None:
    filling = replace(PASSED, sort="filling", kind="bounded cache")
    told = figures([filling, replace(filling, status="leak", kind="leak in Python")])
    assert (told["clean_runs"], told["false_alarms"]) == (0, 0)
    assert (told["filling_runs"], told["filling_told"], told["filling_called_leaks"]) == (2, 1, 1)


@pytest.mark.parametrize("workload", workloads())
def test_the_zoo_knows_the_truth_of_each(workload: str) -> None:
    _, (variant,) = find.find(workload)
    leaks = not {each.value for each in variant.expect} & {"clean", "bounded cache"}
    assert leaks is (workloads()[workload] in ("leaking", "rare"))


def test_held_out_workloads_are_counted_by_themselves_too() -> None:
    kept = replace(FOUND, workload="leak-zoo-services:registered-at-exit")
    missed = replace(kept, status="no_leak")
    doubtful = replace(kept, status="inconclusive")
    told = figures([FOUND, kept, missed, doubtful])
    assert (told["held_out_runs"], told["held_out_right"], told["held_out_wrong"]) == (3, 1, 1)


def test_there_are_enough_of_both_and_none_twice() -> None:
    named = [
        f"{name}:{variant}"
        for sort in SORTS.values()
        for name, variants in sort.items()
        for variant in variants
    ]
    assert len(named) == len(set(named)) == len(workloads())
    sorts = list(workloads().values())
    assert sorts.count("leaking") >= 20 and sorts.count("clean") >= 20


def test_a_slowed_workload_is_the_same_with_a_pause(tmp_path: Path) -> None:
    scenario, (variant,) = find.find("leak-zoo-python-heap:list-append")
    file = slowed(scenario, variant, tmp_path / "python_heap", 0.25)
    _, (again,) = find.find(f"{file}:slowed")
    assert again.name == "slowed"
    text = file.read_text("utf-8")
    assert "time.sleep(0.25)" in text and "return list_append(state, item)" in text
