"""Memory curves of services that leak and of services that do not, made up from their causes.

For validation only: no detector may be tuned on them. A family is a function of a random generator
and a number of calls; it gives one reading a call. The unit is sigma, the standard deviation of the
noise of one reading (where a family has noise of another kind, its docstring says what).

`BOUNDED` do not leak: what moves in them is over within `SETTLED` calls, or happens once (the
families in `EVENTS`), or is stationary. `LEAKING` grow by `slope` sigma a call, on average over the
whole curve: the leak in them, apart from all else, ends at exactly `slope * (n - 1)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Curve = NDArray[np.float64]
Bounded = Callable[[Generator, int], Curve]
Leaking = Callable[[Generator, int, float], Curve]

SETTLED = 100  # calls after which no transient moves a bounded curve any more
LEFTOVER = 0.1  # sigma that an exponential may still have to go by then
PAGE = 4.0  # sigma


# What readings are made of.


def _curve(values: object) -> Curve:
    """`values` for what they are: numpy's arithmetic forgets the kind of number."""
    return np.asarray(values, dtype=np.float64)


def _white(rng: Generator, n: int) -> Curve:
    return _curve(rng.normal(size=n))


def _persistent(rng: Generator, n: int, memory: float) -> Curve:
    """First-order autoregression, of standard deviation one."""
    shocks = rng.normal(size=n) * math.sqrt(1 - memory**2)
    values = np.empty(n)
    level = float(rng.normal())
    for call in range(n):
        level = memory * level + float(shocks[call])
        values[call] = level
    return values


def _heavy_tailed(rng: Generator, n: int) -> Curve:
    """Student's t with three degrees of freedom, of standard deviation one."""
    return _curve(rng.standard_t(3, size=n) / math.sqrt(3))


def _paged(values: Curve) -> Curve:
    return _curve(PAGE * np.floor(values / PAGE))


def _spikes(rng: Generator, n: int) -> Curve:
    """One call in twenty holds 50 sigma that are gone with the next."""
    return _curve(50.0 * (rng.random(n) < 0.05))


def _warmup(rng: Generator, n: int) -> Curve:
    size = rng.uniform(3, 100)
    slowest = SETTLED / math.log(size / LEFTOVER)
    tau = rng.uniform(2, min(30.0, slowest))
    return size * (1 - np.exp(-np.arange(n) / tau))


def _teeth(rng: Generator, n: int, period: int, amplitude: float) -> Curve:
    """Garbage of uneven size, collected every `period` calls."""
    garbage = rng.uniform(0.5, 1.5, size=n) * amplitude / period
    retained = np.empty(n)
    level = 0.0
    phase = int(rng.integers(period))
    for call in range(n):
        level = 0.0 if (call + phase) % period == 0 else level + float(garbage[call])
        retained[call] = level
    # What had been held before the first call, that the first tooth be no smaller than the others.
    retained[: (-phase) % period] += amplitude * phase / period
    return retained


def _two_levels(rng: Generator, n: int) -> Curve:
    """An arena that is now kept, now released; it stays so for 3 to 30 calls on average."""
    dwell = rng.uniform(3, 30)
    turns = rng.random(n) < 1 / dwell
    retained = (np.cumsum(turns) + rng.integers(2)) % 2
    return rng.uniform(5, 40) * retained.astype(np.float64)


def _collected_entries(rng: Generator, n: int, kinds: int) -> Curve:
    """A cache of one entry a kind of request, kinds in random order, full within `SETTLED`."""
    while True:
        requests = rng.integers(kinds, size=SETTLED)
        kinds_seen, first = np.unique(requests, return_index=True)
        if kinds_seen.size == kinds:
            break
    sizes = rng.gamma(4.0, 2.0, size=kinds)
    retained = np.zeros(max(n, SETTLED))
    for kind, call in zip(kinds_seen, first, strict=True):
        retained[call:] += sizes[kind]
    return retained[:n]


