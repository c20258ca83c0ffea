"""Verdicts held against the truth: how often they are right on workloads that are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import nan
from statistics import median

from leakhunt.model.attribution import Attribution, Suspect
from leakhunt.model.evaluation import Hunted, Score, Trial
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Run
from leakhunt.model.scenario import Variant
from leakhunt.model.series import Unit
from leakhunt.model.verdict import Status, Trend, Verdict

# One-sided: with k false alarms of n, the true rate is below the bound with this confidence.
_CONFIDENCE = 0.95
_HALVINGS = 50


def trial(run: Run, verdict: Verdict, variant: Variant, hunted: Hunted | None = None) -> Trial:
    """The trial that `run` was, of a variant that says what to expect."""
    leaking = [trend for trend in verdict.trends.values() if trend.status is Status.LEAK]
    return Trial(
        scenario=run.plan.scenario,
        variant=variant.name,
        seed=run.plan.seed,
        expect=variant.expect,
        rate=variant.rate,
        status=verdict.status,
        kind=verdict.kind,
        found_rate=_shown_rate(leaking, verdict.kind),
        calls=run.calls_done,
        samples=run.samples_done,
        hunted=hunted,
    )


def hunted(attribution: Attribution, variant: Variant) -> Hunted:
    """The attribution of a variant's growth, held against the culprit that it names."""
    first = next(iter(attribution.growing), None)
    named = "" if first is None else " ".join((*first.chain, *_lines(first)))
    return Hunted(
        culprit=variant.culprit,
        cause=variant.cause,
        suspects=len(attribution.growing),
        first=str(first.title) if first is not None else "",
        names_culprit=bool(variant.culprit) and variant.culprit in named,
        found_cause=first.cause.id if first is not None and first.cause is not None else "",
        share=(attribution.explained or 0.0) / attribution.growth if attribution.growth else None,
        instruments=attribution.instruments,
    )


def _lines(suspect: Suspect) -> Iterator[str]:
    for frame in (suspect.where, suspect.holder):
        if frame is not None:
            yield f"{frame} {frame.source}"


def _shown_rate(leaking: Sequence[Trend], kind: Kind) -> float | None:
    """The rate to hold against the truth: of what is counted for resources, else of bytes."""
    unit = Unit.COUNT if kind is Kind.RESOURCE_GROWTH else Unit.BYTES
    rates = [trend.rate for trend in leaking if trend.unit is unit and trend.rate is not None]
    return rates[0] if rates else None


def score(trials: Iterable[Trial]) -> Score:
    """The score of these trials."""
    every = list(trials)
    leaking = [each for each in every if each.leaks]
    clean = [each for each in every if not each.leaks]
    found = [each for each in leaking if each.status is Status.LEAK]
    certified = [each for each in clean if each.status is Status.NO_LEAK]
    alarms = sum(each.status is Status.LEAK for each in clean)
    return Score(
        clean_runs=len(clean),
        false_alarms=alarms,
        false_alarm_bound=upper_bound(alarms, len(clean)),
        certified=len(certified),
        leaking_runs=len(leaking),
        found=len(found),
        classed=sum(each.is_right for each in leaking),
        median_calls=median([each.calls for each in found] or [nan]),
        median_samples=median([each.samples for each in found] or [nan]),
        median_clean_samples=median([each.samples for each in certified] or [nan]),
    )


def upper_bound(events: int, trials: int) -> float:
    """Clopper and Pearson's one-sided 95 % upper bound of a share: 0.006 for 0 of 500."""
    low, high = events / max(trials, 1), 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _at_most(events, trials, middle) > 1 - _CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def _at_most(events: int, trials: int, share: float) -> float:
    """The chance of at most `events` of `trials` at `share`."""
    term = (1 - share) ** trials
    total = term
    for count in range(events):
        if share >= 1:
            return 0.0
        term *= (trials - count) / (count + 1) * share / (1 - share)
        total += term
    return total


def confusion(trials: Iterable[Trial]) -> dict[Kind, Counter[Kind]]:
    """How often each expected class was found as which; an answer that is right counts as expected.

    The outer key is the first of the expected classes.
    """
    table: dict[Kind, Counter[Kind]] = {}
    for each in trials:
        found = each.expect[0] if each.kind in each.expect else each.kind
        table.setdefault(each.expect[0], Counter())[found] += 1
    return table
