"""What repeating the suites of published packages comes to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import suites
from suites import SuitePackage, SuiteRow, before, figures, packages, row_of

MADE = SuitePackage("made", "1.0", "1.1", "made", "https://example.com", ("tests",))
LEAK = {"status": "leak", "reason": "", "series": "live_heap", "rate": 96.0, "seconds": 1.26}
TESTS: list[dict[str, Any]] = [
    {"test": "a::one", **LEAK, "suspect": {"text": "loses (made.c:7)"}},
    {"test": "a::two", "status": "no leak", "reason": {"text": "No leak."}},
    {"test": "a::three", "status": "not repeated", "reason": {"text": "slower than the budget"}},
    {"test": "a::four", "status": "inconclusive", "reason": "open"},
]


def test_a_row_has_what_the_json_of_a_suite_says() -> None:
    row = row_of(SuiteRow("made", "1.0", True), TESTS)
    assert (row.tests, row.clean) == (4, 1)
    assert row.leaks[0]["suspect"] == "loses (made.c:7)" and row.leaks[0]["seconds"] == 1.3
    assert row.other == ({"test": "a::three", "reason": "slower than the budget"},)
    assert row.inconclusive == ({"test": "a::four", "reason": "open"},)


@pytest.mark.parametrize(("pattern", "still", "alarms"), [("", 0, 1), ("one$", 1, 0)])
def test_a_leak_of_the_fixed_version_is_a_false_alarm_unless_it_is_known(
    monkeypatch: pytest.MonkeyPatch, pattern: str, still: int, alarms: int
) -> None:
    package = replace(MADE, leaks_still=pattern)
    monkeypatch.setattr(suites, "packages", lambda: [package])
    rows = [row_of(SuiteRow("made", "1.1", False), TESTS)]
    found = figures(rows)
    assert (found["leaks_still"], found["false_alarms"]) == (still, alarms)
    assert (found["tests_of_fixed"], found["not_repeated"], found["inconclusive"]) == (4, 1, 1)


def test_the_data_is_on_the_versions_of_the_list() -> None:
    listed = {(each.name, version) for each in packages() for version in (each.leaking, each.fixed)}
    rows = before()
    assert {(each.package, each.version) for each in rows} == listed
    found = figures(rows)
    assert found["false_alarms"] == 0
    assert found["found"] >= 3 and found["tests"] > 500
