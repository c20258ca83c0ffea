"""``claims.json``: every claim that was checked, with its figures and verdict, for programs.

What is in it, with units, is in ``schemas/claims.schema.json`` (``leakhunt schema claims``).

Format history
    1 (2026-11): first.
    2 (2026-11): texts of ours are objects: as they are said in English, and for programs their id
        and raw values.
"""

from __future__ import annotations

import json
from typing import Any

from leakhunt.model.claims import CheckedScenario, ClaimsReport
from leakhunt.reporting.formats.as_json import as_json

FORMAT = 2
SCHEMA_PREFIX = "urn:leakhunt:schema:claims:"
SCHEMA = f"{SCHEMA_PREFIX}{FORMAT}"


def render(report: ClaimsReport) -> bytes:
    """UTF-8 JSON with stable keys."""
    document = {
        "$schema": SCHEMA,
        "format": FORMAT,
        "generator": report.generator,
        "interrupted": report.interrupted,
        "scenarios": [_scenario(scenario) for scenario in report.scenarios],
    }
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    # What no UTF-8 can hold (a file name of other bytes) becomes JSON's own escape.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _scenario(scenario: CheckedScenario) -> dict[str, Any]:
    return {
        "name": scenario.name,
        "runs": [as_json(made) for made in scenario.runs],
        "claims": [as_json(judged) for judged in scenario.claims],
    }
