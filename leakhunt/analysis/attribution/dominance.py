"""The one holder of (nearly) all of the growth: it comes before what it dominates. Pure.

Containers and sites are told apart by where their objects come from. A graph of many types, from
many lines, has one holder all the same: the object that would free it all if it were gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from leakhunt.analysis.attribution.clusters import (
    Cluster,
    RetainedSite,
    is_cached,
    own_frame,
    place_of,
    retained_sites,
)
from leakhunt.analysis.attribution.known_causes import known_cause
from leakhunt.analysis.attribution.per_call_rule import RetainedPerCall, retained
from leakhunt.model.attribution import Cause, Finding, FindingKind, Frame

# One holder of this part of the growth comes first.
_NEARLY_ALL = 0.8
# A container that owns so much of what the holder owns is the holder's better name.
_AS_MUCH = 0.8
# What the holder dominates is its detail, if so much of it is.
_MOSTLY = 0.5
# A cause that ends the growth of so much is not to be lost in a holder without an end.
_MATTERS = 0.05
# Sites that come to less than this part of what the objects say of themselves are wrong.
_CONTRADICTED = 0.5
# Sizes of objects leave out so much of the growth: headers, spare room.
_CHANCE = 0.1


def led_by_holder(
    found: Sequence[Cluster],
    findings: Sequence[Sequence[Finding]],
    growth: float | None,
    causes: Sequence[Cause],
) -> list[Cluster]:
    """The clusters of all instruments, those that one holder dominates as its details.

    As they are where none has (nearly) all of the growth, or where the first of them tells it as
    well: by a container that owns as much, or by a cause that has an end.
    """
    holders = [each for one in findings for each in _holders(one, causes)]
    if growth is None or not holders:
        return list(found)
    by_sites = _led_by_sites(found, holders, growth, causes)
    if by_sites is None:
        by_sites = _led_by_sizes(found, holders, growth, causes)
    return list(found) if by_sites is None else by_sites


def _led_by_sites(
    found: Sequence[Cluster], holders: Sequence[_Held], growth: float, causes: Sequence[Cause]
) -> list[Cluster] | None:
    """With the holder first that has nearly all of it by the sites of what it owns."""
    held = [_with_details(each, found) for each in holders]
    best = max(held, key=lambda each: each.bytes_per_call)
    if best.bytes_per_call < _NEARLY_ALL * growth:
        return None
    first = max(found, key=lambda each: each.bytes_per_call, default=None)
    if first is not None and (
        first not in best.details or _tells_as_well(first, best.lead, growth)
    ):
        return None
    if _has_an_end(best, growth, causes):
        return None
    return [best, *(each for each in found if each not in best.details)]


def _led_by_sizes(
    found: Sequence[Cluster], holders: Sequence[_Held], growth: float, causes: Sequence[Cause]
) -> list[Cluster] | None:
    """With the holder first whose objects have nearly all of it, whatever the sites say.

    Where blocks are handed from one line to another without malloc, by a free list or a pool, sites
    name the first line for what the second one retains. What is left of the growth has no room for
    such sites: they are the holder's own memory.
    """
    most = max(holders, key=lambda each: each.by_size)
    if most.by_size < _NEARLY_ALL * growth:
        return None
    whole = _with_details(most, found)
    own = next((each for each in found if _is_all_of(each, most.finding)), None) or whole
    if own.bytes_per_call >= _CONTRADICTED * most.by_size:
        return None
    left = max(growth - most.by_size, 0.0) + _CHANCE * growth
    reused = [each for each in found if _has_no_holder(each, most) and each.bytes_per_call > left]
    if not reused or (own is whole and _has_an_end(whole, growth, causes)):
        return None
    first = replace(own, bytes_per_call=most.by_size, elsewhere=tuple(reused))
    gone = (own, *reused, *(whole.details if own is whole else ()))
    return [first, *(each for each in found if each not in gone)]


def _is_all_of(cluster: Cluster, holder: Finding) -> bool:
    """Whether a cluster is about the container that owns (nearly) all that the holder does."""
    lead = cluster.lead
    return (
        lead.sort is FindingKind.CONTAINER
        and is_below(lead, holder)
        and bool(lead.facts["owns"] >= _AS_MUCH * holder.facts["owns"])
    )


def _has_no_holder(cluster: Cluster, held: _Held) -> bool:
    """Whether a cluster is of sites alone, of the instrument that found the holder."""
    lead = cluster.lead
    return (
        lead.sort is FindingKind.SITE
        and not lead.chain
        and cluster.cause is None
        and lead.instrument is held.finding.instrument
    )


def _has_an_end(best: Cluster, growth: float, causes: Sequence[Cause]) -> bool:
    """Whether a bounded cache is much of what a holder dominates."""
    return any(
        _ends(each, causes) and each.bytes_per_call >= _MATTERS * growth for each in best.details
    )


def _with_details(held: _Held, found: Sequence[Cluster]) -> Cluster:
    """The holder as a cluster that has the sites of all that it dominates."""
    below = sorted(filter(held.dominates, found), key=lambda each: -each.bytes_per_call)
    lead, own = held.finding, {site.finding.key for site in held.sites}
    listed = {
        site.key
        for each in below
        for site, _ in each.sites
        if each.lead.instrument is lead.instrument
    }
    size = sum(site.bytes_per_call for site in held.sites if site.finding.key not in listed)
    size += sum(each.bytes_per_call for each in below if each.lead.instrument is lead.instrument)
    known = {each.lead.chain for each in below}
    size += sum(slots for chain, slots in held.slots if chain not in known)
    sites = [(site.finding, site.blocks.per_call if site.blocks else 0.0) for site in held.sites]
    sites += [
        entry
        for each in below
        for entry in each.sites
        if entry[0].instrument is lead.instrument and entry[0].key not in own
    ]
    stack = next((stack for each in below if (stack := _filled_at(each))), lead.stack)
    return Cluster(
        lead=replace(lead, stack=stack),
        retained=held.rate,
        bytes_per_call=max(size, held.bytes_per_call),
        sites=tuple(sites),
        more=tuple(finding for each in below for finding in (each.lead, *each.more)),
        details=tuple(below),
    )


def _filled_at(cluster: Cluster) -> tuple[Frame, ...]:
    """Where a cluster's objects come from: of what leads, else of the largest site."""
    stacks = (cluster.lead.stack, *(site.stack for site, _ in cluster.sites))
    return next((stack for stack in stacks if own_frame(stack) is not None), ())


