"""Series of a Prometheus server, by ``query_range``: in pieces, so that memory stays bounded.

A piece is so long that its answer has some hundred thousand points; one that is too slow or too
large is asked for again in halves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, isfinite
from pathlib import Path
from typing import Any

from leakhunt.errors import LeakhuntError, MissingRequirement, NothingMeasured, UsageError
from leakhunt.foreign.credentials import Credentials
from leakhunt.foreign.files import MAX_INSTANCES
from leakhunt.foreign.prometheus_server import PrometheusServer, QueryTooLarge
from leakhunt.foreign.streamed import MAX_STEPS, StreamedSeries
from leakhunt.model.foreign import MeasuredFleet
from leakhunt.text.message import Text, message

# A step that was not asked for gives so many points, of which the least of each stretch count.
_POINTS = 2 * MAX_STEPS
_MIN_STEP_SECONDS = 15.0
# The server refuses more in one answer; the first piece finds out how many series there are.
_MAX_STEPS = 10_000
_FIRST_STEPS = 500
_POINTS_A_PIECE = 200_000
_MIN_STEPS = 20
TIMEOUT_SECONDS = 60.0
# Most points of the query for start times; the values tell when each process started.
_MOMENTS_OF_STARTS = 1000
# Clocks that are set move a start by some seconds; the clocks of two machines are as far apart.
_SAME_START_SECONDS = 2.0
_CLOCKS_APART_SECONDS = 60.0
# What says when the processes of a metric started, by how its name begins.
_STARTS_OF = {
    "process_": "process_start_time_seconds",
    "leakhunt_guard_": "process_start_time_seconds",
    "container_": "container_start_time_seconds",
}
_SELECTOR = re.compile(r"\s*([A-Za-z_:][\w:]*)\s*(\{[^{}]*\})?\s*", re.ASCII)
# An instance goes by the first of these that it has and that tells it from the others.
_NAMES = ("instance", "pod", "container", "name", "job")


@dataclass(frozen=True, slots=True)
class RangeQuery:
    """What is asked for: `seconds` back from `end` (Unix time), at every `step_seconds`.

    `limits` gives the memory limit of each instance, `starts` when its process started; None: as
    `starts_for` says, if there is such a metric. `ca_file` holds the certificate authorities that
    are trusted; None: those of the system.
    """

    url: str
    query: str
    seconds: float
    end: float
    step_seconds: float | None = None
    limits: str | None = None
    timeout_seconds: float = TIMEOUT_SECONDS
    starts: str | None = None
    credentials: Credentials = field(default_factory=Credentials)
    ca_file: Path | str | None = None

    @property
    def step(self) -> float:
        """As asked for, or as fine as is of use."""
        return self.step_seconds or max(_MIN_STEP_SECONDS, ceil(self.seconds / _POINTS))


def fetched(query: RangeQuery, noted: Callable[[Text], None] = lambda text: None) -> MeasuredFleet:
    """The series that the query gives.

    Raises:
        UsageError: the address or the query makes no sense.
        MissingRequirement: the server is not reached, or does not answer in time.
        BadFile: what answers is no Prometheus.
        NothingMeasured: the query gives nothing.
    """
    server = PrometheusServer(query.url, query.timeout_seconds, query.credentials, query.ca_file)
    if server.tells_all:
        noted(
            message(
                "analyze.not-encrypted",
                "{place}: credentials go over the network unencrypted. Use https://",
                place=server.place,
            )
        )
    found: dict[str, StreamedSeries] = {}
    backwards = 0
    for result in _pieces(server, query, query.query, query.step, noted):
        for each in result:
            backwards += _take(each, found)
    if not found:
        raise NothingMeasured(
            message(
                "analyze.no-series",
                "{query!r} gives no series in that time. Check it in the server's own page",
                query=query.query,
            )
        )
    if query.limits is not None:
        _set_limits(found.values(), server.ask("query", query=query.limits, time=query.end))
    _set_starts(found.values(), query, server, noted)
    return _fleet(query, server, found, backwards)


def _pieces(
    server: PrometheusServer,
    asked: RangeQuery,
    query: str,
    step: float,
    noted: Callable[[Text], None],
) -> Iterator[list[Any]]:
    """The series that a query gives, piece by piece of the time."""
    steps, at = min(_FIRST_STEPS, _MAX_STEPS), asked.end - asked.seconds
    most = 1
    while at <= asked.end:
        until = min(at + (steps - 1) * step, asked.end)
        try:
            answer = server.ask("query_range", query=query, start=at, end=until, step=step)
        except QueryTooLarge as error:
            if steps <= _MIN_STEPS:
                raise _too_slow(server.place, asked.timeout_seconds) from error
            steps = max(steps // 4, _MIN_STEPS)
            noted(message("analyze.smaller", "slow or large answer: asking for smaller pieces"))
            continue
        result = _result(answer, "matrix")
        most = max(most, len(result))
        yield result
        at = until + step
        steps = min(max(_POINTS_A_PIECE // most, _MIN_STEPS), _MAX_STEPS)


def starts_for(query: str) -> str | None:
    """The query for the starts of what a plain selector selects; None: it is none, or not known.

    ``process_resident_memory_bytes{job="vad"}`` gives ``process_start_time_seconds{job="vad"}``.
    """
    found = _SELECTOR.fullmatch(query)
    if found is None:
        return None
    name, matchers = found[1], found[2] or ""
    start = next((told for begin, told in _STARTS_OF.items() if name.startswith(begin)), None)
    return None if start is None or "__name__" in matchers else start + matchers


def _set_starts(
    series: Collection[StreamedSeries],
    asked: RangeQuery,
    server: PrometheusServer,
    noted: Callable[[Text], None],
) -> None:
    """When the processes of each series started, where the server knows."""
    query = asked.starts or starts_for(asked.query)
    if query is None:
        return
    starts_of: dict[str, tuple[Mapping[str, str], list[tuple[float, float]]]] = {}
    step = max(asked.step, asked.seconds / _MOMENTS_OF_STARTS)
    try:
        for result in _pieces(server, asked, query, step, noted):
            for each in result:
                labels = _labels(each)
                _, moments = starts_of.setdefault(json.dumps(labels, sort_keys=True), (labels, []))
                for when, value in each["values"]:
                    # Of those that tell the same, the last one says until when.
                    moment = (float(when), float(value))
                    if len(moments) > 1 and moments[-1][1] == moments[-2][1] == moment[1]:
                        moments[-1] = moment
                    else:
                        moments.append(moment)
    except LeakhuntError:
        if asked.starts is not None:
            raise
        return  # nobody has asked for them: restarts are told by drops
    for each in series:
        fitting = [
            (agreed, moments)
            for labels, moments in starts_of.values()
            if (agreed := _agreement(labels, each.labels or {})) is not None
        ]
        if fitting:
            each.starts = _starts(max(fitting, key=lambda pair: pair[0])[1])


def _starts(moments: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    """When processes started; the first of them is as early as is known."""
    known = [moment for moment in moments if isfinite(moment[1]) and moment[1] > 0]
    if not known:
        return ()
    found = [min(known[0][1], known[0][0])]
    latest = known[0][1]
    for (before, _), (when, start) in pairwise(known):
        is_another = abs(start - latest) > _SAME_START_SECONDS
        if is_another and start > before - _CLOCKS_APART_SECONDS:
            found.append(min(max(start, before), when))
        latest = start
    return tuple(found)


def _labels(each: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in each["metric"].items()}


def _take(each: Any, found: dict[str, StreamedSeries]) -> int:
    """Take the points of a series of an answer; how many went backwards."""
    labels = _labels(each)
    key = json.dumps(labels, sort_keys=True)
    series = found.get(key)
    if series is None:
        if len(found) >= MAX_INSTANCES:
            raise UsageError(
                message(
                    "analyze.too-many-series",
                    "the query gives more than {most:,} series. Narrow it, or aggregate it",
                    most=MAX_INSTANCES,
                )
            )
        series = found[key] = StreamedSeries("", labels)
    return sum(not series.add(float(when), float(value)) for when, value in each["values"])


def _fleet(
    asked: RangeQuery, server: PrometheusServer, found: Mapping[str, StreamedSeries], backwards: int
) -> MeasuredFleet:
    name = naming([each.labels or {} for each in found.values()])
    caveats = [message("analyze.server-warns", "The server warns: {text}", text=text)
               for text in sorted(server.warnings)[:3]]  # fmt: skip
    if backwards:
        caveats.append(
            message(
                "analyze.unordered", "{count:,} points left out: out of order.", count=backwards
            )
        )
    series = []
    for each in found.values():
        each.instance = name(each.labels or {})
        measured = each.measured()
        if measured is not None:
            series.append(measured)
        else:
            caveat = message("analyze.only-nan", "{instance}: no number.", instance=each.instance)
            caveats.append(caveat)
    return MeasuredFleet(f"{server.place} {asked.query}", tuple(series), tuple(caveats))


def naming(labels: Sequence[Mapping[str, str]]) -> Callable[[Mapping[str, str]], str]:
    """How series are called: by one label if it tells them apart, else by all that differ."""
    for name in _NAMES:
        values = [each.get(name, "") for each in labels]
        if all(values) and len(set(values)) == len(values):
            return lambda each: each[name]
    names = sorted({name for each in labels for name in each})
    differ = [name for name in names if len({each.get(name) for each in labels}) > 1]
    shown = differ or ["__name__"]
    return lambda each: " ".join(f"{name}={each[name]}" for name in shown if name in each) or "-"


def _set_limits(series: Any, answer: Any) -> None:
    """The limit of each series: that whose labels say nothing else; the one that agrees most."""
    limits: list[tuple[Mapping[str, str], float]] = []
    if answer["data"].get("resultType") == "scalar":
        limits.append(({}, float(answer["data"]["result"][1])))
    else:
        for each in _result(answer, "vector"):
            limits.append((each["metric"], float(each["value"][1])))
    for each in series:
        labels = each.labels or {}
        fitting = [
            (agreed, size)
            for own, size in limits
            if (agreed := _agreement(own, labels)) is not None and 0 < size < 2.0**60
        ]
        if fitting:
            each.limit_bytes = round(max(fitting, key=lambda pair: (pair[0], -pair[1]))[1])


# Labels that only say who measured.
_OF_THE_SCRAPE = ("__name__", "job", "instance", "endpoint", "service", "prometheus", "uid",
                  "resource", "unit", "node", "id", "image", "metrics_path")  # fmt: skip


def _agreement(limit: Mapping[str, str], labels: Mapping[str, str]) -> int | None:
    """How many labels both have alike; None: one that tells instances apart differs."""
    shared = [name for name in limit if name in labels and name != "__name__"]
    if any(limit[name] != labels[name] for name in shared if name not in _OF_THE_SCRAPE):
        return None
    alike = sum(limit[name] == labels[name] for name in shared)
    own = [name for name in limit if name not in ("__name__",)]
    return None if own and not alike else alike


def _result(answer: Any, kind: str) -> list[Any]:
    data = answer["data"]
    if not isinstance(data, dict) or data.get("resultType") != kind:
        raise UsageError(
            message("analyze.no-vector", "the query gives no series. Use one that gives a vector")
        )
    return list(data["result"])


def _too_slow(place: str, seconds: float) -> MissingRequirement:
    return MissingRequirement(
        message(
            "analyze.too-slow",
            "{place}: no answer within {seconds:g} s, even for {steps} steps. Use a larger"
            " --step, a shorter --since, or a longer --timeout",
            place=place,
            seconds=seconds,
            steps=_MIN_STEPS,
        )
    )
