"""The nouns of ``attach``: what is to be said of a process that ran already."""

from __future__ import annotations

from dataclasses import dataclass

from leakhunt.model.report import LedgerLine
from leakhunt.model.retained import RetainedHeap
from leakhunt.model.verdict import Verdict
from leakhunt.text.message import Text


@dataclass(frozen=True, slots=True)
class GivenBack:
    """What one step gave back: bytes of RSS, and the seconds that it took in the process.

    `freed_bytes` is live memory that it freed: garbage, of a collection.
    """

    step: Text
    rss_bytes: int
    freed_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class MemoryBound:
    """What stops the process from growing: what sets it, where, and how much is left."""

    name: Text
    limit_bytes: int
    headroom_bytes: int


@dataclass(frozen=True, slots=True)
class PossibleCause:
    """A known cause of growth in a library that the process has loaded: nothing proves it."""

    id: str
    title: Text
    remedy: Text
    distributions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grower:
    """A container, or a type of objects, of which there was more at each mark.

    `counts` are its lengths, or the numbers of objects, at the marks; `path` leads to it from a
    root (empty: it is not known), `items` are the types of what came last.
    """

    what: str
    path: str
    counts: tuple[int, ...]
    per_second: float
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AllocatedPlace:
    """A place whose allocations of the traced stretch are alive at its end.

    Of C code, `shared_object` is the file that it is in, `called_from` the Python code that called
    it; both are empty of Python code, and where they are not known.
    """

    place: str
    size_bytes: int
    blocks: int
    shared_object: str = ""
    called_from: str = ""


@dataclass(frozen=True, slots=True)
class TraceStretch:
    """By what allocations were traced, why by that, and what it cost; empty, None: not at all."""

    tool: str
    why: Text
    cost: Text | None


@dataclass(frozen=True, slots=True)
class VisitCost:
    """What the visit took: seconds until the agent answered and in all, and the longest stretch.

    `longest_pause_seconds` is the longest stretch in which the agent let no other thread run;
    `way` is how it got in, `left` what of it is still there.
    """

    way: str
    seconds_to_enter: float
    seconds: float
    longest_pause_seconds: float
    objects: int
    lost_references: int
    left: Text


@dataclass(frozen=True, slots=True)
class LookChange:
    """A part of RSS, or what a holder retains, in two looks.

    `objects_before` and `objects_after` are None for a part of RSS.
    """

    title: Text
    bytes_before: int
    bytes_after: int
    objects_before: int | None = None
    objects_after: int | None = None

    @property
    def grown_bytes(self) -> int:
        """By how much it is more in the second."""
        return self.bytes_after - self.bytes_before


@dataclass(frozen=True, slots=True)
class LookDifference:
    """What changed between two looks into a process, `seconds` apart (None: another process).

    `rss` is all of it, `memory` are its parts; `holders` those that changed most, growth first.
    """

    seconds: float | None
    rss: LookChange | None
    memory: tuple[LookChange, ...]
    holders: tuple[LookChange, ...]


@dataclass(frozen=True, slots=True)
class AttachReport:
    """What a visit found: where RSS is, what it holds, and whether it grows.

    `breakdown` adds up to `rss_bytes`. `verdict` is None without a stretch of growth.
    """

    process: str
    pid: int
    python: str
    allocator: str
    generator: str
    rss_bytes: int | None
    breakdown: tuple[LedgerLine, ...]
    given_back: tuple[GivenBack, ...]
    bounds: tuple[MemoryBound, ...]
    possible_causes: tuple[PossibleCause, ...]
    heap: RetainedHeap | None
    seconds_watched: float
    verdict: Verdict | None
    growers: tuple[Grower, ...]
    places: tuple[AllocatedPlace, ...]
    cost: VisitCost | None
    caveats: tuple[Text, ...]
    difference: LookDifference | None = None
    trace: TraceStretch | None = None
