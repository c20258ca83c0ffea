"""``gl-code-quality.json``: GitLab's report on the quality of code, beside a merge request's lines.

A list of ``description``, ``check_name``, ``fingerprint``, ``severity`` and ``location``. What is
within budget is not in it; what could not be told is, since it has not passed. GitLab drops an
entry without a place: where the repository has none, it is the name of the scenario.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from leakhunt.model.gate import GateAnswer, GateResult, VariantResult
from leakhunt.reporting.formats.terminal_escape import one_line
from leakhunt.reporting.gate.ids import (
    accepted_id,
    accepted_rule_id,
    answer_id,
    numbered,
    rule_id,
)
from leakhunt.reporting.gate.rows import GateRow, rows, sentence, word
from leakhunt.reporting.gate.source_lines import Repository, Spot, place, scenario_spot, spot_of
from leakhunt.reporting.gate.suspects import accepted_line, suspect_line

_SEVERITIES = {
    GateAnswer.OVER_BUDGET: "critical",
    GateAnswer.NOT_MEASURED: "major",
    GateAnswer.INCONCLUSIVE: "major",
}


def render(gated: GateResult, repository: Repository) -> bytes:
    """ASCII JSON; paths from the repository's root."""
    entries = [*_failed(gated, repository), *_accepted(gated, repository)]
    fingerprints = numbered(entry["fingerprint"] for entry in entries)
    document = [
        entry | {"fingerprint": fingerprint}
        for entry, fingerprint in zip(entries, fingerprints, strict=True)
    ]
    return json.dumps(document, indent=2).encode() + b"\n"


def _failed(gated: GateResult, repository: Repository) -> Iterator[dict[str, Any]]:
    for row in rows(gated):
        if row.answer is not GateAnswer.WITHIN_BUDGET:
            yield {
                "description": _description(row),
                "check_name": rule_id(row),
                "fingerprint": answer_id(row),
                "severity": _SEVERITIES[row.answer],
                "location": _location(place(row.variant, repository), row.variant),
            }


def _accepted(gated: GateResult, repository: Repository) -> Iterator[dict[str, Any]]:
    for variant in gated.variants:
        for suspect, acceptance in variant.accepted:
            spot = spot_of(suspect, repository) or scenario_spot(variant, repository)
            text = accepted_line(suspect, acceptance, variant)
            yield {
                "description": one_line(f"{variant.name}: {text}"),
                "check_name": accepted_rule_id(variant),
                "fingerprint": accepted_id(variant, suspect),
                "severity": "info",
                "location": _location(spot, variant),
            }


def _description(row: GateRow) -> str:
    text = f"{row.variant.name}: {word(row.answer)}: {sentence(row)}"
    suspects = [suspect_line(suspect, row.variant) for suspect in row.variant.suspects[:1]]
    return one_line("; ".join([text, *suspects]))


def _location(spot: Spot | None, variant: VariantResult) -> dict[str, Any]:
    found = spot or Spot(one_line(variant.scenario.rpartition("/")[2]) or "leakhunt", 1)
    return {"path": found.file, "lines": {"begin": found.line}}