def _churning_entries(rng: Generator, n: int) -> Curve:
    """A cache of 10 to 30 entries of random size, one replaced a call."""
    room = int(rng.integers(10, 31))
    sizes = rng.gamma(2.0, rng.uniform(0.5, 2.0), size=n)
    retained = np.cumsum(sizes)
    retained[room:] -= retained[:-room].copy() if n > room else 0.0
    return retained


def _waves(rng: Generator, n: int) -> Curve:
    period = rng.uniform(60, 150)
    angle = rng.uniform(0, 2 * math.pi)
    return _curve(rng.uniform(1, 8) * np.sin(2 * math.pi * np.arange(n) / period + angle))


def step_of(rng: Generator, n: int) -> tuple[int, float]:
    """The call at which a single step comes, anywhere, and its size: an `EVENTS` family's first."""
    return int(rng.integers(1, n)), float(rng.uniform(3, 100))


def _step(n: int, at: int, size: float) -> Curve:
    return _curve(size * (np.arange(n) >= at))


# Services that do not leak.


def _flat(rng: Generator, n: int) -> Curve:
    """Nothing but the noise of the reading."""
    return _white(rng, n)


def _flat_persistent(rng: Generator, n: int) -> Curve:
    """Noise that carries over from call to call, by 0.8."""
    return _persistent(rng, n, 0.8)


def _flat_very_persistent(rng: Generator, n: int) -> Curve:
    """Load from outside: noise that carries over by 0.95 (a correlation of 20 calls)."""
    return _white(rng, n) + 2.0 * _persistent(rng, n, 0.95)


def _flat_heavy_tailed(rng: Generator, n: int) -> Curve:
    """Noise with far outliers."""
    return _heavy_tailed(rng, n)


def _flat_uneven(rng: Generator, n: int) -> Curve:
    """Calm and restless times: the spread of the noise itself wanders, between a half and four."""
    return _white(rng, n) * np.exp(0.5 * _persistent(rng, n, 0.9))


def _flat_one_sided(rng: Generator, n: int) -> Curve:
    """The reading holds the buffer of the current request, of log-normal size, cut at a limit."""
    return np.minimum(rng.lognormal(0.0, 1.0, size=n), 8.0)


def _flat_paged(rng: Generator, n: int) -> Curve:
    """A reading in whole pages of four sigma, the level anywhere between two."""
    return _paged(rng.uniform(0, 10 * PAGE) + _white(rng, n))


def _two_buffers(rng: Generator, n: int) -> Curve:
    """Double buffering: odd calls hold the larger of two buffers."""
    return rng.uniform(2, 20) * (np.arange(n) % 2) + _white(rng, n)


def _constant(rng: Generator, n: int) -> Curve:
    """The same number, call for call."""
    return np.full(n, float(np.round(rng.uniform(0, 1000))))


def _exponential_warmup(rng: Generator, n: int) -> Curve:
    """A warm-up that slows down, within 0.1 sigma of its end after `SETTLED` calls."""
    return _warmup(rng, n) + _white(rng, n)


def _exponential_warmup_exact(rng: Generator, n: int) -> Curve:
    """A warm-up in a reading without noise; in whole units, a tenth of a sigma each."""
    return _curve(np.round(_warmup(rng, n) * 10) / 10)


def _linear_warmup(rng: Generator, n: int) -> Curve:
    """A straight rise that stops dead: a pool filled by one slot a call."""
    stop = int(rng.integers(20, SETTLED + 1))
    return rng.uniform(3, 100) * np.minimum(np.arange(n) / stop, 1) + _white(rng, n)


def _overshooting_warmup(rng: Generator, n: int) -> Curve:
    """Up in the first calls, and down again to less when the allocator trims or the tuner ends."""
    top = int(rng.integers(10, 40))
    end = int(rng.integers(top + 5, SETTLED + 1))
    peak = rng.uniform(20, 100)
    rest = rng.uniform(0, 0.8) * peak
    shape = np.interp(np.arange(n), [0, top, end], [0.0, peak, rest])
    return shape + _white(rng, n)


def _high_water(rng: Generator, n: int) -> Curve:
    """An arena as large as the largest request so far; after `SETTLED` calls none is larger."""
    sizes = rng.lognormal(0.0, rng.uniform(0.5, 1.2), size=max(n, SETTLED))
    sizes[SETTLED:] = np.minimum(sizes[SETTLED:], sizes[:SETTLED].max())
    return rng.uniform(2, 10) * np.maximum.accumulate(sizes)[:n] + _white(rng, n)


