"""Budgets for cyclic garbage: objects per call that the collector has to free."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from conftest import MakeRun
from made_findings import CALLS, cycle, watched

from leakhunt.analysis.gate.check import check_all
from leakhunt.analysis.gate.decide import answer_on
from leakhunt.analysis.report import assemble
from leakhunt.config.budgets import parse_budget
from leakhunt.errors import UsageError
from leakhunt.model.attribution import Instrument
from leakhunt.model.gate import Acceptance, BudgetResult, GateAnswer, Terms
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending, Outcome, Reading, Run
from leakhunt.model.series import GARBAGE_OBJECTS, Unit

TODAY = date(2026, 11, 28)


def measured(make_run: MakeRun, *counts: int) -> Run:
    """A flat run whose collections had freed so many objects after 100, 200 and 300 calls."""
    calls = (100, 200, CALLS)
    readings = [
        Reading("look_collected", {GARBAGE_OBJECTS: count}, at)
        for at, count in zip(calls, counts, strict=False)
    ]
    flat = {"live_heap": [5000] * CALLS, "python_blocks": [1000] * CALLS}
    return make_run(readings=readings, **flat)


def entry(run: Run) -> JudgedRun:
    return assemble([run], "test").entries[0]


def checked(run: Run, text: object) -> BudgetResult:
    return check_all([entry(run)], [parse_budget(GARBAGE_OBJECTS, text)])[0]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("5/call", GateAnswer.WITHIN_BUDGET),
        ("4/call", GateAnswer.INCONCLUSIVE),
        ("2/call", GateAnswer.OVER_BUDGET),
        (0, GateAnswer.OVER_BUDGET),
    ],
)
def test_the_objects_of_each_call_are_held_against_the_budget(
    make_run: MakeRun, text: object, answer: GateAnswer
) -> None:
    found = checked(measured(make_run, 50, 350, 850), text)
    assert (found.answer, found.unit) == (answer, Unit.COUNT)
    assert (found.estimate, found.low, found.high) == (4, 3, 5)


def test_a_run_without_garbage_keeps_a_budget_of_none(make_run: MakeRun) -> None:
    assert checked(measured(make_run, 7, 7, 7), 0).answer is GateAnswer.WITHIN_BUDGET


def test_garbage_that_was_not_counted_is_not_measured(make_run: MakeRun) -> None:
    found = checked(measured(make_run, 7, 7), 0)
    assert found.answer is GateAnswer.NOT_MEASURED
    assert "fewer than three collections" in str(found.reason)


def test_a_run_that_ended_early_is_no_pass(make_run: MakeRun) -> None:
    run = replace(measured(make_run, 7, 7, 7), outcome=Outcome(Ending.KILLED, "SIGKILL"))
    assert checked(run, 0).answer is GateAnswer.INCONCLUSIVE


@pytest.mark.parametrize("text", ["100 total", "+5/call", "+10 %", "2 KiB/call", "100", -1])
def test_what_is_no_budget_of_garbage_is_refused(text: object) -> None:
    with pytest.raises(UsageError, match=r"garbage_objects: .*"):
        parse_budget(GARBAGE_OBJECTS, text)


@pytest.mark.parametrize("also_heap", [False, True])
def test_an_accepted_cycle_keeps_the_budget_that_it_breaks(
    make_run: MakeRun, also_heap: bool
) -> None:
    """A cycle of five objects in each call; to the heap it is no growth."""
    run = measured(make_run, 50, 550, 1050)
    again = replace(watched(cycle()), plan=replace(run.plan, instrument=Instrument.GARBAGE))
    (judged,) = assemble([run, again], "test").entries
    assert judged.attribution is not None
    (suspect,) = judged.attribution.suspects
    budgets = [parse_budget(GARBAGE_OBJECTS, "1/call")]
    budgets += [parse_budget("live_heap", "1 KiB/call")] if also_heap else []
    accepted = Acceptance(suspect.fingerprint, "known", TODAY, "leakhunt.toml:3")
    over = answer_on([judged], Terms(tuple(budgets), (), TODAY))
    assert over.answer is GateAnswer.OVER_BUDGET and over.suspects == (suspect,)
    kept = answer_on([judged], Terms(tuple(budgets), (accepted,), TODAY))
    assert kept.answer is GateAnswer.WITHIN_BUDGET and kept.suspects == ()


def test_garbage_beside_what_is_accepted_still_counts(make_run: MakeRun) -> None:
    run = measured(make_run, 50, 2050, 4050)
    again = replace(watched(cycle()), plan=replace(run.plan, instrument=Instrument.GARBAGE))
    (judged,) = assemble([run, again], "test").entries
    assert judged.attribution is not None
    accepted = Acceptance(judged.attribution.suspects[0].fingerprint, "known", TODAY, "a.toml:3")
    terms = Terms((parse_budget(GARBAGE_OBJECTS, "1/call"),), (accepted,), TODAY)
    assert answer_on([judged], terms).answer is GateAnswer.OVER_BUDGET
