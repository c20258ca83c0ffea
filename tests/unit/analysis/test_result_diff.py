from __future__ import annotations

import pytest
from conftest import MakeRun

from leakhunt.analysis.verdict.result_diff import difference, disagreement

Segments = list[list[float]]


@pytest.mark.parametrize(
    ("left", "right", "apart"),
    [
        ([], [], 0),
        ([[0, 10]], [[0, 10]], 0),
        ([[0, 10]], [], 10),
        ([[0, 10]], [[5, 15]], 10),
        ([[0, 10], [20, 30]], [[0, 30]], 10),
        ([[0, 5], [5, 10]], [[0, 10]], 0),
        ([[0, 10], [5, 12]], [[0, 12]], 0),
    ],
)
def test_disagreement_is_the_time_that_only_one_of_two_covers(
    left: Segments, right: Segments, apart: float
) -> None:
    assert disagreement(left, right) == apart
    assert disagreement(right, left) == apart


def test_intervals_are_compared_over_the_calls_that_both_finished(make_run: MakeRun) -> None:
    changes = {"result_kind": "intervals"}
    reference = make_run(
        results={0: [[0, 100]], 1: [[0, 50]], 2: []}, plan_changes=changes, rss=[1, 1, 1]
    )
    other = make_run(results={0: [[0, 100]], 1: [[10, 50]]}, plan_changes=changes, rss=[1, 1])
    found = difference(reference, other)
    assert found is not None
    assert (found.compared, found.differing) == (2, 1)
    assert (found.worst, found.total, found.reference_total) == (10, 10, 150)


@pytest.mark.parametrize(
    "summary", [5, None, [5], [["0", "9"]], [[0, 9, 3]], [[0, 1e999]], [[0, 10**400]]]
)
def test_a_summary_that_is_no_list_of_intervals_is_compared_without_an_amount(
    make_run: MakeRun, summary: object
) -> None:
    changes = {"result_kind": "intervals"}
    reference = make_run(
        results={0: summary, 1: summary, 2: [[0, 5], [5, 9]]}, plan_changes=changes, rss=[1, 1, 1]
    )
    other = make_run(
        results={0: summary, 1: [[0, 7]], 2: [[0, 9]]}, plan_changes=changes, rss=[1, 1, 1]
    )
    found = difference(reference, other)
    assert found is not None
    assert (found.compared, found.differing, found.worst, found.total) == (3, 1, None, None)


def test_other_results_are_equal_or_not(make_run: MakeRun) -> None:
    found = difference(
        make_run(results={0: "a", 1: [1]}, rss=[1, 1]), make_run(results={0: "a", 1: [2]}, rss=[1])
    )
    assert found is not None
    assert (found.compared, found.differing, found.worst) == (2, 1, None)


def test_without_results_nothing_is_compared(make_run: MakeRun) -> None:
    assert difference(make_run(rss=[1]), make_run(rss=[1])) is None