@dataclass(frozen=True, slots=True)
class _Held:
    """A holder with the sites of what it owns, and the lines that these are at.

    `bytes_per_call` is what is known without sites; `slots` are what the growing containers that it
    owns take for their items, by the chain of each. `by_size` is what its objects say they take.
    """

    finding: Finding
    rate: RetainedPerCall
    sites: Sequence[RetainedSite]
    bytes_per_call: float
    slots: Sequence[tuple[tuple[str, ...], float]]
    by_size: float

    def dominates(self, other: Cluster) -> bool:
        """Whether most of what another cluster is made of hangs on the holder."""
        if other.lead.sort not in (FindingKind.CONTAINER, FindingKind.SITE, FindingKind.TYPE):
            return False
        if other.lead.sort is FindingKind.CONTAINER and is_below(other.lead, self.finding):
            return True
        sites = [site for site, _ in other.sites] or [other.lead]
        is_within = self._is_among if self._saw(other) else self._is_at_a_line
        return sum(map(is_within, sites)) > _MOSTLY * len(sites)

    def _saw(self, other: Cluster) -> bool:
        return other.lead.instrument is self.finding.instrument

    def _is_among(self, site: Finding) -> bool:
        return any(site.key and site.key == each.finding.key for each in self.sites)

    def _is_at_a_line(self, site: Finding) -> bool:
        frame = own_frame(site.stack)
        own = (own_frame(each.finding.stack) for each in self.sites)
        return frame is not None and any(
            each is not None and place_of(each) == place_of(frame) for each in own
        )


def is_below(container: Finding, holder: Finding) -> bool:
    """Whether a container is the holder, or one that is reached through it only."""
    if not container.chain or "owns" not in container.facts:
        return False
    path, whole = container.chain[0], holder.chain[0]
    return path == whole or path.startswith((f"{whole}.", f"{whole}[", f"{whole} "))


def _holders(findings: Sequence[Finding], causes: Sequence[Cause]) -> Iterator[_Held]:
    """The holders that one instrument found, each with the sites of what it owns."""
    sites = {each.finding.key: each for each in retained_sites(findings)}
    traced = any(finding.sort is FindingKind.SITE for finding in findings)
    for finding in findings:
        if finding.sort is not FindingKind.HOLDER:
            continue
        rate = retained(finding.calls, finding.counts) or _average(finding)
        if rate is None:
            continue
        claimed = [sites[key] for key in finding.keeps if key in sites]
        claimed = [site for site in claimed if not is_cached(site, causes)]
        claimed.sort(key=lambda site: -site.bytes_per_call)
        calls = finding.calls[-1] - finding.calls[0]
        by_size = (finding.sizes[-1] - finding.sizes[0]) / calls
        native = finding.facts.get("native_growth", 0) / calls
        if any(site.finding.what == "malloc" for site in claimed):
            native = 0.0  # it is among them
        size = sum(site.bytes_per_call for site in claimed) + native if traced else by_size
        slots = [
            (each.chain, each.facts.get("slot_bytes", 0) * grown.per_call)
            for each in findings
            if each.sort is FindingKind.CONTAINER
            and is_below(each, finding)
            and (grown := retained(each.calls, each.counts)) is not None
        ]
        yield _Held(finding, rate, claimed, size, slots if traced else (), by_size)


def _average(finding: Finding) -> RetainedPerCall | None:
    """What a holder got on the average, if it got something in every window.

    How much of it is tracked may differ from call to call, where the bytes do not.
    """
    if retained(finding.calls, finding.sizes) is None:
        return None
    calls = finding.calls[-1] - finding.calls[0]
    return RetainedPerCall((finding.counts[-1] - finding.counts[0]) / calls, exact=False)


def _tells_as_well(first: Cluster, holder: Finding, growth: float) -> bool:
    """Whether the first cluster names the holder by itself, and has nearly all of the growth."""
    if first.bytes_per_call < _NEARLY_ALL * growth or not first.lead.chain:
        return False
    if first.lead.chain[0] == holder.chain[0]:
        return True
    owned = first.lead.facts.get("owns")
    return owned is None or bool(owned >= _AS_MUCH * holder.facts["owns"])


def _ends(cluster: Cluster, causes: Sequence[Cause]) -> bool:
    """Whether a bounded cache is what a cluster is about."""
    if "most_items" in cluster.lead.facts:
        return True
    cause = cluster.cause or known_cause(cluster.findings, causes)
    return cause is not None and cause.is_bounded
