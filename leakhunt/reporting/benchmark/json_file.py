"""``benchmark.json``: what each tool said of each version, for programs.

What is in it is `BenchmarkJson`; its schema (``leakhunt schema benchmark``) is generated from that.

Format history
    1 (2026-11): first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from leakhunt.model.benchmark import BenchmarkReport, PublishedLeak, ToolRow, ToolScore
from leakhunt.reporting.formats.json_document import json_bytes, urn

FORMAT = 1
SCHEMA = urn("benchmark", FORMAT)


@dataclass(frozen=True, slots=True)
class BenchmarkJson:
    """``benchmark.json``."""

    generator: str
    facts: Mapping[str, str]
    interrupted: bool
    scores: tuple[ToolScore, ...]
    rows: tuple[ToolRow, ...]
    packages: tuple[PublishedLeak, ...]


def render(report: BenchmarkReport) -> bytes:
    """UTF-8 JSON with stable keys."""
    file = BenchmarkJson(
        generator=report.generator,
        facts=dict(report.facts),
        interrupted=report.interrupted,
        scores=report.scores,
        rows=report.rows,
        packages=report.packages,
    )
    return json_bytes({"$schema": SCHEMA, "format": FORMAT}, file)
