"""What growth may be that no suspect accounts for: by what instruments saw, and cannot. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from leakhunt.analysis.attribution.clusters import MAPPING, Cluster
from leakhunt.analysis.attribution.per_call_rule import lasting, retained
from leakhunt.model.attribution import Finding, FindingKind, Instrument
from leakhunt.text.message import Message, message

# What is aligned to pages, or has pages of its own, may need so much beside it.
_PAGE_BYTES = 4096
# What malloc needs for a block beside it: a header, and up to the next multiple of 16.
_BESIDE_A_BLOCK_BYTES = 32
# From this part of the rest on, something explains it.
_MAJORITY_SHARE = 0.5


def unexplained(
    rest: float, native: float, seen: Message | None, instruments: Collection[Instrument]
) -> Message:
    """What `rest` bytes per call may be, as far as these `instruments` have `seen` it.

    `native` is what grows outside of Python's own heap: the rest cannot be more of that.
    """
    if seen is None and native < _MAJORITY_SHARE * rest:
        return message("unexplained.python", "most of it in the heap of Python objects")
    return message("unexplained.possibly", "possibly {cause}", cause=seen or _unseen(instruments))


def _unseen(instruments: Collection[Instrument]) -> Message:
    """What none of these instruments sees."""
    if Instrument.MEMRAY not in instruments:
        return message("unexplained.native", "native memory: memray did not watch these calls")
    return message(
        "unexplained.by-address",
        "malloc or mmap called by address (ctypes, generated code), or growth that the"
        " instrumented calls do not have",
    )


def seen_explanation(
    rest: float, found: Sequence[Cluster], findings: Sequence[Finding], *, mappings: bool
) -> Message | None:
    """What explains (most of) `rest` by the blocks that were seen, the likeliest only.

    `found` is what was accounted for, of the `findings`; `mappings`: they were accounted for, too.
    """
    return next(_seen(rest, found, findings, mappings=mappings), None)


def _seen(
    rest: float, found: Sequence[Cluster], findings: Sequence[Finding], *, mappings: bool
) -> Iterator[Message]:
    """What explains it; the likeliest first."""
    blocks = sum(_blocks(site) for cluster in found for site, _ in cluster.sites)
    if rest <= blocks * _BESIDE_A_BLOCK_BYTES:
        yield message("unexplained.headers", "malloc's header and rounding of each block")
    if not mappings and _of_mappings(findings) >= _MAJORITY_SHARE * rest:
        yield message("unexplained.mappings", "mappings (mmap) that are not in the live heap")
    if _in_steps(findings) >= _MAJORITY_SHARE * rest:
        yield message(
            "unexplained.steps", "arrays that grow in steps (realloc), not in each window of calls"
        )
    if rest <= blocks * _PAGE_BYTES:
        yield message(
            "unexplained.pages",
            "remainders of up to a page beside each block (realloc, mmap, aligned blocks)",
        )


def _blocks(site: Finding) -> float:
    return (site.counts[-1] - site.counts[0]) / max(site.calls[-1] - site.calls[0], 1)


def _bytes(site: Finding) -> float:
    return (site.sizes[-1] - site.sizes[0]) / max(site.calls[-1] - site.calls[0], 1)


def _of_mappings(findings: Iterable[Finding]) -> float:
    """Bytes per call of mappings that stay."""
    return sum(
        _bytes(each)
        for each in findings
        if each.sort is FindingKind.SITE and each.what == MAPPING and _stays(each)
    )


def _in_steps(findings: Iterable[Finding]) -> float:
    """Bytes per call of sites whose blocks do not come call by call."""
    return sum(
        max(_bytes(each), 0.0)
        for each in findings
        if each.sort is FindingKind.SITE and each.what != MAPPING and not _stays(each)
    )


def _stays(site: Finding) -> bool:
    rule = lasting if "apart" in site.facts else retained
    return rule(site.calls, site.counts) is not None
