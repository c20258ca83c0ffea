"""What a report holds beside verdict and ledger: order, price, the command that repeats it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from conftest import MakeRun
from made_soaks import Made, soak, soak_plan

from leakhunt.analysis.report import assemble, command_for
from leakhunt.analysis.verdict.cost import cost
from leakhunt.model.attribution import Instrument

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


@pytest.mark.parametrize(
    ("load", "changes", "expected"),
    [
        (
            {},
            {"source": "fsmn-vad-service", "options": {"lengths": "varied"}},
            "fsmn-vad-service:naive --users 4 --seed 0 --option lengths=varied",
        ),
        (
            {"requests_from": "load.py", "duration_seconds": 600.0},
            {"resolve": True, "memory_limit_bytes": 2 << 30},
            "--command 'uvicorn service:app --port {port}' --locustfile load.py --users 4"
            " --duration 600s --resolve --seed 0 --memory-limit 2147483648",
        ),
        (
            {"service": "./serve --fast", "target": "http://127.0.0.1:81"},
            {"calls": 4000},
            "--command './serve --fast' --url http://127.0.0.1:81 --audio FOLDER --post PATH"
            " --users 4 --requests 4000 --seed 0",
        ),
        (
            {"service": "pid 4711", "requests_from": "load.py"},
            {"timeout_seconds": 30.0},
            "--pid 4711 --url http://127.0.0.1:8000 --locustfile load.py --users 4 --seed 0"
            " --timeout 30",
        ),
    ],
)
def test_a_soak_is_repeated_by_a_soak(
    load: dict[str, Any], changes: dict[str, Any], expected: str
) -> None:
    assert command_for([soak_plan(Made(load=load, plan=changes))]) == f"leakhunt soak {expected}"


def test_variants_of_a_described_service_are_repeated_together() -> None:
    plans = [
        soak_plan(Made(plan={"source": "vad", "variant": variant})) for variant in ("a", "b", "a")
    ]
    assert command_for(plans).startswith("leakhunt soak vad:a,b --users")


def test_a_soak_that_was_hunted_is_hunted_again() -> None:
    plan = soak_plan(Made())
    watched = replace(plan, instrument=Instrument.TRACEMALLOC)
    assert command_for([plan], [plan, watched]).endswith(" --seed 0 --hunt")
    assert "--hunt" not in command_for([plan], [plan])


def test_a_soak_has_its_landing_and_a_run_has_none(make_run: MakeRun) -> None:
    soaked, called = assemble([soak(Made(failing=0.1)), make_run(rss=[1, 2, 3])], "test").entries
    assert soaked.load_summary is not None and soaked.load_summary.failed > 0
    assert called.load_summary is None
