"""``attach.json``: what a visit of a running process found, for programs.

What is in it is `AttachJson`; its schema (``leakhunt schema attach``) is generated from that.

Format history
    1 (2026-11): first.
"""

from __future__ import annotations

from dataclasses import dataclass

from leakhunt.model.attached import (
    AllocatedPlace,
    AttachReport,
    GivenBack,
    Grower,
    LookDifference,
    MemoryBound,
    PossibleCause,
    TraceStretch,
    VisitCost,
)
from leakhunt.model.kinds import Kind
from leakhunt.model.report import LedgerLine
from leakhunt.model.retained import RetainedHeap
from leakhunt.model.verdict import Status, Verdict
from leakhunt.reporting.formats.json_document import json_bytes, urn
from leakhunt.text.message import Text

FORMAT = 1
SCHEMA = urn("attach", FORMAT)


@dataclass(frozen=True, slots=True)
class AttachJsonVerdict:
    """The verdict on a process that was watched."""

    status: Status
    kind: Kind
    also: tuple[Kind, ...]
    sentence: Text


@dataclass(frozen=True, slots=True)
class AttachJson:
    """``attach.json``."""

    generator: str
    pid: int
    process: str
    python: str
    allocator: str
    rss_bytes: int | None
    breakdown: tuple[LedgerLine, ...]
    given_back: tuple[GivenBack, ...]
    bounds: tuple[MemoryBound, ...]
    possible_causes: tuple[PossibleCause, ...]
    heap: RetainedHeap | None
    seconds_watched: float
    verdict: AttachJsonVerdict | None
    growers: tuple[Grower, ...]
    places: tuple[AllocatedPlace, ...]
    cost: VisitCost | None
    caveats: tuple[Text, ...]
    difference: LookDifference | None
    trace: TraceStretch | None


def render(report: AttachReport) -> bytes:
    """UTF-8 JSON with stable keys."""
    file = AttachJson(
        generator=report.generator,
        pid=report.pid,
        process=report.process,
        python=report.python,
        allocator=report.allocator,
        rss_bytes=report.rss_bytes,
        breakdown=report.breakdown,
        given_back=report.given_back,
        bounds=report.bounds,
        possible_causes=report.possible_causes,
        heap=report.heap,
        seconds_watched=report.seconds_watched,
        verdict=_verdict(report.verdict),
        growers=report.growers,
        places=report.places,
        cost=report.cost,
        caveats=report.caveats,
        difference=report.difference,
        trace=report.trace,
    )
    return json_bytes({"$schema": SCHEMA, "format": FORMAT}, file)


def _verdict(verdict: Verdict | None) -> AttachJsonVerdict | None:
    if verdict is None:
        return None
    return AttachJsonVerdict(verdict.status, verdict.kind, verdict.also, verdict.sentence)
