"""What a variant costs in time, beside what it saves in memory."""

from __future__ import annotations

from statistics import median, quantiles

from leakhunt.model import Cost, Run

_NANOSECONDS = 1e9


def cost(run: Run, reference: Run | None) -> Cost | None:
    """Seconds per call after the warm-up, and their ratio to the reference's; None without any."""
    seconds = _seconds(run)
    if not seconds:
        return None
    lower, middle, upper = quantiles(seconds, n=4) if len(seconds) > 1 else seconds * 3
    base = _seconds(reference) if reference is not None else []
    ratio = middle / median(base) if base and median(base) > 0 else None
    return Cost(middle, lower, upper, ratio)


def _seconds(run: Run) -> list[float]:
    durations = run.samples.get("duration", ())
    measured = durations[run.judged_from :] or durations
    return [duration / run.calls_per_sample / _NANOSECONDS for duration in measured]
