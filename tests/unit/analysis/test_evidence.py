"""What is said of a suspect, who counts as one, and what its bound is worth."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import MakeRun
from made_findings import (
    CALLS,
    IDEEP,
    KERNEL,
    KIB,
    MALLOC,
    MINE,
    ONEDNN,
    THEIRS,
    attributed,
    finding,
    suspect_of,
)

from leakhunt.analysis.verdict import judge
from leakhunt.model.attribution import Finding, FindingKind, Instrument, Origin, Suspect
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Run

GRAPH = "autograd graph"


def cache_finding(most: int, size: int, before: int = 0) -> list[Finding]:
    site = finding(size=size, key="5")
    cache = finding(
        size=0,
        sort=FindingKind.CONTAINER,
        what="dict",
        keeps=("5",),
        chain=("made.parse", "dict"),
        facts={"most_items": most},
    )
    return [site, replace(cache, counts=tuple(before + count for count in cache.counts))]


def test_a_cache_that_holds_more_than_its_bound_has_none(leaking_objects: Run) -> None:
    (suspect,) = attributed(leaking_objects, *cache_finding(5000, 4 * KIB, before=4990)).suspects
    assert suspect.ceiling_calls is None
    (suspect,) = attributed(leaking_objects, *cache_finding(5000, 4 * KIB, before=900)).suspects
    assert suspect.ceiling_calls == 5000


def test_a_known_cache_that_should_have_ended_long_ago_has_no_ceiling(leaking: Run) -> None:
    """A hundred entries a call fill it within eleven: after three hundred it is something else."""
    entries = finding(200, 16, stack=(MALLOC, ONEDNN, MINE), instrument=Instrument.MEMRAY)
    suspect = suspect_of(leaking, entries)
    assert suspect.cause is not None and suspect.cause.bound is not None
    assert suspect.ceiling_bytes is None


def test_a_bounded_cache_is_the_librarys_whoever_called(leaking: Run) -> None:
    entries = finding(2, 64, stack=(MINE, MALLOC, IDEEP), instrument=Instrument.MEMRAY)
    assert suspect_of(leaking, entries).origin is Origin.LIBRARY


def test_a_container_is_whose_object_or_module_it_is_in(leaking_objects: Run) -> None:
    site = finding(size=4 * KIB, key="5")
    holder = finding(
        size=0, sort=FindingKind.CONTAINER, what="list", keeps=("5",), chain=("lib.CACHE", "list")
    )
    theirs = replace(holder, facts={"held_by": "library"})
    assert suspect_of(leaking_objects, site, theirs).origin is Origin.LIBRARY
    assert suspect_of(leaking_objects, site, holder).origin is Origin.YOURS


def evidence(suspect: Suspect) -> str:
    return "; ".join(map(str, suspect.evidence))


def test_tensor_storage_and_views_are_evidence(leaking_objects: Run) -> None:
    site = finding(size=80, key="5")
    holder = finding(
        size=0,
        sort=FindingKind.CONTAINER,
        what="list",
        keeps=("5",),
        chain=("made.KEPT", "list"),
        facts={"native_bytes": 3 * KIB, "pins_bytes": 9 * KIB * KIB},
    )
    suspect = suspect_of(leaking_objects, site, holder)
    assert "each item retains 3.00 KiB in tensors or images" in evidence(suspect)
    assert "a view that retains 9.00 MiB" in evidence(suspect)
    assert suspect.bytes_per_call == 3 * KIB + 80
    plain = suspect_of(leaking_objects, site, replace(holder, facts={}))
    assert "tensors" not in evidence(plain) and "view" not in evidence(plain)


def test_what_grows_as_descriptors_has_no_share_of_the_memory(make_run: MakeRun) -> None:
    run = make_run(
        live_heap=[4 * KIB * call for call in range(CALLS)], descriptors=list(range(CALLS))
    )
    opened = finding(
        sort=FindingKind.RESOURCE,
        instrument=Instrument.RESOURCES,
        what="descriptor",
        size=0,
        facts={"name": "socket", "since_call": 2},
    )
    assert suspect_of(run, opened).share is None


def test_what_was_opened_from_a_known_line_comes_before_what_was_not(make_run: MakeRun) -> None:
    run = make_run(
        live_heap=[4 * KIB * call for call in range(CALLS)], descriptors=list(range(CALLS))
    )
    selector = finding(
        sort=FindingKind.RESOURCE,
        instrument=Instrument.RESOURCES,
        what="descriptor",
        size=0,
        stack=(),
        facts={"name": "anon_inode"},
        key="1",
    )
    peer = replace(selector, stack=(THEIRS, MINE), facts={"name": "socket"}, key="2")
    first, second = attributed(run, selector, peer).suspects
    assert (first.where, second.where) == (MINE, None)


def test_a_graph_comes_before_the_blocks_that_it_keeps(leaking_objects: Run) -> None:
    blocks = finding(size=4 * KIB, stack=(MINE,), key="1")
    graph = finding(
        12,
        0,
        sort=FindingKind.GRAPH,
        what=GRAPH,
        stack=(),
        chain=("State.total", "torch.Tensor"),
        facts={"grad_fn": "AddBackward0"},
    )
    first, second = attributed(leaking_objects, blocks, graph).suspects
    assert first.chain == ("State.total", "torch.Tensor")
    assert "exactly 12 more nodes of an autograd graph per call" in evidence(first)
    assert second.where == MINE


def test_a_hundredth_of_the_growth_is_no_suspect(leaking: Run) -> None:
    large = finding(size=4 * KIB, instrument=Instrument.MEMRAY, stack=(MALLOC, MINE), key="1")
    small = replace(large, stack=(MALLOC, replace(MINE, source="tiny()")), key="2")
    small = replace(small, sizes=tuple(36 * count for count in small.counts))
    attribution = attributed(leaking, large, small)
    assert [suspect.bytes_per_call for suspect in attribution.suspects] == [4 * KIB]


def test_lines_of_memory_profiler_are_suspects_only_where_nobody_knows_blocks(
    leaking: Run,
) -> None:
    line = finding(size=4 * KIB, sort=FindingKind.LINE, instrument=Instrument.LINES, stack=(MINE,))
    assert suspect_of(leaking, line).where == MINE
    block = finding(
        size=4 * KIB, instrument=Instrument.TRACEMALLOC, stack=(replace(MINE, source="other()"),)
    )
    attribution = attributed(leaking, line, block)
    assert [suspect.instruments for suspect in attribution.suspects] == [(Instrument.TRACEMALLOC,)]
    # Blocks that are a hundredth of the growth, or what the watching keeps, hide no line.
    small = replace(block, sizes=tuple(36 * count for count in block.counts))
    attribution = attributed(leaking, line, small)
    assert [suspect.instruments for suspect in attribution.suspects] == [(Instrument.LINES,)]


def test_what_is_exactly_all_of_the_growth_comes_before_irregular_counts(leaking: Run) -> None:
    """A cache that fills in the instrumented calls only may look larger than the leak."""
    leak = finding(size=4 * KIB, instrument=Instrument.MEMRAY, stack=(MALLOC, MINE), key="1")
    elsewhere = replace(MINE, source="fills_a_cache()")
    cache = finding(
        per_call=1.3, size=4 * KIB, instrument=Instrument.MEMRAY, stack=(MALLOC, elsewhere), key="2"
    )
    attribution = attributed(leaking, cache, leak)
    assert [suspect.where for suspect in attribution.suspects] == [MINE, elsewhere]


def test_suspects_that_come_to_more_than_the_growth_say_so(leaking: Run) -> None:
    attribution = attributed(leaking, finding(size=9 * KIB, instrument=Instrument.MEMRAY))
    assert (
        "The suspects account for all of 4.00 KiB/call; the instrumented calls grew by"
        " 9.00 KiB/call."
    ) in str(attribution.sentence)


def test_growth_of_mappings_is_measured_by_rss(make_run: MakeRun) -> None:
    each = 64 * KIB
    before = {"rss": 10 * KIB * KIB, "live_heap": 5000, "python_arenas": 0}
    after = before | {"rss": before["rss"] + each * CALLS}
    run = make_run(
        readings={"start": before, "end": after, "collected": after, "trimmed": after},
        rss=[before["rss"] + each * call for call in range(CALLS)],
        live_heap=[5000] * CALLS,
    )
    assert judge(run).kind is Kind.MAPPING_GROWTH
    attribution = attributed(run, finding(size=each, instrument=Instrument.MEMRAY, what="mapping"))
    assert attribution.growth == pytest.approx(each, rel=0.01)
    assert attribution.suspects[0].share == pytest.approx(1, rel=0.01)


def test_a_holder_is_no_function_that_only_hands_memory_out(leaking: Run) -> None:
    stack = (replace(THEIRS, function="operator new(unsigned long)"), KERNEL, MINE)
    suspect = suspect_of(leaking, finding(instrument=Instrument.MEMRAY, stack=stack))
    assert suspect.holder == KERNEL
