"""The rule's error rates on simulated curves: a quick part of the committed table, made again."""

from __future__ import annotations

import json
from functools import cache

import curve_table
import numpy as np
import pytest
from curve_table import DATA, SETS, SLOPES, TOLERANCE, cell_at_looks
from curves import BOUNDED, LEAKING
from rival_rules import RIVALS

from leakhunt.model import Shape, Status
from leakhunt.verdict.series import judge_series

CURVES = 40
LENGTH = 507


@cache
def ours(families: str) -> curve_table.Cell:
    return cell_at_looks(families, CURVES)


@pytest.mark.parametrize("families", SETS)
def test_false_alarms_are_rarer_than_one_in_two_hundred(families: str) -> None:
    alarms = list(ours(families).false_alarms.values())
    assert np.mean(alarms) <= 0.5
    assert max(alarms) <= 100 / CURVES, "more than one curve of one family"


@pytest.mark.parametrize("families", SETS)
@pytest.mark.parametrize(("slope", "least"), [*zip(SLOPES, (70, 88, 96), strict=True)])
def test_leaks_are_found(families: str, slope: float, least: float) -> None:
    assert np.mean(list(ours(families).detected[f"{slope:g}"].values())) >= least


@pytest.mark.parametrize("families", SETS)
def test_the_committed_table_is_that_of_this_rule(families: str) -> None:
    (cell,) = (
        cell
        for cell in json.loads(DATA.read_text())["cells"]
        if (cell["rule"], cell["families"], cell["samples"]) == ("leakhunt", families, "looks")
    )
    for name, share in ours(families).false_alarms.items():
        assert abs(cell["false_alarms"][name] - share) <= 100 / CURVES
    for slope, found in ours(families).detected.items():
        for name, share in found.items():
            assert cell["detected"][slope][name] == pytest.approx(share, abs=25), (slope, name)


TESTS_FOR_A_TREND = [
    name for name in RIVALS if name.startswith(("end", "least", "Theil")) or name == "Mann-Kendall"
]


@pytest.mark.parametrize("name", TESTS_FOR_A_TREND)
def test_a_finished_warm_up_fools_the_tests_for_a_trend(name: str) -> None:
    warm_up = 30 * (1 - np.exp(-np.arange(300) / 20))
    curve = warm_up + np.random.default_rng(0).normal(size=300)
    assert RIVALS[name](curve)
    assert judge_series(curve, unit="ns", tolerance=TOLERANCE).status is not Status.LEAK


LABELS = {
    Shape.LINEAR: ["line, white noise", "line, heavy tails", "in pages", "one call in ten"],
    Shape.LATE_START: ["late start"],
    Shape.ACCELERATING: ["accelerating"],
    Shape.SAWTOOTH: ["sawtooth"],
    Shape.WARM_UP: ["exponential warm-up", "ramp that stops", "capped square root",
                    "coupon collector", "high-water mark", "LRU cache"],
    Shape.FLAT: ["white noise", "autocorrelated noise", "heavy-tailed noise"],
}  # fmt: skip
ALIKE = {
    # Seen after it is over, a transient that ended is a warm-up, or nothing at all.
    Shape.WARM_UP: {Shape.FLAT, Shape.UNLABELLED, Shape.ONE_OFF_STEP, Shape.FILLING_CACHE},
    Shape.LINEAR: {Shape.STEPWISE, Shape.UNLABELLED},
    Shape.SAWTOOTH: {Shape.FLAT},
}


@pytest.mark.parametrize("label", LABELS)
def test_a_label_is_right_nineteen_times_in_twenty(label: Shape) -> None:
    found = [
        judge_series(_curve(name, number), unit="ns", tolerance=TOLERANCE, power=False).shape
        for name in LABELS[label]
        for number in range(CURVES)
    ]
    right = {label, *ALIKE.get(label, set())}
    assert sum(shape in right for shape in found) >= 0.95 * len(found), found
    assert found.count(label) >= 0.4 * len(found), found


def _curve(name: str, number: int) -> np.ndarray:
    rng = np.random.default_rng([11, number])
    return LEAKING[name](rng, LENGTH, 1.0) if name in LEAKING else BOUNDED[name](rng, LENGTH)


@pytest.mark.parametrize("name", ["white noise", "autocorrelated noise", "heavy-tailed noise"])
def test_a_clean_curve_would_have_shown_the_leak_it_names(name: str) -> None:
    shown = 0
    for number in range(CURVES):
        clean = judge_series(_curve(name, number), unit="ns", tolerance=TOLERANCE)
        assert clean.detectable is not None
        leak = _curve(name, number + 1000) + clean.detectable * np.arange(LENGTH)
        shown += judge_series(leak, unit="ns", tolerance=TOLERANCE).status is Status.LEAK
    assert shown >= 0.85 * CURVES
