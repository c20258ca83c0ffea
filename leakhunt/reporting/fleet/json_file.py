"""``analyze.json``: what the memory of each instance does, for programs.

What is in it is `AnalyzeJson`; its schema (``leakhunt schema analyze``) is generated from that.

Format history
    1 (2026-11): first.
"""

from __future__ import annotations

from dataclasses import dataclass

from leakhunt.model.fleet import Course, FleetCurve, FleetReport, JudgedInstance
from leakhunt.model.kinds import Kind
from leakhunt.model.verdict import Outlook, Status
from leakhunt.reporting.formats.json_document import json_bytes, urn
from leakhunt.text.message import Text

FORMAT = 1
SCHEMA = urn("analyze", FORMAT)


@dataclass(frozen=True, slots=True)
class AnalyzeJsonInstance:
    """One instance, that which is out of memory first before the rest."""

    instance: str
    course: Course
    status: Status
    kind: Kind
    sentence: Text
    outlook: Outlook | None
    points: int
    samples: int
    span_seconds: float
    step_seconds: float
    restarts: int
    first_bytes: int
    last_bytes: int
    peak_bytes: int
    limit_bytes: int | None
    bytes_per_second: float | None
    bytes_per_second_low: float | None
    bytes_per_second_high: float | None
    level_after_seconds: float | None
    seconds_left: float | None
    seconds_soonest: float | None
    seconds_latest: float | None
    caveats: tuple[Text, ...]
    curve: FleetCurve


@dataclass(frozen=True, slots=True)
class AnalyzeJson:
    """``analyze.json``."""

    generator: str
    source: str
    instances: tuple[AnalyzeJsonInstance, ...]
    caveats: tuple[Text, ...]


def render(report: FleetReport) -> bytes:
    """UTF-8 JSON with stable keys."""
    file = AnalyzeJson(
        generator=report.generator,
        source=report.source,
        instances=tuple(map(_instance, report.instances)),
        caveats=report.caveats,
    )
    return json_bytes({"$schema": SCHEMA, "format": FORMAT}, file)


def _instance(each: JudgedInstance) -> AnalyzeJsonInstance:
    forecast = each.verdict.forecast
    return AnalyzeJsonInstance(
        instance=each.instance,
        course=each.course,
        status=each.verdict.status,
        kind=each.verdict.kind,
        sentence=each.verdict.sentence,
        outlook=None if forecast is None else forecast.outlook,
        points=each.points,
        samples=each.samples,
        span_seconds=each.span_seconds,
        step_seconds=each.step_seconds,
        restarts=each.restarts,
        first_bytes=each.first_bytes,
        last_bytes=each.last_bytes,
        peak_bytes=each.peak_bytes,
        limit_bytes=each.limit_bytes,
        bytes_per_second=each.rate,
        bytes_per_second_low=each.rate_low,
        bytes_per_second_high=each.rate_high,
        level_after_seconds=each.level_after_seconds,
        seconds_left=each.seconds_left,
        seconds_soonest=each.seconds_soonest,
        seconds_latest=each.seconds_latest,
        caveats=each.caveats,
        curve=each.curve,
    )
