"""Simulated memory curves that the rule was not tuned on: written after it was settled.

Unit and bounds as in `curves`: every transient is over within 100 calls, or is one event.
"""

from __future__ import annotations

import numpy as np
from curves import BoundedFamily, Curve, LeakingFamily, autocorrelated, heavy_tailed, white
from numpy.random import Generator


def _calls(n: int) -> Curve:
    return np.arange(n, dtype=float)


def _size(rng: Generator) -> float:
    return float(rng.lognormal(np.log(15), 0.9))


def request_buffer(rng: Generator, n: int) -> Curve:
    """A buffer for the largest of log-normal requests, of a size that is capped."""
    requests = np.minimum(rng.lognormal(0, 1, n), 5)
    return _size(rng) / 5 * np.maximum.accumulate(requests) + white(rng, n)


def churning_pool(rng: Generator, n: int) -> Curve:
    """A pool of twenty buffers, each replaced now and then by one of another size."""
    pool = np.zeros(20)
    total = np.empty(n)
    for call in range(n):
        pool[rng.integers(20)] = rng.gamma(2, 1)
        total[call] = pool.sum()
    return total / 2 + white(rng, n)


def telegraph(rng: Generator, n: int) -> Curve:
    """An arena that is there or is not."""
    return _size(rng) * (np.cumsum(rng.random(n) < 0.08) % 2) + white(rng, n)


def staircase(rng: Generator, n: int) -> Curve:
    """Modules that are loaded on first use: some steps within the first 100 calls."""
    places = rng.uniform(0, 100, size=(rng.integers(2, 6), 1))
    steps: Curve = (_calls(n) > places).sum(axis=0)
    return _size(rng) * steps + white(rng, n)


def tide(rng: Generator, n: int) -> Curve:
    """Load that comes and goes."""
    period, phase = rng.uniform(20, 90), rng.uniform(0, 2 * np.pi)
    return rng.uniform(1, 8) * np.sin(2 * np.pi * _calls(n) / period + phase) + white(rng, n)


def spikes(rng: Generator, n: int) -> Curve:
    """Large transients in one call of twenty."""
    return 50 * (rng.random(n) < 0.05) + heavy_tailed(rng, n)


def falling(rng: Generator, n: int) -> Curve:
    """What was loaded at the start is let go."""
    return _size(rng) * np.exp(-_calls(n) / rng.uniform(5, 28)) + white(rng, n)


def two_generations(rng: Generator, n: int) -> Curve:
    """A collector with a short and a long period: a sawtooth on a sawtooth."""
    short, long = int(rng.integers(4, 12)), int(rng.integers(20, 50))
    return 3 * (_calls(n) % short) / short + 9 * (_calls(n) % long) / long + white(rng, n)


def noiseless_warm_up(rng: Generator, n: int) -> Curve:
    """Whole numbers without any noise that approach their end by 97 % in 100 calls."""
    curve: Curve = np.floor(1000 * (1 - np.exp(-_calls(n) / rng.uniform(4, 28))))
    return curve


def slow_noise(rng: Generator, n: int) -> Curve:
    """Noise that remembers some ten calls."""
    return autocorrelated(rng, n, carry=0.9)


def logistic(rng: Generator, n: int) -> Curve:
    """A cache that catches on late and is full by call 100."""
    middle = rng.uniform(15, 60)
    return _size(rng) / (1 + np.exp(-(_calls(n) - middle) / rng.uniform(2, 9))) + white(rng, n)


def two_caches(rng: Generator, n: int) -> Curve:
    """A fast cache and a slow one."""
    fast, slow = rng.uniform(2, 8), rng.uniform(10, 28)
    return _size(rng) * (2 - np.exp(-_calls(n) / fast) - np.exp(-_calls(n) / slow)) + white(rng, n)


BOUNDED: dict[str, BoundedFamily] = {
    "largest request": request_buffer,
    "churning pool": churning_pool,
    "telegraph": telegraph,
    "staircase": staircase,
    "tide": tide,
    "spikes": spikes,
    "falling": falling,
    "two generations": two_generations,
    "noiseless warm-up": noiseless_warm_up,
    "slow noise": slow_noise,
    "logistic": logistic,
    "two caches": two_caches,
}

LEAKING: dict[str, LeakingFamily] = {
    "random sizes": lambda rng, n, s: s * np.cumsum(rng.exponential(size=n)) + white(rng, n),
    "rare and large": lambda rng, n, s: s / 0.05 * np.cumsum(rng.random(n) < 0.05) + white(rng, n),
    "with spikes": lambda rng, n, s: s * _calls(n) + spikes(rng, n),
    "with a tide": lambda rng, n, s: s * _calls(n) + tide(rng, n),
    "beside a cache": lambda rng, n, s: s * _calls(n) + logistic(rng, n),
    "beside a step": lambda rng, n, s: s * _calls(n) + 10 * (_calls(n) > 50) + white(rng, n),
    "in slow noise": lambda rng, n, s: s * _calls(n) + slow_noise(rng, n),
    "in two generations": lambda rng, n, s: s * _calls(n) + two_generations(rng, n),
    "in bursts": lambda rng, n, s: s * 25 * np.floor(_calls(n) / 25) + white(rng, n),
    "late, a quarter in": lambda rng, n, s: (
        s / 0.75 * np.maximum(_calls(n) - n / 4, 0) + white(rng, n)
    ),
    "a little faster": lambda rng, n, s: s * _calls(n) ** 1.5 / n**0.5 + white(rng, n),
    "noiseless": lambda rng, n, s: s * _calls(n),
}
