"""How much of the growth the suspects explain; no memory counts twice. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from leakhunt.analysis.attribution.clusters import PYTHON_HEAP, Cluster
from leakhunt.model.attribution import Finding, Instrument

# What these find is Python's heap; memray finds the native one, and this too where it traces
# Python's allocators.
_OF_PYTHON = (Instrument.TRACEMALLOC, Instrument.OBJGRAPH)
# RSS by line has all heaps in it.
_OF_ALL = (*_OF_PYTHON, Instrument.MEMRAY, Instrument.LINES)


def accounted(found: Sequence[Cluster]) -> float:
    """The bytes per call that clusters come to.

    Two instruments that look at the same heap find the same memory, though not always under the
    same line: what the one found that found more is taken, not what they found together.
    """
    of_cuda = [cluster for cluster in found if Instrument.CUDA in _instruments(cluster)]
    others = [cluster for cluster in found if cluster not in of_cuda]
    heaps = (_OF_ALL,) if _sees_python(found) else (_OF_PYTHON, _OF_ALL[2:])
    total = sum(cluster.bytes_per_call for cluster in of_cuda)
    return total + sum(_most_by_one(others, heap) for heap in heaps)


def share_base(growth: float, found: Sequence[Cluster]) -> float:
    """What a suspect's share is a part of: the growth, or what was found where that is more.

    The calls under an instrument may grow by more than those that were measured; a share above the
    whole would say nothing.
    """
    return max(growth, sum(cluster.bytes_per_call for cluster in found))


def _most_by_one(found: Sequence[Cluster], heap: Collection[Instrument]) -> float:
    """The bytes of the instrument of a heap that found most in it."""
    return max(
        sum(cluster.bytes_per_call for cluster in found if instrument in _instruments(cluster))
        for instrument in heap
    )


def _instruments(cluster: Cluster) -> set[Instrument]:
    return {each.instrument for each in (cluster.lead, *cluster.more)}


def _sees_python(found: Sequence[Cluster]) -> bool:
    """Whether memray watched Python's allocators too: it does since format 5 of run files."""
    return any(map(_is_pythons_by_memray, (each for one in found for each in one.findings)))


def _is_pythons_by_memray(finding: Finding) -> bool:
    return finding.instrument is Instrument.MEMRAY and finding.what == PYTHON_HEAP
