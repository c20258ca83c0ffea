"""From findings to suspects: who leads, what is explained, what is bounded, what is left open."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from conftest import MakeRun, plan
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
    watched,
)

from leakhunt.analysis.attribution import attribute
from leakhunt.analysis.attribution.ceiling import ceiling, ceiling_plan
from leakhunt.analysis.attribution.growth import grows_visibly
from leakhunt.analysis.attribution.instrument_choice import instruments_for, next_instrument
from leakhunt.analysis.attribution.joined_verdict import bounded
from leakhunt.analysis.report import assemble
from leakhunt.analysis.verdict import judge
from leakhunt.model.attribution import (
    GROWTH_INSTRUMENTS,
    Attribution,
    Finding,
    FindingKind,
    Frame,
    Installed,
    Instrument,
    Origin,
    plain_name,
)
from leakhunt.model.kinds import Kind
from leakhunt.model.plan import Role
from leakhunt.model.run import Reading, Run
from leakhunt.model.verdict import Status
from leakhunt.text.language import speaking


def test_where_nothing_grows_there_is_no_suspect(make_run: MakeRun) -> None:
    flat = make_run(live_heap=[5000] * CALLS, python_blocks=[1000] * CALLS)
    attribution = attributed(flat, finding())
    assert attribution.suspects == ()
    assert "No suspects: no growth." in str(attribution.sentence)


def test_a_container_claims_the_blocks_of_its_items(leaking_objects: Run) -> None:
    site = finding(size=3 * KIB, key="5")
    holder = finding(
        size=0,
        sort=FindingKind.CONTAINER,
        what="list",
        keeps=("5",),
        chain=("made.KEPT", "list", "R"),
    )
    (suspect,) = attributed(leaking_objects, site, holder).suspects
    assert suspect.chain == ("made.KEPT", "list", "R")
    assert suspect.where == MINE
    assert (suspect.per_call, suspect.exact) == (1, True)
    assert suspect.bytes_per_call == 3 * KIB
    assert suspect.share == pytest.approx(0.75, rel=0.01)
    assert suspect.cause is not None and suspect.cause.id == "unbounded-list"
    evidence = [str(line) for line in suspect.evidence]
    assert any("exactly 1 more item per call" in line for line in evidence)
    assert any(": 1 block, 3.00 KiB/call, on 1 stack" in line for line in evidence)


def test_a_weak_container_holds_nothing(leaking_objects: Run) -> None:
    site = finding(size=3 * KIB, key="5")
    weak = finding(
        size=0,
        sort=FindingKind.CONTAINER,
        what="dict",
        keeps=("5",),
        facts={"weak": "yes"},
        chain=("made.SEEN", "dict"),
    )
    (suspect,) = attributed(leaking_objects, site, weak).suspects
    assert suspect.chain == ()
    assert any("not in a growing container: retained by" in str(line) for line in suspect.evidence)


def test_blocks_are_claimed_once_and_by_the_larger_container(leaking_objects: Run) -> None:
    item, more = finding(size=3 * KIB, key="5"), finding(size=KIB, key="6")
    index = finding(
        size=0, sort=FindingKind.CONTAINER, what="dict", keeps=("5",), chain=("made.INDEX", "dict")
    )
    owner = finding(
        size=0,
        sort=FindingKind.CONTAINER,
        what="list",
        keeps=("5", "6"),
        chain=("made.KEPT", "list"),
    )
    attribution = attributed(leaking_objects, item, more, index, owner)
    assert [suspect.chain[0] for suspect in attribution.suspects] == ["made.KEPT"]
    assert attribution.explained == 4 * KIB


def test_the_array_behind_a_list_that_jumps_is_not_counted_as_its_items(
    leaking_objects: Run,
) -> None:
    sizes = (0, 10 * KIB, 22 * KIB, 37 * KIB + 9_000)
    (suspect,) = attributed(leaking_objects, replace(finding(), sizes=sizes)).suspects
    assert suspect.bytes_per_call == KIB


def test_the_nodes_of_a_container_are_its_own_though_its_table_jumped(
    leaking_objects: Run,
) -> None:
    """As of an OrderedDict: a node an item, and a table that moves, from the line that inserts."""
    items = finding(size=3 * KIB, key="1")
    counts, sizes = (0, 10, 24, 39), (0, 320, 400_768, 401_248)
    nodes = replace(finding(key="2"), counts=counts, sizes=sizes)
    elsewhere = finding(size=100, key="3", stack=(THEIRS, replace(MINE, source="other()")))
    owner = finding(
        size=0,
        sort=FindingKind.CONTAINER,
        what="dict",
        keeps=("1",),
        chain=("made.HOOKS", "dict"),
        facts={"slot_bytes": 104},
    )
    first, second = attributed(leaking_objects, items, nodes, elsewhere, owner).suspects
    assert first.chain == ("made.HOOKS", "dict")
    assert first.bytes_per_call == 3 * KIB + 104
    assert second.bytes_per_call == 100


def test_what_leaks_beside_a_container_from_the_same_line_is_a_suspect_of_its_own(
    leaking_objects: Run,
) -> None:
    """All that ``model.generate(x)`` leaks comes from that line of the user's."""
    first, second, third = (
        finding(size=size, key=str(size)) for size in (2 * KIB, 1 * KIB, 1 * KIB + 1)
    )
    one, other = (
        finding(
            size=0,
            sort=FindingKind.CONTAINER,
            what="list",
            keeps=(str(size),),
            chain=(name, "list"),
            facts={"slot_bytes": 8},
        )
        for size, name in ((2 * KIB, "lib.A"), (1 * KIB, "lib.B"))
    )
    attribution = attributed(leaking_objects, first, second, third, one, other)
    assert [suspect.bytes_per_call for suspect in attribution.suspects] == [2056, 1032, 1025]


