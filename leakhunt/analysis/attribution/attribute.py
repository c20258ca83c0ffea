"""The suspects of a run, from the findings of its instrumented runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from leakhunt.analysis.attribution.clusters import Cluster, clusters, merged
from leakhunt.analysis.attribution.coverage import (
    EXPLAINED_SHARE,
    coverage_sentence,
    garbage_sentence,
)
from leakhunt.analysis.attribution.dominance import led_by_holder
from leakhunt.analysis.attribution.garbage import garbage_per_call, is_cycle, reported_cycles
from leakhunt.analysis.attribution.growth import (
    growth_per_call,
    is_growing,
    python_growth,
)
from leakhunt.analysis.attribution.handed_on import with_handed_on
from leakhunt.analysis.attribution.known_causes import causes_for
from leakhunt.analysis.attribution.shares import accounted, share_base
from leakhunt.analysis.attribution.suspects import suspect_of
from leakhunt.analysis.attribution.unexplained import seen_explanation, unexplained
from leakhunt.analysis.verdict.effort import has_slow_calls
from leakhunt.analysis.verdict.ledger import ledger
from leakhunt.model.attribution import (
    Attribution,
    Cause,
    Finding,
    FindingKind,
    Instrument,
    LineGrowth,
    Suspect,
)
from leakhunt.model.kinds import Kind
from leakhunt.model.libraries import FREE_THREADING
from leakhunt.model.plan import Work
from leakhunt.model.run import Run
from leakhunt.model.verdict import Verdict
from leakhunt.text.message import Text, message

# Suspects below this part of the growth are not worth a line; nor is what no page would show.
_MIN_SHARE = 0.01
_MIN_BYTES = 8.0
# From this part on, a growth that known bounded caches explain is reported as bounded.
_BOUNDED_SHARE = 0.8
# Beside those, so much that is not the same at every call may be chance.
_CHANCE_SHARE = 0.05
MAX_SUSPECTS = 8
# What is retained without growing is worth a word from here on.
_RETAINED_BYTES = 8 << 20

BLIND_TO = {
    Instrument.TRACEMALLOC: message(
        "attribution.blind-tracemalloc",
        "tracemalloc does not see torch's CPU tensors,"
        " nor anything else that native code allocates",
    ),
    Instrument.OBJGRAPH: message(
        "attribution.blind-objgraph",
        "objgraph counts objects, not bytes, and only objects that hold references (not bytes,"
        " str, numbers)",
    ),
    Instrument.MEMRAY: message(
        "attribution.blind-memray",
        "memray does not see calls that reach malloc by its address (ctypes)",
    ),
    Instrument.CUDA: message(
        "attribution.blind-cuda",
        "the CUDA history does not see the context, NCCL, or libraries with an"
        " allocator of their own",
    ),
    Instrument.RESOURCES: message(
        "attribution.blind-resources",
        "descriptors and threads opened by C code have no stack",
    ),
    Instrument.LINES: message(
        "attribution.blind-lines",
        "memory-profiler reads RSS, in whole pages: growth that reuses free pages is not visible",
    ),
    Instrument.GARBAGE: message(
        "attribution.blind-garbage",
        "the collector does not see cycles inside C and C++ objects (autograd graphs)",
    ),
}

# A visit counts by itself, and reads the sizes of what has grown.
_BLIND_VISIT = message(
    "attribution.blind-visit",
    "attach reads what containers retain at the end, and takes their earlier items to be as"
    " large; it does not see what native code retains",
)


def attribute(
    run: Run, verdict: Verdict, instrumented: Sequence[Run], *, has_filled: bool = False
) -> Attribution:
    """Whom the findings of `instrumented`, runs of the same plan under instruments, make suspect.

    Where the measured `run` does not grow, only cycles of garbage: what else an instrument finds
    then replaces something. `has_filled`: `run` is the part in which a cache filled that was level
    later.
    """
    # Of few calls it is not known what they grow by.
    mappings = has_slow_calls(run) or Kind.MAPPING_GROWTH in (verdict.kind, *verdict.also)
    causes = causes_for(run.environment)
    work = run.plan.work
    in_time = work is Work.SECOND
    found = merged(
        [
            each
            for one in instrumented
            for each in clusters(one.findings, mappings, causes, in_time=in_time)
        ]
    )
    garbage = garbage_per_call(instrumented)
    closed = list(reported_cycles(found, garbage))
    all_garbage = share_base(garbage, closed) if garbage is not None else None
    cycles = tuple(suspect_of(each, all_garbage, run.calls_done, causes) for each in closed)
    of_garbage = Attribution(
        suspects=cycles,
        growth=None,
        explained=None,
        bounded=False,
        ceiling_bytes=None,
        ceiling_calls=None,
        sentence=garbage_sentence(cycles, garbage, work),
        retained=_retained(run, verdict),
        blind_spots=_blind_spots(run, instrumented),
        instruments=_instruments(instrumented),
        lines=tuple(_lines(each for one in instrumented for each in one.findings)),
        garbage=garbage,
    )
    if not (is_growing(verdict) or has_slow_calls(run)):
        return of_garbage
    growth = growth_per_call(run, verdict)
    grown = [each for each in found if not is_cycle(each)]
    grown = led_by_holder(grown, [one.findings for one in instrumented], growth, causes)
    if run.plan.load is not None:
        grown = with_handed_on(grown, growth)
    mattering = [each for each in grown if _matters(each, growth)]
    ranked = sorted(
        _without_lines(mattering or [each for each in grown if not each.is_sized]),
        key=lambda cluster: _rank(cluster, verdict, growth),
    )
    total = accounted(ranked)
    whole = share_base(growth, ranked) if growth is not None else None
    if growth is not None and in_time:
        # What a visit traces is in the containers that it counts as well.
        whole = max(growth, total)
    suspects = [
        suspect_of(each, whole, run.calls_done, causes, has_filled=has_filled)
        for each in ranked[:MAX_SUSPECTS]
    ]
    attribution = replace(
        of_garbage,
        suspects=(*suspects, *cycles),
        growth=growth,
        explained=min(total, growth) if growth is not None else None,
        bounded=_is_bounded(suspects, growth),
        ceiling_bytes=sum(s.ceiling_bytes or 0.0 for s in suspects) or None,
        ceiling_calls=max((s.ceiling_calls or 0 for s in suspects), default=0) or None,
    )
    rest = (growth or 0.0) - (attribution.explained or 0.0)
    findings = [each for one in instrumented for each in one.findings]
    native = (growth or 0.0) - python_growth(run, verdict)
    seen = seen_explanation(rest, ranked, findings, mappings=mappings)
    rest_is = unexplained(rest, native, seen, attribution.instruments)
    sentence = coverage_sentence(attribution, work, total, rest_is)
    return replace(attribution, sentence=sentence)


def _instruments(instrumented: Sequence[Run]) -> tuple[Instrument, ...]:
    return tuple(each.plan.instrument for each in instrumented if each.plan.instrument)


def _blind_spots(run: Run, instrumented: Sequence[Run]) -> tuple[Text, ...]:
    """What the instruments cannot see, and what they said of themselves."""
    blind_to = BLIND_TO
    if run.plan.visit is not None:
        blind_to = BLIND_TO | {Instrument.OBJGRAPH: _BLIND_VISIT}
    caveats = (
        each for one in instrumented for note in one.notes for each in note.get("caveats", ())
    )
    return (*(blind_to[instrument] for instrument in _instruments(instrumented)), *caveats)


def _lines(findings: Iterable[Finding]) -> Iterator[LineGrowth]:
    """The lines of the variant's function in their order, averaged over the calls counted."""
    found = [each for each in findings if each.sort is FindingKind.LINE and each.stack]
    for each in sorted(found, key=lambda finding: finding.stack[0].line):
        calls = each.calls[-1] - each.calls[0]
        grown, runs = each.sizes[-1] - each.sizes[0], each.counts[-1] - each.counts[0]
        yield LineGrowth(each.stack[0], grown / calls, runs / calls)


