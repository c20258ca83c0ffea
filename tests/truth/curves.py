"""Simulated memory curves whose truth is known; those the rule was tuned on.

Unit: sigma, the standard deviation of one sample's noise. Every transient of a bounded curve is
over within 100 calls, or is one event anywhere. `held_out_curves` has families the rule never saw.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Curve = NDArray[np.float64]
BoundedFamily = Callable[[Generator, int], Curve]
LeakingFamily = Callable[[Generator, int, float], Curve]

LONGEST_TRANSIENT = 100
QUANTUM = 4.0


def white(rng: Generator, n: int) -> Curve:
    """Independent noise."""
    return rng.normal(size=n)


def autocorrelated(rng: Generator, n: int, carry: float = 0.8) -> Curve:
    """AR(1) noise of variance 1."""
    fresh = rng.normal(size=n) * np.sqrt(1 - carry**2)
    fresh[0] = rng.normal()
    noise = np.empty(n)
    noise[0] = fresh[0]
    for call in range(1, n):
        noise[call] = carry * noise[call - 1] + fresh[call]
    return noise


def heavy_tailed(rng: Generator, n: int) -> Curve:
    """Student t with 3 degrees of freedom, variance 1."""
    noise: Curve = rng.standard_t(3, size=n) / np.sqrt(3)
    return noise


def _height(rng: Generator) -> float:
    return float(np.exp(rng.uniform(np.log(3), np.log(100))))


def _calls(n: int) -> Curve:
    return np.arange(n, dtype=float)


def warm_up(rng: Generator, n: int) -> Curve:
    """An exponential approach, 97 % done within the longest transient."""
    tau = rng.uniform(3, LONGEST_TRANSIENT / 3.5)
    return _height(rng) * (1 - np.exp(-_calls(n) / tau)) + white(rng, n)


def ramp_that_stops(rng: Generator, n: int) -> Curve:
    """A straight line that ends."""
    return _height(rng) * np.minimum(_calls(n) / rng.uniform(10, LONGEST_TRANSIENT), 1) + white(
        rng, n
    )


def capped_root(rng: Generator, n: int) -> Curve:
    """A square root that ends."""
    return _height(rng) * np.sqrt(
        np.minimum(_calls(n) / rng.uniform(10, LONGEST_TRANSIENT), 1)
    ) + white(rng, n)


def filling_cache(rng: Generator, n: int) -> Curve:
    """A cache of K keys drawn at random: a coupon collector's curve."""
    keys = int(rng.integers(5, 25))
    drawn = rng.integers(0, keys, size=n)
    first = np.zeros(n)
    first[np.unique(drawn, return_index=True)[1]] = 1
    heights: Curve = _height(rng) / keys * np.cumsum(first) + white(rng, n)
    return heights


def one_step(rng: Generator, n: int) -> Curve:
    """One step up, anywhere."""
    return _height(rng) * (_calls(n) > rng.uniform(0, n)) + white(rng, n)


def high_water_mark(rng: Generator, n: int) -> Curve:
    """A buffer as large as the largest request so far; request sizes are bounded."""
    return _height(rng) * np.maximum.accumulate(rng.random(n)) + white(rng, n)


def sawtooth(rng: Generator, n: int) -> Curve:
    """Garbage between collections."""
    period = int(rng.integers(5, 40))
    return rng.uniform(3, 20) * (_calls(n) % period) / period + white(rng, n)


def lru_cache(rng: Generator, n: int) -> Curve:
    """A bounded cache that fills, then trades entries of unequal size."""
    room = int(rng.integers(10, LONGEST_TRANSIENT))
    total = np.cumsum(rng.lognormal(0, 0.5, size=n))
    size = total.copy()
    size[room:] -= total[:-room]
    return size + white(rng, n)


def two_steps_down_and_up(rng: Generator, n: int) -> Curve:
    """Something is freed, something else is built."""
    places = rng.uniform(0, n, size=2)
    heights = np.array([-1.0, 1.0]) * _height(rng)
    steps: Curve = heights @ (_calls(n) > places[:, None])
    return steps + white(rng, n)


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


def daily_cycle(rng: Generator, n: int) -> Curve:
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
    "white noise": white,
    "autocorrelated noise": autocorrelated,
    "heavy-tailed noise": heavy_tailed,
    "exponential warm-up": warm_up,
    "ramp that stops": ramp_that_stops,
    "capped square root": capped_root,
    "coupon collector": filling_cache,
    "one step": one_step,
    "high-water mark": high_water_mark,
    "sawtooth": sawtooth,
    "LRU cache": lru_cache,
    "step down, step up": two_steps_down_and_up,
    "largest request": request_buffer,
    "churning pool": churning_pool,
    "telegraph": telegraph,
    "staircase": staircase,
    "tide": daily_cycle,
    "spikes": spikes,
    "falling": falling,
    "two generations": two_generations,
    "noiseless warm-up": noiseless_warm_up,
    "slow noise": slow_noise,
    "logistic": logistic,
    "two caches": two_caches,
}


def _line(n: int, slope: float) -> Curve:
    return slope * _calls(n)


LEAKING: dict[str, LeakingFamily] = {
    "line, white noise": lambda rng, n, s: _line(n, s) + white(rng, n),
    "line, autocorrelated": lambda rng, n, s: _line(n, s) + autocorrelated(rng, n),
    "line, heavy tails": lambda rng, n, s: _line(n, s) + heavy_tailed(rng, n),
    "one call in ten": lambda rng, n, s: 10 * s * (_calls(n) // 10) + white(rng, n),
    "random calls": lambda rng, n, s: 5 * s * np.cumsum(rng.random(n) < 0.2) + white(rng, n),
    "in pages": lambda rng, n, s: QUANTUM * np.floor((_line(n, s) + white(rng, n)) / QUANTUM),
    "beneath a sawtooth": lambda rng, n, s: _line(n, s) + sawtooth(rng, n),
    "after a warm-up": lambda rng, n, s: _line(n, s) + warm_up(rng, n),
    "late start": lambda rng, n, s: s * np.maximum(_calls(n) - 0.3 * n, 0) / 0.7 + white(rng, n),
    "accelerating": lambda rng, n, s: s * _calls(n) ** 2 / n + white(rng, n),
    "random sizes": lambda rng, n, s: s * np.cumsum(rng.exponential(size=n)) + white(rng, n),
    "rare and large": lambda rng, n, s: s / 0.05 * np.cumsum(rng.random(n) < 0.05) + white(rng, n),
    "with spikes": lambda rng, n, s: s * _calls(n) + spikes(rng, n),
    "with a tide": lambda rng, n, s: s * _calls(n) + daily_cycle(rng, n),
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