def _shape_cache(rng: Generator, n: int) -> Curve:
    """One entry for each of 5 to 25 shapes, as a compiling backend or a CUDA allocator keeps."""
    return _collected_entries(rng, n, int(rng.integers(5, 26))) + _white(rng, n)


def _full_cache(rng: Generator, n: int) -> Curve:
    """A cache that fills and then churns, its entries of random size."""
    return _churning_entries(rng, n) + _white(rng, n)


def _thread_arenas(rng: Generator, n: int) -> Curve:
    """A pool of workers, each with an arena of its own from its first request on."""
    firsts = rng.integers(0, SETTLED, size=int(rng.integers(2, 9)))
    size = rng.uniform(5, 25)
    return _curve(size * np.sum(np.arange(n)[:, None] >= firsts, axis=1)) + _white(rng, n)


def _early_stairs(rng: Generator, n: int) -> Curve:
    """Two or three modules loaded late, but within `SETTLED` calls."""
    steps = rng.integers(1, SETTLED, size=int(rng.integers(2, 4)))
    sizes = rng.uniform(3, 50, size=steps.size)
    return _curve(np.sum(sizes * (np.arange(n)[:, None] >= steps), axis=1)) + _white(rng, n)


def _late_step_up(rng: Generator, n: int) -> Curve:
    """A path taken for the first time, once, anywhere."""
    at, size = step_of(rng, n)
    return _step(n, at, size) + _white(rng, n)


def _step_down(rng: Generator, n: int) -> Curve:
    """Something large let go of, once, anywhere."""
    at, size = step_of(rng, n)
    return _step(n, at, -size) + _white(rng, n)


def _late_step_persistent(rng: Generator, n: int) -> Curve:
    """A step up under noise that carries over."""
    at, size = step_of(rng, n)
    return _step(n, at, size) + _persistent(rng, n, 0.7)


def _collector(rng: Generator, n: int) -> Curve:
    """Garbage collected every 5 to 40 calls, up to 20 sigma of it."""
    return _teeth(rng, n, int(rng.integers(5, 41)), rng.uniform(1, 20)) + _white(rng, n)


def _random_flushes(rng: Generator, n: int) -> Curve:
    """A buffer that grows evenly and is flushed at random, every 8 to 30 calls on average."""
    every = rng.uniform(8, 30)
    flushes = rng.random(n) < 1 / every
    flushes[0] = True
    begun = np.maximum.accumulate(np.where(flushes, np.arange(n), 0))
    age = np.arange(n) - begun
    # The first stretch began before the first call.
    age[begun == 0] += rng.geometric(1 / every)
    return rng.uniform(0.2, 1.0) * age + _white(rng, n)


def _telegraph(rng: Generator, n: int) -> Curve:
    """Two levels, switched at random: an arena now kept, now released."""
    return _two_levels(rng, n) + _white(rng, n)


def _day(rng: Generator, n: int) -> Curve:
    """A slow wave of period 60 to 150: the load of a day, seen through a cache."""
    return _waves(rng, n) + _white(rng, n)


def _transients(rng: Generator, n: int) -> Curve:
    """One call in twenty with 50 sigma more."""
    return _spikes(rng, n) + _white(rng, n)


def _everything(rng: Generator, n: int) -> Curve:
    """A real service: warm-up, a shape cache, a collector and heavy tails, all at once."""
    parts = _warmup(rng, n) + _collected_entries(rng, n, 12) + _teeth(rng, n, 15, 6.0)
    return parts + _heavy_tailed(rng, n)


