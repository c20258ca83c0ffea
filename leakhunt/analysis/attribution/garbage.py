"""Cyclic garbage: whether it is worth a look, and the suspects that its cycles make. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from leakhunt.analysis.attribution.clusters import Cluster
from leakhunt.analysis.verdict.after_gc import (
    freed_by_collections,
    garbage_objects,
    leaves_cycles,
)
from leakhunt.analysis.verdict.effort import has_slow_calls
from leakhunt.model.attribution import (
    Cycle,
    CycleKind,
    Finding,
    FindingKind,
    Frame,
    Instrument,
    Origin,
)
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Run
from leakhunt.model.verdict import Status, Verdict

# What a collection frees is worth a look from here on, whatever shape the curve has: garbage that
# is costly to collect shows no teeth.
_MUCH_BYTES = 8 << 20
# From this many new objects per call the collector runs at every call: its threshold is 700.
_COSTLY_OBJECTS = 2_000
# Cycles below this part of the garbage are not worth a line.
_MIN_SHARE = 0.01
MAX_CYCLES = 5


def leaves_garbage(run: Run, verdict: Verdict) -> bool:
    """Whether the calls leave so much to the collector that the cycles are worth a name."""
    if Kind.GARBAGE in (verdict.kind, *verdict.also):
        return True
    if verdict.status is not Status.NO_LEAK and not has_slow_calls(run):
        return False
    if freed_by_collections(run) > _MUCH_BYTES and leaves_cycles(run) is not False:
        return True
    objects = garbage_objects(run)
    return objects is not None and objects.rate >= _COSTLY_OBJECTS


def garbage_per_call(instrumented: Sequence[Run]) -> float | None:
    """The bytes per call of all cyclic garbage that was looked at; None: nobody looked."""
    looked_at = [run for run in instrumented if run.plan.instrument is Instrument.GARBAGE]
    if not looked_at:
        return None
    first = next(iter(_cycles(looked_at[-1].findings)), None)
    return first.facts["garbage_bytes"] / (first.calls[-1] - first.calls[0]) if first else 0.0


def reported_cycles(found: Sequence[Cluster], garbage: float | None) -> list[Cluster]:
    """The clusters of cycles that matter, the largest first."""
    least = _MIN_SHARE * (garbage or 0.0)
    cycles = [each for each in found if is_cycle(each) and each.bytes_per_call >= least]
    return sorted(cycles, key=lambda each: -each.bytes_per_call)[:MAX_CYCLES]


def is_cycle(cluster: Cluster) -> bool:
    """Whether a cluster is a cycle of garbage, which keeps nothing for good."""
    return cluster.lead.sort is FindingKind.CYCLE


def cycle_of(finding: Finding) -> Cycle | None:
    """The cycle that was found; None: it is no cycle."""
    if finding.sort is not FindingKind.CYCLE:
        return None
    facts = finding.facts
    return Cycle(
        kind=CycleKind(facts["cycle"]),
        types=finding.what,
        cut=tuple(facts["cut"]),
        closed_at=closed_at(finding),
        weak_reference=facts["weak_reference"],
        objects=facts["objects"],
        native_bytes=facts["native_bytes"],
    )


def closed_at(finding: Finding) -> Frame | None:
    """The line that closes a cycle; None: that is not known, or it is none."""
    frame = finding.facts.get("closed_at")
    return Frame(**{**frame, "origin": Origin(frame["origin"])}) if frame else None


def _cycles(findings: Sequence[Finding]) -> Sequence[Finding]:
    return [each for each in findings if each.sort is FindingKind.CYCLE]
