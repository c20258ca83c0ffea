"""From findings to clusters: what belongs to one suspect. Pure.

A container that grows claims the sites of what hangs on its new items; what no container claims is
put together by the line of the user's code (Python) or by the known cause (native code).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import dropwhile, pairwise, takewhile
from typing import TypeAlias

from leakhunt.analysis.attribution.known_causes import known_cause
from leakhunt.analysis.attribution.per_call_rule import (
    RetainedPerCall,
    lasting,
    retained,
    rising,
)
from leakhunt.model.attribution import (
    STRIPPED,
    Cause,
    Finding,
    FindingKind,
    Frame,
    Installed,
    Instrument,
    Origin,
)

# What memray calls the heap that a block is in.
MAPPING, PYTHON_HEAP = "mapping", "Python"
# An array that grows is another block for a moment, and an index beside it.
_MOVED_BLOCKS = 2
# Two windows in which every block has the same size.
_ALIKE = 1.01
_OPERATOR_NEW = "operator new"
# A word of what only hands memory out; the others may be its library's, and these.
_ALLOCATES = re.compile(r"[xz]?[mc]?(re)?alloc(ate|0)?")
_OF_NOTHING = {
    "default", "mem", "memory", "heap", "raw", "safe", "checked", "zeroed",
    "func", "fn", "impl", "wrapper", "hook",
}  # fmt: skip
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
# Of native frames, these only hand memory out.
_ALLOCATORS = (
    _OPERATOR_NEW, "malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign",
    "mmap", "_mm_malloc", "std::", "void std::", "c10::alloc_cpu", "c10::DefaultCPUAllocator",
    "dnnl::impl::malloc", "Xbyak::MmapAllocator",
)  # fmt: skip


# What says of a count how much of it stays.
_Rule: TypeAlias = Callable[[Sequence[int], Sequence[int]], RetainedPerCall | None]


@dataclass(frozen=True, slots=True)
class Cluster:
    """What one suspect is made of: `lead` says who holds it or where it comes from.

    `sites` are sites with the blocks per call of each; `bytes_per_call` what they come to.
    `details` are the clusters that would be suspects if `lead` did not dominate them; `elsewhere`
    those whose blocks its objects have now, though they were allocated for others. `in_time`: it
    was counted at points in time, not after calls.
    """

    lead: Finding
    retained: RetainedPerCall
    bytes_per_call: float
    sites: tuple[tuple[Finding, float], ...] = ()
    more: tuple[Finding, ...] = ()
    cause: Cause | None = None
    details: tuple[Cluster, ...] = ()
    elsewhere: tuple[Cluster, ...] = ()
    in_time: bool = False

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of them."""
        return (self.lead, *(site for site, _ in self.sites), *self.more)

    @property
    def is_sized(self) -> bool:
        """Whether it is known what it retains: not of resources, nor of a container gone since."""
        is_counted = self.lead.sort is FindingKind.CONTAINER and not self.bytes_per_call
        return self.lead.sort is not FindingKind.RESOURCE and not is_counted

    @property
    def where(self) -> Frame | None:
        """The deepest frame of the user's own code, of the lead or else of the largest site."""
        stacks = [self.lead.stack, *(site.stack for site, _ in self.sites)]
        return next((own for stack in stacks if (own := own_frame(stack)) is not None), None)


@dataclass
class RetainedSite:
    """A site with what stays of it: blocks (None: as many as before), and bytes per call."""

    finding: Finding
    blocks: RetainedPerCall | None
    bytes_per_call: float
    claimed: bool = field(default=False)


def clusters(
    findings: Sequence[Finding],
    mappings: bool,
    causes: Sequence[Cause],
    *,
    in_time: bool = False,
) -> list[Cluster]:
    """The clusters of one instrument's findings; `mappings`: mappings are growth, too.

    `causes` are the known ones that come into question. `in_time`: windows are seconds of a process
    that is watched, not calls.
    """
    sites = {site.finding.key: site for site in retained_sites(findings)}
    stays = rising if in_time else retained
    found = list(_containers(findings, sites, causes, stays))
    found += _counted(findings)
    rest = [site for site in sites.values() if not site.claimed]
    if any(finding.instrument is Instrument.MEMRAY for finding in findings):
        found += _native(rest, mappings, causes)
    else:
        found += _by_line(rest)
    return [replace(each, in_time=in_time) for each in _with_types(found, findings, stays)]