def test_objects_of_many_sizes_count_with_all_their_bytes(leaking_objects: Run) -> None:
    sizes = (0, 10 * KIB, 40 * KIB, 50 * KIB)
    (suspect,) = attributed(leaking_objects, replace(finding(), sizes=sizes)).suspects
    assert suspect.bytes_per_call == pytest.approx(50 * KIB / 37)


def test_what_stays_of_nine_calls_in_ten_counts_with_all_its_bytes(leaking_objects: Run) -> None:
    most = replace(finding(), counts=(0, 9, 20, 34), sizes=(0, 9 * KIB, 20 * KIB, 34 * KIB))
    (suspect,) = attributed(leaking_objects, most).suspects
    assert suspect.bytes_per_call == pytest.approx(34 / 37 * KIB)


def test_a_mapping_is_no_suspect_for_a_heap_that_grows(leaking: Run) -> None:
    mapped = finding(size=9 * KIB, instrument=Instrument.MEMRAY, what="mapping", stack=(MINE,))
    heap = finding(size=4 * KIB, instrument=Instrument.MEMRAY)
    (suspect,) = attributed(leaking, mapped, heap).suspects
    assert suspect.bytes_per_call == 4 * KIB


def test_what_is_not_kept_per_call_is_no_suspect(leaking_objects: Run) -> None:
    buffer = replace(finding(key="1"), counts=(0, 1, 1, 1), sizes=(0, 9_000, 9_000, 9_000))
    real = finding(size=4 * KIB, stack=(MINE,), key="2")
    (suspect,) = attributed(leaking_objects, buffer, real).suspects
    assert suspect.where == MINE and suspect.holder is None


def test_what_is_not_explained_is_said(leaking: Run) -> None:
    attribution = attributed(leaking, finding(size=KIB, instrument=Instrument.MEMRAY))
    assert attribution.growth == pytest.approx(4 * KIB, rel=0.01)
    assert attribution.explained == pytest.approx(KIB)
    assert str(attribution.sentence).startswith(
        "Unattributed: 3.00 KiB/call of 4.00 KiB/call (75%)"
    )


def test_no_suspect_is_said(leaking: Run) -> None:
    attribution = attributed(leaking)
    assert attribution.suspects == ()
    assert str(attribution.sentence) == (
        "Unattributed: all of 4.00 KiB/call, possibly native memory: memray did not watch these"
        " calls. None of the instruments used found what retains it."
    )


def test_what_an_instrument_is_blind_to_is_told(leaking: Run) -> None:
    attribution = attributed(leaking, finding(instrument=Instrument.MEMRAY))
    assert any("ctypes" in str(line) for line in attribution.blind_spots)


