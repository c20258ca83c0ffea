"""``report.json``: everything that was concluded, for programs. The samples stay in the run files.

Format history
    1 (2026-11): first.
    2 (2026-11): the status is leak, no_leak or inconclusive; kind, also, calls_needed, forecast,
        phases, limits; a trend has shape, upper_bound, detectable, calls_needed, slowest_warm_up.
    3 (2026-11): attribution and ceiling of a run, trials of remedies.
    4 (2026-11): $schema names the JSON Schema that it follows (``schemas/report.schema.json``).
    5 (2026-11): claims that were checked on these runs; a plan has a load, a run a landing.
    6 (2026-11): what is said of suspects, ceilings and trials are objects: the text, and for
        programs its id and raw values. Causes beside the suspects are called retained.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from leakhunt.model.report import JudgedRun, Report
from leakhunt.reporting.formats.as_json import as_json

FORMAT = 6
SCHEMA = f"urn:leakhunt:schema:report:{FORMAT}"


def render(report: Report) -> bytes:
    """UTF-8 JSON with stable keys; sizes in bytes, rates per call, times in seconds."""
    document = {
        "$schema": SCHEMA,
        "format": FORMAT,
        "generator": report.generator,
        "title": report.title,
        "command": report.command,
        "runs": [_run(entry) for entry in report.entries],
        "trials": [as_json(trial) for trial in report.trials],
        "claims": [asdict(claim) for claim in report.claims],
    }
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    # What no UTF-8 can hold (a file name of other bytes) becomes JSON's own escape.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _run(entry: JudgedRun) -> dict[str, Any]:
    run = entry.run
    return {
        "variant": entry.variant,
        "status": entry.verdict.status,
        "kind": entry.verdict.kind,
        "also": list(entry.verdict.also),
        "sentence": entry.verdict.sentence,
        "calls_needed": entry.verdict.calls_needed,
        "forecast": asdict(entry.verdict.forecast) if entry.verdict.forecast else None,
        "calls_done": run.calls_done,
        "outcome": asdict(run.outcome),
        "trends": {name: asdict(trend) for name, trend in entry.verdict.trends.items()},
        "ledger": asdict(entry.ledger) if entry.ledger else None,
        "difference": asdict(entry.difference) if entry.difference else None,
        "cost": asdict(entry.cost) if entry.cost else None,
        "attribution": as_json(entry.attribution) if entry.attribution else None,
        "ceiling": as_json(entry.ceiling) if entry.ceiling else None,
        "landing": asdict(entry.landing) if entry.landing else None,
        "readings": [asdict(reading) for reading in run.readings],
        "plan": asdict(run.plan),
        "phases": [asdict(phase) for phase in run.phases],
        "limits": dict(run.limits),
        "facts": dict(run.facts),
        "environment": dict(run.environment),
        "unavailable": dict(run.unavailable),
        "notes": [dict(note) for note in run.notes],
        "started_at": run.started_at,
        "damaged_lines": run.damaged_lines,
    }
