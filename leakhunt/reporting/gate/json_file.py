"""``gate.json``: every answer of a gate with its figures, for programs. No samples.

What is in it is `GateJson`; its schema (``leakhunt schema gate``) is generated from that.

Format history
    1 (2026-11): first.
    2 (2026-11): texts of ours are objects: as they are said in English, and for programs their id
        and raw values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto

from leakhunt.model.attribution import Suspect
from leakhunt.model.comparison import Mismatch
from leakhunt.model.gate import (
    SECONDS_PER_CALL,
    Acceptance,
    Budget,
    BudgetResult,
    Extent,
    GateAnswer,
    GateResult,
    VariantResult,
)
from leakhunt.model.kinds import Kind
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Outcome
from leakhunt.model.verdict import KillForecast, Status, Trend
from leakhunt.reporting.formats.json_document import json_bytes, urn
from leakhunt.reporting.gate.rows import finite
from leakhunt.text.message import Text

FORMAT = 2
SCHEMA = urn("gate", FORMAT)


class GateJsonAnswer(StrEnum):
    """The answers as programs read them."""

    WITHIN_BUDGET = auto()
    OVER_BUDGET = auto()
    INCONCLUSIVE = auto()
    NOT_MEASURED = auto()


@dataclass(frozen=True, slots=True)
class GateJsonCheck:
    """The result for one budget."""

    budget: Budget
    unit: str
    answer: GateJsonAnswer
    reason: Text
    estimate: float | None
    low: float | None
    high: float | None
    detection_limit: float | None


@dataclass(frozen=True, slots=True)
class GateJsonAcceptance:
    """An `Acceptance`, with its date as ISO 8601 has it."""

    fingerprint: str
    reason: str
    until: str
    where: str
    up_to: float | None


@dataclass(frozen=True, slots=True)
class GateJsonAccepted:
    """A suspect, and the entry of the policy that accepts it."""

    suspect: Suspect
    acceptance: GateJsonAcceptance


@dataclass(frozen=True, slots=True)
class GateJsonRun:
    """A measured run, without its samples."""

    file: str
    status: Status
    kind: Kind
    sentence: Text
    forecast: KillForecast | None
    calls_done: int
    outcome: Outcome
    trends: Mapping[str, Trend]
    started_at: str


@dataclass(frozen=True, slots=True)
class GateJsonVariant:
    """The results for one variant of a scenario."""

    scenario: str
    variant: str
    answer: GateJsonAnswer
    reason: Text
    attempts: int
    checks: tuple[GateJsonCheck, ...]
    suspects: tuple[Suspect, ...]
    accepted: tuple[GateJsonAccepted, ...]
    mismatches: tuple[Mismatch, ...]
    runs: tuple[GateJsonRun, ...]


@dataclass(frozen=True, slots=True)
class GateJson:
    """``gate.json``."""

    generator: str
    answer: GateJsonAnswer
    exit_code: int
    policy: str
    against: str
    notes: tuple[Text, ...]
    variants: tuple[GateJsonVariant, ...]


def render(gated: GateResult) -> bytes:
    """UTF-8 JSON with stable keys."""
    file = GateJson(
        generator=gated.generator,
        answer=_answer(gated.answer),
        exit_code=int(gated.answer),
        policy=gated.policy,
        against=gated.against,
        notes=gated.notes,
        variants=tuple(map(_variant, gated.variants)),
    )
    return json_bytes({"$schema": SCHEMA, "format": FORMAT}, file)


def _answer(answer: GateAnswer) -> GateJsonAnswer:
    return GateJsonAnswer[answer.name]


def _variant(variant: VariantResult) -> GateJsonVariant:
    return GateJsonVariant(
        scenario=variant.scenario,
        variant=variant.variant,
        answer=_answer(variant.answer),
        reason=variant.reason,
        attempts=variant.attempts,
        checks=tuple(map(_check, variant.checks)),
        suspects=variant.suspects,
        accepted=tuple(
            GateJsonAccepted(suspect, _acceptance(acceptance))
            for suspect, acceptance in variant.accepted
        ),
        mismatches=variant.mismatches,
        runs=tuple(map(_run, variant.entries)),
    )


def _acceptance(acceptance: Acceptance) -> GateJsonAcceptance:
    return GateJsonAcceptance(
        fingerprint=acceptance.fingerprint,
        reason=acceptance.reason,
        until=acceptance.until.isoformat(),
        where=acceptance.where,
        up_to=acceptance.up_to,
    )


def _check(check: BudgetResult) -> GateJsonCheck:
    return GateJsonCheck(
        budget=check.budget,
        unit=_unit(check),
        answer=_answer(check.answer),
        reason=check.reason,
        estimate=finite(check.estimate),
        low=finite(check.low),
        high=finite(check.high),
        detection_limit=finite(check.detection_limit),
    )


def _unit(check: BudgetResult) -> str:
    """What the figures are in, the budget's amount among them."""
    if check.budget.extent is Extent.SHARE:
        return "share"
    unit = "seconds" if check.budget.series == SECONDS_PER_CALL else str(check.unit)
    return f"{unit}/call" if check.budget.extent is Extent.CALL else unit


def _run(entry: JudgedRun) -> GateJsonRun:
    run, verdict = entry.run, entry.verdict
    return GateJsonRun(
        file=run.file.rpartition("/")[2],
        status=verdict.status,
        kind=verdict.kind,
        sentence=verdict.sentence,
        forecast=verdict.forecast,
        calls_done=run.calls_done,
        outcome=run.outcome,
        trends=verdict.trends,
        started_at=run.started_at,
    )
