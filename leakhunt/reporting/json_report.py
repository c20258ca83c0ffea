"""``report.json``: everything that was concluded, for programs. The samples stay in the run files.

Format history
    1 (2026-11): first.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from leakhunt.model import JudgedRun, Report

FORMAT = 1


def render(report: Report) -> bytes:
    """UTF-8 JSON with stable keys; sizes in bytes, rates per call, times in seconds."""
    document = {
        "format": FORMAT,
        "generator": report.generator,
        "title": report.title,
        "command": report.command,
        "runs": [_run(entry) for entry in report.entries],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _run(entry: JudgedRun) -> dict[str, Any]:
    run = entry.run
    return {
        "variant": entry.variant,
        "status": entry.verdict.status,
        "sentence": entry.verdict.sentence,
        "calls_done": run.calls_done,
        "outcome": asdict(run.outcome),
        "trends": {name: asdict(trend) for name, trend in entry.verdict.trends.items()},
        "ledger": asdict(entry.ledger) if entry.ledger else None,
        "difference": asdict(entry.difference) if entry.difference else None,
        "cost": asdict(entry.cost) if entry.cost else None,
        "readings": [asdict(reading) for reading in run.readings],
        "plan": asdict(run.plan),
        "facts": dict(run.facts),
        "environment": dict(run.environment),
        "unavailable": dict(run.unavailable),
        "notes": [dict(note) for note in run.notes],
        "started_at": run.started_at,
        "damaged_lines": run.damaged_lines,
    }
