"""``compare.json``: everything that was concluded of a comparison, for programs.

``sides``: label and runs of each side, the baseline first. ``pairs``: a variant of the baseline
beside the same of another side, with ``lines`` (figures as in `leakhunt.model.comparison.Line`:
amounts in ``unit`` per call, for ``rss_total`` in bytes, for ``time`` in seconds, its
``difference`` a ratio),
``mismatches`` and ``suspects``. ``alone``: variants that are not on every side. ``refused``: a
conclusion was refused; ``despite_differences``: it was drawn all the same.

Format history
    1 (2026-11): first.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from leakhunt.model.comparison import Comparison, Pair, SuspectChange
from leakhunt.model.report import JudgedRun

FORMAT = 1


def render(comparison: Comparison) -> bytes:
    """UTF-8 JSON with stable keys."""
    document = {
        "format": FORMAT,
        "generator": comparison.generator,
        "refused": comparison.is_refused,
        "despite_differences": comparison.despite,
        "sides": [
            {
                "label": side.label,
                "runs": [_run(entry) for entry in side.entries],
                "left_out": list(map(str, side.left_out)),
            }
            for side in comparison.sides
        ],
        "pairs": [_pair(pair) for pair in comparison.pairs],
        "alone": [asdict(each) for each in comparison.alone],
    }
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    # What no UTF-8 can hold (a file name of other bytes) becomes JSON's own escape.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _run(entry: JudgedRun) -> dict[str, Any]:
    run = entry.run
    return {
        "scenario": run.plan.scenario,
        "variant": entry.variant,
        "status": entry.verdict.status,
        "kind": entry.verdict.kind,
        "sentence": str(entry.verdict.sentence),
        "calls_done": run.calls_done,
        "ending": run.outcome.ending,
        "started_at": run.started_at,
        "facts": dict(run.facts),
        "environment": dict(run.environment),
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "name": pair.name,
        "before": pair.before_label,
        "after": pair.after_label,
        "sentence": pair.sentence,
        "verdicts": {"before": list(pair.verdicts[0]), "after": list(pair.verdicts[1])},
        "lines": [asdict(line) for line in pair.lines],
        "results": asdict(pair.results) if pair.results else None,
        "suspects": [_suspect(each) for each in pair.suspects],
        "mismatches": [asdict(each) for each in pair.mismatches],
    }


def _suspect(change: SuspectChange) -> dict[str, Any]:
    return {
        "fingerprint": change.suspect.fingerprint,
        "title": change.suspect.title,
        "fate": change.fate,
        "before_bytes_per_call": change.before,
        "after_bytes_per_call": change.after,
    }
