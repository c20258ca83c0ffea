"""The rivals do what their sources say: where they are right, and one weakness of each."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rival_rules
from rival_rules import RIVALS, Values

CALLS = 400


def _noise(seed: int, calls: int = CALLS) -> Values:
    return np.random.default_rng(seed).normal(size=calls)


def _line(slope: float, calls: int = CALLS) -> Values:
    return slope * np.arange(calls, dtype=np.float64)


def _finished_warmup(size: float, calls: int = CALLS) -> Values:
    return size * (1 - np.exp(-np.arange(calls) / 15))


def _persistent_noise(seed: int, memory: float = 0.8) -> Values:
    shocks = _noise(seed)
    values = np.empty_like(shocks)
    level = 0.0
    for place, shock in enumerate(shocks):
        level = memory * level + shock
        values[place] = level
    return values


def _alarms(name: str, curves: list[Values]) -> float:
    return sum(RIVALS[name](curve) for curve in curves) / len(curves)


@pytest.mark.parametrize("name", RIVALS)
def test_a_steep_line_is_a_leak(name: str) -> None:
    assert RIVALS[name](_line(1.0) + 0.01 * _noise(1))


@pytest.mark.parametrize("name", RIVALS)
def test_an_exact_line_is_a_leak(name: str) -> None:
    assert RIVALS[name](_line(0.25))


@pytest.mark.parametrize("name", RIVALS)
def test_white_noise_is_none(name: str) -> None:
    assert not RIVALS[name](_noise(0))
    assert _alarms(name, [_noise(seed) for seed in range(50)]) <= 0.1


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("calls", [0, 1, 2, 3, 10, 50])
def test_a_constant_of_any_length_is_none(name: str, calls: int) -> None:
    assert not RIVALS[name](np.full(calls, 7.1))


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("calls", [4, 5, 12, 13, 50, 73, 100])
def test_short_series_are_taken(name: str, calls: int) -> None:
    assert RIVALS[name](_line(1.0, calls) + 0.01 * _noise(2, calls)) in {True, False}


@pytest.mark.parametrize("name", RIVALS)
def test_a_falling_line_is_none(name: str) -> None:
    assert not RIVALS[name](_line(-1.0) + 0.01 * _noise(3))


@pytest.mark.parametrize("name", RIVALS)
def test_units_do_not_matter(name: str) -> None:
    for seed in range(10):
        curve = _line(0.02) + _noise(seed)
        assert RIVALS[name](curve) == RIVALS[name](4096 * curve)


@pytest.mark.parametrize(
    "name",
    [
        "end minus start > 3 sigma",
        "least squares, t-test",
        "least squares, Newey-West",
        "Mann-Kendall",
        "Theil-Sen, lower bound > 0",
    ],
)
def test_weakness_a_finished_warmup_is_called_a_leak(name: str) -> None:
    assert _alarms(name, [_finished_warmup(60) + _noise(seed) for seed in range(20)]) > 0.7


@pytest.mark.parametrize(
    "name", ["least squares, t-test", "Mann-Kendall", "Theil-Sen, lower bound > 0"]
)
def test_weakness_persistent_noise_is_called_a_leak(name: str) -> None:
    assert _alarms(name, [_persistent_noise(seed) for seed in range(100)]) > 0.1


def test_weakness_hamed_rao_calls_a_step_a_leak() -> None:
    step = np.where(np.arange(CALLS) < CALLS // 2, 0.0, 30.0)
    verdicts = [step + _noise(seed) for seed in range(20)]
    assert _alarms("Mann-Kendall, Hamed-Rao", verdicts) > 0.7


def test_hamed_rao_bears_persistent_noise_better_than_mann_kendall() -> None:
    curves = [_persistent_noise(seed) for seed in range(100)]
    assert _alarms("Mann-Kendall, Hamed-Rao", curves) < _alarms("Mann-Kendall", curves)


def test_weakness_end_minus_start_misses_a_slow_leak() -> None:
    curves = [_line(0.005) + _noise(seed) for seed in range(50)]
    assert _alarms("end minus start > 3 sigma", curves) < 0.5
    assert _alarms("least squares, t-test", curves) > 0.9


def test_weakness_precog_misses_a_leak_that_is_no_straight_line() -> None:
    # 40 sigma in all, beneath a collector's teeth of 40 sigma: R2 stays below 0.8.
    teeth = 40.0 * (np.arange(CALLS) % 40) / 40
    assert not RIVALS["Precog"](_line(0.1) + teeth + _noise(0))
    assert not RIVALS["Precog, untrained"](_line(0.1) + teeth + _noise(0))


def test_weakness_precog_takes_the_beginning_of_a_leak_for_normal() -> None:
    curves = [_line(0.05) + _noise(seed) for seed in range(50)]
    assert _alarms("Precog", curves) < 0.8
    assert _alarms("Precog, untrained", curves) == 1.0


def test_precog_lets_pass_what_is_no_worse_than_a_rise_it_knows() -> None:
    leak = _line(1.0)
    points = [0, CALLS - 1, CALLS - 1]

    def asked(*known: tuple[float, int]) -> bool:
        trends = [rival_rules.Trend(100, duration, slope, 0.9) for slope, duration in known]
        return rival_rules._precog_asked(leak, points, trends)

    assert asked()
    assert not asked((2.0, 100))
    assert asked((0.5, 100))
    # Worse than one of them is enough.
    assert asked((2.0, 100), (0.5, 100))


def test_weakness_psleak_acquits_by_a_single_lucky_run() -> None:
    curves = [_line(0.3) + _noise(seed) for seed in range(50)]
    assert _alarms("psleak", curves) < 0.5
    assert _alarms("psleak, three runs", curves) == 1.0


def test_weakness_psleak_of_three_runs_convicts_three_steps() -> None:
    calls = np.arange(CALLS)
    stairs = 10.0 * (calls >= 50) + 20.0 * (calls >= 150) + 30.0 * (calls >= 300)
    assert _alarms("psleak, three runs", [stairs + _noise(seed) for seed in range(20)]) == 1.0


def test_psleak_acquits_a_warmup_that_fades() -> None:
    assert not RIVALS["psleak"](_finished_warmup(100))
    assert not RIVALS["psleak, three runs"](_finished_warmup(100))


def test_psleak_runs_grow_by_half_and_fit() -> None:
    assert rival_rules._psleak_runs(22_666, 10)[:4] == [200, 300, 450, 675]
    assert rival_rules._psleak_runs(189, 10) == [2, 3, 4, 6, 9, 13, 19, 28, 42, 63]
    assert rival_rules._psleak_runs(188, 10) == [2, 3, 4, 6, 9, 13, 19, 28, 42]
    assert rival_rules._psleak_runs(1, 10) == []
    for calls in range(200, 2000, 37):
        runs = rival_rules._psleak_runs(calls, 10)
        assert len(runs) == 10
        assert sum(runs) <= calls


def test_weakness_scalene_misses_a_leak_whose_objects_noise_seems_to_free() -> None:
    assert _alarms("scalene", [_line(0.2) + _noise(seed) for seed in range(50)]) == 0.0


def test_weakness_scalene_convicts_a_warmup_of_eighteen_maxima() -> None:
    # Nothing grows any more after it.
    assert not RIVALS["scalene"](np.minimum(_line(1.0), 17.0))
    assert RIVALS["scalene"](np.minimum(_line(1.0), 18.0))


def test_scalene_counts_a_release_only_below_the_object() -> None:
    # Up by two and down by one: the object of the maximum stays.
    assert RIVALS["scalene"](np.cumsum(np.tile([2.0, -1.0], 100)))
    # Up by three and down by three, with one more each time: freed again and again.
    assert not RIVALS["scalene"](np.cumsum(np.tile([3.0, -3.0, 0.1], 100)))


@pytest.mark.parametrize(("degrees", "table"), [(10, 2.7638), (30, 2.4573), (120, 2.3578)])
def test_student_quantile_is_the_tables(degrees: int, table: float) -> None:
    assert math.isclose(rival_rules.student_quantile(0.99, degrees), table, abs_tol=0.002)


def test_kendall_by_hand() -> None:
    values = np.array([1.0, 3.0, 2.0, 2.0, 5.0])
    assert rival_rules.kendall_score(values) == 5
    assert math.isclose(rival_rules.kendall_variance(values), (5 * 4 * 15 - 2 * 1 * 9) / 18)
    assert rival_rules.ranks(values).tolist() == [1.0, 4.0, 2.5, 2.5, 5.0]


def test_theil_sen_and_mann_kendall_agree() -> None:
    # The bound inverts the test; they may part by the correction for continuity only.
    curves = [_line(0.002) + _noise(seed) for seed in range(60)]
    parted = sum(
        RIVALS["Mann-Kendall"](curve) != RIVALS["Theil-Sen, lower bound > 0"](curve)
        for curve in curves
    )
    assert parted <= 1


def test_robust_sigma_ignores_a_slope_and_a_step() -> None:
    step = np.where(np.arange(CALLS) < 100, 0.0, 500.0)
    assert math.isclose(rival_rules.robust_sigma(_line(3.0) + step + _noise(5)), 1.0, abs_tol=0.2)