def test_what_an_instrument_could_not_do_is_told(leaking: Run) -> None:
    cut = replace(watched(finding()), notes=({"kind": "watched", "caveats": ["it stopped"]},))
    blind = attribute(leaking, judge(leaking), [cut]).blind_spots
    assert "it stopped" in map(str, blind)


def test_two_instruments_that_see_the_same_line_do_not_add_up(leaking_objects: Run) -> None:
    site = finding(size=4 * KIB, key="5")
    holder = finding(
        size=0, sort=FindingKind.CONTAINER, what="list", keeps=("5",), chain=("made.KEPT", "list")
    )
    native = finding(size=4 * KIB, instrument=Instrument.MEMRAY)
    attribution = attribute(
        leaking_objects, judge(leaking_objects), [watched(native), watched(site, holder)]
    )
    (suspect,) = attribution.suspects
    assert suspect.chain == ("made.KEPT", "list")
    assert suspect.instruments == (Instrument.TRACEMALLOC, Instrument.MEMRAY)
    assert attribution.explained == pytest.approx(4 * KIB)


def caches(leak: float = 0) -> list[Finding]:
    """Two entries a call of one cache and one of the other: 2 KiB and 1.9 KiB a call."""
    found = [
        finding(2, 128, stack=(MALLOC, ONEDNN, MINE), key="1"),
        finding(1, 2 * KIB - 256, stack=(MALLOC, KERNEL, ONEDNN, MINE), key="2"),
        finding(2, 64, stack=(MALLOC, IDEEP, MINE), key="3"),
        finding(1, 2 * KIB - 256, stack=(MALLOC, KERNEL, IDEEP, MINE), key="4"),
    ]
    if leak:
        found.append(finding(1, leak, stack=(MALLOC, MINE), key="5"))
    return [replace(each, instrument=Instrument.MEMRAY) for each in found]


def test_bounded_caches_are_reported_with_their_ceiling_and_not_as_a_leak(leaking: Run) -> None:
    attribution = attributed(leaking, *caches())
    onednn, ideep = attribution.suspects
    assert onednn.cause is not None and onednn.cause.id == "onednn-primitive-cache"
    assert onednn.ceiling_calls == 512
    assert onednn.ceiling_bytes == pytest.approx(2 * KIB * 512)
    assert ideep.ceiling_calls == 1024
    assert {onednn.origin, ideep.origin} == {Origin.LIBRARY}
    assert attribution.bounded and attribution.ceiling_calls == 1024
    verdict = bounded(judge(leaking), attribution, None)
    assert (verdict.status, verdict.kind) == (Status.NO_LEAK, Kind.BOUNDED_CACHE)
    assert "ceiling about 2.88 MiB after about 1,024 calls" in str(verdict.sentence)


def test_a_leak_beside_bounded_caches_stays_a_leak(make_run: MakeRun) -> None:
    run = make_run(live_heap=[8 * KIB * call for call in range(CALLS)])
    attribution = attributed(run, *caches(leak=4 * KIB))
    assert not attribution.bounded
    assert bounded(judge(run), attribution, None).status is Status.LEAK


def test_growth_that_caches_do_not_explain_stays_a_leak(make_run: MakeRun) -> None:
    run = make_run(live_heap=[40 * KIB * call for call in range(CALLS)])
    assert not attributed(run, *caches()).bounded


def test_a_cache_of_python_that_is_still_filling_has_a_ceiling(leaking_objects: Run) -> None:
    site = finding(size=4 * KIB, key="5")
    cache = finding(
        size=0,
        sort=FindingKind.CONTAINER,
        what="dict",
        keeps=("5",),
        chain=("made.parse", "dict"),
        facts={"most_items": 5000},
    )
    attribution = attributed(leaking_objects, site, cache)
    (suspect,) = attribution.suspects
    assert suspect.ceiling_calls == 5000
    assert suspect.ceiling_bytes == 5000 * 4 * KIB
    assert bounded(judge(leaking_objects), attribution, None).kind is Kind.BOUNDED_CACHE


