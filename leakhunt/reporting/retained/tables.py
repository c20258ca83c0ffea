"""The largest holders as rows of text, for every format."""

from __future__ import annotations

from collections.abc import Iterator

from leakhunt.amounts import format_bytes
from leakhunt.model.retained import OTHER, HeldPart, HolderKind, RetainedHeap, RetainedHolder
from leakhunt.text.language import mark, tr
from leakhunt.text.message import sentences as whole_sentences

# A table has so many rows; the rest is one.
MAX_ROWS = 25
HEADINGS = (
    mark("holder"),
    mark("retained"),
    mark("type"),
    mark("objects"),
    mark("live memory"),
    mark("RSS"),
)
# Which of the columns are words; numbers are set to the right, and never broken.
WORDS = (True, False, True, False, False, False)
NOTHING = "\N{EN DASH}"


def title(scenario: str, heap: RetainedHeap) -> str:
    """What a table is about."""
    return tr("{scenario}:{variant}: retained memory", scenario=scenario, variant=heap.variant)


def rows(heap: RetainedHeap) -> Iterator[tuple[str, ...]]:
    """A row for each of the largest holders, under `HEADINGS`."""
    for each in heap.holders[:MAX_ROWS]:
        yield (
            named(each),
            format_bytes(each.retained_bytes),
            each.type or tr("package"),
            f"{each.objects:,}",
            _share(each.share_of_live),
            _share(each.share_of_rss),
        )


def part_row(part: HeldPart) -> tuple[str, ...]:
    """A part of a holder, under the first four headings."""
    return part.path, format_bytes(part.retained_bytes), part.type, f"{part.objects:,}"


def named(holder: RetainedHolder) -> str:
    """A holder by its path, or by what it stands for."""
    if holder.kind is HolderKind.OBJECT:
        return holder.path
    if holder.path == OTHER:
        return tr("other packages and objects")
    return tr("{package}: code, classes, small objects", package=holder.path)


def caveats(heap: RetainedHeap) -> Iterator[str]:
    """What is to be known of it, as sentences."""
    return (str(whole_sentences([each])) for each in heap.caveats)


def sentences(heap: RetainedHeap) -> Iterator[str]:
    """What the table comes to, and what it does not have."""
    if not heap.holders:
        yield tr("Not measured: the process ended before its objects were read.")
        return
    yield tr(
        "{objects} tracked objects retain {size} after {calls} calls and gc.collect().",
        objects=f"{heap.objects:,}",
        size=format_bytes(heap.total_bytes),
        calls=heap.calls,
    )
    if heap.live_bytes is not None and heap.live_bytes > heap.total_bytes:
        yield tr(
            "Live memory: {live}. {rest} of that belongs to no object: native libraries.",
            live=format_bytes(heap.live_bytes),
            rest=format_bytes(heap.live_bytes - heap.total_bytes),
        )
    if heap.rss_bytes is not None:
        yield tr(
            "RSS: {rss}, with code of libraries and freed memory.",
            rss=format_bytes(heap.rss_bytes),
        )
    left = heap.holders[MAX_ROWS:]
    if left:
        yield tr(
            "Not in the table: {count} smaller holders with {size}.",
            count=len(left),
            size=format_bytes(sum(each.retained_bytes for each in left)),
        )


def _share(share: float | None) -> str:
    return NOTHING if share is None else f"{share:.1%}"
