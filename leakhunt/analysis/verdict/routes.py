"""Which requests a service grows by: growth regressed on how many of each kind there were. Pure.

The judged part is cut into segments (the turns, where routes took turns). What memory rose by in
each is set against the requests of each kind in it: least squares without a constant, with bounds
by Student's t. Kinds that always come together cannot be told apart, and are one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from leakhunt.amounts import Amount, Rate
from leakhunt.analysis.student import student
from leakhunt.analysis.verdict.series import default_tolerance
from leakhunt.analysis.verdict.trend import Floats
from leakhunt.model.kinds import Kind
from leakhunt.model.plan import Work
from leakhunt.model.processes import ProcessSamples
from leakhunt.model.routes import JudgedRoute, RequestOutcome, Route, RouteCounts, RouteRate
from leakhunt.model.run import Run
from leakhunt.model.series import ANONYMOUS, LIVE_HEAP, PYTHON_BLOCKS, short_title
from leakhunt.model.verdict import Status, Verdict
from leakhunt.text.message import Message, Text, joined, message, plural_message, sentences

# A turn is so many samples: short, so that the service as a whole is soaked evenly all the same.
SAMPLES_PER_TURN = 3
_MAX_SEGMENTS = 48
# The fewest segments more than there are kinds.
_MIN_OVER = 8
# A kind with fewer requests in the judged part says nothing.
_MIN_REQUESTS = 10
# Kinds whose counts go together so closely come from the same task.
_TOGETHER = 0.97
_WORST_CONDITION = 1e6
_MAX_NAMED = 3


def judge_routes(run: Run) -> tuple[JudgedRoute, ...]:
    """What each kind of request grows the service by, the guilty first; none of a single kind.

    `run` is as it was recorded: its segments need not be even.
    """
    ends = _ends(run)
    kinds = [each for each in run.routes if _came(each, ends) >= _MIN_REQUESTS] if ends else []
    groups = _groups(kinds, ends)
    if len(groups) < 2 or len(ends) - 1 < len(groups) + _MIN_OVER:
        return ()
    counts = np.stack([_steps(group[0].counts, ends) for group in groups], axis=1)
    series = [LIVE_HEAP if LIVE_HEAP in run.samples else ANONYMOUS, PYTHON_BLOCKS]
    rates = {name: _rates(run, name, counts, ends) for name in series if name in run.samples}
    found = [
        JudgedRoute(
            routes=tuple(each.route for each in group),
            requests=_came(group[0], ends),
            rates={name: of_kind[place] for name, of_kind in rates.items() if of_kind},
        )
        for place, group in enumerate(groups)
    ]
    return tuple(sorted(found, key=lambda each: (not each.grows, -_contribution(each))))


def _contribution(each: JudgedRoute) -> float:
    """What requests of a kind have grown the service by, by the first series."""
    rate = next(iter(each.rates.values()), None)
    return rate.rate * each.requests if rate is not None else 0.0


def _ends(run: Run) -> list[int]:
    """The samples at which segments end: those of turns, else about equal ones."""
    first, last = run.judged_from, run.samples_done - 1
    if run.plan.load is None or last - first < 2 * _MIN_OVER:
        return []
    if run.plan.load.by_route:
        return [
            at for at in range(first, last + 1) if at % SAMPLES_PER_TURN == SAMPLES_PER_TURN - 1
        ]
    segments = min(_MAX_SEGMENTS, (last - first) // 2)
    marks = np.linspace(run.calls[first], run.calls[last], segments + 1)
    places = (min(bisect_left(run.calls, round(float(mark))), last) for mark in marks)
    return sorted(set(places))


def _steps(values: Sequence[int], ends: Sequence[int]) -> Floats:
    return np.array([values[later] - values[sooner] for sooner, later in pairwise(ends)], float)


def _came(each: RouteCounts, ends: Sequence[int]) -> int:
    return each.counts[ends[-1]] - each.counts[ends[0]]


def _groups(kinds: Sequence[RouteCounts], ends: Sequence[int]) -> list[list[RouteCounts]]:
    """Kinds that came together in every segment are one, the most frequent of them first."""
    groups: list[list[RouteCounts]] = []
    for each in sorted(kinds, key=lambda kind: -_came(kind, ends)):
        mine = _steps(each.counts, ends)
        together = next(
            (group for group in groups if _correlation(mine, _steps(group[0].counts, ends))
             > _TOGETHER), None
        )  # fmt: skip
        if together is None:
            groups.append([each])
        else:
            together.append(each)
    return groups


def _correlation(one: Floats, other: Floats) -> float:
    if not np.ptp(one) or not np.ptp(other):
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _rates(run: Run, name: str, counts: Floats, ends: Sequence[int]) -> list[RouteRate]:
    """The growth of a series per request of each kind; empty where it cannot be told apart."""
    grown = _steps(_whole(run, name), ends)
    freedom = len(grown) - counts.shape[1]
    if np.linalg.cond(counts) > _WORST_CONDITION:
        return []
    solution, *_ = np.linalg.lstsq(counts, grown, rcond=None)
    rest = grown - counts @ solution
    variance = float(rest @ rest) / freedom
    spread = student(freedom) * np.sqrt(variance * np.diag(np.linalg.inv(counts.T @ counts)))
    unit = next(series.unit for series in run.series if series.name == name)
    apart = (run.calls[ends[-1]] - run.calls[ends[0]]) / (ends[-1] - ends[0])
    tolerance = default_tolerance(unit, max(apart, 1.0))
    shares = counts.sum(axis=0) / counts.sum()
    return [
        RouteRate(unit, float(rate), float(rate - wide), float(rate + wide), tolerance / share)
        for rate, wide, share in zip(solution, spread, map(float, shares), strict=True)
    ]


def _whole(run: Run, name: str) -> Sequence[int]:
    """A series of the service, without the steps at which a process took another's place."""
    processes = [each.samples for each in run.processes]
    if not any(len(each.process.pids) > 1 for each in processes):
        return run.samples[name]
    steps = np.zeros(run.samples_done)
    for each in processes:
        for place, step in _steps_within_lives(each, name).items():
            steps[place] += step
    heights: list[int] = np.cumsum(steps).astype(int).tolist()
    return heights


