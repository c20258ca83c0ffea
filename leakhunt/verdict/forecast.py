"""When a leak meets the limit it runs under."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from statistics import median

from leakhunt.model import Forecast, Run, Status, Trend

_NANOSECONDS = 1e9


def forecast(run: Run, trends: Mapping[str, Trend]) -> Forecast | None:
    """Calls until the nearest limit, from the growth of RSS, or of the live heap if RSS hides it.

    None without a limit, or where neither grows.
    """
    growing = [
        trend
        for name in ("rss", "live_heap")
        if (trend := trends.get(name)) is not None and trend.status is Status.LEAK
    ]
    rss = run.samples.get("rss")
    if not growing or not rss or not run.limits:
        return None
    trend = growing[0]
    if trend.rate is None or trend.rate_low is None or trend.rate_high is None:
        return None
    name, limit = min(run.limits.items(), key=lambda item: item[1])
    room = max(limit - rss[-1], 0)
    calls = ceil(room / trend.rate)
    times = run.samples.get("duration", ())[run.judged_from :]
    each = median(times) / run.calls_per_sample / _NANOSECONDS if times else None
    return Forecast(
        limit=name,
        limit_bytes=limit,
        calls=calls,
        calls_soonest=ceil(room / max(trend.rate_high, trend.rate)),
        calls_latest=ceil(room / trend.rate_low) if trend.rate_low > 0 else None,
        seconds=None if each is None else calls * each,
    )
