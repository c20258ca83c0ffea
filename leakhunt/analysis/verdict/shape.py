"""What a curve looks like: labels that were held against curves of known shape (`tests/truth`)."""

from __future__ import annotations

import numpy as np

from leakhunt.analysis.verdict.trend import (
    BLOCKS,
    MIN_LATER_SHARE,
    Floats,
    fine_floors,
    floors,
    later_share,
    mostly_one_step,
)
from leakhunt.model.verdict import Shape

# Growth this many times the noise of the floors is growth that can be seen.
_VISIBLE = 5.0
# A curve accelerates if a parabola beats a line by this ratio of squares, and starts late if a line
# that begins with a flat part does.
_BETTER_FIT = 3.5
# ... and if its later half is so much steeper than its earlier half. Irregular leaks bend by
# chance.
_ACCELERATES = 1.5
# A leak comes in steps if this share of its growth comes in one sample of ten or fewer.
_IN_STEPS = 0.8
_STEPS_SHARE = 0.1
# A drop of a sawtooth is this share of the whole swing, and it has no rise of that size.
_TOOTH = 0.5
_MIN_TEETH = 3


def leak_shape(values: Floats) -> Shape:
    """Linear, stepwise, late start or accelerating, for a curve that is a leak."""
    heights, _ = fine_floors(values)
    times = np.arange(len(heights), dtype=float)
    line = _squares(heights, [times])
    hinge, start = min(
        (_squares(heights, [np.maximum(times - begin, 0)]), begin)
        for begin in range(2, 2 * len(heights) // 3)
    )
    parabola = _squares(heights, [times, times**2])
    bends = _squares(heights, [times**2])
    least = max(line, 1e-9 * float(np.var(heights)) * len(heights)) / _BETTER_FIT
    if hinge <= min(least, parabola) and start >= len(heights) // 8:
        return Shape.LATE_START
    if min(parabola, bends) <= least and later_share(heights) >= _ACCELERATES:
        return Shape.ACCELERATING
    return Shape.STEPWISE if _in_steps(values) else Shape.LINEAR


def _squares(heights: Floats, columns: list[Floats]) -> float:
    """What is left of `heights` after the best fit of a constant and `columns`."""
    matrix = np.stack([np.ones_like(heights), *columns], axis=1)
    rest = heights - matrix @ np.linalg.lstsq(matrix, heights, rcond=None)[0]
    return float(rest @ rest)


def _in_steps(values: Floats) -> bool:
    moves = np.diff(values)
    net = values[-1] - values[0]
    largest = np.sort(moves)[-(int(len(moves) * _STEPS_SHARE) + 1) :]
    rest = np.abs(moves).sum() - np.abs(largest).sum()
    return bool(largest.sum() >= _IN_STEPS * net and rest < (1 - _IN_STEPS) * net)


def bounded_shape(values: Floats, discarded: int, tolerance: float) -> Shape:
    """What a curve is that is no leak, as far as can be seen; `discarded` samples are warm-up."""
    judged, width = fine_floors(values[discarded:])
    heights = floors(judged)
    noise = _noise(judged)
    visible = max(_VISIBLE * noise, tolerance * width * BLOCKS)
    growth = float(np.median(judged[-3:]) - np.median(judged[:3]))
    if growth > visible:
        return _growing_shape(judged, heights)
    if -growth > visible:
        return Shape.UNLABELLED
    if _is_sawtooth(values[discarded:]):
        return Shape.SAWTOOTH
    rest = values[discarded:]
    rise = float(np.median(rest) - np.median(values[: max(discarded // 16, 1)]))
    return Shape.WARM_UP if rise > max(3 * float(np.std(rest)), visible) else Shape.FLAT


def _growing_shape(judged: Floats, heights: Floats) -> Shape:
    if mostly_one_step(heights):
        return Shape.ONE_OFF_STEP
    if later_share(heights) < MIN_LATER_SHARE and _fills(judged):
        return Shape.FILLING_CACHE
    return Shape.UNLABELLED


def _fills(judged: Floats) -> bool:
    """Whether an approach to a limit fits far better than a line; leaks slow down by chance."""
    times = np.arange(len(judged), dtype=float)
    line = _squares(judged, [times])
    approach = min(
        _squares(judged, [np.exp(-times / constant)])
        for constant in np.geomspace(2, len(judged), 12)
    )
    return line > _BETTER_FIT * approach


def _noise(fine: Floats) -> float:
    """The standard deviation of one floor, from the differences of neighbours."""
    return float(np.median(np.abs(np.diff(fine)))) / 0.954


def _is_sawtooth(values: Floats) -> bool:
    moves = np.diff(values)
    swing = float(np.quantile(values, 0.98) - np.quantile(values, 0.02))
    if swing <= 0:
        return False
    teeth = int((moves < -_TOOTH * swing).sum())
    rises = int((moves > _TOOTH * swing).sum())
    return teeth >= _MIN_TEETH and rises <= teeth // 10
