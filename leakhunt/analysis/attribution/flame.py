"""From the findings of instrumented runs to flame graphs of what stays. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from leakhunt.analysis.attribution.clusters import MAPPING, retained_sites
from leakhunt.model.attribution import Finding, Instrument
from leakhunt.model.flame import Flame, FlameStack
from leakhunt.model.run import Run

# Memray sees Python's heap as well; a GPU's memory is a graph of its own.
_HEAP = (Instrument.MEMRAY, Instrument.TRACEMALLOC)
_RUN_FILE, _CAPTURE = ".run.jsonl", ".memray.bin"


def flames(watched: Sequence[Run]) -> tuple[Flame, ...]:
    """A graph of the heap, and one of CUDA's memory, as far as an instrument saw anything stay."""
    by_instrument = {run.plan.instrument: run for run in watched}
    heap = next((each for each in _HEAP if _has_stacks(by_instrument.get(each))), None)
    wanted = (heap, Instrument.CUDA)
    found = (_flame(by_instrument[each], each) for each in wanted if each in by_instrument and each)
    return tuple(each for each in found if each.stacks)


def _has_stacks(run: Run | None) -> bool:
    return run is not None and next(_stacks(run.findings), None) is not None


def _flame(run: Run, instrument: Instrument) -> Flame:
    stacks = sorted(_stacks(run.findings), key=lambda stack: -stack.bytes_per_call)
    marks = next((each.calls for each in run.findings if each.stack), (0, 0))
    return Flame(
        instrument=instrument,
        calls=marks[-1] - marks[0],
        stacks=tuple(stacks),
        capture=_capture(run, marks) if instrument is Instrument.MEMRAY else "",
    )


def _stacks(findings: Sequence[Finding]) -> Iterator[FlameStack]:
    for site in retained_sites(findings):
        if site.finding.what != MAPPING and site.bytes_per_call > 0 and site.finding.stack:
            yield FlameStack(
                frames=tuple(reversed(site.finding.stack)),
                bytes_per_call=site.bytes_per_call,
                blocks_per_call=site.blocks.per_call if site.blocks is not None else 0.0,
            )


def _capture(run: Run, marks: Sequence[int]) -> str:
    """Memray's file of the longest window: as the instrument names it, after the run file."""
    name = run.file.rpartition("/")[2].removesuffix(_RUN_FILE)
    spans = [later - earlier for earlier, later in pairwise(marks)]
    if not name or not spans:
        return ""
    return f"{name.rpartition('.')[0]}.{spans.index(max(spans))}{_CAPTURE}"
