"""Simulated curves of what a killer counts, which go on ten times as long as a run measured them.

Unit: sigma, the standard deviation of one sample's noise. Each is a function of the length of the
run; the curve is eleven times as long, without its noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from curves import Curve
from numpy.random import Generator

AHEAD = 10
Growth = Callable[[Generator, int], Curve]


def _along(n: int) -> Curve:
    """Calls, in lengths of the run."""
    return np.arange(1, (AHEAD + 1) * n + 1) / n


def _height(rng: Generator) -> float:
    """Growth in the run."""
    return float(np.exp(rng.uniform(np.log(5), np.log(200))))


def flat(rng: Generator, n: int) -> Curve:
    """No growth."""
    del rng
    return 0.0 * _along(n)


def linear(rng: Generator, n: int) -> Curve:
    """A straight line."""
    return _height(rng) * _along(n)


def logarithmic(rng: Generator, n: int) -> Curve:
    """Ever slower, and for ever."""
    early = rng.uniform(0.01, 0.3)
    grown: Curve = _height(rng) * np.log1p(_along(n) / early) / np.log1p(1 / early)
    return grown


def square_root(rng: Generator, n: int) -> Curve:
    """Slower, between a line and a logarithm."""
    return _height(rng) * np.sqrt(_along(n))


def levelling(rng: Generator, n: int) -> Curve:
    """An exponential approach, some of it after the run."""
    tau = np.exp(rng.uniform(np.log(0.1), np.log(3)))
    grown: Curve = _height(rng) * (1 - np.exp(-_along(n) / tau)) / (1 - np.exp(-1 / tau))
    return grown


def steps(rng: Generator, n: int) -> Curve:
    """Steps that stay, at random and of unequal height: an allocator takes another region."""
    often = rng.integers(5, 40)
    came = rng.random(_along(n).size) < often / n
    return np.cumsum(came * rng.exponential(_height(rng) / often, size=came.size))


def rarer_steps(rng: Generator, n: int) -> Curve:
    """Steps that stay, ever rarer."""
    often, along = rng.integers(5, 40), _along(n)
    chance = np.minimum(often / np.log1p(20.0) / (along * n + 0.05 * n), 1.0)
    came = rng.random(along.size) < chance
    return np.cumsum(came * rng.exponential(_height(rng) / often, size=along.size))


def high_water_mark(rng: Generator, n: int) -> Curve:
    """A pool as large as the largest input so far, whose sizes have a long tail."""
    sizes = np.minimum(rng.pareto(3.0, _along(n).size), 20.0)
    return _height(rng) / 3 * np.maximum.accumulate(sizes)


def three_quarters_power(rng: Generator, n: int) -> Curve:
    """Between a line and a square root."""
    return _height(rng) * _along(n) ** 0.75


def ramp_that_stops(rng: Generator, n: int) -> Curve:
    """A straight line that ends within the run or up to three times as late: a cache that fills."""
    return _height(rng) * np.minimum(_along(n) / rng.uniform(0.3, 3.0), 1.0)


TUNED_ON: Mapping[str, Growth] = {
    "flat": flat,
    "linear": linear,
    "logarithmic": logarithmic,
    "square root": square_root,
    "levelling": levelling,
    "steps": steps,
}
HELD_OUT: Mapping[str, Growth] = {
    "ever rarer steps": rarer_steps,
    "high-water mark": high_water_mark,
    "power of 3/4": three_quarters_power,
    "ramp that stops": ramp_that_stops,
}