BOUNDED: dict[str, Bounded] = {
    "flat": _flat,
    "flat, persistent noise": _flat_persistent,
    "flat, very persistent noise": _flat_very_persistent,
    "flat, heavy tails": _flat_heavy_tailed,
    "flat, uneven noise": _flat_uneven,
    "flat, request buffers": _flat_one_sided,
    "flat, whole pages": _flat_paged,
    "two buffers": _two_buffers,
    "constant": _constant,
    "exponential warm-up": _exponential_warmup,
    "exponential warm-up, exact": _exponential_warmup_exact,
    "linear warm-up": _linear_warmup,
    "overshooting warm-up": _overshooting_warmup,
    "high-water mark": _high_water,
    "shape cache": _shape_cache,
    "full cache": _full_cache,
    "thread arenas": _thread_arenas,
    "early stairs": _early_stairs,
    "late step up": _late_step_up,
    "step down": _step_down,
    "late step, persistent noise": _late_step_persistent,
    "collector": _collector,
    "random flushes": _random_flushes,
    "telegraph": _telegraph,
    "day": _day,
    "transients": _transients,
    "everything at once": _everything,
}

# Families whose one event may come anywhere; `step_of` with the same generator tells where.
EVENTS = frozenset({"late step up", "step down", "late step, persistent noise"})


# Services that leak.


def _leak(losses: Curve, slope: float) -> Curve:
    """What has leaked by each call, the losses scaled to `slope` a call on average."""
    n = losses.size
    retained = np.cumsum(losses) - losses[0]
    if retained[-1] == 0:  # nothing lost in so few calls: all of it at the end
        retained = np.zeros(n)
        retained[-1] = 1.0
    return _curve(slope * (n - 1) * retained / retained[-1])


def _even(n: int, slope: float) -> Curve:
    return slope * np.arange(n, dtype=np.float64)


def _line(rng: Generator, n: int, slope: float) -> Curve:
    """The same loss with each call."""
    return _even(n, slope) + _white(rng, n)


def _line_exact(rng: Generator, n: int, slope: float) -> Curve:
    """The same loss with each call, in a reading without noise."""
    return rng.uniform(0, 1000) + _even(n, slope)


def _line_persistent(rng: Generator, n: int, slope: float) -> Curve:
    """Under noise that carries over by 0.8."""
    return _even(n, slope) + _persistent(rng, n, 0.8)


def _line_heavy_tailed(rng: Generator, n: int, slope: float) -> Curve:
    """Under noise with far outliers."""
    return _even(n, slope) + _heavy_tailed(rng, n)


def _line_uneven(rng: Generator, n: int, slope: float) -> Curve:
    """Under noise whose spread wanders."""
    return _even(n, slope) + _white(rng, n) * np.exp(0.5 * _persistent(rng, n, 0.9))


def _line_paged(rng: Generator, n: int, slope: float) -> Curve:
    """In whole pages of four sigma."""
    return _paged(rng.uniform(0, PAGE) + _even(n, slope) + _white(rng, n))


def _one_in_ten(rng: Generator, n: int, slope: float) -> Curve:
    """One call in ten, at random, loses ten times as much: an error path."""
    return _leak((rng.random(n) < 0.1).astype(np.float64), slope) + _white(rng, n)


def _poisson(rng: Generator, n: int, slope: float) -> Curve:
    """A random number of objects lost with each call, 0.3 on average."""
    return _leak(rng.poisson(0.3, size=n).astype(np.float64), slope) + _white(rng, n)


def _random_sizes(rng: Generator, n: int, slope: float) -> Curve:
    """A loss of random, exponential size with each call: the request's own size."""
    return _leak(rng.exponential(size=n), slope) + _white(rng, n)


def _every_25(rng: Generator, n: int, slope: float) -> Curve:
    """A chunk every 25 calls: an allocator's pool, grown when it is full."""
    phase = int(rng.integers(25))
    return _leak(((np.arange(n) + phase) % 25 == 0).astype(np.float64), slope) + _white(rng, n)


def _in_bursts(rng: Generator, n: int, slope: float) -> Curve:
    """Losses in ten calls of fifty: a client that comes and goes."""
    phase = int(rng.integers(50))
    return _leak(((np.arange(n) + phase) % 50 < 10).astype(np.float64), slope) + _white(rng, n)


def _beneath_collector(rng: Generator, n: int, slope: float) -> Curve:
    """Beneath a collector's teeth, 15 sigma high, 20 calls long."""
    return _even(n, slope) + _teeth(rng, n, 20, 15.0) + _white(rng, n)


