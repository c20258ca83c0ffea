"""What a remedy saves and what it costs, from runs before and after it, taken in turns. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import exp, log, sqrt
from statistics import fmean, stdev

from leakhunt.amounts import Amount, Rate
from leakhunt.analysis.student import student
from leakhunt.analysis.verdict.after_gc import remains
from leakhunt.analysis.verdict.cost import median_seconds
from leakhunt.analysis.verdict.cross_checks import heap_unread
from leakhunt.analysis.verdict.result_diff import difference
from leakhunt.model.allocators import ROUNDING_SHARE, TRY_ALLOCATORS, allocator_of
from leakhunt.model.attribution import Interval, RemedyTrial
from leakhunt.model.plan import Role
from leakhunt.model.run import Run
from leakhunt.model.series import RSS, live_bytes
from leakhunt.text.message import Message, joined, message


def remedy_trials(runs: Sequence[Run]) -> tuple[RemedyTrial, ...]:
    """The trial of every remedy among `runs` that has two whole rounds."""
    return tuple(_trials(runs))


def _trials(runs: Sequence[Run]) -> Iterator[RemedyTrial]:
    tried: dict[tuple[str, str], dict[int, dict[Role, Run]]] = {}
    for run in sorted(runs, key=lambda each: each.started_at):
        plan = run.plan
        if plan.role in (Role.BEFORE, Role.AFTER) and plan.remedy != TRY_ALLOCATORS:
            by_round = tried.setdefault((plan.reference, plan.remedy), {})
            by_round.setdefault(plan.round, {})[plan.role] = run
    for (variant, remedy), by_round in tried.items():
        pairs = [
            (taken[Role.BEFORE], taken[Role.AFTER])
            for _, taken in sorted(by_round.items())
            if len(taken) == 2 and all(run.reading("trimmed") for run in taken.values())
        ]
        if len(pairs) > 1:
            yield _trial(variant, remedy, pairs)


def _trial(variant: str, remedy: str, pairs: Sequence[tuple[Run, Run]]) -> RemedyTrial:
    ratios = [median_seconds(other) / median_seconds(one) for one, other in pairs]
    compared = [difference(one, other) for one, other in pairs]
    logs = interval([log(ratio) for ratio in ratios])
    trial = RemedyTrial(
        variant=variant,
        remedy=remedy,
        pairs=len(pairs),
        before=None,
        after=None,
        saved=None,
        saved_rss_bytes=interval([_rss_growth(one) - _rss_growth(other) for one, other in pairs]),
        time_ratio=Interval(exp(logs.estimate), exp(logs.low), exp(logs.high)),
        compared=sum(each.compared for each in compared if each is not None),
        differing=sum(each.differing for each in compared if each is not None),
        sentence="",
    )
    return _with_sentence(_with_saving(trial, pairs))


def _with_saving(trial: RemedyTrial, pairs: Sequence[tuple[Run, Run]]) -> RemedyTrial:
    """With what is saved of live memory, where the allocators of both sides tell it."""
    unread = next((why for pair in pairs for run in pair if (why := heap_unread(run))), "")
    if unread:
        return replace(trial, unread=unread)
    before, after = (
        [live_bytes_per_call(run) for run in side] for side in zip(*pairs, strict=True)
    )
    saved = interval([one - other for one, other in zip(before, after, strict=True)])
    measured = replace(trial, before=fmean(before), after=fmean(after), saved=saved)
    if len(_allocators(pairs)) < 2:
        return measured
    return replace(measured, rounding=ROUNDING_SHARE * max(*before, *after, 0.0))


def _allocators(pairs: Sequence[tuple[Run, Run]]) -> tuple[str, ...]:
    """What served malloc in these runs, each once."""
    found = (allocator_of(run.environment) for pair in pairs for run in pair)
    return tuple(dict.fromkeys(filter(None, found)))


def interval(values: Sequence[float]) -> Interval:
    """The mean of at least two values with Student's 95 % interval."""
    mean = fmean(values)
    half = student(len(values) - 1, 0.95) * stdev(values) / sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def live_bytes_per_call(run: Run) -> float:
    """Growth of live memory per call over the judged calls, by what the collections left."""
    remaining = (remains(run, facts.name) for facts in live_bytes())
    return sum(each.rate for each in remaining if each is not None)


def _rss_growth(run: Run) -> int:
    start, end = run.reading("start"), run.reading("end")
    if start is None or end is None:
        return 0
    return end.values.get(RSS, 0) - start.values.get(RSS, 0)


def _with_sentence(trial: RemedyTrial) -> RemedyTrial:
    sentence = message(
        "attribution.trial",
        "{variant} with {remedy}: {parts}.",
        variant=trial.variant,
        remedy=trial.remedy,
        parts=joined(_statements(trial), "; ", ""),
    )
    return replace(trial, sentence=sentence)


def _statements(trial: RemedyTrial) -> Iterator[Message]:
    """What was saved, and at what cost."""
    yield _saving(trial)
    rss = trial.saved_rss_bytes
    if rss.low > 0:
        yield message(
            "attribution.saves-rss",
            "RSS grows {estimate} less per run",
            estimate=Amount(rss.estimate),
        )
    yield message(
        "attribution.takes-time",
        "{estimate:.2f} × time per call ({low:.2f} to {high:.2f})",
        estimate=trial.time_ratio.estimate,
        low=trial.time_ratio.low,
        high=trial.time_ratio.high,
    )
    yield _results(trial)


def _saving(trial: RemedyTrial) -> Message:
    saved = trial.saved
    if saved is None or trial.before is None:
        return message(
            "attribution.saving-unread",
            "live memory cannot be compared ({why})",
            why=trial.unread,
        )
    values = {"low": Rate(saved.low), "high": Rate(saved.high)}
    if trial.saves:
        return message(
            "attribution.saves",
            "saves {estimate} of {before} ({low} to {high})",
            estimate=Rate(saved.estimate),
            before=Rate(trial.before),
            **values,
        )
    if saved.high < -trial.rounding:
        return message(
            "attribution.makes-worse",
            "increases growth by {estimate}",
            estimate=Rate(-saved.estimate),
        )
    if trial.rounding and not saved.low <= 0 <= saved.high:
        return message(
            "attribution.saves-rounding",
            "no saving: {low} to {high} of {before} is how differently two allocators round sizes",
            before=Rate(trial.before),
            **values,
        )
    return message("attribution.saves-nothing", "no significant saving ({low} to {high})", **values)


def _results(trial: RemedyTrial) -> Message:
    if not trial.compared:
        return message("attribution.no-results", "the scenario returns no results to compare")
    if trial.differing:
        return message(
            "results.differ",
            "{differing:,} of {compared:,} results differ",
            differing=trial.differing,
            compared=trial.compared,
        )
    return message(
        "results.same", "all {compared:,} results are identical", compared=trial.compared
    )
