"""The rule's error rates on simulated curves: a quick part of the committed table, made again."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache, partial

import curve_table
import held_out_curves
import numpy as np
import pytest
from curve_table import DATA, SLOPES, TOLERANCE, cell_at_looks
from curves import BOUNDED, LEAKING, Curve, white
from numpy.random import Generator
from rival_rules import RIVALS

from leakhunt.analysis.verdict.series import judge_series
from leakhunt.model.verdict import Shape, Status

CURVES = 40
# Those that the rule was tuned on flatter it: the nightly run has them too.
HELD_OUT_FIRST = ["held out", pytest.param("tuned on", marks=pytest.mark.long)]
LENGTH = 507


@cache
def ours(families: str) -> curve_table.Cell:
    return cell_at_looks(families, CURVES)


@pytest.mark.parametrize("families", HELD_OUT_FIRST)
def test_false_alarms_are_rarer_than_one_in_two_hundred(families: str) -> None:
    alarms = list(ours(families).false_alarms.values())
    assert np.mean(alarms) <= 0.5
    assert max(alarms) <= 100 / CURVES, "more than one curve of one family"


@pytest.mark.parametrize("families", HELD_OUT_FIRST)
@pytest.mark.parametrize(("slope", "least"), [*zip(SLOPES, (70, 88, 96), strict=True)])
def test_leaks_are_found(families: str, slope: float, least: float) -> None:
    assert np.mean(list(ours(families).detected[f"{slope:g}"].values())) >= least


@pytest.mark.parametrize("families", HELD_OUT_FIRST)
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


def slow_cache(rng: Generator, n: int) -> Curve:
    """A cache that fills for most of the run."""
    return rng.uniform(20, 200) * (1 - np.exp(-np.arange(n) / rng.uniform(60, 150))) + white(rng, n)


def late_step(rng: Generator, n: int) -> Curve:
    """One step, well inside the judged part."""
    return rng.uniform(10, 200) * (np.arange(n) > rng.uniform(0.35, 0.9) * n) + white(rng, n)


def steps(rng: Generator, n: int, slope: float) -> Curve:
    """A leak of one call in ten, far above the noise."""
    return 10 * rng.uniform(3, 20) * np.floor(np.arange(n) / 10) + white(rng, n)


# Which families a label is right for.
RIGHT = {
    Shape.LATE_START: {"late start", "late, a quarter in", "starting late"},
    Shape.ACCELERATING: {"accelerating", "a little faster"},
    Shape.STEPWISE: {"steps"},
    Shape.FILLING_CACHE: {"slow cache"},
    Shape.ONE_OFF_STEP: {
        "late step", "one step", "late step up", "late step, persistent noise", "with a step",
        "step down, step up",
    },
    Shape.SAWTOOTH: {"sawtooth", "collector", "two generations", "random flushes"},
}  # fmt: skip
# What has no slope of another form is linear; what rose at the start and no more was a warm-up.
NOT_LINEAR = RIGHT[Shape.LATE_START] | RIGHT[Shape.ACCELERATING] | RIGHT[Shape.STEPWISE]


@cache
def labelled() -> dict[Shape, Counter[str]]:
    """How often each label is given to which family, bounded or leaking."""
    bounded = {
        **BOUNDED,
        **held_out_curves.BOUNDED,
        "slow cache": slow_cache,
        "late step": late_step,
    }
    leaking = {**LEAKING, **held_out_curves.LEAKING, "steps": steps}
    found: dict[Shape, Counter[str]] = {}
    for number in range(CURVES // 2):
        rng = partial(np.random.default_rng, [11, number])
        made = {name: make(rng(), LENGTH) for name, make in bounded.items()}
        made |= {name: make(rng(), LENGTH, 1.0) for name, make in leaking.items()}
        for name, curve in made.items():
            shape = judge_series(curve, unit="ns", tolerance=TOLERANCE, power=False).shape
            found.setdefault(shape, Counter())[name] += 1
    return found


@pytest.mark.parametrize("label", RIGHT)
def test_a_label_is_right_nine_times_in_ten(label: Shape) -> None:
    found = labelled()[label]
    right = sum(count for name, count in found.items() if name in RIGHT[label])
    assert right >= 0.88 * found.total(), found
    assert found.total() >= CURVES // 4


def test_what_is_called_linear_leaks_and_what_is_called_flat_does_not() -> None:
    assert not set(labelled()[Shape.FLAT]) & ({*LEAKING, *held_out_curves.LEAKING} - {*BOUNDED})
    linear = labelled()[Shape.LINEAR]
    assert not set(linear) & {*BOUNDED, *held_out_curves.BOUNDED}
    assert sum(linear[name] for name in NOT_LINEAR) <= 0.05 * linear.total()


def _curve(name: str, number: int) -> np.ndarray:
    rng = np.random.default_rng([11, number])
    return LEAKING[name](rng, LENGTH, 1.0) if name in LEAKING else BOUNDED[name](rng, LENGTH)


@pytest.mark.parametrize("name", ["white noise", "autocorrelated noise", "heavy-tailed noise"])
def test_a_clean_curve_would_have_shown_the_leak_it_names(name: str) -> None:
    shown = 0
    for number in range(CURVES):
        clean = judge_series(_curve(name, number), unit="ns", tolerance=TOLERANCE)
        assert clean.detection_limit is not None
        leak = _curve(name, number + 1000) + clean.detection_limit * np.arange(LENGTH)
        shown += judge_series(leak, unit="ns", tolerance=TOLERANCE).status is Status.LEAK
    assert shown >= 0.85 * CURVES
