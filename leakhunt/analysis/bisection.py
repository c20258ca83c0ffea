"""Which version to look at next, and how sure the boundary between two is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leakhunt.analysis.matrix.report import leading
from leakhunt.analysis.matrix.significance import joined, p_value
from leakhunt.analysis.verdict import judge
from leakhunt.analysis.verdict.series import CLEAN_ALPHA
from leakhunt.model.bisection import BisectStep
from leakhunt.model.run import Run
from leakhunt.model.verdict import Status

# A leak that was counted exactly has no p-value; its verdict's own level.
_LEVEL = 0.01


def judged_step(version: str, place: int, runs: Sequence[Run]) -> BisectStep:
    """What the runs of a version say: the last one, and earlier ones where they agree with it."""
    verdicts = [judge(run, power=False) for run in runs]
    last = verdicts[-1]
    agreeing = [
        run for run, verdict in zip(runs, verdicts, strict=True) if verdict.status is last.status
    ]
    trend = leading(last)
    return BisectStep(
        version=version,
        place=place,
        status=last.status,
        runs=len(runs),
        confidence=_confidence(last.status, agreeing),
        series=trend.series if trend else "",
        unit=trend.unit if trend else None,
        rate=trend.rate if trend else None,
        rate_low=trend.rate_low if trend else None,
        rate_high=trend.rate_high if trend else None,
    )


def _confidence(status: Status, runs: Sequence[Run]) -> float | None:
    """One less the chance of such runs in the other class."""
    if status is Status.LEAK:
        known = [each for each in map(p_value, runs) if each is not None]
        return 1 - (joined(known) if known else _LEVEL)
    if status is Status.NO_LEAK:
        return 1 - CLEAN_ALPHA ** len(runs)
    return None


def next_place(low: int, high: int, tried: Mapping[int, BisectStep]) -> int | None:
    """The place to look at between two that are known, nearest to the middle; None: none is left.

    Those that were tried and are not decided are gone around.
    """
    untried = [place for place in range(low + 1, high) if place not in tried]
    return (
        min(untried, key=lambda place: (abs(place - (low + high) / 2), place)) if untried else None
    )


def joint_probability(steps: Sequence[BisectStep]) -> float:
    """The chance that all of these are right, at least: whatever one has to do with another."""
    return max(1 - sum(1 - (step.confidence or 0.0) for step in steps), 0.0)
