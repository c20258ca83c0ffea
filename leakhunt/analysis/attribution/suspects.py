"""From a cluster of findings to a suspect: who, whose, and how much. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from leakhunt.analysis.attribution.clusters import (
    Cluster,
    distribution_of,
    holder_frame,
    own_frame,
)
from leakhunt.analysis.attribution.evidence import evidence
from leakhunt.analysis.attribution.garbage import closed_at, cycle_of
from leakhunt.analysis.attribution.known_causes import (
    entries_per_call,
    frame_of,
    known_cause,
)
from leakhunt.analysis.attribution.titles import suspect_title
from leakhunt.model.attribution import (
    Cause,
    Finding,
    FindingKind,
    Frame,
    Origin,
    Suspect,
)

# What still grows after so many times the calls that fill it is not bounded by that.
_PAST_THE_END = 2
# A cache that has filled did so within about twice the calls that are looked at: a bound further
# away than this multiple of them is not what ended it.
_BEFORE_THE_END = 4
# A container that owns less than this part of what the holder does says nothing of the cause.
_TELLING_SHARE = 0.5


def suspect_of(
    cluster: Cluster,
    whole: float | None,
    calls_done: int,
    causes: Sequence[Cause],
    *,
    has_filled: bool = False,
) -> Suspect:
    """The suspect that a cluster makes, of `whole` bytes per call over `calls_done` calls.

    `causes` are the known ones that come into question.

    `has_filled`: it grew no more afterwards, so that no cause of endless growth is its own.
    """
    cause = cluster.cause or _cause_of(cluster, causes)
    if has_filled and cause is not None and not cause.is_bounded:
        cause = None
    closing = closed_at(cluster.lead)
    where = own_frame([closing]) if closing is not None else None
    where = where or cluster.where
    stack = stack_of(cluster) or ((closing,) if closing is not None else ())
    holder = (frame_of(stack, cause) if cause else None) or holder_frame(
        stack if closing is None else (closing, *stack)
    )
    ends = end_of(cluster, cause)
    if ends is not None and calls_done > _PAST_THE_END * ends:
        ends = None  # it should have ended long ago
    if has_filled and ends is not None and ends > _BEFORE_THE_END * calls_done:
        ends = None  # it ended long before: its keys ran out
    return Suspect(
        fingerprint=_fingerprint(cluster, cause, where, stack),
        title=suspect_title(cluster, cause, where),
        origin=_origin(cluster, cause, where, holder),
        per_call=cluster.retained.per_call,
        exact=cluster.retained.exact,
        bytes_per_call=cluster.bytes_per_call if cluster.is_sized else None,
        share=cluster.bytes_per_call / whole if cluster.is_sized and whole else None,
        where=where,
        holder=holder,
        chain=cluster.lead.chain,
        stack=stack,
        cause=cause,
        ceiling_bytes=ends * cluster.bytes_per_call if ends is not None else None,
        ceiling_calls=round(ends) if ends is not None else None,
        evidence=tuple(evidence(cluster)),
        instruments=tuple(dict.fromkeys(each.instrument for each in cluster.findings)),
        cycle=cycle_of(cluster.lead),
        distribution=distribution_of(cluster.lead),
    )


def _cause_of(cluster: Cluster, causes: Sequence[Cause]) -> Cause | None:
    """The known cause; one of sites alone is not that of a container that holds their blocks.

    That of a holder which is known by its name comes before that of who allocates what it holds.
    """
    of_holders = [cause for cause in causes if cause.chain and not cause.sorts]
    if (found := known_cause([cluster.lead], of_holders)) is not None:
        return found
    if cluster.lead.sort is FindingKind.CONTAINER:
        causes = [cause for cause in causes if cause.sorts != (FindingKind.SITE,)]
    return known_cause(list(_telling(cluster)), causes)


def _telling(cluster: Cluster) -> Iterator[Finding]:
    """The findings that tell the cause: of what a holder dominates, not a small container's."""
    lead = cluster.lead
    least = _TELLING_SHARE * lead.facts.get("owns", 0.0)
    for each in cluster.findings:
        is_another = each.sort is FindingKind.CONTAINER and each is not lead
        if (
            lead.sort is not FindingKind.HOLDER
            or not is_another
            or (each.facts.get("owns", 0.0) >= least)
        ):
            yield each


def end_of(cluster: Cluster, cause: Cause | None) -> float | None:
    """After how many calls a bounded cache is full, from empty; None: it has no known bound."""
    most = cluster.lead.facts.get("most_items")
    if most is not None and cluster.lead.sort is FindingKind.CONTAINER:
        if cluster.lead.counts[-1] > most:
            return None
        return float(most) / cluster.retained.per_call
    if cause is None or cause.bound is None:
        return None
    entries = entries_per_call(cluster.sites, cause.bound)
    return cause.bound.entries / entries if entries > 0 else None


def stack_of(cluster: Cluster) -> tuple[Frame, ...]:
    """Where it comes from: of what leads, else of the largest site."""
    stacks = (cluster.lead.stack, *(site.stack for site, _ in cluster.sites))
    return next((stack for stack in stacks if stack), ())


def _origin(
    cluster: Cluster, cause: Cause | None, where: Frame | None, holder: Frame | None
) -> Origin:
    """Whose code keeps it: a bounded cache's is the library's, whoever called."""
    if cause is not None and cause.bound is not None:
        return Origin.LIBRARY
    if (closing := closed_at(cluster.lead)) is not None:
        return closing.origin
    if "held_by" in cluster.lead.facts:
        return Origin(cluster.lead.facts["held_by"])
    if own_frame(cluster.lead.stack[:1]) is not None or where is None:
        return Origin.YOURS if where is not None else (holder.origin if holder else Origin.LIBRARY)
    inner = next(iter(cluster.lead.stack), None)
    if cluster.lead.sort in (FindingKind.CONTAINER, FindingKind.HOLDER) or inner is None:
        return Origin.YOURS
    return inner.origin if inner.origin is not Origin.INTERPRETER else Origin.YOURS


def _fingerprint(
    cluster: Cluster, cause: Cause | None, where: Frame | None, stack: Sequence[Frame]
) -> str:
    """Twelve hex digits: the same for the same suspect on any machine, wherever its lines stand."""
    lead = cluster.lead
    # What else is in a cycle may differ from call to call.
    what = "" if lead.sort is FindingKind.CYCLE else lead.what
    parts = [cause.id if cause else "", lead.sort, what, *(lead.chain[:2])]
    if where is not None:
        parts += [where.file, where.function, where.source]
    else:
        parts += [frame.function for frame in stack[:5]]
    return hashlib.sha256("\n".join(parts).encode(errors="backslashreplace")).hexdigest()[:12]
