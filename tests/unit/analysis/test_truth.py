"""Holding verdicts against the truth: what counts as right, and what many trials come to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import MakeRun

from leakhunt.analysis.evaluation import confusion, score, trial, upper_bound
from leakhunt.analysis.verdict.judge import judge
from leakhunt.model.evaluation import Trial
from leakhunt.model.kinds import Kind
from leakhunt.model.scenario import Variant
from leakhunt.model.verdict import Status
from leakhunt.reporting.evaluation import tables


def tried(**changes: Any) -> Trial:
    """A leak of 1,000 bytes a call in Python, found and put in the right class."""
    fields: dict[str, Any] = {
        "scenario": "leak-zoo-python-heap",
        "variant": "list-append",
        "seed": 0,
        "expect": (Kind.PYTHON_LEAK,),
        "rate": 1000.0,
        "status": Status.LEAK,
        "kind": Kind.PYTHON_LEAK,
        "found_rate": 1010.0,
        "calls": 300,
        "samples": 250,
    }
    return Trial(**fields | changes)


CLEAN: dict[str, Any] = {
    "variant": "clean",
    "expect": (Kind.CLEAN, Kind.BOUNDED_CACHE),
    "rate": 0.0,
    "status": Status.NO_LEAK,
    "kind": Kind.BOUNDED_CACHE,
    "found_rate": None,
}


def test_a_leak_is_right_only_in_its_class() -> None:
    assert tried().is_right
    assert not tried(kind=Kind.NATIVE_LEAK).is_right
    assert not tried(status=Status.INCONCLUSIVE, kind=Kind.INCONCLUSIVE).is_right


def test_a_clean_run_is_right_unless_it_is_called_a_leak() -> None:
    assert tried(**CLEAN).is_right
    assert tried(**CLEAN | {"status": Status.INCONCLUSIVE, "kind": Kind.INCONCLUSIVE}).is_right
    assert not tried(**CLEAN | {"status": Status.LEAK, "kind": Kind.PYTHON_LEAK}).is_right


def test_the_score_counts_each_thing_once() -> None:
    alarm = CLEAN | {"status": Status.LEAK, "kind": Kind.PYTHON_LEAK}
    unsure = CLEAN | {"status": Status.INCONCLUSIVE, "kind": Kind.INCONCLUSIVE}
    found = score(
        [
            tried(),
            tried(kind=Kind.NATIVE_LEAK, calls=500),
            tried(status=Status.INCONCLUSIVE, kind=Kind.INCONCLUSIVE),
            tried(**CLEAN),
            tried(**alarm),
            tried(**unsure),
        ]
    )
    assert (found.clean_runs, found.false_alarms, found.certified) == (3, 1, 1)
    assert (found.leaking_runs, found.found, found.classed) == (3, 2, 1)
    assert found.median_calls == 400


@pytest.mark.parametrize(
    ("events", "trials", "bound"), [(0, 500, 0.00597), (1, 100, 0.0466), (3, 3, 1.0), (0, 0, 1.0)]
)
def test_the_bound_is_clopper_and_pearsons(events: int, trials: int, bound: float) -> None:
    assert upper_bound(events, trials) == pytest.approx(bound, rel=0.01)


def test_a_second_right_answer_stands_on_the_diagonal() -> None:
    table = confusion([tried(**CLEAN), tried(**CLEAN | {"kind": Kind.GARBAGE})])
    assert table == {Kind.CLEAN: {Kind.CLEAN: 1, Kind.GARBAGE: 1}}
    headings, body = tables.confusion_rows(table)
    assert headings[1:] == [Kind.GARBAGE, Kind.CLEAN]
    assert body == [("clean", "1", "1")]


def test_a_trial_takes_its_rate_from_what_is_counted(make_run: MakeRun) -> None:
    run = make_run(live_heap=[5000 * call for call in range(300)], descriptors=list(range(300)))
    variant = Variant("x", "x", "", ("cpu",), (Kind.RESOURCE_GROWTH,), 1)
    made = trial(run, judge(run), variant)
    assert (made.kind, made.found_rate, made.calls) == (Kind.RESOURCE_GROWTH, 1, 300)
    assert made.is_right


def test_trials_survive_being_written_and_read() -> None:
    trials = [tried(), tried(**CLEAN)]
    data = tables.to_json(trials, {"date": "2026-11-21"}, score(trials))
    assert tables.from_json(data) == trials
    assert json.loads(data)["score"]["leaking_runs"] == 1


def test_the_table_has_a_row_a_workload_and_says_how_many_were_right() -> None:
    (row,) = tables.rows([tried(), tried(seed=1, kind=Kind.NATIVE_LEAK)])
    assert row[0] == "python-heap:list-append"
    assert row[-1] == "1 of 2"
    assert "leak in native code" in row[2]
    assert tables.markdown(tables.HEADINGS, [row]).count("\n") == 2
