"""What ``pytest --leakhunt-json FILE`` writes: every test of a suite, for programs.

What is in it is `SuiteJson`; its schema (``leakhunt schema suite``) is generated from that.

Format history
    1 (2026-11): first.
"""

from __future__ import annotations

from dataclasses import dataclass

from leakhunt.model.suite import Suite, SuiteTest
from leakhunt.reporting.formats.json_document import json_bytes, urn

FORMAT = 1
SCHEMA = urn("suite", FORMAT)


@dataclass(frozen=True, slots=True)
class SuiteJson:
    """The file."""

    generator: str
    budget_seconds: float
    tests: tuple[SuiteTest, ...]


def render(suite: Suite) -> bytes:
    """UTF-8 JSON with stable keys."""
    file = SuiteJson(suite.generator, suite.budget_seconds, suite.tests)
    return json_bytes({"$schema": SCHEMA, "format": FORMAT}, file)
