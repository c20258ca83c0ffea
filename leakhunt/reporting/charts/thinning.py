"""Long series made short enough to draw, so that no step and no spike disappears. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from leakhunt.text.language import tr

# At most about so many points a curve: each bucket keeps its lowest and highest sample.
MAX_POINTS = 1500
# A time is shown as the median of so many samples: one slow call is no curve.
SMOOTHED_SAMPLES = 9


def decimated(heights: Sequence[float], most: int = MAX_POINTS) -> tuple[list[int], list[float]]:
    """Places and heights, thinned to the lowest and highest of each bucket, in order.

    The first and the last are always among them.
    """
    if len(heights) <= most:
        return list(range(len(heights))), list(heights)
    import numpy as np

    values = np.asarray(heights)
    size = -(-len(values) * 2 // most)
    whole = len(values) // size * size
    firsts = np.arange(0, whole, size)
    buckets = values[:whole].reshape(-1, size)
    kept = np.concatenate([firsts + buckets.argmin(axis=1), firsts + buckets.argmax(axis=1)])
    if whole < len(values):
        rest = values[whole:]
        kept = np.concatenate([kept, [whole + rest.argmin(), whole + rest.argmax()]])
    places = np.unique([0, *kept, len(values) - 1])
    return places.tolist(), values[places].tolist()


def smoothed_title(title: str) -> str:
    """The title of a time, with how it was smoothed."""
    return tr("{title} (median of {count} samples)", title=title, count=SMOOTHED_SAMPLES)


def smoothed(values: Sequence[float], reach: int) -> list[float]:
    """The median of each value and its neighbours up to `reach` away: one slow call is no curve."""
    if len(values) <= 2 * reach:
        return [
            median(values[max(place - reach, 0) : place + reach + 1])
            for place in range(len(values))
        ]
    import numpy as np

    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(values), 2 * reach + 1)
    inner: list[float] = np.median(windows, axis=1).tolist()
    head = [median(values[: place + reach + 1]) for place in range(reach)]
    tail = [median(values[place - reach :]) for place in range(len(values) - reach, len(values))]
    return [*head, *inner, *tail]