def level(make_run: MakeRun, top: int, rate: int = 0) -> Run:
    calls = 400
    heap = [top + rate * call for call in range(calls)]
    return make_run(
        live_heap=heap,
        readings={"start": {"live_heap": 0}, "trimmed": {"live_heap": top + rate * calls}},
        plan_changes={"role": Role.CEILING, "warmup": 150},
    )


@pytest.mark.parametrize(
    ("top", "rate", "word"),
    [
        (3 * KIB * KIB, 0, "Ceiling confirmed"),
        (9 * KIB * KIB, 0, "Ceiling corrected"),
        (3 * KIB * KIB, 4 * KIB, "Ceiling not confirmed"),
    ],
)
def test_a_run_past_the_ceiling_confirms_or_corrects_it(
    make_run: MakeRun, top: int, rate: int, word: str
) -> None:
    past = level(make_run, top, rate)
    found = ceiling(past, judge(past), 3.0 * KIB * KIB)
    assert found is not None and str(found.sentence).startswith(word)
    assert found.is_level == (rate == 0)


def test_a_ceiling_that_is_passed_makes_it_a_leak_again(make_run: MakeRun, leaking: Run) -> None:
    attribution = attributed(leaking, *caches())
    past = level(make_run, 3 * KIB * KIB, rate=4 * KIB)
    found = ceiling(past, judge(past), attribution.ceiling_bytes or 0)
    assert bounded(judge(leaking), attribution, found).status is Status.LEAK


def test_the_run_past_the_ceiling_is_judged_from_there_on() -> None:
    made = ceiling_plan(plan(calls=None, warmup=None), 1148)
    assert made.calls is not None and made.warmup is not None
    assert 1148 < made.warmup < made.calls
    assert made.calls - made.warmup > 300
    assert not made.is_measured


def test_a_fingerprint_outlives_other_lines_and_other_sizes(leaking: Run) -> None:
    moved = replace(MINE, line=99)
    one = suspect_of(leaking, finding(size=KIB))
    other = suspect_of(leaking, finding(size=3 * KIB, stack=(THEIRS, moved)))
    third = suspect_of(leaking, finding(stack=(THEIRS, replace(MINE, source="other(1)"))))
    assert one.fingerprint == other.fingerprint != third.fingerprint


def test_a_suspect_is_named_after_what_calls_operator_new(leaking: Run) -> None:
    new = Frame("libstdc++.so.6", 0, "operator new(unsigned long)", "", Origin.LIBRARY)
    caller = Frame("catom.so", 0, "AtomDict_new", "", Origin.LIBRARY)
    memray = Instrument.MEMRAY
    suspect = suspect_of(leaking, finding(instrument=memray, stack=(new, caller, MINE)))
    assert str(suspect.title).startswith("AtomDict_new (catom.so), from ")
    alone = suspect_of(leaking, finding(instrument=memray, stack=(new, MINE)))
    assert str(alone.title).startswith("operator new (libstdc++.so.6), from ")


@pytest.mark.parametrize(
    ("function", "named"),
    [
        ("__gmp_default_allocate", "mpfr_init2"),
        ("jv_mem_alloc", "mpfr_init2"),
        ("CPLMalloc", "mpfr_init2"),
        ("g_malloc0", "mpfr_init2"),
        ("mpfr_allocate_func", "mpfr_init2"),
        ("av_frame_alloc", "av_frame_alloc"),
        ("allocates", "allocates"),
    ],
)
def test_a_suspect_is_named_after_what_calls_a_librarys_malloc(
    leaking: Run, function: str, named: str
) -> None:
    inner = Frame("libmade.so", 0, function, "", Origin.LIBRARY)
    caller = Frame("libmpfr.so", 0, "mpfr_init2", "", Origin.LIBRARY)
    memray = Instrument.MEMRAY
    suspect = suspect_of(leaking, finding(instrument=memray, stack=(inner, caller, MINE)))
    assert str(suspect.title).startswith(f"{named} (")
    alone = suspect_of(leaking, finding(instrument=memray, stack=(inner, MINE)))
    assert str(alone.title).startswith(f"{function} (libmade.so), from ")


