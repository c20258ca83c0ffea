"""``retained.json``: the largest holders of each variant's process, for programs.

What is in it is `RetainedJson`; its schema (``leakhunt schema retained``) is generated from that.

Format history
    1 (2026-11): first.
"""

from __future__ import annotations

from dataclasses import dataclass

from leakhunt.model.retained import RetainedHeap, RetainedReport
from leakhunt.reporting.formats.json_document import json_bytes, urn

FORMAT = 1
SCHEMA = urn("retained", FORMAT)


@dataclass(frozen=True, slots=True)
class RetainedJson:
    """``retained.json``."""

    generator: str
    scenario: str
    heaps: tuple[RetainedHeap, ...]


def render(report: RetainedReport) -> bytes:
    """UTF-8 JSON with stable keys."""
    file = RetainedJson(report.generator, report.scenario, report.heaps)
    return json_bytes({"$schema": SCHEMA, "format": FORMAT}, file)
