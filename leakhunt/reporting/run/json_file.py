"""``report.json``: everything that was concluded, for programs. The samples stay in the run files.

Format history
    1 (2026-11): first.
    2 (2026-11): the status is leak, no_leak or inconclusive; kind, also, calls_needed, forecast,
        phases, limits; a trend has shape, upper_bound, detectable, calls_needed, slowest_warm_up.
    3 (2026-11): attribution and ceiling of a run, trials of remedies.
    4 (2026-11): $schema names the JSON Schema that it follows (``schemas/report.schema.json``).
    5 (2026-11): claims that were checked on these runs; a plan has a load, a run a landing.
    6 (2026-11): a text is an object: ``text`` in English, and with it ``message`` (an id that stays
        the same) and ``values``, or the ``parts`` it is made of. Causes beside the suspects are
        called retained. Renamed: a trend's detection_limit, a run's load_summary with
        throughput_first_third, throughput_last_third and median_seconds, an attribution's
        blind_spots, a trial's pairs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from leakhunt.model.report import JudgedRun, Report
from leakhunt.reporting.formats.as_json import as_json
from leakhunt.text.language import ENGLISH, speaking
from leakhunt.text.message import Joined, Message, Text, to_json

FORMAT = 6
SCHEMA = f"urn:leakhunt:schema:report:{FORMAT}"


def render(report: Report) -> bytes:
    """UTF-8 JSON with stable keys, in English; sizes in bytes, rates per call, times in seconds."""
    with speaking(ENGLISH):
        document = _document(report)
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    # What no UTF-8 can hold (a file name of other bytes) becomes JSON's own escape.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _document(report: Report) -> dict[str, Any]:
    return {
        "$schema": SCHEMA,
        "format": FORMAT,
        "generator": report.generator,
        "title": str(report.title),
        "command": report.command,
        "runs": [_run(entry) for entry in report.entries],
        "trials": [as_json(trial) for trial in report.trials],
        "claims": [as_json(claim) for claim in report.claims],
    }


def _run(entry: JudgedRun) -> dict[str, Any]:
    run = entry.run
    return {
        "variant": entry.variant,
        "status": entry.verdict.status,
        "kind": entry.verdict.kind,
        "also": list(entry.verdict.also),
        "sentence": to_json(entry.verdict.sentence),
        "calls_needed": entry.verdict.calls_needed,
        "forecast": as_json(entry.verdict.forecast),
        "calls_done": run.calls_done,
        "outcome": as_json(run.outcome),
        "trends": {name: as_json(trend) for name, trend in entry.verdict.trends.items()},
        "ledger": as_json(entry.ledger),
        "difference": as_json(entry.difference),
        "cost": as_json(entry.cost),
        "attribution": as_json(entry.attribution),
        "ceiling": as_json(entry.ceiling),
        "load_summary": as_json(entry.load_summary),
        "peak": as_json(entry.peak),
        "recommended_limit": as_json(entry.recommended_limit),
        "readings": [as_json(reading) for reading in run.readings],
        "plan": as_json(run.plan),
        "phases": [as_json(phase) for phase in run.phases],
        "limits": dict(run.limits),
        "facts": _texts(run.facts),
        "environment": dict(run.environment),
        "unavailable": _texts(run.unavailable),
        "notes": [_note(note) for note in run.notes],
        "started_at": run.started_at,
        "damaged_lines": run.damaged_lines,
    }


def _texts(texts: Mapping[str, Text]) -> dict[str, str]:
    return {name: str(text) for name, text in texts.items()}


def _note(note: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: str(each) for name, each in note.items() if isinstance(each, Message | Joined)}
    caveats = {"caveats": list(map(str, note["caveats"]))} if "caveats" in note else {}
    return {**note, **texts, **caveats}
