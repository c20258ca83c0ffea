"""The nouns of ``hunt --retained``: who retains how much of a settled process."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leakhunt.model.attribution import Origin
from leakhunt.text.language import mark
from leakhunt.text.message import Text

# What stands for all of a process together; what small packages, and objects of none, are together.
ALL_OBJECTS = "all objects"
OTHER = "other"


class HolderKind(StrEnum):
    """What a holder is."""

    OBJECT = mark("object")
    PACKAGE = mark("package")


@dataclass(frozen=True, slots=True)
class HeldPart:
    """A part of what a holder retains, by the path that leads to it."""

    path: str
    type: str
    objects: int
    retained_bytes: int


@dataclass(frozen=True, slots=True)
class RetainedHolder:
    """What would be freed with an object, or what a package has: code, classes, small objects.

    `path` is the shortest from a root: ``mypackage.module.CACHE``. `native_bytes` of
    `retained_bytes` are tensors and images, which Python did not allocate. `share_of_live` is the
    part of live memory, `share_of_rss` that of RSS; None: it is not known. `parts` are what the
    largest objects right below it retain.
    """

    path: str
    kind: HolderKind
    type: str
    objects: int
    retained_bytes: int
    native_bytes: int
    share_of_live: float | None
    share_of_rss: float | None
    origin: Origin | None
    parts: tuple[HeldPart, ...]


@dataclass(frozen=True, slots=True)
class RetainedHeap:
    """The largest holders of a variant's process after `calls` calls and a collection.

    The holders come largest first; no two retain the same. `objects` are those that the collector
    tracks, `total_bytes` all that is known of them; the rest of `live_bytes` (malloc and Python's
    heap in use; None: unknown) is native memory without an object.
    """

    variant: str
    calls: int
    objects: int
    total_bytes: int
    live_bytes: int | None
    rss_bytes: int | None
    holders: tuple[RetainedHolder, ...]
    caveats: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class RetainedReport:
    """What is retained by a scenario's variants."""

    scenario: str
    generator: str
    heaps: tuple[RetainedHeap, ...]
