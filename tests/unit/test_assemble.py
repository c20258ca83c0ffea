"""What a report holds beside verdict and ledger: order, price, the command that repeats it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import MakeRun

from leakhunt.assemble import assemble
from leakhunt.verdict.cost import cost

MS = 1_000_000


def test_the_reference_comes_first_and_the_others_as_they_were_run(make_run: MakeRun) -> None:
    started = {"slow": "01", "naive": "02", "quick": "00"}
    runs = [
        replace(make_run(plan_changes={"variant": name}, rss=[1, 2]), started_at=moment)
        for name, moment in started.items()
    ]
    report = assemble(runs, "test")
    assert [entry.variant for entry in report.entries] == ["naive", "quick", "slow"]


def test_the_price_is_the_median_time_after_the_warm_up(make_run: MakeRun) -> None:
    reference = make_run(plan_changes={"warmup": 1}, duration=[900 * MS, 10 * MS, 10 * MS])
    dearer = make_run(plan_changes={"warmup": 1}, duration=[1 * MS, 20 * MS, 30 * MS, 40 * MS])
    found = cost(dearer, reference)
    assert found is not None
    assert found.median_seconds == pytest.approx(0.030)
    assert found.ratio == pytest.approx(3.0)
    assert found.lower_quartile_seconds < 0.030 < found.upper_quartile_seconds


def test_runs_on_other_inputs_are_not_compared(make_run: MakeRun) -> None:
    reference = make_run(results={0: 1}, rss=[1], duration=[MS])
    other = make_run(
        results={0: 1}, plan_changes={"variant": "b", "seed": 9}, rss=[1], duration=[MS]
    )
    entry = assemble([reference, other], "test").entries[1]
    assert entry.difference is None
    assert entry.cost is not None and entry.cost.ratio is None


def test_the_command_repeats_the_runs(make_run: MakeRun) -> None:
    changes = {
        "source": "made.py", "calls": 9, "warmup": 2, "options": {"lengths": "fixed; rm -rf"},
        "threads": 3,
    }  # fmt: skip
    command = assemble([make_run(plan_changes=changes, rss=[1])], "test").command
    assert command == (
        "leakhunt run made.py:naive --calls 9 --warmup 2 --seed 0 --threads 3 --device cpu"
        " --option 'lengths=fixed; rm -rf'"
    )
