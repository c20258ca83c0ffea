"""``claims.json``: every claim that was checked, with its figures and verdict, for programs.

What is in it is `ClaimsJson`; its schema (``leakhunt schema claims``) is generated from that.

Format history
    1 (2026-11): first.
    2 (2026-11): texts of ours are objects: as they are said in English, and for programs their id
        and raw values.
"""

from __future__ import annotations

from dataclasses import dataclass

from leakhunt.model.claims import CheckedScenario, ClaimsReport
from leakhunt.reporting.formats.json_document import json_bytes, urn

FORMAT = 2
SCHEMA_PREFIX = "urn:leakhunt:schema:claims:"
SCHEMA = urn("claims", FORMAT)


@dataclass(frozen=True, slots=True)
class ClaimsJson:
    """``claims.json``."""

    generator: str
    interrupted: bool
    scenarios: tuple[CheckedScenario, ...]


def render(report: ClaimsReport) -> bytes:
    """UTF-8 JSON with stable keys."""
    file = ClaimsJson(report.generator, report.interrupted, report.scenarios)
    return json_bytes({"$schema": SCHEMA, "format": FORMAT}, file)
