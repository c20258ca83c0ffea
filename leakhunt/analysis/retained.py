"""From a run under the instrument of retained memory to its holders. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from leakhunt.model.allocators import FREE_THREADED, PYTHON_ALLOCATOR
from leakhunt.model.attribution import Finding, FindingKind, Origin
from leakhunt.model.retained import (
    ALL_OBJECTS,
    HeldPart,
    HolderKind,
    RetainedHeap,
    RetainedHolder,
    RetainedReport,
)
from leakhunt.model.run import Run
from leakhunt.model.series import LIVE_HEAP, PYTHON_LIVE, RSS
from leakhunt.text.message import Text


def retained_report(runs: Sequence[Run], generator: str) -> RetainedReport:
    """What the runs found, in their order."""
    name = runs[0].plan.scenario if runs else ""
    return RetainedReport(name, generator, tuple(map(retained_heap, runs)))


def retained_heap(run: Run) -> RetainedHeap:
    """The holders of a run; none where it did not get as far as looking."""
    reading = run.reading("look_collected")
    values = reading.values if reading is not None else {}
    live = [values[name] for name in (LIVE_HEAP, PYTHON_LIVE) if name in values]
    # Without malloc's part of it, or Python's, live memory is not known.
    is_known = LIVE_HEAP in values and run.environment.get(PYTHON_ALLOCATOR) != FREE_THREADED
    live_bytes = sum(live) if is_known else None
    found = [each for each in run.findings if each.sort is FindingKind.HOLDER]
    whole = next((each for each in found if each.what == ALL_OBJECTS), None)
    rss = values.get(RSS)
    holders = [_holder(each, live_bytes, rss) for each in found if each.what != ALL_OBJECTS]
    caveats: list[Text] = [each for note in run.notes for each in note.get("caveats", ())]
    return RetainedHeap(
        variant=run.plan.variant,
        calls=whole.calls[-1] if whole is not None else run.calls_done,
        objects=whole.counts[-1] if whole is not None else 0,
        total_bytes=whole.sizes[-1] if whole is not None else 0,
        live_bytes=live_bytes,
        rss_bytes=rss,
        holders=tuple(sorted(holders, key=lambda each: -each.retained_bytes)),
        caveats=tuple(caveats),
    )


def _holder(found: Finding, live: int | None, rss: int | None) -> RetainedHolder:
    size, owner = found.sizes[-1], found.facts.get("held_by")
    is_package = found.what == HolderKind.PACKAGE
    return RetainedHolder(
        path=found.chain[0],
        kind=HolderKind.PACKAGE if is_package else HolderKind.OBJECT,
        type="" if is_package else found.what,
        objects=found.counts[-1],
        retained_bytes=size,
        native_bytes=found.facts.get("native_bytes", 0),
        share_of_live=size / live if live else None,
        share_of_rss=size / rss if rss else None,
        origin=Origin(owner) if owner else None,
        parts=tuple(
            HeldPart(each["path"], each["type"], each["objects"], each["bytes"])
            for each in found.facts.get("parts", ())
        ),
    )