def distribution_of(finding: Finding) -> Installed | None:
    """The distribution whose extension it is, which a finding has as ``name version``."""
    name, _, version = str(finding.facts.get("distribution", "")).rpartition(" ")
    return Installed(name, version) if name else None


def own_frame(stack: Sequence[Frame]) -> Frame | None:
    """The deepest frame of the user's own code."""
    return next((frame for frame in stack if frame.origin is Origin.YOURS), None)


def holder_frame(stack: Sequence[Frame]) -> Frame | None:
    """The deepest frame of a library that does not only hand memory out."""
    for at, frame in enumerate(stack):
        if frame.origin is Origin.YOURS:
            return None
        if frame.origin is Origin.LIBRARY and not frame.function.startswith(_ALLOCATORS):
            return named_frame(stack[at:])
    return None


def past_allocators(stack: Sequence[Frame]) -> Sequence[Frame]:
    """The stack from what calls ``operator new``, or what a library has for malloc.

    It is the whole one where that is no native code.
    """
    rest = list(dropwhile(_only_allocates, stack))
    return rest if rest and not rest[0].is_python else stack


def _only_allocates(frame: Frame) -> bool:
    """Whether a function hands memory out, for whatever it may be: ``rd_malloc``."""
    if frame.function.startswith(_OPERATOR_NEW):
        return True
    words = [word.lower() for word in _WORDS.findall(frame.function)]
    rest = [word for word in words if word not in _OF_NOTHING and not _ALLOCATES.fullmatch(word)]
    allocates = any(map(_ALLOCATES.fullmatch, words))
    return allocates and not frame.is_python and rest in ([], words[:1])


def named_frame(stack: Sequence[Frame]) -> Frame:
    """The first frame; where its shared object has no name for it, the next that it names."""
    inside = takewhile(lambda frame: frame.file == stack[0].file, stack)
    return next((frame for frame in inside if frame.function != STRIPPED), stack[0])


def retained_sites(findings: Iterable[Finding]) -> Iterator[RetainedSite]:
    """The sites of which anything stays, by what was counted in every window."""
    for finding in findings:
        if finding.sort is not FindingKind.SITE:
            continue
        stays = lasting if "apart" in finding.facts else retained
        blocks = stays(finding.calls, finding.counts)
        grown = stays(finding.calls, finding.sizes)
        if blocks is not None or grown is not None:
            yield RetainedSite(finding, blocks, _bytes_per_call(finding, blocks))


def _bytes_per_call(site: Finding, blocks: RetainedPerCall | None) -> float:
    """What a site's blocks come to, without the array behind a list or a dict, if it moved.

    The array comes from the same line as the items, and grows in one window: the others are alike.
    """
    if blocks is not None and _is_nearly_exact(site, round(blocks.per_call)):
        spans = zip(pairwise(site.calls), pairwise(site.sizes), strict=True)
        rates = sorted((after - before) / (end - start) for (start, end), (before, after) in spans)
        if len(rates) > 1 and 0 < rates[1] <= _ALIKE * rates[0]:
            return rates[1]
    return (site.sizes[-1] - site.sizes[0]) / (site.calls[-1] - site.calls[0])


def _is_nearly_exact(site: Finding, per_call: int) -> bool:
    """Whether the blocks are so many in every call, and at most those of a moved array more."""
    spans = zip(pairwise(site.calls), pairwise(site.counts), strict=True)
    return per_call > 0 and all(
        0 <= (after - before) - per_call * (end - start) <= _MOVED_BLOCKS
        for (start, end), (before, after) in spans
    )


