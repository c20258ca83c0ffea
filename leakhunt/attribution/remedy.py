"""What a remedy saves and what it costs, from runs before and after it, taken in turns. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import exp, log, sqrt
from statistics import fmean, stdev

from leakhunt.findings import Interval, RemedyTrial
from leakhunt.model import Role, Run, Unit
from leakhunt.units import format_bytes, format_rate
from leakhunt.verdict.collections import remains
from leakhunt.verdict.cost import cost
from leakhunt.verdict.results import difference

# Student's t, two-sided 95 %, by degrees of freedom; beyond, that of nine is kept, which is wider.
_STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306}
_STUDENT_BEYOND = 2.262
_LIVE = ("live_heap", "python_live", "cuda_allocated")


def remedy_trials(runs: Sequence[Run]) -> tuple[RemedyTrial, ...]:
    """The trial of every remedy among `runs` that has two whole rounds."""
    return tuple(_trials(runs))


def _trials(runs: Sequence[Run]) -> Iterator[RemedyTrial]:
    tried: dict[tuple[str, str], dict[int, dict[Role, Run]]] = {}
    for run in sorted(runs, key=lambda each: each.started_at):
        plan = run.plan
        if plan.role in (Role.BEFORE, Role.AFTER):
            rounds = tried.setdefault((plan.reference, plan.remedy), {})
            rounds.setdefault(plan.round, {})[plan.role] = run
    for (variant, remedy), rounds in tried.items():
        pairs = [
            (taken[Role.BEFORE], taken[Role.AFTER])
            for _, taken in sorted(rounds.items())
            if len(taken) == 2 and all(run.reading("trimmed") for run in taken.values())
        ]
        if len(pairs) > 1:
            yield _trial(variant, remedy, pairs)


def _trial(variant: str, remedy: str, pairs: Sequence[tuple[Run, Run]]) -> RemedyTrial:
    before = [live_bytes_per_call(one) for one, _ in pairs]
    after = [live_bytes_per_call(other) for _, other in pairs]
    ratios = [_seconds(other) / _seconds(one) for one, other in pairs]
    compared = [difference(one, other) for one, other in pairs]
    logs = interval([log(ratio) for ratio in ratios])
    trial = RemedyTrial(
        variant=variant,
        remedy=remedy,
        rounds=len(pairs),
        before=fmean(before),
        after=fmean(after),
        saved=interval([one - other for one, other in zip(before, after, strict=True)]),
        saved_rss_bytes=interval([_rss_growth(one) - _rss_growth(other) for one, other in pairs]),
        time_ratio=Interval(exp(logs.estimate), exp(logs.low), exp(logs.high)),
        compared=sum(each.compared for each in compared if each is not None),
        differing=sum(each.differing for each in compared if each is not None),
        sentence="",
    )
    return _with_sentence(trial)


def interval(values: Sequence[float]) -> Interval:
    """The mean of at least two values with Student's 95 % interval."""
    mean = fmean(values)
    student = _STUDENT.get(len(values) - 1, _STUDENT_BEYOND)
    half = student * stdev(values) / sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def live_bytes_per_call(run: Run) -> float:
    """Growth of live memory per call over the judged calls, by what the collections left."""
    left = (remains(run, name) for name in _LIVE)
    return sum(each.rate for each in left if each is not None)


def _seconds(run: Run) -> float:
    spent = cost(run, None)
    return max(spent.median_seconds, 1e-9) if spent is not None else 1e-9


def _rss_growth(run: Run) -> int:
    start, end = run.reading("start"), run.reading("end")
    if start is None or end is None:
        return 0
    return end.values.get("rss", 0) - start.values.get("rss", 0)


def _with_sentence(trial: RemedyTrial) -> RemedyTrial:
    saved, ratio = trial.saved, trial.time_ratio
    rates = " and ".join(format_rate(each, Unit.BYTES) for each in (saved.low, saved.high))
    if saved.low > 0:
        told = (
            f"saves {format_rate(saved.estimate, Unit.BYTES)} (between {rates}) of"
            f" {format_rate(trial.before, Unit.BYTES)}"
        )
    elif saved.high < 0:
        told = f"makes it worse by {format_rate(-saved.estimate, Unit.BYTES)}"
    else:
        told = f"saves nothing that shows (between {rates})"
    rss = trial.saved_rss_bytes
    if rss.low > 0:
        told += f"; RSS grows by {format_bytes(rss.estimate)} less in a run"
    told += (
        f"; a call takes {ratio.estimate:.2f} times as long ({ratio.low:.2f} to {ratio.high:.2f})"
    )
    if not trial.compared:
        told += "; the scenario summarizes no results to compare"
    elif trial.differing:
        told += f"; {trial.differing:,} of {trial.compared:,} results differ"
    else:
        told += f"; all {trial.compared:,} results are the same"
    sentence = f"{trial.variant} with {trial.remedy}: {told}."
    return replace(trial, sentence=sentence)
