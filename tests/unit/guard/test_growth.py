"""The live growth rate: constant memory, an interval that covers, none without evidence."""

from __future__ import annotations

import random

import pytest

from leakhunt.guard.growth import GrowthMeter

MIB = 1 << 20


def meter(seconds: int, rate: float, noise: float = 0.0, seed: int = 0) -> GrowthMeter:
    chance = random.Random(seed)
    made = GrowthMeter()
    for second in range(seconds):
        made.add(float(second), round(500 * MIB + rate * second + chance.gauss(0, noise)))
    return made


def test_the_first_minute_has_no_rate() -> None:
    assert GrowthMeter().rate() is None
    assert meter(59, 1000.0).rate() is None
    assert meter(90, 1000.0).rate() is not None


@pytest.mark.parametrize("seconds", [90, 1000, 20_000])
def test_a_slope_is_found_however_long_it_runs(seconds: int) -> None:
    made = meter(seconds, 2048.0)
    rate = made.rate()
    assert rate is not None and rate.grows
    assert rate.bytes_per_second == pytest.approx(2048, rel=0.01)
    assert rate.seconds <= 4200
    assert len(made._points) <= 65


def test_the_interval_covers_the_slope_and_level_memory_seldom_grows() -> None:
    covered = grown = 0
    for seed in range(200):
        rate = meter(300, 0.0, MIB, seed).rate()
        assert rate is not None
        covered += rate.low <= 0 <= rate.high
        grown += rate.grows
    assert covered >= 180
    assert grown <= 12
