"""The published coverage of forecasts: today's fits reach it, and the data is of today's fits."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from forecast_curves import HELD_OUT, TUNED_ON
from forecast_table import DATA, coverage, real_forecasts

CURVES = 40
# 90 % less what forty curves may be off by chance; steps that have not come yet are not foreseen.
MIN_SHARE = 80.0
MIN_SHARE_OF_STEPS = 70.0


@pytest.mark.parametrize("family", [*TUNED_ON, "power of 3/4"])
def test_the_truth_lies_in_the_interval(family: str) -> None:
    growth = {**TUNED_ON, **HELD_OUT}[family]
    found = coverage(family, growth, 7, CURVES, held_out=family in HELD_OUT)
    least = MIN_SHARE_OF_STEPS if family == "steps" else MIN_SHARE
    assert min(*found.growth.values(), found.reached) >= least


def test_what_was_foreseen_of_a_real_process_came() -> None:
    found = list(real_forecasts())
    within = [each.low <= each.true <= each.high for each in found]
    assert sum(within) >= 0.9 * len(within)
    document = json.loads(DATA.read_text("utf-8"))["real"]
    assert [asdict(each) | {"models": list(each.models)} for each in found] == document