def _steps_within_lives(each: ProcessSamples, name: str) -> Mapping[int, int]:
    values = each.samples.get(name, ())
    rows = list(zip(each.places, each.lives, values, strict=False))
    return {
        place: value - before
        for (_, old, before), (place, life, value) in pairwise(rows)
        if old == life and value is not None and before is not None
    }


def with_routes(run: Run, verdict: Verdict, judged: Sequence[JudgedRoute]) -> Verdict:
    """The verdict on a service that grows, with the requests that it grows by."""
    grows = verdict.status is Status.LEAK or verdict.kind in (Kind.OUTSIDE_GROWTH, Kind.KILLED)
    guilty = [each for each in judged if each.grows]
    if not grows or not guilty:
        return verdict
    parts: list[Text] = [_grows(each, run.plan.work) for each in guilty[:_MAX_NAMED]]
    others = len(judged) - len(guilty)
    if others:
        parts.append(
            plural_message(
                "verdict.other_routes", "no growth in {n} other", "no growth in {n} others", others
            )
        )
    by_route = message("verdict.by_route", "By route: {routes}", routes=joined(parts, "; ", ""))
    return replace(verdict, sentence=sentences([verdict.sentence, by_route]))


def _grows(each: JudgedRoute, work: Work) -> Message:
    """``GET /leaky: live heap 517 B/request (502 to 531 B)``."""
    name, rate = next((name, rate) for name, rate in each.rates.items() if rate.grows)
    return message(
        "verdict.route_grows",
        "{route}: {series} {rate} ({low} to {high})",
        route=title_of(each.routes),
        series=short_title(name),
        rate=Rate(rate.rate, rate.unit, work),
        low=Amount(rate.low, rate.unit),
        high=Amount(rate.high, rate.unit),
    )


def title_of(routes: Sequence[Route]) -> Text:
    """``GET /clean``, with what became of it if that was no answer; several joined."""
    return joined([_title(each) for each in routes], " + ", "")


def _title(route: Route) -> Text:
    plain = route.plain_title
    if route.outcome is RequestOutcome.ANSWERED:
        return plain
    return message("route.outcome", "{route} ({outcome})", route=plain, outcome=route.outcome)