def _after_warmup(rng: Generator, n: int, slope: float) -> Curve:
    """From the first call on, beneath a warm-up."""
    return _even(n, slope) + _warmup(rng, n) + _white(rng, n)


def _after_overshoot(rng: Generator, n: int, slope: float) -> Curve:
    """While a large warm-up is given back: the curve ends no higher than it once stood."""
    down = np.interp(np.arange(n), [0, 10, 40, 80], [0.0, 60.0, 60.0, 5.0])
    return _even(n, slope) + down + _white(rng, n)


def _starting_late(rng: Generator, n: int, slope: float) -> Curve:
    """Nothing is lost before a fifth to a third of the calls; more than `slope` after that."""
    begin = rng.uniform(0.20, 0.35) * n
    return _leak((np.arange(n) > begin).astype(np.float64), slope) + _white(rng, n)


def _accelerating(rng: Generator, n: int, slope: float) -> Curve:
    """Each call loses more than the one before: a listener registered anew each time."""
    return _leak(np.arange(n, dtype=np.float64), slope) + _white(rng, n)


def _with_step(rng: Generator, n: int, slope: float) -> Curve:
    """Beside one step up that has nothing to do with it."""
    at, size = step_of(rng, n)
    return _even(n, slope) + _step(n, at, size) + _white(rng, n)


def _with_release(rng: Generator, n: int, slope: float) -> Curve:
    """Beside one release of 20 sigma in the middle half: the end may come to lie at the start."""
    at = int(rng.integers(n // 4, max(3 * n // 4, n // 4 + 1)))
    return _even(n, slope) + _step(n, at, -20.0) + _white(rng, n)


def _with_filling_cache(rng: Generator, n: int, slope: float) -> Curve:
    """Beside a cache that is full after 80 calls."""
    return _even(n, slope) + rng.uniform(10, 60) * np.minimum(np.arange(n) / 80, 1) + _white(rng, n)


def _with_churning_cache(rng: Generator, n: int, slope: float) -> Curve:
    """Beside a cache that churns."""
    return _even(n, slope) + _churning_entries(rng, n) + _white(rng, n)


def _with_telegraph(rng: Generator, n: int, slope: float) -> Curve:
    """Beside an arena now kept, now released."""
    return _even(n, slope) + _two_levels(rng, n) + _white(rng, n)


def _with_day(rng: Generator, n: int, slope: float) -> Curve:
    """Beneath a slow wave."""
    return _even(n, slope) + _waves(rng, n) + _white(rng, n)


def _with_transients(rng: Generator, n: int, slope: float) -> Curve:
    """Beneath one call in twenty with 50 sigma more."""
    return _even(n, slope) + _spikes(rng, n) + _white(rng, n)


def _with_everything(rng: Generator, n: int, slope: float) -> Curve:
    """A real service: random sizes, beneath a warm-up, a shape cache, a collector, heavy tails."""
    losses = rng.exponential(size=n) * (rng.random(n) < 0.5)
    return _leak(losses, slope) + _everything(rng, n)


LEAKING: dict[str, Leaking] = {
    "line": _line,
    "line, exact": _line_exact,
    "line, persistent noise": _line_persistent,
    "line, heavy tails": _line_heavy_tailed,
    "line, uneven noise": _line_uneven,
    "line, whole pages": _line_paged,
    "one call in ten": _one_in_ten,
    "Poisson": _poisson,
    "random sizes": _random_sizes,
    "every 25 calls": _every_25,
    "in bursts": _in_bursts,
    "beneath a collector": _beneath_collector,
    "beneath a warm-up": _after_warmup,
    "beneath an overshoot": _after_overshoot,
    "starting late": _starting_late,
    "accelerating": _accelerating,
    "with a step": _with_step,
    "with a release": _with_release,
    "with a filling cache": _with_filling_cache,
    "with a churning cache": _with_churning_cache,
    "with a telegraph": _with_telegraph,
    "with a day": _with_day,
    "with transients": _with_transients,
    "with everything": _with_everything,
}