def _containers(
    findings: Sequence[Finding],
    sites: dict[str, RetainedSite],
    causes: Sequence[Cause],
    stays: _Rule,
) -> Iterator[Cluster]:
    """Growing containers, each with the sites that no other has claimed, the largest first."""
    traced = any(finding.sort is FindingKind.SITE for finding in findings)
    growing = [
        (finding, rate)
        for finding in findings
        if finding.sort in (FindingKind.CONTAINER, FindingKind.LOST)
        and "weak" not in finding.facts
        and (rate := stays(finding.calls, finding.counts)) is not None
    ]

    kept_by_any = {key for finding, _ in growing for key in finding.keeps}

    def size(entry: tuple[Finding, RetainedPerCall]) -> float:
        return sum(sites[key].bytes_per_call for key in entry[0].keeps if key in sites)

    def order(entry: tuple[Finding, RetainedPerCall]) -> tuple[bool, float]:
        return entry[0].sort is FindingKind.CONTAINER, -size(entry)

    for finding, rate in sorted(growing, key=order):
        kept = [sites[key] for key in finding.keeps if key in sites]
        claimed = [each for each in kept if not each.claimed and not is_cached(each, causes)]
        if traced and not claimed:
            continue
        shared = any(each.claimed for each in kept)
        slots = finding.facts.get("slot_bytes", 0)
        others = [site for key, site in sites.items() if key not in kept_by_any]
        for site in (*claimed, *_nodes(claimed, others, slots * rate.per_call)):
            site.claimed = True
        # memray sees what the items have in native memory, too.
        by_memray = finding.instrument is Instrument.MEMRAY
        sees_all = by_memray and any(site.finding.what == "malloc" for site in claimed)
        # Items that another container has as well were counted with that.
        native = 0 if sees_all or shared else finding.facts.get("native_bytes", 0)
        more = (native + slots) * rate.per_call + _told_bytes(finding)
        yield _cluster(finding, rate, claimed, more)


def _told_bytes(container: Finding) -> float:
    """What a container retains more per call by itself, where that was read, and no sites."""
    if not container.sizes:
        return 0.0
    gained = container.sizes[-1] - container.sizes[0]
    return gained / (container.calls[-1] - container.calls[0])


def is_cached(site: RetainedSite, causes: Sequence[Cause]) -> bool:
    """Whether a native cache keeps it, whoever keeps what else its line makes."""
    if site.finding.instrument is not Instrument.MEMRAY:
        return False
    bounded = [cause for cause in causes if cause.bound is not None]
    return known_cause([site.finding], bounded) is not None


def _nodes(
    claimed: Sequence[RetainedSite], others: Iterable[RetainedSite], slots_per_call: float
) -> Iterator[RetainedSite]:
    """The container's own nodes: from the lines that fill it, and within its bytes per item."""
    lines = {place_of(frame) for site in claimed if (frame := own_frame(site.finding.stack))}
    for site in others:
        frame = own_frame(site.finding.stack)
        if frame is not None and place_of(frame) in lines and site.bytes_per_call <= slots_per_call:
            yield site


def place_of(frame: Frame) -> tuple[str, str, str]:
    """What a line is known by, wherever it stands."""
    return frame.file, frame.function, frame.source


def _cluster(
    lead: Finding, rate: RetainedPerCall, sites: Sequence[RetainedSite], more: float = 0.0
) -> Cluster:
    ordered = sorted(sites, key=lambda site: -site.bytes_per_call)
    return Cluster(
        lead=lead,
        retained=rate,
        bytes_per_call=sum(site.bytes_per_call for site in sites) + more,
        sites=tuple(
            (site.finding, site.blocks.per_call if site.blocks else 0.0) for site in ordered
        ),
    )


def _counted(findings: Sequence[Finding]) -> Iterator[Cluster]:
    """Graphs, resources, lines and cycles: each is a cluster of its own."""
    for finding in findings:
        if finding.sort is FindingKind.CYCLE:
            rate = retained(finding.calls, finding.counts)
            if rate is not None:
                size = finding.sizes[-1] - finding.sizes[0]
                yield Cluster(finding, rate, size / (finding.calls[-1] - finding.calls[0]))
        elif finding.sort in (FindingKind.GRAPH, FindingKind.RESOURCE):
            rate = retained(finding.calls, finding.counts)
            if rate is not None:
                yield Cluster(finding, rate, 0.0)
        elif finding.sort is FindingKind.LINE:
            grown = retained(finding.calls, finding.sizes)
            if grown is not None:
                yield Cluster(finding, grown, grown.per_call)


