"""Which judged samples of two runs stand after the same calls. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from leakhunt.analysis.verdict.series import MIN_SAMPLES
from leakhunt.model.run import Run


def common_samples(before: Run, after: Run) -> tuple[Sequence[int], Sequence[int]] | None:
    """The places of the judged samples that come after the same calls in both runs.

    None where there are too few, or the calls between two samples are not the same: then the runs
    cannot be compared call by call. Nor can soaks: users send what they send, in no common order.
    """
    if before.plan.load is not None or after.plan.load is not None:
        return None
    if (before.calls_per_sample, before.collects) != (after.calls_per_sample, after.collects):
        return None
    places = [_places(run) for run in (before, after)]
    calls = [call for call in places[0] if call in places[1]]
    if len(calls) < MIN_SAMPLES or not _even(calls, before.calls_per_sample):
        return None
    return [places[0][call] for call in calls], [places[1][call] for call in calls]


def judged_calls(run: Run) -> range | None:
    """The calls that the judged samples come after; None where they stand at no even distance."""
    calls = list(_places(run))
    if run.plan.load is not None or not calls or not _even(calls, run.calls_per_sample):
        return None
    return range(calls[0], calls[-1] + 1, run.calls_per_sample)


def places_after(run: Run, calls: range) -> Sequence[int] | None:
    """The places of the judged samples that come after just these calls; None: not all are there.

    Nor are they where its samples stand closer: what lies between two would be read differently.
    """
    if run.plan.load is not None or run.calls_per_sample != calls.step:
        return None
    places = _places(run)
    return [places[call] for call in calls] if all(call in places for call in calls) else None


def _places(run: Run) -> dict[int, int]:
    return {run.calls[place]: place for place in range(run.judged_from, run.samples_done)}


def _even(calls: Sequence[int], distance: int) -> bool:
    return all(later - sooner == distance for sooner, later in pairwise(calls))
