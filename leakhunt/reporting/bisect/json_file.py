"""``bisect.json``: the steps of a bisection and the boundary, for programs.

What is in it is `BisectJson`; its schema (``leakhunt schema bisect``) is generated from that.

Format history
    1 (2026-11): first.
"""

from __future__ import annotations

from dataclasses import dataclass

from leakhunt.model.bisection import BisectReport, BisectStep, Direction
from leakhunt.reporting.formats.json_document import json_bytes, urn
from leakhunt.text.message import Text

FORMAT = 1
SCHEMA = urn("bisect", FORMAT)


@dataclass(frozen=True, slots=True)
class BisectJson:
    """``bisect.json``."""

    generator: str
    scenario: str
    variant: str
    subject: str
    good: str
    bad: str
    direction: Direction
    found: bool
    last: str
    first: str
    between: tuple[str, ...]
    confidence: float | None
    suspect: Text
    runs: int
    seconds: float
    interrupted: bool
    versions: tuple[str, ...]
    steps: tuple[BisectStep, ...]


def render(report: BisectReport) -> bytes:
    """UTF-8 JSON with stable keys."""
    file = BisectJson(
        generator=report.generator,
        scenario=report.scenario,
        variant=report.variant,
        subject=report.subject,
        good=report.good,
        bad=report.bad,
        direction=report.direction,
        found=report.is_found,
        last=report.last,
        first=report.first,
        between=report.between,
        confidence=report.confidence,
        suspect=report.suspect,
        runs=report.runs,
        seconds=report.seconds,
        interrupted=report.interrupted,
        versions=report.versions,
        steps=report.steps,
    )
    return json_bytes({"$schema": SCHEMA, "format": FORMAT}, file)
