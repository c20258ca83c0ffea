"""``compare.json``: everything that was concluded of a comparison, for programs.

What is in it is `CompareJson`; its schema (``leakhunt schema compare``) is generated from that.

Format history
    1 (2026-11): first.
    2 (2026-11): what is said are objects, which were strings; verdicts are classes with how many
        runs have each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from leakhunt.model.comparison import (
    Alone,
    Comparison,
    Fate,
    LooksCompared,
    Metric,
    Mismatch,
    Pair,
    Side,
    SuspectChange,
    VerdictCount,
)
from leakhunt.model.kinds import Kind
from leakhunt.model.report import Difference, JudgedRun
from leakhunt.model.run import Ending
from leakhunt.model.verdict import Status
from leakhunt.reporting.formats.json_document import json_bytes, urn
from leakhunt.text.message import Text

FORMAT = 2
SCHEMA = urn("compare", FORMAT)


@dataclass(frozen=True, slots=True)
class CompareJsonRun:
    """A measured run of one side, without its samples."""

    scenario: str
    variant: str
    status: Status
    kind: Kind
    sentence: Text
    calls_done: int
    ending: Ending
    started_at: str
    facts: Mapping[str, str]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CompareJsonSide:
    """One of the things compared, with its runs."""

    label: str
    runs: tuple[CompareJsonRun, ...]
    left_out: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class CompareJsonVerdicts:
    """The verdicts of both sides, by class."""

    before: tuple[VerdictCount, ...]
    after: tuple[VerdictCount, ...]


@dataclass(frozen=True, slots=True)
class CompareJsonSuspect:
    """A suspect, and its growth on both sides."""

    fingerprint: str
    title: Text
    fate: Fate
    before_bytes_per_call: float | None
    after_bytes_per_call: float | None


@dataclass(frozen=True, slots=True)
class CompareJsonPair:
    """A variant of the baseline, compared with the same variant of another side."""

    name: str
    before: str
    after: str
    sentence: Text
    verdicts: CompareJsonVerdicts
    lines: tuple[Metric, ...]
    results: Difference | None
    suspects: tuple[CompareJsonSuspect, ...]
    mismatches: tuple[Mismatch, ...]


@dataclass(frozen=True, slots=True)
class CompareJson:
    """``compare.json``."""

    generator: str
    refused: bool
    despite_differences: bool
    sides: tuple[CompareJsonSide, ...]
    pairs: tuple[CompareJsonPair, ...]
    alone: tuple[Alone, ...]
    looks: tuple[LooksCompared, ...]


def render(comparison: Comparison) -> bytes:
    """UTF-8 JSON with stable keys."""
    file = CompareJson(
        generator=comparison.generator,
        refused=comparison.is_refused,
        despite_differences=comparison.despite,
        sides=tuple(map(_side, comparison.sides)),
        pairs=tuple(map(_pair, comparison.pairs)),
        alone=comparison.alone,
        looks=comparison.looks,
    )
    return json_bytes({"format": FORMAT}, file)


def _side(side: Side) -> CompareJsonSide:
    return CompareJsonSide(side.label, tuple(map(_run, side.entries)), side.left_out)


def _run(entry: JudgedRun) -> CompareJsonRun:
    run, verdict = entry.run, entry.verdict
    return CompareJsonRun(
        scenario=run.plan.scenario,
        variant=entry.variant,
        status=verdict.status,
        kind=verdict.kind,
        sentence=verdict.sentence,
        calls_done=run.calls_done,
        ending=run.outcome.ending,
        started_at=run.started_at,
        facts={name: str(fact) for name, fact in run.facts.items()},
        environment=run.environment,
    )


def _pair(pair: Pair) -> CompareJsonPair:
    return CompareJsonPair(
        name=pair.name,
        before=pair.before_label,
        after=pair.after_label,
        sentence=pair.sentence,
        verdicts=CompareJsonVerdicts(*pair.verdicts),
        lines=pair.lines,
        results=pair.results,
        suspects=tuple(map(_suspect, pair.suspects)),
        mismatches=pair.mismatches,
    )


def _suspect(change: SuspectChange) -> CompareJsonSuspect:
    return CompareJsonSuspect(
        fingerprint=change.suspect.fingerprint,
        title=change.suspect.title,
        fate=change.fate,
        before_bytes_per_call=change.before,
        after_bytes_per_call=change.after,
    )
