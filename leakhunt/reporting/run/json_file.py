"""``report.json``: everything that was concluded, for programs. The samples stay in the run files.

What is in it is `ReportJson`; its schema (``leakhunt schema report``) is generated from that.

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
    7 (2026-11): every verdict has a forecast: outlook, series, used_bytes, headroom_bytes, models,
        warns and sentence beside the limit and the calls, which may be null; a plan limit_bytes.
        before, after and saved of a trial are null where an allocator does not tell what is in use
        (its unread says why); its rounding; allocators, the boards
        of those that were tried; conclusion: what several variants mean for a service. Of a soak
        the processes of the service, and the kinds of requests that it got (routes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leakhunt.model.attribution import AllocatorBoard, Attribution, Ceiling, RemedyTrial
from leakhunt.model.claims import JudgedClaim
from leakhunt.model.kinds import Kind
from leakhunt.model.peaks import Peak, RecommendedLimit
from leakhunt.model.plan import Plan
from leakhunt.model.processes import JudgedProcess
from leakhunt.model.report import Cost, Difference, JudgedRun, Ledger, LoadSummary, Report
from leakhunt.model.routes import JudgedRoute
from leakhunt.model.run import Outcome, Phase, Reading
from leakhunt.model.verdict import KillForecast, Status, Trend
from leakhunt.reporting.formats.json_document import json_bytes, urn
from leakhunt.text.language import ENGLISH, speaking
from leakhunt.text.message import Joined, Message, Text

FORMAT = 7
SCHEMA = urn("report", FORMAT)


@dataclass(frozen=True, slots=True)
class ReportJsonRun:
    """A measured run, with all that follows from it."""

    variant: str
    status: Status
    kind: Kind
    also: tuple[Kind, ...]
    sentence: Text
    calls_needed: int | None
    forecast: KillForecast | None
    calls_done: int
    outcome: Outcome
    trends: Mapping[str, Trend]
    ledger: Ledger | None
    difference: Difference | None
    cost: Cost | None
    attribution: Attribution | None
    ceiling: Ceiling | None
    load_summary: LoadSummary | None
    processes: tuple[JudgedProcess, ...]
    routes: tuple[JudgedRoute, ...]
    peak: Peak | None
    recommended_limit: RecommendedLimit | None
    readings: tuple[Reading, ...]
    plan: Plan
    phases: tuple[Phase, ...]
    limits: Mapping[str, int]
    facts: Mapping[str, str]
    environment: Mapping[str, str]
    unavailable: Mapping[str, str]
    notes: tuple[Mapping[str, Any], ...]
    started_at: str
    damaged_lines: int


@dataclass(frozen=True, slots=True)
class ReportJson:
    """``report.json``."""

    generator: str
    title: str
    command: str
    runs: tuple[ReportJsonRun, ...]
    trials: tuple[RemedyTrial, ...]
    claims: tuple[JudgedClaim, ...]
    allocators: tuple[AllocatorBoard, ...]
    conclusion: tuple[Text, ...]


def render(report: Report) -> bytes:
    """UTF-8 JSON with stable keys, in English; sizes in bytes, rates per call, times in seconds."""
    with speaking(ENGLISH):
        file = ReportJson(
            report.generator,
            str(report.title),
            report.command,
            tuple(map(_run, report.entries)),
            report.trials,
            report.claims,
            report.allocators,
            report.conclusion,
        )
        return json_bytes({"$schema": SCHEMA, "format": FORMAT}, file)


def _run(entry: JudgedRun) -> ReportJsonRun:
    run, verdict = entry.run, entry.verdict
    return ReportJsonRun(
        variant=entry.variant,
        status=verdict.status,
        kind=verdict.kind,
        also=verdict.also,
        sentence=verdict.sentence,
        calls_needed=verdict.calls_needed,
        forecast=verdict.forecast,
        calls_done=run.calls_done,
        outcome=run.outcome,
        trends=verdict.trends,
        ledger=entry.ledger,
        difference=entry.difference,
        cost=entry.cost,
        attribution=entry.attribution,
        ceiling=entry.ceiling,
        load_summary=entry.load_summary,
        processes=entry.processes,
        routes=entry.routes,
        peak=entry.peak,
        recommended_limit=entry.recommended_limit,
        readings=run.readings,
        plan=run.plan,
        phases=run.phases,
        limits=run.limits,
        facts=_texts(run.facts),
        environment=run.environment,
        unavailable=_texts(run.unavailable),
        notes=tuple(map(_note, run.notes)),
        started_at=run.started_at,
        damaged_lines=run.damaged_lines,
    )


def _texts(texts: Mapping[str, Text]) -> dict[str, str]:
    return {name: str(text) for name, text in texts.items()}


def _note(note: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: str(each) for name, each in note.items() if isinstance(each, Message | Joined)}
    caveats = {"caveats": list(map(str, note["caveats"]))} if "caveats" in note else {}
    return {**note, **texts, **caveats}
