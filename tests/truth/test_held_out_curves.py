"""The curves are what they are named for: bounded ones come to rest, leaking ones leak as asked."""

from __future__ import annotations

import held_out_curves
import numpy as np
import pytest
from held_out_curves import BOUNDED, EVENTS, LEAKING, SETTLED, Curve

CALLS = 600
SEEDS = range(80)


def _settled(name: str, seed: int) -> Curve:
    """A bounded curve after its transients, without its one event."""
    curve = BOUNDED[name](np.random.default_rng(seed), CALLS)
    if name in EVENTS:
        at, size = held_out_curves.step_of(np.random.default_rng(seed), CALLS)
        curve = curve - np.where(
            np.arange(CALLS) >= at, -size if name == "step down" else size, 0.0
        )
    return curve[SETTLED:]


@pytest.mark.parametrize("calls", [2, 30, 100, 101, 200, 1000])
def test_as_many_finite_readings_as_calls(calls: int) -> None:
    for seed in range(5):
        curves = [make(np.random.default_rng(seed), calls) for make in BOUNDED.values()]
        curves += [make(np.random.default_rng(seed), calls, 0.1) for make in LEAKING.values()]
        for curve in curves:
            assert curve.shape == (calls,)
            assert curve.dtype == np.float64
            assert np.isfinite(curve).all()


@pytest.mark.parametrize("name", BOUNDED)
def test_a_seed_gives_one_bounded_curve(name: str) -> None:
    first, again, other = (BOUNDED[name](np.random.default_rng(s), CALLS) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", LEAKING)
def test_a_seed_gives_one_leaking_curve(name: str) -> None:
    first, again, other = (LEAKING[name](np.random.default_rng(s), CALLS, 0.1) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", BOUNDED)
def test_bounded_curves_do_not_drift_once_settled(name: str) -> None:
    half = (CALLS - SETTLED) // 2
    moved = []
    swings = []
    for seed in SEEDS:
        curve = _settled(name, seed)
        moved.append(float(curve[half:].mean() - curve[:half].mean()))
        swings.append(float(curve.std()))
    standard_error = np.std(moved) / np.sqrt(len(moved))
    assert abs(np.mean(moved)) <= 4 * standard_error + 0.01
    # No single one drifts either: a half of it lies where its own swing puts it.
    assert np.all(np.abs(moved) <= 2.5 * np.array(swings) + 1e-9)
    assert np.std(moved) <= 0.75 * np.sqrt(np.mean(np.square(swings))) + 1e-9


# What is periodic does not forget; its periods are short beside the halves compared above.
PERIODIC = {"two buffers", "collector", "day", "everything at once"}


@pytest.mark.parametrize("name", sorted(set(BOUNDED) - PERIODIC))
def test_bounded_curves_have_forgotten_after_a_hundred_calls(name: str) -> None:
    lag = 100
    calls = 5000
    products, powers = [], []
    for seed in SEEDS:
        curve = BOUNDED[name](np.random.default_rng(seed), calls)[SETTLED:]
        if name in EVENTS:
            at, _ = held_out_curves.step_of(np.random.default_rng(seed), calls)
            before, after = np.split(curve, [max(at - SETTLED, 0)])
            curve = max(before, after, key=len)
        curve = curve - curve.mean()
        products.append(float(curve[lag:] @ curve[:-lag]) / (curve.size - lag))
        powers.append(float(curve @ curve) / curve.size)
    assert abs(np.mean(products)) <= 0.05 * np.mean(powers) + 1e-9


@pytest.mark.parametrize("name", LEAKING)
@pytest.mark.parametrize("slope", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("calls", [200, CALLS])
def test_leaking_curves_leak_as_asked(name: str, slope: float, calls: int) -> None:
    leaked = []
    for seed in range(20):
        with_leak = LEAKING[name](np.random.default_rng(seed), calls, slope)
        without = LEAKING[name](np.random.default_rng(seed), calls, 0.0)
        leak = with_leak - without
        leaked.append(float(leak[-1] - leak[0]))
        if name != "line, whole pages":
            assert np.all(np.diff(leak) >= -1e-9)
            assert leak[-1] - leak[0] == pytest.approx(slope * (calls - 1))
    pages = held_out_curves.PAGE if name == "line, whole pages" else 1e-6
    assert np.mean(leaked) == pytest.approx(slope * (calls - 1), abs=pages)


@pytest.mark.parametrize("name", LEAKING)
def test_leaks_last_to_the_end(name: str) -> None:
    for seed in range(20):
        with_leak = LEAKING[name](np.random.default_rng(seed), CALLS, 1.0)
        leak = with_leak - LEAKING[name](np.random.default_rng(seed), CALLS, 0.0)
        assert leak[-1] - leak[-CALLS // 5] >= 0.08 * CALLS


@pytest.mark.parametrize("name", LEAKING)
def test_nothing_but_the_leak_grows_in_a_leaking_curve(name: str) -> None:
    if name in {"with a step", "with a release"}:
        pytest.skip("its event may come late")
    half = (CALLS - SETTLED) // 2
    moved = []
    for seed in SEEDS:
        curve = LEAKING[name](np.random.default_rng(seed), CALLS, 0.0)[SETTLED:]
        moved.append(float(curve[half:].mean() - curve[:half].mean()))
    assert abs(np.mean(moved)) <= 4 * np.std(moved) / np.sqrt(len(moved)) + 0.01


def test_there_are_enough_families() -> None:
    assert len(BOUNDED) >= 10
    assert len(LEAKING) >= 10
    assert set(BOUNDED) >= EVENTS


@pytest.mark.parametrize("name", [*BOUNDED, *LEAKING])
def test_each_family_says_what_it_is(name: str) -> None:
    assert (BOUNDED | LEAKING)[name].__doc__
