"""Which part of the growth the suspects account for, and the sentence on it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from leakhunt.amounts import Rate
from leakhunt.model.attribution import Attribution, Suspect
from leakhunt.model.plan import Work
from leakhunt.model.series import Unit
from leakhunt.text.message import Message, Text, message

# Another instrument is used when less than this part of the growth is explained.
EXPLAINED_SHARE = 0.8
# What a descriptor or a thread that is left may hold by itself: buffers, a stack, its own heap.
_RESOURCE_HOLDS_BYTES = 4 << 20
# From here on the sentence says that the instrumented calls grew by more than the measured ones.
_TOO_MUCH = 1.1


def is_explained(attribution: Attribution) -> bool:
    """Whether the suspects account for (nearly) all that grows; resources keep memory of theirs."""
    if not attribution.growing:
        return False
    if attribution.growth is None:
        return True
    explained = attribution.explained or 0.0
    first = attribution.growing[0]
    if first.bytes_per_call is None and not first.chain:
        return attribution.growth - explained <= _RESOURCE_HOLDS_BYTES
    return explained >= EXPLAINED_SHARE * attribution.growth


def garbage_sentence(cycles: Sequence[Suspect], garbage: float | None, work: Work) -> Text:
    """What there is to say where nothing grows."""
    if garbage is None:
        return message("attribution.no-growth", "No suspects: no growth.")
    if not cycles:
        return message(
            "attribution.no-cycles",
            "No growth. No recurring cycles of garbage found.",
        )
    return message(
        "attribution.garbage",
        "No growth. Cyclic garbage: {rate}; the suspects account for {share:.0%}. First: {first}.",
        rate=Rate(garbage, Unit.BYTES, work),
        share=min(sum(each.share or 0.0 for each in cycles), 1.0),
        first=cycles[0].title,
    )


def coverage_sentence(found: Attribution, work: Work, total: float, rest_is: Message) -> Text:
    """What the suspects account for; what nobody does comes first, if it is much.

    `total` is what the suspects come to in the calls under instruments.
    """
    grows = Rate(found.growth, Unit.BYTES, work) if found.growth is not None else None
    if not found.growing:
        if grows is None or not found.instruments:
            return message(
                "attribution.no-suspect",
                "Growth not attributed: none of the instruments used found what retains it.",
            )
        return message(
            "attribution.nothing-attributed",
            "Unattributed: all of {grows}, {cause}. None of the instruments used found"
            " what retains it.",
            grows=grows,
            cause=rest_is,
        )
    first = found.growing[0].title
    if found.growth is None or grows is None:
        return message("attribution.first-suspect", "First suspect: {first}.", first=first)
    explained = found.explained or 0.0
    share = explained / found.growth
    rest = Rate(found.growth - explained, Unit.BYTES, work)
    if share < EXPLAINED_SHARE and not is_explained(found):
        return message(
            "attribution.unexplained-first",
            "Unattributed: {rest} of {grows} ({part:.0%}), {cause}. First suspect: {first}.",
            rest=rest,
            grows=grows,
            part=1 - share,
            cause=rest_is,
            first=first,
        )
    return _explained(found, Rate(total, Unit.BYTES, work), grows, rest)


def _explained(found: Attribution, total: Rate, grows: Rate, rest: Rate) -> Text:
    """The sentence where (nearly) all is accounted for; `rest` is not."""
    first, growth = found.growing[0].title, found.growth or 0.0
    if total.value > _TOO_MUCH * growth:
        return message(
            "attribution.explained-too-much",
            "First suspect: {first}. The suspects account for all of {grows}; the instrumented"
            " calls grew by {found}.",
            first=first,
            grows=grows,
            found=total,
        )
    if (share := (found.explained or 0.0) / growth) < 1:
        return message(
            "attribution.explained-in-part",
            "First suspect: {first}. The suspects account for {share:.0%} of {grows}; {rest}"
            " unattributed.",
            first=first,
            share=share,
            grows=grows,
            rest=rest,
        )
    return message(
        "attribution.explained",
        "First suspect: {first}. The suspects account for {share:.0%} of {grows}.",
        first=first,
        share=1.0,
        grows=grows,
    )
