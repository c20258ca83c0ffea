"""The published error rates of ``analyze``: few instances of each kind are judged as many were."""

from __future__ import annotations

import json

import pytest
from fleet_table import KINDS, OUT, instance, judged

from leakhunt.model.fleet import Course

# What is held against the published table: no more false alarms, and few leaks missed.
MAX_FALSE = 0.02
MAX_MISSED = 0.15


@pytest.mark.parametrize("kind", [kind for kind, made in KINDS.items() if not made.leak])
def test_nothing_that_is_clean_grows(kind: str) -> None:
    number = list(KINDS).index(kind)
    assert judged(instance(kind, 1000 * number)).course is not Course.GROWS


@pytest.mark.parametrize("kind", ["leak", "leak, deploys"])
def test_a_leak_grows(kind: str) -> None:
    number = list(KINDS).index(kind)
    found = [judged(instance(kind, 1000 * number + turn)).course for turn in range(2)]
    assert Course.GROWS in found


def test_the_published_rates_are_of_all_kinds_and_hold() -> None:
    document = json.loads(OUT.read_text("utf-8"))
    assert [row["kind"] for row in document["kinds"]] == list(KINDS)
    assert sum(row["instances"] for row in document["kinds"]) == 300
    rates = document["summary"]["analyze"]
    assert rates["false_positive_rate"] <= MAX_FALSE
    assert rates["missed"] <= MAX_MISSED
    linear = document["summary"]["predict_linear"]
    assert rates["missed"] < linear["missed"]
