"""Who holds what is there at the peak of the calls: the places that allocated it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leakhunt.amounts import Amount
from leakhunt.analysis.attribution.clusters import own_frame
from leakhunt.model.attribution import Finding, FindingKind, Frame
from leakhunt.model.peaks import PeakHolder
from leakhunt.model.run import Run
from leakhunt.text.message import Message, message

# Below this nobody asks who.
_MIN_BYTES = 1 << 20
# What holds less than this part of the peak is not among those that matter.
_MIN_SHARE = 0.05
_MAX_HOLDERS = 5


def peak_holders(instrumented: Sequence[Run]) -> tuple[PeakHolder, ...]:
    """The places that hold most at the peak of calls, the largest first; none: nobody looked."""
    return max((tuple(_holders(run)) for run in instrumented), key=_held, default=())


def _held(holders: Sequence[PeakHolder]) -> int:
    return sum(holder.size_bytes for holder in holders)


def _holders(run: Run) -> Iterator[PeakHolder]:
    found = [each for each in run.findings if each.sort is FindingKind.PEAK and each.stack]
    by_place: dict[tuple[Frame, Frame | None], list[Finding]] = {}
    for each in found:
        by_place.setdefault(_place(each.stack), []).append(each)
    holders = [_holder(place, own, each) for (place, own), each in by_place.items()]
    holders.sort(key=lambda holder: -holder.size_bytes)
    for holder in holders[:_MAX_HOLDERS]:
        if holder.whole_bytes >= _MIN_BYTES and holder.share >= _MIN_SHARE:
            yield holder


def _place(stack: Sequence[Frame]) -> tuple[Frame, Frame | None]:
    """The innermost line of Python (without any, the innermost frame), and that of the user's."""
    return next((frame for frame in stack if frame.is_python), stack[0]), own_frame(stack)


def _holder(place: Frame, own: Frame | None, found: Sequence[Finding]) -> PeakHolder:
    size = sum(each.sizes[-1] for each in found)
    whole = max(int(found[0].facts.get("whole", 0)), size)
    return PeakHolder(
        size_bytes=size,
        whole_bytes=whole,
        blocks=sum(each.counts[-1] for each in found),
        place=place,
        caller=own if own != place else None,
        sentence=_sentence(size, whole, place, own),
    )


def _sentence(size: int, whole: int, place: Frame, own: Frame | None) -> Message:
    values = {"size": Amount(size), "whole": Amount(whole), "share": size / whole, "place": place}
    if own is None:
        return message(
            "peak.held", "At the peak {size} of {whole} ({share:.0%}) are held by {place}", **values
        )
    if own == place:
        return message(
            "peak.held_by_line",
            "At the peak {size} of {whole} ({share:.0%}) are held by {place}: {source}",
            source=place.source,
            **values,
        )
    return message(
        "peak.held_below_line",
        "At the peak {size} of {whole} ({share:.0%}) are held by {place}, called from {own}:"
        " {source}",
        own=own,
        source=own.source,
        **values,
    )