def _retained(run: Run, verdict: Verdict) -> tuple[Cause, ...]:
    """The known causes of what is retained without growing."""
    shown = {str(kind) for kind in (verdict.kind, *verdict.also)}
    lines = breakdown.lines if (breakdown := ledger(run)) else ()
    shown |= {line.name for line in lines if line.size_bytes > _RETAINED_BYTES}
    start, end = run.reading("start"), run.reading("end")
    if start is not None and end is not None:
        huge = end.values.get("huge_pages", 0) - start.values.get("huge_pages", 0)
        shown |= {"huge_pages"} if huge > _RETAINED_BYTES else set()
    if FREE_THREADING in run.environment and Kind.GARBAGE in (verdict.kind, *verdict.also):
        shown.add("garbage of a free-threaded build")
    return tuple(cause for cause in causes_for(run.environment) if shown & set(cause.shows))


def _without_lines(found: Sequence[Cluster]) -> Sequence[Cluster]:
    """Lines by memory-profiler are RSS: no suspects where others know the blocks themselves."""
    others = [each for each in found if each.lead.sort is not FindingKind.LINE]
    return others or found


def _matters(cluster: Cluster, growth: float | None) -> bool:
    if cluster.lead.sort in (FindingKind.GRAPH, FindingKind.RESOURCE):
        return True
    return cluster.bytes_per_call >= max(_MIN_SHARE * (growth or 0.0), _MIN_BYTES)


def _is_exactly_all(cluster: Cluster, growth: float | None) -> bool:
    least, most = (share * (growth or 0.0) for share in (EXPLAINED_SHARE, 2 - EXPLAINED_SHARE))
    return cluster.retained.exact and 0 < least <= cluster.bytes_per_call <= most


def _rank(
    cluster: Cluster, verdict: Verdict, growth: float | None
) -> tuple[bool, bool, bool, float, bool]:
    """Resources first where they grow, and a graph before the blocks it keeps; then by bytes.

    What retains the same in every call, and is (nearly) all of the measured growth by itself, comes
    before sites of irregular counts: these may be caches that fill in the instrumented calls. Of
    equals (resources have no bytes) those first of which is known where they were opened.
    """
    resources = Kind.RESOURCE_GROWTH in (verdict.kind, *verdict.also)
    sort = cluster.lead.sort
    return (
        not (resources and sort is FindingKind.RESOURCE),
        sort is not FindingKind.GRAPH,
        not _is_exactly_all(cluster, growth),
        -cluster.bytes_per_call,
        not cluster.lead.stack,
    )


def _is_bounded(suspects: Sequence[Suspect], growth: float | None) -> bool:
    """Whether bounded caches explain (nearly) all, and nothing else stays of every call."""
    ends = [suspect for suspect in suspects if suspect.ceiling_bytes is not None]
    others = [suspect for suspect in suspects if suspect.ceiling_bytes is None]
    if not ends or growth is None or any(_stays(each, growth) for each in others):
        return False
    return sum(suspect.bytes_per_call or 0.0 for suspect in ends) >= _BOUNDED_SHARE * growth


def _stays(suspect: Suspect, growth: float) -> bool:
    """Whether a suspect without an end is more than what comes and goes while others watch."""
    return suspect.exact or (suspect.bytes_per_call or growth) > _CHANCE_SHARE * growth