@pytest.mark.parametrize(
    ("holder", "cause"),
    [
        ("State.app.routes", "routes-per-request"),
        ("State.kept", "pydantic-adapters-per-call"),
    ],
)
def test_a_holder_that_is_known_comes_before_who_allocates_what_it_holds(
    leaking: Run, holder: str, cause: str
) -> None:
    adapter = Frame("pydantic/type_adapter.py", 9, "_init_core_attrs", "", Origin.LIBRARY)
    site = finding(key="1", stack=(adapter, MINE))
    container = finding(
        size=0, sort=FindingKind.CONTAINER, what="list", keeps=("1",), chain=(holder, "list")
    )
    found = suspect_of(leaking, container, site).cause
    assert found is not None and found.id == cause


def test_an_extension_is_told_by_its_distribution(leaking: Run) -> None:
    made = finding(instrument=Instrument.MEMRAY, facts={"distribution": "made-dist 2.3.post1"})
    suspect = suspect_of(leaking, made)
    assert suspect.distribution == Installed("made-dist", "2.3.post1")
    assert "allocated by an extension of made-dist 2.3.post1" in map(str, suspect.evidence)
    assert suspect_of(leaking, finding(instrument=Instrument.MEMRAY)).distribution is None


def test_what_a_library_allocates_and_nobody_holds_is_the_librarys(leaking: Run) -> None:
    suspect = suspect_of(leaking, finding(instrument=Instrument.MEMRAY))
    assert suspect.origin is Origin.LIBRARY
    assert suspect.holder == THEIRS and suspect.where == MINE
    own = suspect_of(leaking, finding(instrument=Instrument.MEMRAY, stack=(MINE,)))
    assert own.origin is Origin.YOURS


def test_the_first_suspect_is_the_largest_known_or_not(leaking_objects: Run) -> None:
    known = finding(size=600, key="1", stack=(MINE,))
    holder = finding(
        size=0, sort=FindingKind.CONTAINER, what="list", keeps=("1",), chain=("made.IDS", "list")
    )
    elsewhere = replace(MINE, line=9, source="HEAD = Node(HEAD)")
    unknown = finding(size=3 * KIB, key="2", stack=(elsewhere,))
    linked = finding(
        size=0,
        sort=FindingKind.TYPE,
        what="made.Node",
        keeps=("2",),
        chain=("made.HEAD.after...", "Node"),
    )
    first, second = attributed(leaking_objects, known, holder, unknown, linked).suspects
    assert first.chain == ("made.HEAD.after...", "Node")
    assert first.bytes_per_call == 3 * KIB
    assert second.cause is not None


def test_a_type_lends_no_chain_to_what_is_not_its_own(leaking_objects: Run) -> None:
    site = finding(size=4 * KIB, key="2", stack=(MINE,))
    other = finding(
        size=0, sort=FindingKind.TYPE, what="made.Node", keeps=("9",), chain=("made.H", "N")
    )
    (suspect,) = attributed(leaking_objects, site, other).suspects
    assert suspect.chain == ()


def test_a_bound_that_is_passed_or_out_of_reach_is_none(make_run: MakeRun) -> None:
    heap = [4 * KIB * call for call in range(CALLS)]
    blocks = [2 * call for call in range(CALLS)]
    run = make_run(
        live_heap=heap, rss=heap, python_blocks=blocks, limits={"the limit": 100 * KIB * KIB}
    )

    def with_most(most: int) -> Attribution:
        site = finding(size=4 * KIB, key="5")
        cache = finding(
            size=0,
            sort=FindingKind.CONTAINER,
            what="dict",
            keeps=("5",),
            chain=("made.parse", "dict"),
            facts={"most_items": most},
        )
        return attributed(run, site, cache)

    assert not with_most(10).bounded
    verdict = judge(run)
    assert verdict.forecast is not None
    assert bounded(verdict, with_most(10**9), None).status is Status.LEAK


def test_growing_resources_come_first(make_run: MakeRun) -> None:
    run = make_run(live_heap=[4 * KIB * call for call in range(CALLS)], threads=list(range(CALLS)))
    thread = finding(
        sort=FindingKind.RESOURCE,
        instrument=Instrument.RESOURCES,
        what="thread",
        size=0,
        facts={"name": "Thread (wait)", "since_call": 12},
    )
    block = finding(size=4 * KIB, instrument=Instrument.MEMRAY, stack=(MALLOC, MINE))
    attribution = attribute(run, judge(run), [watched(block), watched(thread)])
    first = attribution.suspects[0]
    assert first.bytes_per_call is None
    assert first.cause is not None and first.cause.id == "threads-not-ended"
    assert any("from call 12 on" in str(line) for line in first.evidence)


