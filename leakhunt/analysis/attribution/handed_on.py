"""Blocks of a soak that the one holder of the growth has, though they were allocated for others.

Between two calls of a scenario the interpreter's free lists are emptied; between two requests of a
service they cannot be. A list, a tuple or a float of the server's that is freed goes on to the next
line that makes one, without an allocation: the site is the server's, the object the holder's. And
what a server has of its own at the end of a window (one thing for each thread that waits) looks
like a few objects per thousand requests.

Neither is told as a suspect of its own where one holder owns (nearly) all of the new objects: then
nothing else that Python code holds grows. What only C code holds may: that is told, unless it is of
the size of what free lists hand on. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from leakhunt.analysis.attribution.clusters import PYTHON_HEAP, Cluster
from leakhunt.model.attribution import Finding, FindingKind, Instrument

# From this part of the bytes of all new objects on, nothing else that Python code holds grows.
_OWNS = 0.95
# A holder that sites give less than this part of the growth is no explanation of the others.
_LEAST_SHARE = 0.5
# Blocks of what CPython keeps free lists of: float; tuple of one, of two or list, of three or dict.
_FREE_LIST_BYTES = (24, 48, 56, 64)
_NEARLY_ALL = 0.9
# Sites that come to less than this part of the growth, all together, may be either.
_CHANCE_SHARE = 0.05
_WORTH_A_WORD = 0.01
# Windows differ by so much where the same number in each of them is no growth per call.
_UNLIKE = 1.25
_MIN_WINDOWS = 3


def with_handed_on(found: Sequence[Cluster], growth: float | None) -> list[Cluster]:
    """The clusters of a soak, without those whose blocks the one holder has or a window leaves."""
    first = max(found, key=lambda each: each.bytes_per_call, default=None)
    if first is None or growth is None or not _owns_the_growth(first, growth):
        return list(found)
    sites = sorted(
        (each for each in found if _is_of_sites(each, first)), key=lambda each: each.bytes_per_call
    )
    gone, by_chance = [], 0.0
    for each in sites:
        if _is_handed_or_constant(each):
            gone.append(each)
        elif by_chance + each.bytes_per_call <= _CHANCE_SHARE * growth:
            by_chance += each.bytes_per_call
            gone.append(each)
    handed = [
        each
        for each in found
        if each in gone and _constant_bytes(each) < _NEARLY_ALL * _bytes(each)
    ]
    more = sum(each.bytes_per_call for each in handed)
    size = max(first.bytes_per_call, min(first.bytes_per_call + more, growth))
    told = [each for each in handed if each.bytes_per_call >= _WORTH_A_WORD * growth]
    leading = replace(first, bytes_per_call=size, elsewhere=(*first.elsewhere, *told))
    return [leading if each is first else each for each in found if each not in gone]


def _owns_the_growth(first: Cluster, growth: float) -> bool:
    lead = first.lead
    return (
        lead.sort in (FindingKind.CONTAINER, FindingKind.HOLDER)
        and lead.facts.get("owns", 0.0) >= _OWNS
        and first.bytes_per_call >= _LEAST_SHARE * growth
    )


def _is_of_sites(cluster: Cluster, first: Cluster) -> bool:
    """Whether it is of irregular sites in Python's heap alone, of the first one's instrument."""
    lead = cluster.lead
    return (
        lead.sort is FindingKind.SITE
        and lead.instrument is first.lead.instrument is Instrument.MEMRAY
        and not (lead.chain or cluster.cause or cluster.more or cluster.retained.exact)
        and all(site.what == PYTHON_HEAP for site, _ in cluster.sites)
    )


def _is_handed_or_constant(cluster: Cluster) -> bool:
    told = _constant_bytes(cluster) + sum(
        _grown(site) for site, _ in cluster.sites if _is_handed_on(site) and not _is_constant(site)
    )
    return told >= _NEARLY_ALL * _bytes(cluster)


def _is_handed_on(site: Finding) -> bool:
    """Whether every block, of every window, is of a size that free lists hand on."""
    growth = zip(pairwise(site.counts), pairwise(site.sizes), strict=False)
    sizes = {(size - before) / max(count - less, 1) for (less, count), (before, size) in growth}
    return len(sizes) == 1 and sizes <= {*_FREE_LIST_BYTES}


def _is_constant(site: Finding) -> bool:
    """Whether windows of different lengths leave the same number of blocks."""
    spans = [later - earlier for earlier, later in pairwise(site.calls)]
    counts = {later - earlier for earlier, later in pairwise(site.counts)}
    is_unlike = len(spans) >= _MIN_WINDOWS and max(spans) >= _UNLIKE * min(spans)
    return is_unlike and len(counts) == 1


def _constant_bytes(cluster: Cluster) -> int:
    return sum(_grown(site) for site, _ in cluster.sites if _is_constant(site))


def _bytes(cluster: Cluster) -> int:
    return sum(_grown(site) for site, _ in cluster.sites)


def _grown(site: Finding) -> int:
    return site.sizes[-1] - site.sizes[0]
