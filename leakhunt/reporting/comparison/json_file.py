"""``compare.json``: everything that was concluded of a comparison, for programs.

``sides``: label and runs of each side, the baseline first. ``pairs``: a variant of the baseline
beside the same of another side, with ``lines`` (figures as in `leakhunt.model.comparison.Metric`:
amounts in ``unit`` per call, for ``rss_total`` in bytes, for ``time`` in seconds, its
``difference`` a ratio),
``mismatches`` and ``suspects``. ``alone``: variants that are not on every side. ``refused``: a
conclusion was refused; ``despite_differences``: it was drawn all the same. Whatever is said
(sentence, title, reason, the values of a mismatch, ``left_out``) is an object: its ``text``, and
for programs the ``message`` it is and its raw ``values``, or its ``parts``.

Format history
    1 (2026-11): first.
    2 (2026-11): what is said are objects, which were strings; verdicts are classes with how many
        runs have each.
"""

from __future__ import annotations

import json
from typing import Any

from leakhunt.model.comparison import Comparison, Pair, SuspectChange
from leakhunt.model.report import JudgedRun
from leakhunt.reporting.formats.as_json import as_json
from leakhunt.text.message import to_json

FORMAT = 2


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
                "left_out": list(map(to_json, side.left_out)),
            }
            for side in comparison.sides
        ],
        "pairs": [_pair(pair) for pair in comparison.pairs],
        "alone": as_json(comparison.alone),
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
        "sentence": to_json(entry.verdict.sentence),
        "calls_done": run.calls_done,
        "ending": run.outcome.ending,
        "started_at": run.started_at,
        "facts": {name: str(fact) for name, fact in run.facts.items()},
        "environment": dict(run.environment),
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "name": pair.name,
        "before": pair.before_label,
        "after": pair.after_label,
        "sentence": to_json(pair.sentence),
        "verdicts": dict(zip(("before", "after"), as_json(pair.verdicts), strict=True)),
        "lines": as_json(pair.lines),
        "results": as_json(pair.results),
        "suspects": [_suspect(each) for each in pair.suspects],
        "mismatches": as_json(pair.mismatches),
    }


def _suspect(change: SuspectChange) -> dict[str, Any]:
    return {
        "fingerprint": change.suspect.fingerprint,
        "title": to_json(change.suspect.title),
        "fate": change.fate,
        "before_bytes_per_call": change.before,
        "after_bytes_per_call": change.after,
    }