def test_a_thread_explains_what_a_thread_may_hold_and_no_more(make_run: MakeRun) -> None:
    thread = finding(
        sort=FindingKind.RESOURCE,
        instrument=Instrument.RESOURCES,
        what="thread",
        size=0,
        facts={"name": "Thread (wait)", "since_call": 12},
    )

    small = finding(size=100, stack=(MINE,))

    def following(per_call: int) -> Instrument | None:
        run = make_run(
            live_heap=[per_call * call for call in range(CALLS)],
            python_blocks=[2 * call for call in range(CALLS)],
            threads=list(range(CALLS)),
        )
        return next_instrument(run, judge(run), [watched(thread), watched(small)])

    assert following(64 * KIB) is None
    assert following(6 * KIB * KIB) is Instrument.MEMRAY


def test_a_tensor_on_the_gpu_is_told_with_who_holds_it(make_run: MakeRun) -> None:
    """CUDA's history knows the bytes, the Python heap knows the list: one suspect."""
    run = make_run(cuda_allocated=[KIB * KIB * call for call in range(CALLS)])
    assert judge(run).kind is Kind.CUDA_LEAK
    block = finding(size=KIB * KIB, instrument=Instrument.CUDA, what="CUDA", stack=(MINE,))
    site = finding(size=80, key="1", stack=(MINE,))
    holder = finding(
        size=0,
        sort=FindingKind.CONTAINER,
        what="list",
        keeps=("1",),
        stack=(MINE,),
        chain=("State.kept", "list", "torch.Tensor"),
        facts={"tensor": "float32[262144]"},
    )
    verdict = judge(run)
    assert next_instrument(run, verdict, []) is Instrument.CUDA
    assert next_instrument(run, verdict, [watched(block)]) is Instrument.TRACEMALLOC
    attribution = attribute(run, verdict, [watched(block), watched(site, holder)])
    (suspect,) = attribution.suspects
    assert suspect.chain[0] == "State.kept"
    assert suspect.bytes_per_call == KIB * KIB
    assert suspect.cause is not None and suspect.cause.id == "tensors-kept"


def test_the_instrument_is_chosen_by_what_grows(
    make_run: MakeRun, leaking: Run, leaking_objects: Run
) -> None:
    assert instruments_for(judge(leaking)) == (Instrument.MEMRAY,)
    assert instruments_for(judge(leaking_objects)) == (Instrument.MEMRAY,)
    without = [each for each in Instrument if each is not Instrument.MEMRAY]
    assert instruments_for(judge(leaking_objects), without) == (Instrument.TRACEMALLOC,)
    threads = make_run(live_heap=[5] * CALLS, threads=list(range(CALLS)))
    assert instruments_for(judge(threads)) == (Instrument.RESOURCES,)
    assert instruments_for(judge(make_run(live_heap=[5] * CALLS))) == ()


def test_the_next_instrument_is_asked_while_the_growth_is_not_explained(leaking: Run) -> None:
    verdict = judge(leaking)
    some = watched(finding(size=KIB, instrument=Instrument.MEMRAY, stack=(MALLOC, MINE)))
    most = watched(finding(size=4 * KIB, instrument=Instrument.MEMRAY, stack=(MALLOC, MINE)))
    assert next_instrument(leaking, verdict, [some]) is Instrument.TRACEMALLOC
    assert next_instrument(leaking, verdict, [most]) is None
    assert next_instrument(leaking, verdict, [some], usable=[Instrument.MEMRAY]) is None
    every = [replace(some, plan=replace(some.plan, instrument=each)) for each in GROWTH_INSTRUMENTS]
    assert next_instrument(leaking, verdict, every) is None


def test_memray_has_looked_for_holders_itself(leaking: Run) -> None:
    own = watched(finding(size=4 * KIB, instrument=Instrument.MEMRAY, stack=(MINE,)))
    assert next_instrument(leaking, judge(leaking), [own]) is None


def test_where_nothing_grows_no_instrument_is_needed(make_run: MakeRun) -> None:
    flat = make_run(live_heap=[5000] * CALLS)
    assert next_instrument(flat, judge(flat), []) is None


