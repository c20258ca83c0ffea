"""Series of a Prometheus server, by ``query_range``: in pieces, so that memory stays bounded.

A piece is so long that its answer has some hundred thousand points; one that is too slow or too
large is asked for again in halves.
"""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from leakhunt.errors import BadFile, MissingRequirement, NothingMeasured, UsageError
from leakhunt.foreign.files import MOST_INSTANCES
from leakhunt.foreign.streamed import MOST_STRETCHES, StreamedSeries
from leakhunt.model.foreign import MeasuredFleet
from leakhunt.text.message import Text, message

# A step that was not asked for gives so many points, of which the least of each stretch count.
_POINTS = 2 * MOST_STRETCHES
_LEAST_STEP_SECONDS = 15.0
# The server refuses more in one answer; the first piece finds out how many series there are.
_MOST_STEPS = 10_000
_FIRST_STEPS = 500
_POINTS_A_PIECE = 200_000
_LEAST_STEPS = 20
_MOST_ANSWER_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 16
TIMEOUT_SECONDS = 60.0
# An instance goes by the first of these that it has and that tells it from the others.
_NAMES = ("instance", "pod", "container", "name", "job")


@dataclass(frozen=True, slots=True)
class RangeQuery:
    """What is asked for: `seconds` back from `end` (Unix time), at every `step_seconds`."""

    url: str
    query: str
    seconds: float
    end: float
    step_seconds: float | None = None
    limits: str | None = None
    timeout_seconds: float = TIMEOUT_SECONDS

    @property
    def step(self) -> float:
        """As asked for, or as fine as is of use."""
        return self.step_seconds or max(_LEAST_STEP_SECONDS, ceil(self.seconds / _POINTS))


class _TooMuch(Exception):
    """The answer to a piece is too slow or too large."""


