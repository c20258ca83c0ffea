"""What a measured run grows by, as far as there is something to attribute. Pure."""

from __future__ import annotations

from leakhunt.analysis.verdict.after_gc import collected_points, remains
from leakhunt.analysis.verdict.effort import has_slow_calls
from leakhunt.analysis.verdict.judge import tolerance_of
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Run
from leakhunt.model.series import CUDA_ALLOCATED, LIVE_HEAP, PYTHON_BLOCKS, PYTHON_LIVE, RSS, Unit
from leakhunt.model.verdict import Status, Trend, Verdict


def is_growing(verdict: Verdict) -> bool:
    """Whether there is anything to attribute: a leak, or growth that is not decided yet."""
    return (
        verdict.status is Status.LEAK
        or rss_alone(verdict) is not None
        or any(trend.rises_undecided for trend in verdict.trends.values())
    )


def grows_visibly(run: Run, verdict: Verdict) -> bool:
    """Whether growth is worth another run: not where only few bytes of Python blocks are left.

    What is open then is whether it goes on, and not by how much.
    """
    if verdict.status is Status.LEAK or rss_alone(verdict) is not None:
        return True
    rising = {name for name, trend in verdict.trends.items() if trend.rises_undecided}
    remaining = remains(run, PYTHON_LIVE)
    if rising == {PYTHON_BLOCKS} and remaining is not None:
        return remaining.pieces[-1] > tolerance_of(LIVE_HEAP, Unit.BYTES, run.calls_per_sample)
    return bool(rising)


def rss_alone(verdict: Verdict) -> Trend | None:
    """RSS, where it rises and the process that was measured does not tell its live heap.

    Of itself it does grow for certain; what is not decided is whether that is in use.
    """
    trends = verdict.trends
    if LIVE_HEAP in trends or PYTHON_BLOCKS not in trends:
        return None
    rss = trends.get(RSS)
    if rss is None or verdict.status is not Status.INCONCLUSIVE:
        return None
    return rss if rss.status is Status.LEAK or rss.rises_undecided else None


def growth_per_call(run: Run, verdict: Verdict) -> float | None:
    """The bytes per call that stay, over all heaps; None where what grows is no memory.

    The live heap, the live bytes of pymalloc, CUDA's allocated bytes; RSS for mappings, and where
    the live heap cannot be read.
    """
    if has_slow_calls(run):
        return _growth_of_few_calls(run)
    total = 0.0
    for name in (LIVE_HEAP, CUDA_ALLOCATED):
        trend = verdict.trends.get(name)
        if trend is not None and trend.status is not Status.NO_LEAK:
            total += max(trend.rate or 0.0, 0.0)
    total += python_growth(run, verdict)
    if (alone := rss_alone(verdict)) is not None:
        total += max(alone.rate or 0.0, 0.0)
    if Kind.MAPPING_GROWTH in (verdict.kind, *verdict.also):
        total += max(verdict.trends[RSS].rate or 0.0, 0.0)
    least = tolerance_of(LIVE_HEAP, Unit.BYTES, run.calls_per_sample)
    return total if total > least else None


def python_growth(run: Run, verdict: Verdict) -> float:
    """The bytes per call that stay in the heap of small Python objects."""
    remaining = remains(run, PYTHON_LIVE)
    blocks = verdict.trends.get(PYTHON_BLOCKS)
    if remaining is None or blocks is None or blocks.status is Status.NO_LEAK:
        return 0.0
    return max(remaining.rate, 0.0)


def _growth_of_few_calls(run: Run) -> float | None:
    """The bytes per call between the last two collections, of a run too short for a trend."""
    total = 0.0
    for name in (LIVE_HEAP, PYTHON_LIVE, CUDA_ALLOCATED):
        points = sorted(set(collected_points(run, name, first_sample=1)))
        if len(points) >= 2 and (calls := points[-1][0] - points[-2][0]) > 0:
            total += max((points[-1][1] - points[-2][1]) / calls, 0.0)
    return total if total > tolerance_of(LIVE_HEAP, Unit.BYTES, 1) else None
