"""Soaks beside soaks, and beside runs: what may be concluded, and what not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from conftest import MakeRun
from made_soaks import Made, soak

from leakhunt.analysis.comparison.compare import compare
from leakhunt.analysis.report import assemble
from leakhunt.model.comparison import Comparison, Conclusion, Matter, Side
from leakhunt.model.run import Run
from leakhunt.reporting.comparison.tables import rows


def compared(before: Run, after: Run) -> Comparison:
    sides = [
        Side(label, assemble([run], "test").entries)
        for label, run in (("before", before), ("after", after))
    ]
    return compare(sides, despite=False, generator="test")


def lines(before: Run, after: Run) -> dict[str, Any]:
    (pair,) = compared(before, after).pairs
    return {line.name: line for line in pair.lines}


def test_a_soak_is_not_compared_with_a_run(make_run: MakeRun) -> None:
    called = make_run(rss=[1 << 27] * 300, duration=[20_000_000] * 300)
    comparison = compared(soak(Made()), called)
    assert comparison.is_refused
    (pair,) = comparison.pairs
    assert {each.fact: each.matter for each in pair.mismatches}["calls are"] is Matter.INPUTS
    assert {line.conclusion for line in pair.lines} <= {
        Conclusion.NOT_COMPARABLE,
        Conclusion.INCONCLUSIVE,
    }
    assert "not comparable, the runs differ in" in str(pair.sentence)


@pytest.mark.parametrize(
    "load", [{"users": 9}, {"requests_from": "other.py"}], ids=["users", "requests"]
)
def test_soaks_under_another_load_are_not_compared(load: dict[str, Any]) -> None:
    assert compared(soak(Made()), soak(Made(load=load, seed=1))).is_refused


def test_another_command_or_address_is_what_is_compared() -> None:
    load = {"service": "gunicorn service:app", "target": "http://127.0.0.1:9999"}
    comparison = compared(soak(Made()), soak(Made(load=load, seed=1)))
    assert not comparison.is_refused
    (pair,) = comparison.pairs
    assert [each.fact for each in pair.mismatches if each.fact != "calls made"] == ["service"]


@pytest.mark.parametrize("inside", [True, False], ids=["inside", "outside"])
def test_two_soaks_that_keep_alike_do_not_differ(inside: bool) -> None:
    made = Made(retained=10_000, in_flight=100_000, inside=inside, doublings=1)
    found = lines(soak(made), soak(replace(made, seed=7)))
    assert {line.conclusion for line in found.values()} <= {
        Conclusion.NO_DIFFERENCE, Conclusion.INCONCLUSIVE,
    }  # fmt: skip
    assert found["anonymous"].before == pytest.approx(11_000, rel=0.05)
    assert str(found["anonymous"].reason).startswith("one soak each, compared by their own bounds")


def test_a_soak_that_keeps_less_is_said_to_whatever_its_distances() -> None:
    """One took three times as many requests, so its samples stand further apart."""
    before = soak(Made(retained=40_000, in_flight=100_000, inside=False))
    after = soak(Made(retained=10_000, in_flight=100_000, inside=False, doublings=2, seed=5))
    comparison = compared(before, after)
    line = lines(before, after)["anonymous"]
    assert line.conclusion is Conclusion.DECREASE
    (pair,) = comparison.pairs
    assert "KiB/request less than before" in str(pair.sentence)
    assert "/call" not in str(pair.sentence)
    titles = [row[0] for row in rows(pair)]
    assert "anonymous memory per request" in titles
    assert not any("per call" in title for title in titles if title != "time per call")
    assert line.difference.estimate == pytest.approx(-33_000, rel=0.05)


def test_soaks_at_the_same_counts_of_requests_are_not_taken_for_the_same_requests() -> None:
    run = soak(Made(users=1))
    assert lines(run, replace(run, started_at="later"))["time"].reason != ""
    text = str(lines(run, replace(run, started_at="later"))["rss"].reason)
    assert text.startswith("one soak each, compared by their own bounds")


def test_the_time_of_a_request_is_compared() -> None:
    before, after = soak(Made()), soak(Made(milliseconds=60.0, seed=3))
    line = lines(before, after)["time"]
    assert line.conclusion is Conclusion.INCREASE
    assert line.before == pytest.approx(0.020, rel=0.05)
    assert line.after == pytest.approx(0.060, rel=0.05)
