from __future__ import annotations

import pytest
from conftest import MakeRun

from leakhunt.gate import Answer, Budget, Finding, check, overall
from leakhunt.model import Ending, Outcome

BASE = 100 << 20
BUDGET = Budget("live_heap", 4096.0)


def leak(rate: int, calls: int = 200) -> list[int]:
    return [BASE + rate * call for call in range(calls)]


def test_a_run_within_the_budget_passes(make_run: MakeRun) -> None:
    assert check(make_run(live_heap=leak(1000)), BUDGET).answer is Answer.WITHIN


def test_a_run_over_the_budget_fails(make_run: MakeRun) -> None:
    finding = check(make_run(live_heap=leak(5000)), BUDGET)
    assert finding.answer is Answer.OVER
    assert "the budget is 4.00 KiB/call" in finding.reason


def test_a_rate_whose_bounds_hold_the_budget_cannot_tell(make_run: MakeRun) -> None:
    wavy = [value + 3_000_000 * (index // 20 % 2) for index, value in enumerate(leak(4000))]
    assert check(make_run(live_heap=wavy), BUDGET).answer is Answer.CANNOT_TELL


def test_a_short_run_cannot_tell(make_run: MakeRun) -> None:
    assert check(make_run(live_heap=leak(0, 20)), BUDGET).answer is Answer.CANNOT_TELL


def test_a_killed_run_never_passes(make_run: MakeRun) -> None:
    run = make_run(outcome=Outcome(Ending.KILLED, "SIGKILL"), live_heap=leak(0))
    assert check(run, BUDGET).answer is Answer.CANNOT_TELL


def test_a_killed_run_may_still_be_over(make_run: MakeRun) -> None:
    run = make_run(outcome=Outcome(Ending.KILLED, "SIGKILL"), live_heap=leak(9999))
    assert check(run, BUDGET).answer is Answer.OVER


def test_an_empty_run_never_passes(make_run: MakeRun) -> None:
    assert check(make_run(), BUDGET).answer is Answer.NOTHING_MEASURED


def test_a_series_that_was_not_read_never_passes(make_run: MakeRun) -> None:
    finding = check(make_run(rss=leak(0)), BUDGET)
    assert finding.answer is Answer.NOTHING_MEASURED
    assert "no series 'live_heap'" in finding.reason


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([], 4),
        ([0, 0], 0),
        ([0, 3], 3),
        ([3, 4, 0], 4),
        ([4, 1, 3], 1),
    ],
)
def test_the_gravest_answer_is_the_answer(answers: list[int], verdict: int) -> None:
    assert overall([Finding("any", Answer(answer), "") for answer in answers]) == verdict
