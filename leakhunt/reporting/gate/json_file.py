"""``gate.json``: every answer of a gate with its figures, for programs. No samples.

What is in it, with units, is in ``schemas/gate.schema.json`` (``leakhunt schema gate``).

Format history
    1 (2026-11): first.
    2 (2026-11): texts of ours are objects: as they are said in English, and for programs their id
        and raw values.
"""

from __future__ import annotations

import json
from typing import Any

from leakhunt.model.gate import (
    SECONDS_PER_CALL,
    Acceptance,
    BudgetResult,
    Extent,
    GateAnswer,
    GateResult,
    VariantResult,
)
from leakhunt.model.report import JudgedRun
from leakhunt.reporting.formats.as_json import as_json
from leakhunt.reporting.gate.rows import finite
from leakhunt.text.message import to_json

FORMAT = 2
SCHEMA = f"urn:leakhunt:schema:gate:{FORMAT}"
# The answers as programs read them.
_ANSWERS = {
    GateAnswer.WITHIN_BUDGET: "within_budget",
    GateAnswer.OVER_BUDGET: "over_budget",
    GateAnswer.INCONCLUSIVE: "inconclusive",
    GateAnswer.NOT_MEASURED: "not_measured",
}


def render(gated: GateResult) -> bytes:
    """UTF-8 JSON with stable keys."""
    document = {
        "$schema": SCHEMA,
        "format": FORMAT,
        "generator": gated.generator,
        "answer": _ANSWERS[gated.answer],
        "exit_code": int(gated.answer),
        "policy": gated.policy,
        "against": gated.against,
        "notes": [to_json(note) for note in gated.notes],
        "variants": [_variant(variant) for variant in gated.variants],
    }
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    # What no UTF-8 can hold (a file name of other bytes) becomes JSON's own escape.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _variant(variant: VariantResult) -> dict[str, Any]:
    return {
        "scenario": variant.scenario,
        "variant": variant.variant,
        "answer": _ANSWERS[variant.answer],
        "reason": to_json(variant.reason),
        "attempts": variant.attempts,
        "checks": [_check(check) for check in variant.checks],
        "suspects": [as_json(suspect) for suspect in variant.suspects],
        "accepted": [
            {"suspect": as_json(suspect), "acceptance": _acceptance(acceptance)}
            for suspect, acceptance in variant.accepted
        ],
        "mismatches": [as_json(mismatch) for mismatch in variant.mismatches],
        "runs": [_run(entry) for entry in variant.entries],
    }


def _check(check: BudgetResult) -> dict[str, Any]:
    return {
        "budget": as_json(check.budget),
        "unit": _unit(check),
        "answer": _ANSWERS[check.answer],
        "reason": to_json(check.reason),
        "estimate": finite(check.estimate),
        "low": finite(check.low),
        "high": finite(check.high),
        "detection_limit": finite(check.detection_limit),
    }


def _unit(check: BudgetResult) -> str:
    """What the figures are in, the budget's amount among them."""
    if check.budget.extent is Extent.SHARE:
        return "share"
    unit = "seconds" if check.budget.series == SECONDS_PER_CALL else str(check.unit)
    return f"{unit}/call" if check.budget.extent is Extent.CALL else unit


def _acceptance(acceptance: Acceptance) -> dict[str, Any]:
    written: dict[str, Any] = as_json(acceptance)
    return written | {"until": acceptance.until.isoformat()}


def _run(entry: JudgedRun) -> dict[str, Any]:
    run = entry.run
    return {
        "file": run.file.rpartition("/")[2],
        "status": entry.verdict.status,
        "kind": entry.verdict.kind,
        "sentence": to_json(entry.verdict.sentence),
        "forecast": as_json(entry.verdict.forecast),
        "calls_done": run.calls_done,
        "outcome": as_json(run.outcome),
        "trends": as_json(entry.verdict.trends),
        "started_at": run.started_at,
    }