def _by_line(sites: Iterable[RetainedSite]) -> Iterator[Cluster]:
    """What no container claims, by the line of the user's code it comes from."""
    lines: dict[tuple[str, str, str], list[RetainedSite]] = {}
    for site in sites:
        if site.blocks is None:
            continue  # a buffer that grows, as the array behind a list does
        frame = own_frame(site.finding.stack) or next(iter(site.finding.stack), None)
        if frame is not None:
            lines.setdefault(place_of(frame), []).append(site)
    for together in lines.values():
        largest = max(together, key=lambda site: site.bytes_per_call)
        assert largest.blocks is not None
        yield _cluster(largest.finding, largest.blocks, together)


def _with_types(found: list[Cluster], findings: Sequence[Finding], stays: _Rule) -> list[Cluster]:
    """The clusters, with the types that grow beside what they hold.

    A type that no container holds (a linked list) gives its chain to what comes from its sites.
    """
    types = [
        finding
        for finding in findings
        if finding.sort is FindingKind.TYPE and stays(finding.calls, finding.counts) is not None
    ]
    with_types = []
    for cluster in found:
        names = {name for word in cluster.lead.chain[-1:] for name in word.split(" | ")}
        with_types.append(replace(cluster, more=tuple(t for t in types if t.what in names)))
    return [_with_chain(each, types) for each in with_types]


def _with_chain(cluster: Cluster, types: Sequence[Finding]) -> Cluster:
    """The cluster with the chain of a type whose objects come from its sites."""
    if cluster.lead.chain or cluster.lead.sort is not FindingKind.SITE:
        return cluster
    keys = {site.key for site, _ in cluster.sites}
    held_by = next((each for each in types if each.chain and keys & set(each.keeps)), None)
    if held_by is None:
        return cluster
    return replace(cluster, lead=replace(cluster.lead, chain=held_by.chain), more=(held_by,))


def _native(
    sites: Iterable[RetainedSite], mappings: bool, causes: Sequence[Cause]
) -> Iterator[Cluster]:
    """Native sites by known cause, or by the user's line and what it called."""
    groups: dict[tuple[str, ...], tuple[Cause | None, list[RetainedSite]]] = {}
    for site in sites:
        if site.blocks is None:
            continue
        cause = known_cause([site.finding], causes)
        key = (cause.id,) if cause is not None else _called(site.finding.stack)
        groups.setdefault(key, (cause, []))[1].append(site)
    for cause, together in groups.values():
        heap = [site for site in together if site.finding.what != MAPPING or mappings]
        if not heap:
            continue
        largest = max(heap, key=lambda site: site.bytes_per_call)
        assert largest.blocks is not None
        yield replace(_cluster(largest.finding, largest.blocks, heap), cause=cause)


def _called(stack: Sequence[Frame]) -> tuple[str, ...]:
    """The user's line, and the first function below it: what was called there."""
    for number, frame in enumerate(stack):
        if frame.origin is Origin.YOURS:
            below = stack[number - 1].function if number else ""
            return frame.file, frame.function, frame.source, below
    return tuple(frame.function for frame in stack[-2:])


def merged(found: Sequence[Cluster]) -> list[Cluster]:
    """Clusters of several instruments: what has the same line of the user's code is one.

    The one that knows a chain leads. The bytes are the larger ones: two instruments that see the
    same blocks do not add up.
    """
    together: list[Cluster] = []
    for cluster in sorted(found, key=lambda each: not each.lead.chain):
        same = next((each for each in together if _same(each, cluster)), None)
        if same is None:
            together.append(cluster)
            continue
        together[together.index(same)] = replace(
            same,
            bytes_per_call=max(same.bytes_per_call, cluster.bytes_per_call),
            more=(*same.more, cluster.lead),
            cause=same.cause or cluster.cause,
        )
    return together


def _same(one: Cluster, other: Cluster) -> bool:
    if one.lead.instrument is other.lead.instrument:
        return False
    if {FindingKind.RESOURCE, FindingKind.CYCLE} & {one.lead.sort, other.lead.sort}:
        return False
    if (one.cause is None) != (other.cause is None) and not (_of_python(one) and _of_python(other)):
        return False
    if one.where is None or other.where is None:
        return False
    return place_of(one.where) == place_of(other.where)


def _of_python(cluster: Cluster) -> bool:
    """Whether blocks of Python's heap are among it: a known cause of them is that of the line."""
    return any(
        each.instrument is not Instrument.MEMRAY or each.what == PYTHON_HEAP
        for each in cluster.findings
    )
