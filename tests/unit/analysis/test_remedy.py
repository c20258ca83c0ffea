"""What a remedy saves and costs: intervals over rounds, and what is the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import MakeRun

from leakhunt.analysis.attribution.remedy import interval, remedy_trials
from leakhunt.model.plan import Role
from leakhunt.model.run import Reading, Run

CALLS = 100
MS = 1_000_000


def test_an_interval_is_students() -> None:
    found = interval([1.0, 2.0, 3.0])
    assert found.estimate == 2.0
    # t of 2 degrees of freedom, 95 % two-sided, times 1 / sqrt(3).
    assert found.high - found.estimate == pytest.approx(4.303 / 3**0.5, rel=1e-3)
    assert interval([5.0, 5.0]).low == 5.0


@pytest.fixture
def taken(make_run: MakeRun) -> list[Run]:
    """Two rounds: 4,000 bytes a call before, and 10 after at twice the time."""
    runs = []
    for turn in (1, 2):
        for role, rate, time in ((Role.BEFORE, 4000, 10), (Role.AFTER, 10, 20)):
            heap = {step: 1000 + rate * step for step in (25, 60, CALLS)}
            readings = [Reading("start", {"live_heap": 0, "rss": 0}, 0)]
            readings += [
                Reading("look_collected", {"live_heap": size}, at) for at, size in heap.items()
            ]
            readings += [
                Reading("end", {"rss": rate * CALLS}, CALLS),
                Reading("trimmed", {"live_heap": heap[CALLS]}, CALLS),
            ]
            run = make_run(
                live_heap=[rate * call for call in range(CALLS)],
                duration=[time * MS + turn] * CALLS,
                readings=readings,
                results={call: call for call in range(CALLS)},
                plan_changes={"role": role, "remedy": "LESS=1", "round": turn},
            )
            runs.append(replace(run, started_at=f"{turn}{role}"))
    return runs


def test_a_remedy_is_told_with_its_price(taken: list[Run]) -> None:
    (trial,) = remedy_trials(taken)
    assert (trial.variant, trial.remedy, trial.pairs) == ("naive", "LESS=1", 2)
    assert trial.before == pytest.approx(4000)
    assert trial.after == pytest.approx(10)
    assert trial.saved is not None
    assert trial.saved.low == pytest.approx(3990)
    assert trial.saved_rss_bytes.estimate == pytest.approx(3990 * CALLS)
    assert trial.time_ratio.estimate == pytest.approx(2, rel=1e-3)
    assert (trial.compared, trial.differing) == (200, 0)
    assert "saves 3.90 KiB/call" in str(trial.sentence)
    assert "2.00 × time per call (2.00 to 2.00)" in str(trial.sentence)


def test_results_that_differ_are_counted(taken: list[Run]) -> None:
    other = [
        replace(run, results={call: -call for call in range(CALLS)})
        if run.plan.role is Role.AFTER
        else run
        for run in taken
    ]
    (trial,) = remedy_trials(other)
    assert trial.differing == 2 * (CALLS - 1)
    assert "198 of 200 results differ" in str(trial.sentence)


def test_one_round_or_a_run_that_was_killed_is_no_trial(taken: list[Run]) -> None:
    assert remedy_trials(taken[:3]) == ()
    killed = [*taken[:3], replace(taken[3], readings=())]
    assert remedy_trials(killed) == ()


def test_a_remedy_that_makes_it_worse_is_told_so(taken: list[Run]) -> None:
    swapped = {Role.BEFORE: Role.AFTER, Role.AFTER: Role.BEFORE}
    turned = [replace(run, plan=replace(run.plan, role=swapped[run.plan.role])) for run in taken]
    (trial,) = remedy_trials(turned)
    assert "increases growth by 3.90 KiB/call" in str(trial.sentence)


def served_by(runs: list[Run], before: str, after: str) -> list[Run]:
    """The runs, with what served malloc before and after."""
    names = {Role.BEFORE: before, Role.AFTER: after}
    return [
        replace(run, environment={"allocator": f"{names[run.plan.role]} 1.2 (preloaded)"})
        for run in runs
    ]


def test_another_allocators_rounding_is_no_saving(taken: list[Run]) -> None:
    nearly = [_scaled(run, 3900 / 10) if run.plan.role is Role.AFTER else run for run in taken]
    (trial,) = remedy_trials(served_by(nearly, "glibc", "jemalloc"))
    assert trial.saved is not None
    assert trial.saved.low == pytest.approx(100)
    assert not trial.saves
    assert "no saving" in str(trial.sentence)
    (same,) = remedy_trials(served_by(nearly, "glibc", "glibc"))
    assert same.saves, "under one allocator a hundred bytes are a hundred bytes"


def test_another_allocator_that_really_saves_is_told(taken: list[Run]) -> None:
    (trial,) = remedy_trials(served_by(taken, "glibc", "jemalloc"))
    assert trial.saves
    assert "saves 3.90 KiB/call of 3.91 KiB/call" in str(trial.sentence)


def test_an_allocator_that_does_not_tell_what_is_in_use_saves_nothing_that_is_known(
    taken: list[Run],
) -> None:
    why = "malloc is served by something that does not tell"
    silent = [_heap_unread(run, why) if run.plan.role is Role.AFTER else run for run in taken]
    (trial,) = remedy_trials(served_by(silent, "glibc", "mimalloc"))
    assert (trial.before, trial.after, trial.saved) == (None, None, None)
    assert not trial.saves
    assert str(trial.sentence).startswith(
        f"naive with LESS=1: live memory cannot be compared ({why});"
    )
    assert trial.saved_rss_bytes.estimate == pytest.approx(3990 * CALLS)


def _scaled(run: Run, factor: float) -> Run:
    """The run with its live heap grown by a multiple."""
    readings = tuple(
        replace(
            reading,
            values={
                name: 1000 + round((size - 1000) * factor) if name == "live_heap" and size else size
                for name, size in reading.values.items()
            },
        )
        for reading in run.readings
    )
    heap = [round(size * factor) for size in run.samples["live_heap"]]
    return replace(run, readings=readings, samples={**run.samples, "live_heap": heap})


def _heap_unread(run: Run, why: str) -> Run:
    """The run, of a process whose allocator does not say what is in use."""
    samples = {name: values for name, values in run.samples.items() if name != "live_heap"}
    readings = tuple(
        replace(each, values={name: v for name, v in each.values.items() if name != "live_heap"})
        for each in run.readings
    )
    return replace(
        run,
        samples={**samples, "python_blocks": [0] * CALLS},
        readings=readings,
        unavailable={"live_heap": why},
    )
