"""What stays of exactly every call, as evidence for a verdict on calls that are dear. Pure.

Some thirty calls under memray, in stretches of different prime lengths with a collection before
the end of each: exactly k blocks per call in every stretch are no warm-up, no buffer and no late
step. What ends (a bounded cache) is told with the calls after which it is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from leakhunt.analysis.attribution.clusters import Cluster, clusters, holder_frame
from leakhunt.analysis.attribution.known_causes import catalogue, known_cause
from leakhunt.analysis.attribution.suspects import end_of, stack_of
from leakhunt.model.attribution import (
    MEMRAY_STRETCHES,
    Cause,
    Finding,
    FindingKind,
    Frame,
)


@dataclass(frozen=True, slots=True)
class ExactEvidence:
    """Exactly `blocks` blocks per call stay, in each of the `stretches` (calls in each).

    `stack` says where they come from, `where` the deepest frame of the user's own code, `holder`
    that of the library, `chain` who keeps them. `ends_after` calls a bounded cache is full.
    """

    blocks: int
    bytes_per_call: float
    stretches: tuple[int, ...]
    stack: tuple[Frame, ...]
    where: Frame | None
    holder: Frame | None
    chain: tuple[str, ...]
    cause: Cause | None
    ends_after: float | None


def exact_evidence(
    findings: Sequence[Finding], *, mappings: bool = False
) -> tuple[ExactEvidence, ...]:
    """What a run under memray found to stay of exactly every call, the most bytes first."""
    found = [
        evidence
        for cluster in clusters(findings, mappings)
        if (evidence := _evidence(cluster)) is not None
    ]
    return tuple(sorted(found, key=lambda each: -each.bytes_per_call))


def _evidence(cluster: Cluster) -> ExactEvidence | None:
    exact = [site for site, per_call in cluster.sites if _is_exact(site, per_call)]
    is_holder = cluster.lead.sort is FindingKind.CONTAINER
    if not exact or (is_holder and not cluster.retained.exact):
        return None
    calls = exact[0].calls[-1] - exact[0].calls[0]
    cause = cluster.cause or known_cause(cluster.findings, catalogue())
    stack = stack_of(cluster)
    return ExactEvidence(
        blocks=sum(site.counts[-1] - site.counts[0] for site in exact) // calls,
        bytes_per_call=sum(site.sizes[-1] - site.sizes[0] for site in exact) / calls,
        stretches=tuple(later - earlier for earlier, later in pairwise(exact[0].calls)),
        stack=stack,
        where=cluster.where,
        holder=holder_frame(stack),
        chain=cluster.lead.chain,
        cause=cause,
        ends_after=end_of(cluster, cause),
    )


def _is_exact(site: Finding, per_call: float) -> bool:
    """Whether it is the same whole number of blocks in every stretch, of enough of them."""
    spans = list(zip(pairwise(site.calls), pairwise(site.counts), strict=True))
    return len(spans) >= MEMRAY_STRETCHES and all(
        after - before == per_call * (end - start) for (start, end), (before, after) in spans
    )