def fetched(asked: RangeQuery, noted: Callable[[Text], None] = lambda text: None) -> MeasuredFleet:
    """The series that the query gives.

    Raises:
        UsageError: the address or the query makes no sense.
        MissingRequirement: the server is not reached, or does not answer in time.
        BadFile: what answers is no Prometheus.
        NothingMeasured: the query gives nothing.
    """
    server = _Server(asked.url, asked.timeout_seconds)
    found: dict[str, StreamedSeries] = {}
    step, begin = asked.step, asked.end - asked.seconds
    steps, at = min(_FIRST_STEPS, _MOST_STEPS), begin
    backwards = 0
    while at <= asked.end:
        until = min(at + (steps - 1) * step, asked.end)
        try:
            answer = server.ask("query_range", query=asked.query, start=at, end=until, step=step)
        except _TooMuch as error:
            if steps <= _LEAST_STEPS:
                raise _too_slow(server.place, asked.timeout_seconds) from error
            steps = max(steps // 4, _LEAST_STEPS)
            noted(message("analyze.smaller", "slow or large answer: asking for smaller pieces"))
            continue
        for each in _result(answer, "matrix"):
            backwards += _take(each, found)
        at = until + step
        steps = min(max(_POINTS_A_PIECE // max(len(found), 1), _LEAST_STEPS), _MOST_STEPS)
    if not found:
        raise NothingMeasured(
            message(
                "analyze.no-series",
                "{query!r} gives no series in that time. Check it in the server's own page",
                query=asked.query,
            )
        )
    if asked.limits is not None:
        _set_limits(found.values(), server.ask("query", query=asked.limits, time=asked.end))
    return _fleet(asked, server, found, backwards)


def _take(each: Any, found: dict[str, StreamedSeries]) -> int:
    """Take the points of a series of an answer; how many went backwards."""
    labels = {str(name): str(value) for name, value in each["metric"].items()}
    key = json.dumps(labels, sort_keys=True)
    series = found.get(key)
    if series is None:
        if len(found) >= MOST_INSTANCES:
            raise UsageError(
                message(
                    "analyze.too-many-series",
                    "the query gives more than {most:,} series. Narrow it, or aggregate it",
                    most=MOST_INSTANCES,
                )
            )
        series = found[key] = StreamedSeries("", labels)
    return sum(not series.add(float(when), float(value)) for when, value in each["values"])


def _fleet(
    asked: RangeQuery, server: _Server, found: Mapping[str, StreamedSeries], backwards: int
) -> MeasuredFleet:
    name = naming([each.labels or {} for each in found.values()])
    caveats = [message("analyze.server-warns", "the server warns: {text}", text=text)
               for text in sorted(server.warnings)[:3]]  # fmt: skip
    if backwards:
        caveats.append(
            message("analyze.unordered", "{count:,} points left out: out of order", count=backwards)
        )
    series = []
    for each in found.values():
        each.instance = name(each.labels or {})
        measured = each.measured()
        if measured is not None:
            series.append(measured)
        else:
            told = message("analyze.only-nan", "{instance}: no number", instance=each.instance)
            caveats.append(told)
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


class _Server:
    """The HTTP API of a Prometheus server."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                message(
                    "analyze.no-url",
                    "--prometheus {url!r}: expected an address such as http://localhost:9090",
                    url=url,
                )
            )
        try:
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            port = ""
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.place = f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
        self._timeout = timeout_seconds
        self._headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if parts.username is not None:
            words = f"{parts.username}:{parts.password or ''}"
            token = base64.b64encode(urllib.parse.unquote(words).encode()).decode()
            self._headers["Authorization"] = f"Basic {token}"
        self.warnings: set[str] = set()

    def ask(self, what: str, **values: object) -> Any:
        """The answer, decoded."""
        data = urllib.parse.urlencode({name: str(value) for name, value in values.items()})
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            f"{self.place}/api/v1/{what}", data.encode(), self._headers
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as reply:  # noqa: S310
                body = self._body(reply)
        except urllib.error.HTTPError as error:
            with error:
                self._refused(error.code, error.read(1 << 16), str(values.get("query", "")))
        except TimeoutError as error:
            raise _TooMuch from error
        except (urllib.error.URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise _TooMuch from error
            raise _unreachable(self.place, str(reason)) from error
        return self._decoded(body)

    def _body(self, reply: Any) -> bytes:
        """Whole, unless it takes too long or is too much."""
        deadline = time.monotonic() + self._timeout
        pieces: list[bytes] = []
        size = 0
        while piece := reply.read1(_CHUNK_BYTES):
            pieces.append(piece)
            size += len(piece)
            if size > _MOST_ANSWER_BYTES or time.monotonic() > deadline:
                raise _TooMuch
        return b"".join(pieces)

    def _decoded(self, body: bytes) -> Any:
        try:
            answer = json.loads(body)
            if answer["status"] != "success" or "data" not in answer:
                raise ValueError("status")
        except (ValueError, KeyError, TypeError) as error:
            raise _no_prometheus(self.place) from error
        self.warnings.update(str(each)[:200] for each in answer.get("warnings", ()))
        return answer

    def _refused(self, code: int, body: bytes, query: str) -> None:
        try:
            told = json.loads(body)
            reason, sort = " ".join(str(told["error"]).split())[:200], told.get("errorType")
        except (ValueError, KeyError, TypeError):
            if code in (401, 403):
                raise _unreachable(self.place, f"HTTP {code}") from None
            if code >= 500:
                raise _unreachable(self.place, f"HTTP {code}") from None
            raise _no_prometheus(self.place) from None
        if sort == "timeout" or "too many samples" in reason:
            raise _TooMuch
        if code >= 500:
            raise _unreachable(self.place, reason)
        raise UsageError(
            message(
                "analyze.bad-query",
                "query {query!r}: {reason}",
                query=query[:120],
                reason=reason,
            )
        )


def _result(answer: Any, kind: str) -> list[Any]:
    data = answer["data"]
    if not isinstance(data, dict) or data.get("resultType") != kind:
        raise UsageError(
            message("analyze.no-vector", "the query gives no series. Use one that gives a vector")
        )
    return list(data["result"])


def _unreachable(place: str, reason: str) -> MissingRequirement:
    return MissingRequirement(
        message(
            "analyze.unreachable",
            "{place}: {reason}. Check the address, and that the server runs",
            place=place,
            reason=reason,
        )
    )


def _too_slow(place: str, seconds: float) -> MissingRequirement:
    return MissingRequirement(
        message(
            "analyze.too-slow",
            "{place}: no answer within {seconds:g} s, even for {steps} steps. Use a larger"
            " --step, a shorter --since, or a longer --timeout",
            place=place,
            seconds=seconds,
            steps=_LEAST_STEPS,
        )
    )


def _no_prometheus(place: str) -> BadFile:
    return BadFile(
        message(
            "analyze.no-prometheus",
            "{place}: not the API of a Prometheus server. Check the address and the path before"
            " /api/v1",
            place=place,
        )
    )
