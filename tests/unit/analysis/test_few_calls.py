"""The verdict on few dear calls: by exact counts, and what is left open."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeRun
from made_findings import MINE, finding

from leakhunt.analysis.attribution import attribute
from leakhunt.analysis.attribution.few_calls import (
    HARMLESS_CAVEATS,
    by_exact_counts,
    counted_fully,
    growing_resources,
)
from leakhunt.analysis.attribution.joined_verdict import joined_verdict
from leakhunt.analysis.attribution.windows import EXACT_END, EXACT_WINDOWS, exact_counts_plan
from leakhunt.analysis.gate.decide import answer_on
from leakhunt.analysis.report import assemble
from leakhunt.analysis.verdict import judge
from leakhunt.analysis.verdict.effort import FIRST_SAMPLES, SLOW_CALLS, has_slow_calls
from leakhunt.instruments import objects
from leakhunt.model.attribution import Finding, FindingKind, Instrument
from leakhunt.model.gate import GateAnswer, Terms
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Ending, Outcome, Phase, Purpose, Reading, Run
from leakhunt.model.verdict import Status, Verdict
from leakhunt.text.message import message

KIB, MIB = 1 << 10, 1 << 20
MARKS = (5, 10, 17, 28)
EXACT = (5, 7, 11)


def few(make_run: MakeRun, steps: Sequence[int], **samples: Sequence[int]) -> Run:
    """A run of calls that are too dear for a trend; `steps` is what each adds to the live heap."""
    heap = [*accumulate(steps)]
    run = make_run(
        live_heap=heap,
        duration=[4_000_000_000] * SLOW_CALLS,
        plan_changes={"warmup": FIRST_SAMPLES},
        **samples,
    )
    looks = [(FIRST_SAMPLES, heap[FIRST_SAMPLES - 1]), (SLOW_CALLS, heap[-1])]
    readings = [
        Reading("look_collected", {"live_heap": size, "python_live": MIB}, at) for at, size in looks
    ]
    open_plan = replace(run.plan, calls=None, warmup=None, budget_seconds=60.0)
    return replace(run, plan=open_plan, readings=(*run.readings, *readings))


def level(make_run: MakeRun, **samples: Sequence[int]) -> Run:
    return few(make_run, [0] * SLOW_CALLS, **samples)


def under(run: Run, *findings: Finding, instrument: Instrument = Instrument.MEMRAY) -> Run:
    """The same under an instrument, to the end of its plan."""
    plan = exact_counts_plan(run, instrument)
    assert plan.calls is not None
    calls = range(1, plan.calls + 1)
    phases = (Phase(0, plan.calls, Purpose.JUDGED, 1, collects=False),)
    return replace(
        run, plan=plan, findings=findings, readings=(), calls=calls, phases=phases,
        samples={"duration": [5_000_000_000] * plan.calls},
    )  # fmt: skip


def site(key: str, blocks: Sequence[int], size: int = 2 * KIB, what: str = "malloc") -> Finding:
    """A site that has that many more blocks after each window."""
    counts = tuple(accumulate(blocks, initial=0))
    return replace(
        finding(key=key, instrument=Instrument.MEMRAY, what=what, facts={"apart": True}),
        calls=MARKS, counts=counts, sizes=tuple(size * each for each in counts),
    )  # fmt: skip


def joined(run: Run, *watched: Run) -> Verdict:
    verdict = judge(run)
    assert has_slow_calls(run) and verdict.status is Status.INCONCLUSIVE
    return joined_verdict(run, verdict, attribute(run, verdict, watched), None, watched)


def test_the_windows_of_these_tests_are_those_of_the_rule() -> None:
    assert EXACT == EXACT_WINDOWS and MARKS[-1] == EXACT_END


def test_the_same_blocks_of_every_call_are_a_leak_with_its_place(make_run: MakeRun) -> None:
    run = few(make_run, [2 * KIB] * SLOW_CALLS)
    found = joined(run, under(run, site("1", EXACT)))
    assert (found.status, found.kind) == (Status.LEAK, Kind.PYTHON_LEAK)
    told = str(found.sentence)
    assert "Exactly 1 more blocks, 2.00 KiB/call, at every call: " in told
    assert str(MINE) in told
    assert "Not ruled out: a cache of more than 29 entries" in told
    assert "Evidence: exact counts of 23 calls in 3 windows" in told


def test_a_run_without_the_same_blocks_of_every_call_is_clean_within_its_limits(
    make_run: MakeRun,
) -> None:
    run = level(make_run)
    for findings in ((), (site("1", (3, 0, 0)),)):
        found = joined(run, under(run, *findings))
        assert (found.status, found.kind) == (Status.NO_LEAK, Kind.CLEAN)
        told = str(found.sentence)
        assert "No leak at every call" in told
        assert "Not ruled out: a leak in fewer than half of the calls" in told
        assert "of less than 256 B/call" in told


@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": Outcome(Ending.KILLED)},
        {"outcome": Outcome(Ending.INTERRUPTED)},
        {"calls": range(1, 20)},
        {"notes": ({"caveats": [message("instrument.stopped-early", "the disk is full")]},)},
        {"notes": ({"caveats": ["memray could not count (OSError)"]},)},
    ],
    ids=["killed", "interrupted", "short", "disk full", "of an older file"],
)
def test_what_was_not_counted_to_the_end_is_no_pass(
    make_run: MakeRun, changes: dict[str, Any]
) -> None:
    run = level(make_run)
    counted = replace(under(run), **changes)
    if "calls" in changes:
        counted = replace(
            counted, phases=(), samples={"duration": [5_000_000_000] * len(counted.calls)}
        )
    found = joined(run, counted)
    assert found.status is Status.INCONCLUSIVE
    assert "not every allocation was counted" in str(found.sentence)


def test_what_was_not_found_out_about_holders_was_counted_all_the_same(make_run: MakeRun) -> None:
    """The caveats of who holds what, as the module that follows the objects has them."""
    told = set(re.findall(r'"(instrument\.[a-z-]+)"', Path(objects.__file__).read_text("utf-8")))
    assert told == set(HARMLESS_CAVEATS)
    for each in told:
        caveat = message(each, "an object could not be inspected")
        assert counted_fully([replace(under(level(make_run)), notes=({"caveats": [caveat]},))])


def test_an_instrument_that_sees_one_heap_only_is_no_pass(make_run: MakeRun) -> None:
    run = level(make_run)
    traced = under(run, instrument=Instrument.TRACEMALLOC)
    assert joined(run, traced).status is Status.INCONCLUSIVE
    gpu = replace(run, plan=replace(run.plan, device="cuda"))
    by_cuda = under(gpu, instrument=Instrument.CUDA)
    assert not counted_fully([by_cuda]) and not counted_fully([under(gpu)])
    assert counted_fully([by_cuda, under(gpu)])


def test_few_calls_that_nobody_counted_stay_open(make_run: MakeRun) -> None:
    run = few(make_run, [2 * KIB] * SLOW_CALLS)
    verdict = judge(run)
    assert joined_verdict(run, verdict, attribute(run, verdict, []), None) == verdict


def test_growth_that_is_not_the_same_at_every_call_stays_open(make_run: MakeRun) -> None:
    run = few(make_run, [KIB * (call % 5) for call in range(SLOW_CALLS)])
    found = joined(run, under(run))
    assert found.status is Status.INCONCLUSIVE
    assert "but not the same at every call" in str(found.sentence)


def test_blocks_in_many_calls_stay_open_where_the_heap_does_not_grow(make_run: MakeRun) -> None:
    """They may replace others, or the measured calls may have been spared."""
    run = level(make_run)
    assert joined(run, under(run, site("1", (3, 5, 8)))).status is Status.INCONCLUSIVE
    tiny = joined(run, under(run, site("1", (3, 5, 8), size=64)))
    assert tiny.status is Status.NO_LEAK  # below the tolerance, as the sentence says


def test_a_heap_that_grows_the_same_at_nearly_every_call_leaks_though_no_instrument_sees_it(
    make_run: MakeRun,
) -> None:
    """memray is blind to calls that reach malloc by its address; a pause allocates by itself."""
    steps = [4192, 4192, 4192, *[4112] * (SLOW_CALLS - 3)]
    steps[FIRST_SAMPLES] = 6816
    run = few(make_run, steps)
    found = joined(run, under(run))
    assert (found.status, found.kind) == (Status.LEAK, Kind.NATIVE_LEAK)
    assert "Live heap: exactly 4.02 KiB/call more at every call" in str(found.sentence)


@pytest.mark.parametrize(
    "steps",
    [
        [4112 * (call % 2) for call in range(SLOW_CALLS)],
        [4112 + 16 * call for call in range(SLOW_CALLS)],
        [*[4112] * 22, *[0] * 7],
        [128] * SLOW_CALLS,
        [*[50_000] * 19, -950_000, *[50_000] * 9],
    ],
    ids=["every other call", "ever more", "it ends", "below the tolerance", "in batches of 20"],
)
def test_a_heap_that_does_not_grow_the_same_at_every_call_is_no_exact_leak(
    make_run: MakeRun, steps: list[int]
) -> None:
    run = few(make_run, steps)
    assert joined(run, under(run)).status is not Status.LEAK


def test_garbage_that_a_collection_takes_is_no_leak_of_the_heap(make_run: MakeRun) -> None:
    run = few(make_run, [4096] * SLOW_CALLS)
    flat = [replace(each, values={"live_heap": 0, "python_live": MIB}) for each in run.readings]
    assert joined(replace(run, readings=tuple(flat)), under(run)).status is Status.NO_LEAK


def test_descriptors_that_stay_open_are_a_leak_with_or_without_who_opened_them(
    make_run: MakeRun,
) -> None:
    run = level(make_run, descriptors=[10 + call for call in range(SLOW_CALLS)])
    assert list(growing_resources(run)) == ["descriptors"]
    opened = replace(
        site("1", EXACT), sort=FindingKind.RESOURCE, what="descriptor",
        instrument=Instrument.RESOURCES, facts={"name": "a file in tmp/"},
    )  # fmt: skip
    for findings, words in (((opened,), "Exactly 1 more at every call: "), ((), "exactly 1 more")):
        found = joined(run, under(run, *findings, instrument=Instrument.RESOURCES))
        assert (found.status, found.kind) == (Status.LEAK, Kind.RESOURCE_GROWTH)
        assert words in str(found.sentence)
    some = level(make_run, descriptors=[10 + call // 2 for call in range(SLOW_CALLS)])
    assert growing_resources(some) == {}


def test_the_class_goes_by_what_the_process_grew_by(make_run: MakeRun) -> None:
    """Pages that the heap does not have are mappings; less than a page is none."""
    run = level(make_run, rss=rss_of([64 * KIB] * SLOW_CALLS))
    page = site("1", EXACT, size=64 * KIB, what="mapping")
    assert joined(run, under(run, page)).kind is Kind.MAPPING_GROWTH
    small = site("1", EXACT, size=48, what="Python")
    assert joined(level(make_run), under(level(make_run), small, box("1"))).kind is Kind.PYTHON_LEAK


def box(key: str) -> Finding:
    """A list that is longer by one after each call, and keeps what comes from that site."""
    return replace(
        site(key, EXACT), sort=FindingKind.CONTAINER, what="list", key="", keeps=(key,),
        chain=("made.KEPT", "list", "object"), sizes=(0,) * len(MARKS), facts={},
    )  # fmt: skip


def test_what_replaces_older_blocks_is_no_leak(make_run: MakeRun) -> None:
    """Twenty entries, each replaced in its turn: one block more at every call of each window."""
    run = level(make_run)
    for size in (200, 40 * KIB):
        found = joined(run, under(run, site("1", EXACT, size=size)))
        assert found.status is Status.NO_LEAK
    held = joined(run, under(run, site("1", EXACT, size=200), box("1")))
    assert held.status is Status.LEAK
    assert "made.KEPT -> list -> object" in str(held.sentence)


def test_few_bytes_without_a_container_are_not_known_to_be_what_grows(make_run: MakeRun) -> None:
    run = few(make_run, [KIB * (call % 3) for call in range(SLOW_CALLS)])
    for size, status in ((128, Status.INCONCLUSIVE), (300, Status.LEAK)):
        assert joined(run, under(run, site("1", EXACT, size=size))).status is status


@pytest.mark.parametrize(
    ("each_call", "left", "status"),
    [
        (4, 45, Status.NO_LEAK),
        (4, 68, Status.LEAK),
        (1, 11, Status.NO_LEAK),
        (0, 68, Status.NO_LEAK),
    ],
    ids=["garbage", "more at every call", "what a pause leaves", "level but for a pause"],
)
def test_small_blocks_without_a_container_add_up_where_pythons_blocks_do(
    make_run: MakeRun, each_call: int, left: int, status: Status
) -> None:
    run = level(make_run, python_blocks=[each_call * call for call in range(SLOW_CALLS)])
    first, last = run.readings[-2:]
    read = [
        replace(each, values={**each.values, "python_blocks": blocks})
        for each, blocks in ((first, 1000), (last, 1000 + left))
    ]
    run = replace(run, readings=tuple(read))
    assert joined(run, under(run, site("1", EXACT, size=200))).status is status


@pytest.mark.parametrize("name", ["live_heap", "python_live"])
def test_a_heap_that_cannot_be_read_is_no_pass(make_run: MakeRun, name: str) -> None:
    run = level(make_run)
    read = [
        replace(each, values={key: size for key, size in each.values.items() if key != name})
        for each in run.readings
    ]
    blind = replace(run, readings=tuple(read))
    assert joined(blind, under(blind)).status is Status.INCONCLUSIVE


def rss_of(steps: Sequence[int]) -> list[int]:
    return [*accumulate(steps, initial=50 * MIB)][1:]


def test_pages_at_every_call_are_mapping_growth_though_no_instrument_sees_it(
    make_run: MakeRun,
) -> None:
    run = level(make_run, rss=rss_of([64 * KIB] * SLOW_CALLS))
    found = joined(run, under(run))
    assert (found.status, found.kind) == (Status.LEAK, Kind.MAPPING_GROWTH)
    assert "RSS: exactly 64.0 KiB/call more at every call" in str(found.sentence)


def test_pages_in_each_window_are_no_pass(make_run: MakeRun) -> None:
    run = level(make_run, rss=rss_of([KIB * (32 + call) for call in range(SLOW_CALLS)]))
    found = joined(run, under(run))
    assert found.status is Status.INCONCLUSIVE
    assert "not the same at every call" in str(found.sentence)


def test_pages_that_are_touched_one_by_one_are_no_growth(make_run: MakeRun) -> None:
    run = level(make_run, rss=rss_of([4 * KIB] * SLOW_CALLS))
    assert joined(run, under(run)).status is Status.NO_LEAK


def test_the_gate_never_passes_on_few_calls(make_run: MakeRun) -> None:
    run = level(make_run)
    (entry,) = assemble([run, under(run)], "test").entries
    assert entry.verdict.status is Status.NO_LEAK
    answer = answer_on([entry], Terms(budgets=(), accepted=(), today=date(2026, 11, 28))).answer
    assert answer is GateAnswer.INCONCLUSIVE


def test_what_leaks_in_half_of_the_calls_is_not_called_clean(make_run: MakeRun) -> None:
    """The limit that a clean verdict names: at random, in runs of their own, and of any size."""
    chance = random.Random(7)
    passed = 0
    for _ in range(400):
        size = chance.choice((1, 4, 64)) * KIB
        run = few(make_run, [size * (chance.random() < 0.5) for _ in range(SLOW_CALLS)])
        left = [sum(chance.random() < 0.5 for _ in range(calls)) for calls in EXACT]
        found = [site("1", left, size=size)] if all(left) else []
        watched = under(run, *found)
        verdict = judge(run)
        told = attribute(run, verdict, [watched])
        judged = by_exact_counts(run, verdict, told, [watched])
        passed += judged.status is Status.NO_LEAK
    assert passed <= 4
