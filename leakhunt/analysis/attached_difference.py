"""What changed between two looks into a process, or into one and its successor. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from leakhunt.model.attached import AttachReport, LookChange, LookDifference
from leakhunt.model.retained import OTHER, HolderKind, RetainedHolder
from leakhunt.text.message import message

# A holder that changed by less is not told, nor are more than so many.
_MIN_BYTES = 16 << 10
_MAX_HOLDERS = 15
_LINK = " -> "


def difference(
    before: AttachReport, after: AttachReport, seconds: float | None = None
) -> LookDifference:
    """What is more, or less, in the second look, `seconds` later."""
    rss = None
    if before.rss_bytes is not None and after.rss_bytes is not None:
        rss = LookChange(message("attach.rss", "RSS"), before.rss_bytes, after.rss_bytes)
    return LookDifference(
        seconds=seconds,
        rss=rss,
        memory=tuple(_memory(before, after)),
        holders=tuple(_holders(before, after)),
    )


def _memory(before: AttachReport, after: AttachReport) -> Iterator[LookChange]:
    """The parts of RSS that both looks know, those that grew most first."""
    had = {line.name: line.size_bytes for line in before.breakdown}
    both = (line for line in after.breakdown if line.name in had)
    changes = (LookChange(line.title, had[line.name], line.size_bytes) for line in both)
    yield from sorted(changes, key=lambda each: -each.grown_bytes)


def _holders(before: AttachReport, after: AttachReport) -> list[LookChange]:
    had, has = _told_in_both(_by_path(before), _by_path(after))
    had = _as_named_later(had, has)
    changes = [
        LookChange(
            path,
            had[path].retained_bytes if path in had else 0,
            has[path].retained_bytes if path in has else 0,
            had[path].objects if path in had else 0,
            has[path].objects if path in has else 0,
        )
        for path in {**had, **has}
    ]
    told = [each for each in changes if abs(each.grown_bytes) >= _MIN_BYTES]
    told.sort(key=lambda each: -each.grown_bytes)
    if len(told) <= _MAX_HOLDERS:
        return told
    largest = sorted(told, key=lambda each: -abs(each.grown_bytes))[:_MAX_HOLDERS]
    return sorted(largest, key=lambda each: -each.grown_bytes)


def _told_in_both(
    had: Mapping[str, RetainedHolder], has: Mapping[str, RetainedHolder]
) -> tuple[Mapping[str, RetainedHolder], Mapping[str, RetainedHolder]]:
    """The holders, without packages that only one look names: the other has them in its rest."""

    def told(
        own: Mapping[str, RetainedHolder], other: Mapping[str, RetainedHolder]
    ) -> dict[str, RetainedHolder]:
        rest = [
            each
            for path, each in own.items()
            if each.kind is HolderKind.PACKAGE and (path not in other or path == OTHER)
        ]
        kept = {path: each for path, each in own.items() if each not in rest}
        if rest:
            kept[OTHER] = replace(
                rest[0],
                path=OTHER,
                objects=sum(each.objects for each in rest),
                retained_bytes=sum(each.retained_bytes for each in rest),
            )
        return kept

    return told(had, has), told(has, had)


def _as_named_later(
    had: Mapping[str, RetainedHolder], has: Mapping[str, RetainedHolder]
) -> Mapping[str, RetainedHolder]:
    """The holders before, by the paths that the second look gives them.

    The shortest path to an object may be another one later; how it ends is then the same.
    """
    had_ends, has_ends = (
        Counter(_end(path) for path in one.keys() - other.keys())
        for one, other in ((had, has), (has, had))
    )
    later = {_end(path): path for path in has.keys() - had.keys()}

    def name(path: str) -> str:
        end = _end(path)
        is_one = end and had_ends[end] == has_ends[end] == 1
        return later[end] if path not in has and is_one else path

    return {name(path): each for path, each in had.items()}


def _end(path: str) -> str:
    """The last two links of a path; empty: it has no more."""
    links = path.split(_LINK)
    return _LINK.join(links[-2:]) if len(links) > 2 else ""


def _by_path(report: AttachReport) -> Mapping[str, RetainedHolder]:
    """The holders that have a name in both looks: by their path from a root."""
    return {each.path: each for each in report.heap.holders} if report.heap is not None else {}
