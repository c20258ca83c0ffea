"""Cyclic garbage: when it is looked at, and the suspects that its cycles make."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import MakeRun
from made_findings import CALLS, KIB, MINE, SETS_PARENT, attributed, cycle, watched

from leakhunt.analysis.attribution.coverage import is_explained
from leakhunt.analysis.attribution.garbage import leaves_garbage
from leakhunt.analysis.attribution.instrument_choice import next_instrument
from leakhunt.analysis.attribution.joined_verdict import joined_verdict
from leakhunt.analysis.attribution.windows import instrumented_plan, next_window, windows
from leakhunt.analysis.verdict import judge
from leakhunt.analysis.verdict.after_gc import garbage_objects
from leakhunt.model.attribution import CycleKind, Instrument, Origin
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Reading, Run
from leakhunt.model.series import GARBAGE_OBJECTS
from leakhunt.model.verdict import Status

THEIRS_SETS = replace(SETS_PARENT, file="bs4/element.py", origin=Origin.LIBRARY)


@pytest.fixture
def sawtooth(make_run: MakeRun) -> Run:
    """A run that leaves 2000 blocks of garbage between two looks, and nothing else."""
    blocks = [1000 + 20 * (call % 100) for call in range(CALLS)]
    readings = [
        Reading(
            step, {"python_blocks": 3000 if step == "look" else 1000, "live_heap": 5000}, sample
        )
        for sample in (50, 100, 200, CALLS)
        for step in ("look", "look_collected")
    ]
    return make_run(live_heap=[5000] * CALLS, python_blocks=blocks, readings=readings)


def test_a_cycle_is_a_suspect_though_nothing_grows(sawtooth: Run) -> None:
    told = attributed(sawtooth, cycle())
    (suspect,) = told.suspects
    assert told.growing == () and told.cycles == (suspect,)
    assert suspect.cycle is not None and suspect.cycle.cut == ("Child.parent",)
    assert (suspect.where, suspect.holder, suspect.origin) == (SETS_PARENT, None, Origin.YOURS)
    assert suspect.exact and suspect.bytes_per_call == 4 * KIB and suspect.share == 1
    assert suspect.cause is not None and suspect.cause.id == "cycle-back-reference"
    assert told.growth is None and told.garbage == 4 * KIB
    assert "Cyclic garbage: 4.00 KiB/call; the suspects account for 100%" in str(told.sentence)
    assert not is_explained(told)


def test_a_cycle_that_a_library_closes_is_the_librarys(sawtooth: Run) -> None:
    (suspect,) = attributed(sawtooth, cycle(closed_at=THEIRS_SETS)).suspects
    assert (suspect.where, suspect.holder, suspect.origin) == (MINE, THEIRS_SETS, Origin.LIBRARY)


def test_cycles_are_ranked_by_their_part_of_the_garbage(sawtooth: Run) -> None:
    large = cycle(size=9 * KIB, of_all=10 * KIB, closed_at=THEIRS_SETS)
    small = cycle(size=KIB, of_all=10 * KIB, kind=CycleKind.CLOSURE)
    tiny = cycle(size=50, of_all=10 * KIB, kind=CycleKind.SELF)
    told = attributed(sawtooth, tiny, small, large)
    assert [each.share for each in told.suspects] == pytest.approx([0.9, 0.1])
    assert told.suspects[1].cause is not None
    assert told.suspects[1].cause.id == "cycle-closure"


def test_a_cycle_explains_no_growth(leaking_objects: Run) -> None:
    told = attributed(leaking_objects, cycle())
    assert told.growing == () and len(told.cycles) == 1
    assert told.explained == 0
    assert "Unattributed: all of 4.00 KiB/call" in str(told.sentence)


def test_a_cycle_that_comes_now_and_then_is_not_told(sawtooth: Run) -> None:
    once = replace(cycle(), counts=(0, 1, 1, 1), sizes=(0, 5000, 5000, 5000))
    told = attributed(sawtooth, once)
    assert told.suspects == ()
    assert str(told.sentence) == "No growth. No recurring cycles of garbage found."


def test_the_cycles_are_part_of_the_verdict(sawtooth: Run) -> None:
    told = attributed(sawtooth, cycle())
    verdict = joined_verdict(sawtooth, judge(sawtooth), told, None)
    assert verdict.status is Status.NO_LEAK
    assert "Cyclic garbage: 4.00 KiB/call, first: reference back to the owner" in str(
        verdict.sentence
    )


def test_garbage_is_looked_at_once_where_nothing_grows(make_run: MakeRun, sawtooth: Run) -> None:
    verdict = judge(sawtooth)
    assert Kind.GARBAGE in (verdict.kind, *verdict.also)
    assert next_instrument(sawtooth, verdict, []) is Instrument.GARBAGE
    assert next_instrument(sawtooth, verdict, [watched(cycle())]) is None
    assert next_instrument(sawtooth, verdict, [], usable=[Instrument.MEMRAY]) is None
    flat = make_run(live_heap=[5000] * CALLS, python_blocks=[1000] * CALLS)
    assert next_instrument(flat, judge(flat), []) is None


def test_much_garbage_is_looked_at_without_a_sawtooth(make_run: MakeRun) -> None:
    """Where collecting it is dear, it is not collected before each reading."""

    def run(freed: int) -> Run:
        values = {"look": 20 << 20, "look_collected": (20 << 20) - freed}
        readings = [Reading(step, {"live_heap": size}, 100) for step, size in values.items()]
        return make_run(live_heap=[5000] * CALLS, python_blocks=[1000] * CALLS, readings=readings)

    assert leaves_garbage(run(9 << 20), judge(run(9 << 20)))
    assert not leaves_garbage(run(7 << 20), judge(run(7 << 20)))


def with_objects(run: Run, per_call: float) -> Run:
    """The run, the collector having freed so many objects per call of it."""
    counted = tuple(
        replace(each, values={**each.values, GARBAGE_OBJECTS: 900 + round(per_call * each.sample)})
        for each in run.readings
    )
    return replace(run, readings=counted)


def test_without_cycles_that_recur_a_sawtooth_is_no_garbage(sawtooth: Run) -> None:
    """Free lists are emptied by a collection, too; cycles are counted as they are freed."""
    verdict = judge(with_objects(sawtooth, 0))
    assert (verdict.status, verdict.kind) == (Status.NO_LEAK, Kind.CLEAN)
    assert Kind.GARBAGE not in verdict.also
    assert not leaves_garbage(with_objects(sawtooth, 0), verdict)
    assert "freed memory in Python's free lists" in str(verdict.trends["python_blocks"].reason)
    recurring = judge(with_objects(sawtooth, 2))
    assert recurring.kind is Kind.GARBAGE
    assert "cyclic garbage" in str(recurring.trends["python_blocks"].reason)


def test_cycles_of_one_moment_do_not_recur(sawtooth: Run) -> None:
    once = tuple(
        replace(each, values={**each.values, GARBAGE_OBJECTS: 900 if each.sample > 150 else 0})
        for each in sawtooth.readings
    )
    assert judge(replace(sawtooth, readings=once)).kind is Kind.CLEAN


def test_garbage_that_starts_the_collector_at_every_call_is_looked_at(make_run: MakeRun) -> None:
    def run(objects: int) -> Run:
        readings = [
            Reading("look_collected", {GARBAGE_OBJECTS: objects * calls}, calls)
            for calls in (100, 200, CALLS)
        ]
        return make_run(live_heap=[5000] * CALLS, python_blocks=[1000] * CALLS, readings=readings)

    assert leaves_garbage(run(2_500), judge(run(2_500)))
    assert not leaves_garbage(run(500), judge(run(500)))


def test_few_calls_are_looked_at_and_fewer_that_take_their_time(
    make_run: MakeRun, sawtooth: Run
) -> None:
    again = instrumented_plan(sawtooth, Instrument.GARBAGE)
    assert (again.warmup, again.calls, again.calls_per_sample) == (60, 97, 1)
    assert again.instrument is Instrument.GARBAGE
    slow = make_run(live_heap=[5000] * CALLS, duration=[10**9] * CALLS)
    again = instrumented_plan(slow, Instrument.GARBAGE)
    assert (again.warmup, again.calls) == (60, 83)
    assert windows(60, 83, Instrument.GARBAGE) == [60, 65, 72, 83]
    first = next_window(replace(make_run(), plan=again))
    assert first is not None and first.samples == 59  # it starts just before it counts


def test_the_objects_that_the_collector_freed_are_counted_per_call(make_run: MakeRun) -> None:
    readings = [
        Reading("look_collected", {GARBAGE_OBJECTS: 7 + 3 * calls}, calls)
        for calls in (100, 200, CALLS)
    ]
    left = garbage_objects(make_run(live_heap=[5000] * CALLS, readings=readings))
    assert left is not None and (left.rate, left.pieces) == (3, (3, 3))
    assert garbage_objects(make_run(live_heap=[5000] * CALLS)) is None


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"python": "CPython 3.14.2"}, ["incremental-collector"]),
        ({"python": "CPython 3.14.5"}, []),
        ({"python": "CPython 3.13.9"}, []),
        ({"python": "CPython 3.13.9", "free threading": "on"}, ["free-threaded-collector"]),
    ],
)
def test_the_collectors_part_is_told_by_version(
    sawtooth: Run, environment: dict[str, str], named: list[str]
) -> None:
    told = attributed(replace(sawtooth, environment=environment), cycle())
    found = [each.id for each in told.retained if each.id.endswith("-collector")]
    assert found == named
