"""What a repeated test comes to: the noun, the lines of the terminal and the JSON file."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import jsonschema
import pytest
from conftest import MakeRun
from made_gates import frame, suspect

from leakhunt.analysis.report import assemble
from leakhunt.analysis.suite import MIN_REPEATS, _with_suspect, not_repeated, suite_test
from leakhunt.model.plan import TEST_SOURCE, WHOLE_TEST
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Reading, Run
from leakhunt.model.series import Unit
from leakhunt.model.suite import Suite, SuiteStatus, SuiteTest
from leakhunt.pytest_plugin import pytest_load_initial_conftests
from leakhunt.pytest_plugin.repeats import _is_open
from leakhunt.reporting.suite import json_file
from leakhunt.reporting.suite.lines import lines, title
from leakhunt.storage.schema_files import schema_text

SECOND = 1_000_000_000
TEST = {"source": f"{TEST_SOURCE}test_a.py::test_one", "options": {WHOLE_TEST: "yes"}}


def judged(run: Run) -> JudgedRun:
    return assemble([run], "test").entries[0]


@pytest.fixture
def leaks(make_run: MakeRun) -> SuiteTest:
    run = make_run(plan_changes=TEST, live_heap=[4096 * call for call in range(300)])
    return suite_test(judged(run), 1.5)


def test_a_test_that_leaks_has_its_rate_and_series(leaks: SuiteTest) -> None:
    assert (leaks.test, leaks.status) == ("test_a.py::test_one", SuiteStatus.LEAK)
    assert (leaks.series, leaks.unit, leaks.rate) == ("live_heap", Unit.BYTES, 4096)
    assert (leaks.repeats, leaks.seconds, leaks.suspect) == (300, 1.5, "")


def test_a_test_that_does_not_leak_has_its_detection_limit(make_run: MakeRun) -> None:
    found = suite_test(judged(make_run(plan_changes=TEST, live_heap=[4096] * 300)), 1.0)
    assert (found.status, found.rate) == (SuiteStatus.NO_LEAK, None)
    assert found.detection_limit is not None and found.detection_limit < 1024


@pytest.mark.parametrize(
    ("repeats", "status"),
    [(12, SuiteStatus.NOT_REPEATED), (MIN_REPEATS, SuiteStatus.NO_LEAK)],
)
def test_a_slow_test_is_not_called_inconclusive(
    make_run: MakeRun, repeats: int, status: SuiteStatus
) -> None:
    readings = [
        Reading(step, {"clock_ns": at}, calls)
        for step, at, calls in (("start", 0, 0), ("end", repeats * SECOND, repeats))
    ]
    run = make_run(readings, plan_changes=TEST, live_heap=[4096] * repeats)
    found = suite_test(judged(run), 10.0)
    assert found.status is status
    if status is SuiteStatus.NOT_REPEATED:
        assert str(found.reason) == (
            f"slower than the budget: 1 s per repeat; {MIN_REPEATS} repeats need 4 min 5 s"
        )


def test_the_table_has_the_leaks_first_and_json_is_as_its_schema_says(leaks: SuiteTest) -> None:
    named = replace(leaks, suspect="list that grows", file="a.py", line=3)
    other = not_repeated("test_a.py::test_two", "fails at repeat 2 (call): no", 1, 0.1)
    clean = SuiteTest("test_a.py::test_three", SuiteStatus.NO_LEAK, "No leak.", 300, 1.0)
    suite = Suite("leakhunt test", 10.0, (other, replace(clean, detection_limit=64.0), named))
    assert title(suite) == "leakhunt: 1 of 3 tests leak"
    assert list(lines(suite)) == [
        "Leak  test_a.py::test_one",
        "      live heap 4.00 [4.00, 4.00] KiB/call in 300 repeats",
        "      suspect: list that grows (a.py:3)",
        "Not repeated (1)",
        "  test_a.py::test_two: fails at repeat 2 (call): no",
        "No leak: 1 test (detection limit at most 64 B/call, 95 % power). Measured in 2.6 s",
    ]
    document = json.loads(json_file.render(suite))
    jsonschema.validate(document, json.loads(schema_text("suite")))
    assert [each["status"] for each in document["tests"]] == ["not repeated", "no leak", "leak"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--leakhunt-all", "tests"], ["--leakhunt-all=10s", "tests"]),
        (
            ["-k", "a", "--leakhunt-all", "2.5s", "tests"],
            ["-k", "a", "--leakhunt-all=2.5s", "tests"],
        ),
        (["--leakhunt-all"], ["--leakhunt-all=10s"]),
        (["--leakhunt-all=3m", "x"], ["--leakhunt-all=3m", "x"]),
        (["--", "--leakhunt-all", "9"], ["--", "--leakhunt-all", "9"]),
    ],
)
def test_a_path_is_no_budget(given: list[str], expected: list[str]) -> None:
    pytest_load_initial_conftests(given)
    assert given == expected


def test_only_what_a_fixture_that_has_ended_would_do_is_dropped() -> None:
    class Definition:
        cached_result: object = None

        def finish(self, request: object) -> None: ...

    ended, standing = Definition(), Definition()
    standing.cached_result = (1, None, None)
    assert not _is_open(partial(ended.finish, request=None))
    assert _is_open(partial(standing.finish, request=None))
    assert _is_open(lambda: None)


def test_an_object_that_stays_of_each_repeat_is_told_though_it_is_no_leak(
    make_run: MakeRun,
) -> None:
    readings = [
        Reading(
            "look_collected",
            {"python_blocks": 1000 + at, "python_live": 48 * at, "live_heap": 4096},
            at,
        )
        for at in (60, 150, 225, 300)
    ]
    run = make_run(
        readings,
        plan_changes=TEST,
        live_heap=[4096] * 300,
        python_blocks=[1000 + call for call in range(300)],
    )
    found = suite_test(judged(run), 1.0)
    assert (found.status, found.series, found.rate) == (
        SuiteStatus.BELOW_TOLERANCE,
        "python_blocks",
        1.0,
    )
    told = list(lines(Suite("leakhunt test", 10.0, (found,))))
    assert told[:2] == [
        "Below the tolerance (1)",
        "  test_a.py::test_one: Python blocks 1 [1, 1] block/call in 300 repeats",
    ]


def test_what_runs_the_test_is_named_only_where_nobody_else_is(leaks: SuiteTest) -> None:
    pytests = frame("_pytest/fixtures.py", 1004)
    yours = frame("tests/test_a.py", 7)
    made = replace(leaks, suspect="")
    for suspects, first in (
        ([suspect(title="p", where=pytests), suspect(title="y", where=yours)], "y"),
        ([suspect(title="p", where=None, holder=pytests), suspect(title="y")], "y"),
        ([suspect(title="p", where=pytests)], "p"),
    ):
        entry = SimpleNamespace(attribution=SimpleNamespace(suspects=suspects))
        assert _with_suspect(made, entry).suspect == first  # type: ignore[arg-type]