def test_a_report_has_the_measured_run_once_with_its_suspects(leaking: Run) -> None:
    again = replace(watched(*caches()), plan=replace(leaking.plan, instrument=Instrument.MEMRAY))
    report = assemble([again, leaking], "test")
    (entry,) = report.entries
    assert entry.run is leaking
    assert entry.attribution is not None and len(entry.attribution.suspects) == 2
    assert entry.verdict.kind is Kind.BOUNDED_CACHE
    assert report.command.startswith("leakhunt hunt ")


def test_a_run_of_another_seed_attributes_nothing(leaking: Run) -> None:
    other = replace(leaking.plan, instrument=Instrument.MEMRAY, seed=7)
    (entry,) = assemble([leaking, replace(watched(*caches()), plan=other)], "test").entries
    assert entry.attribution is None


@pytest.mark.parametrize(
    ("symbol", "plain"),
    [
        ("operator new(unsigned long)", "operator new"),
        ("dnnl_status_t dnnl::pd_t::create<dnnl::k<(isa)880>, 3>(int)", "dnnl::pd_t::create"),
        ("dnnl::desc_t::clone() const", "dnnl::desc_t::clone"),
        ("torch::(anonymous namespace)::conv(c10::Set)", "torch::{anonymous}::conv"),
        ("it::operator++() [clone .isra.0]", "it::operator++"),
        ("malloc", "malloc"),
        ("_$LT$a..Of$LT$T$GT$$u20$as$u20$a..Init$GT$::new::h720db1ee1652ffd2", "a::Of::new"),
        ("nh3::__pyfunction_clean::h0123456789abcdef", "nh3::__pyfunction_clean"),
    ],
)
def test_symbols_are_told_without_their_types(symbol: str, plain: str) -> None:
    assert plain_name(symbol) == plain
    assert str(Frame("", 0, symbol, "", Origin.LIBRARY)) == plain


def test_python_frames_keep_their_names() -> None:
    assert str(Frame("a.py", 3, "<lambda>", "", Origin.YOURS)) == "<lambda> (a.py:3)"


def test_suspects_found_under_english_are_said_in_chinese(leaking: Run) -> None:
    found = attributed(leaking, finding(size=3 * KIB))
    with speaking("zh"):
        texts = [str(found.suspects[0].evidence[0]), *map(str, found.blind_spots)]
    assert all(re.search("[\u4e00-\u9fff]", each) for each in texts)
    with speaking("zh"):
        again = attributed(leaking, finding(size=3 * KIB))
    assert again == found


@pytest.mark.parametrize(
    ("per_call", "size", "bounded_still"),
    [(0.4, 400, True), (0.4, 1500, False), (1, 80, False)],
    ids=["little, and not of every call", "too much", "little, but of every call"],
)
def test_what_comes_and_goes_beside_caches_does_not_unbind_them(
    make_run: MakeRun, per_call: float, size: int, bounded_still: bool
) -> None:
    run = make_run(live_heap=[4 * KIB * call for call in range(CALLS)])
    other = finding(per_call, size, stack=(MALLOC, MINE), key="9", instrument=Instrument.MEMRAY)
    attribution = attributed(run, *caches(), other)
    assert len(attribution.suspects) == 3
    assert attribution.bounded is bounded_still


@pytest.mark.parametrize(("left", "visible"), [(150, False), (900, True)])
def test_few_bytes_of_blocks_are_not_worth_another_run(
    make_run: MakeRun, left: int, visible: bool
) -> None:
    """`left` bytes per call between collections that are 100 calls apart, the first time more."""
    sizes = (0, 90_000, 90_000 + 100 * left, 90_000 + 200 * left)
    looks = [
        Reading("look_collected", {"python_live": size, "python_blocks": size // 48}, 100 * at)
        for at, size in enumerate(sizes, 1)
    ]
    blocks = [20 * call for call in range(CALLS + 100)]
    run = make_run(looks, python_blocks=blocks, live_heap=[KIB] * len(blocks))
    verdict = judge(run)
    assert verdict.trends["python_blocks"].status is not Status.NO_LEAK
    assert grows_visibly(run, verdict) is visible
