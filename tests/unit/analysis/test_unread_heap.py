"""Nothing rests on a live heap that could not be read: RSS alone is no leak, and no all-clear."""

from __future__ import annotations

from dataclasses import replace

from conftest import MakeRun

from leakhunt.analysis.attribution.growth import growth_per_call, is_growing
from leakhunt.analysis.attribution.instrument_choice import instruments_for
from leakhunt.analysis.gate.absolute import rate
from leakhunt.analysis.report import assemble
from leakhunt.analysis.verdict import judge
from leakhunt.model.attribution import Instrument
from leakhunt.model.gate import Budget, Extent, GateAnswer
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Run
from leakhunt.model.verdict import Status

CALLS = 400
MIB = 1 << 20
WHY = "malloc is served by one that counts nothing"


def run_without_heap(make_run: MakeRun, each: int, blocks: int = 0, trimmed: int = 0) -> Run:
    """RSS that grows by so many bytes a call, of which so many go with a trim."""
    rss = [100 * MIB + each * call for call in range(CALLS)]
    ends = {"rss": rss[-1], "python_live": 0, "python_arenas": 0}
    readings = {
        "start": {"rss": rss[0], "python_live": 0, "python_arenas": 0},
        "look_collected": {"rss": rss[CALLS // 4], "python_live": 0, "python_arenas": 0},
        "end": ends,
        "collected": ends,
        "emptied": ends,
        "trimmed": {**ends, "rss": rss[-1] - trimmed},
    }
    blocks_read = [1000 + blocks * call for call in range(CALLS)]
    run = make_run(rss=rss, python_blocks=blocks_read, readings=readings)
    return replace(run, unavailable={"live_heap": WHY})


def test_growth_of_rss_is_undecided_and_says_why(make_run: MakeRun) -> None:
    verdict = judge(run_without_heap(make_run, 4096))
    assert verdict.kind is Kind.INCONCLUSIVE
    assert str(verdict.sentence).startswith("Inconclusive: RSS grows by 4.00 KiB/call")
    assert f"live or retained cannot be told: {WHY}" in str(verdict.sentence)


def test_that_rss_itself_grows_is_known_all_the_same(make_run: MakeRun) -> None:
    """A budget of RSS is about RSS, whatever it is kept for."""
    entry = assemble([run_without_heap(make_run, 4096)], "test").entries[0]
    assert entry.verdict.trends["rss"].status is Status.LEAK
    budget = Budget("rss", 100.0, Extent.CALL, more=False, text="100/call")
    over = rate(entry, budget)
    assert over.answer is GateAnswer.OVER_BUDGET


def test_without_pymalloc_nothing_is_concluded_either(make_run: MakeRun) -> None:
    run = run_without_heap(make_run, 4096)
    samples = {"rss": run.samples["rss"]}
    blind = replace(run, samples=samples, series=run.series[:1])
    assert judge(blind).kind is Kind.INCONCLUSIVE


def test_with_a_heap_that_is_read_and_flat_the_same_growth_is_mapped(make_run: MakeRun) -> None:
    """The control: what is forbidden above is right where the live heap is known."""
    run = run_without_heap(make_run, 4096)
    readings = tuple(
        replace(reading, values={**reading.values, "live_heap": MIB}) for reading in run.readings
    )
    read = replace(
        make_run(
            rss=run.samples["rss"],
            python_blocks=run.samples["python_blocks"],
            live_heap=[MIB] * CALLS,
        ),
        readings=readings,
    )
    assert judge(read).kind is Kind.MAPPING_GROWTH


def test_it_is_hunted_all_the_same_by_what_sees_malloc(make_run: MakeRun) -> None:
    run = run_without_heap(make_run, 4096)
    verdict = judge(run)
    assert is_growing(verdict)
    assert instruments_for(verdict) == (Instrument.MEMRAY,)
    grown = growth_per_call(run, verdict)
    assert grown is not None and abs(grown - 4096) < 50


def test_a_leak_of_python_is_one_without_the_heap(make_run: MakeRun) -> None:
    verdict = judge(run_without_heap(make_run, 4096, blocks=3))
    assert verdict.kind is Kind.PYTHON_LEAK


def test_flat_rss_bounds_what_is_not_read_and_says_so(make_run: MakeRun) -> None:
    verdict = judge(run_without_heap(make_run, 0))
    assert verdict.status is Status.NO_LEAK
    assert "RSS: at most 0 B/call" in str(verdict.sentence)
    assert f"Live heap not measured: {WHY}." in str(verdict.sentence)


def test_what_a_trim_does_not_give_back_is_no_retention_that_is_known(make_run: MakeRun) -> None:
    """Most of it came before the judged calls: it may be live or free, nobody says which."""
    run = run_without_heap(make_run, 0)
    start, *rest = run.readings
    early = replace(start, values={**start.values, "rss": start.values["rss"] - 20 * MIB})
    verdict = judge(replace(run, readings=(early, *rest)))
    assert verdict.status is Status.NO_LEAK
    assert Kind.ALLOCATOR_RETENTION not in (verdict.kind, *verdict.also)
    assert "freed memory" not in str(verdict.sentence)
