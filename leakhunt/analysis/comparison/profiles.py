"""What a run is compared with others by: its figures, without its samples. Pure.

The figures of two single runs on the same inputs are taken over the calls that both made, so that
they can be compared block by block; those of repeats over the judged calls of each. What is kept of
a run in a baseline is the same noun.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from leakhunt.analysis.comparison.alignment import common_samples, judged_calls, places_after
from leakhunt.analysis.comparison.environments import facts
from leakhunt.analysis.comparison.times import times, times_over
from leakhunt.analysis.verdict.after_gc import collected_points, remains
from leakhunt.analysis.verdict.resampling import distance
from leakhunt.analysis.verdict.series import DISCARDED_SHARE, MIN_SAMPLES
from leakhunt.analysis.verdict.trend import FINE_BLOCKS, Floats, fine_floors, floors
from leakhunt.model.baseline import GrowthCourse, Profile, Times
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Run
from leakhunt.model.series import DURATION, RSS, SeriesFacts, SeriesRole, compared_series
from leakhunt.model.verdict import Status


def profile(entry: JudgedRun) -> Profile:
    """The figures of a run over its judged samples."""
    run = entry.run
    judged = range(run.judged_from, run.samples_done)
    return _profile(entry, judged, distance(run), judged_calls(run), times)


def together(before: JudgedRun, after: JudgedRun) -> tuple[Profile, Profile]:
    """The figures of two single runs, over the calls that both made if they can be paired."""
    common = common_samples(before.run, after.run)
    if common is None:
        return profile(before), profile(after)
    return _over(before, common[0]), _over(after, common[1])


def over_calls_of(reference: Profile, entry: JudgedRun) -> Profile:
    """The figures of a run over the calls of `reference` if it made them all, else its own."""
    places = places_after(entry.run, reference.calls) if reference.calls is not None else None
    if places is None or entry.run.collects != reference.collects:
        return profile(entry)
    return _over(entry, places)


def _over(entry: JudgedRun, places: Sequence[int]) -> Profile:
    run = entry.run
    calls = range(run.calls[places[0]], run.calls[places[-1]] + 1, run.calls_per_sample)
    return _profile(entry, places, run.calls_per_sample, calls, partial(times_over, places=places))


def _profile(
    entry: JudgedRun,
    places: Sequence[int],
    calls_per_sample: float,
    calls: range | None,
    spent: Callable[[Run], Times],
) -> Profile:
    run = entry.run
    return Profile(
        facts=facts(run),
        work=run.plan.work,
        calls_done=run.calls_done,
        calls=calls,
        judged=run.samples_done - run.judged_from,
        calls_per_sample=run.calls_per_sample,
        collects=run.collects,
        courses={
            facts.name: _course(entry, facts, places, calls_per_sample)
            for facts in compared_series()
            if _has_read(run, facts)
        },
        rss_growth=_rss_growth(run),
        times=spent(run) if DURATION in run.samples and run.plan.work.is_timed else None,
        peak_rss=float(entry.peak.highest_bytes) if entry.peak is not None else None,
    )


def _has_read(run: Run, facts: SeriesFacts) -> bool:
    if not facts.is_sampled:
        return any(facts.name in reading.values for reading in run.readings)
    return facts.name in run.samples


def _course(
    entry: JudgedRun, facts: SeriesFacts, places: Sequence[int], calls_per_sample: float
) -> GrowthCourse:
    run, series = entry.run, facts.name
    steps = None
    if facts.is_sampled:
        steps = floor_steps(_floats(run, series)[list(places)], calls_per_sample)
    # At one collection what is kept may be anywhere: see `growth`.
    is_retained = facts.role is SeriesRole.RETAINED
    after_gc = remains(run, series) if not is_retained else None
    points = collected_points(run, series) if not is_retained else []
    trend = entry.verdict.trends.get(series)
    return GrowthCourse(
        rate=float(steps.mean()) if steps is not None else None,
        steps=tuple(steps.tolist()) if steps is not None else (),
        rate_after_gc=after_gc.rate if after_gc is not None else None,
        points=tuple(points),
        by_collections=trend is not None
        and after_gc is not None
        and (trend.rate, trend.rate_low) == (after_gc.rate, min(after_gc.pieces)),
        leaks=trend is not None and trend.status is Status.LEAK,
    )


def floor_steps(heights: Floats, calls_per_sample: float) -> Floats | None:
    """The steps between the floors of eight blocks, per call (7,); None with too few samples.

    The first quarter of `heights` is left out, as by the verdict.
    """
    if len(heights) < MIN_SAMPLES:
        return None
    fine, width = fine_floors(heights[int(len(heights) * DISCARDED_SHARE) :])
    floor = floors(fine)
    steps: Floats = np.diff(floor) / (width * FINE_BLOCKS / len(floor) * calls_per_sample)
    return steps


def _floats(run: Run, series: str) -> Floats:
    """The readings above the first: exact up to 2**53."""
    readings = np.asarray(run.samples.get(series, ())[: run.samples_done])
    heights: Floats = (readings - readings[:1]).astype(float)
    return heights


def _rss_growth(run: Run) -> float | None:
    start, end = run.reading("start"), run.reading("end")
    if start is None or end is None or not all(RSS in each.values for each in (start, end)):
        return None
    return float(end.values[RSS] - start.values[RSS])
