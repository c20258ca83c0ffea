"""Growth of a process that is only watched: over seconds, by what a visit counts and reads."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import MakeRun, plan
from made_findings import MINE

from leakhunt.analysis.attribution import attribute
from leakhunt.analysis.attribution.per_call_rule import retained, rising
from leakhunt.analysis.verdict import judge
from leakhunt.model.attribution import Attribution, Finding, FindingKind, Instrument
from leakhunt.model.plan import PlannedVisit
from leakhunt.model.run import Reading, Run
from leakhunt.model.verdict import Status

SECONDS = 180
BYTES_A_SECOND = 400_000
MARKS = (0, 36, 72, 108, 144, 180)
# The load doubles and pauses: windows of calls would have to be alike.
LENGTHS = (46_000, 47_000, 60_000, 76_000, 114_000, 136_000)
VISIT = PlannedVisit(4711, "python app.py", float(SECONDS), touches=True)


@pytest.fixture
def grown(make_run: MakeRun) -> Run:
    """A process whose Python objects take more every second, and whose malloc takes none."""
    looks = [
        Reading("look_collected", {"python_live": 10**8 + BYTES_A_SECOND * mark}, mark)
        for mark in MARKS
    ]
    return make_run(
        readings=looks,
        plan_changes={"visit": VISIT, "warmup": 0},
        live_heap=[10**7] * SECONDS,
        python_blocks=[10**6 + 8_000 * second for second in range(SECONDS)],
    )


def container(bytes_each: int) -> Finding:
    sizes = tuple(bytes_each * each for each in LENGTHS)
    chain = ("app.INFLIGHT", "dict", "app.Quote")
    facts = {"items": ["app.Quote"], "held_by": "yours"}
    return Finding(Instrument.OBJGRAPH, FindingKind.CONTAINER, "dict", MARKS, LENGTHS, sizes,
                   chain=chain, facts=facts)  # fmt: skip


def attributed(run: Run, *findings: Finding) -> Attribution:
    counted = replace(
        run, plan=plan(instrument=Instrument.OBJGRAPH, visit=VISIT), findings=findings
    )
    return attribute(run, judge(run), [counted])


def test_a_container_that_grows_is_the_suspect_with_the_bytes_it_gained(grown: Run) -> None:
    found = attributed(grown, container(780))
    (suspect,) = found.suspects
    assert suspect.chain[0] == "app.INFLIGHT"
    assert suspect.bytes_per_call == pytest.approx(780 * 90_000 / SECONDS)
    assert suspect.share == pytest.approx(0.975, abs=0.01)
    sentence = str(found.sentence)
    assert sentence.startswith("First suspect: ") and "app.INFLIGHT" in sentence
    assert "account for 98% of 390.6 KiB/s" in sentence
    (evidence,) = map(str, suspect.evidence)
    assert evidence == (
        "objgraph: from 46,000 to 136,000 items, longer at each of 6 marks within 3 min 0 s"
    )
    assert "objects, not bytes" not in " ".join(map(str, found.blind_spots))


def test_what_is_traced_as_well_is_told_per_second_and_counted_once(grown: Run) -> None:
    site = Finding(Instrument.MEMRAY, FindingKind.SITE, "Python", (0, 5), (0, 2_500),
                   (0, 2_000_000), stack=(MINE,), facts={"apart": True})  # fmt: skip
    traced = replace(grown, plan=plan(instrument=Instrument.MEMRAY, visit=VISIT), findings=(site,))
    counted = replace(
        grown, plan=plan(instrument=Instrument.OBJGRAPH, visit=VISIT), findings=(container(780),)
    )
    found = attribute(grown, judge(grown), [counted, traced])
    assert [round(each.share or 0, 2) for each in found.suspects] == [1.0, 0.97]
    assert found.explained == BYTES_A_SECOND
    told = [str(line) for each in found.suspects for line in each.evidence]
    assert "memray: 500 more blocks per second, within 5 s" in told
    assert not any("per call" in line for line in told)


def test_a_container_of_unknown_size_is_named_and_nothing_is_called_native(grown: Run) -> None:
    found = attributed(grown, container(0))
    (suspect,) = found.suspects
    assert (suspect.bytes_per_call, suspect.share) == (None, None)
    assert str(found.sentence).startswith(
        "Unattributed: 390.6 KiB/s of 390.6 KiB/s (100%), most of it in the heap of Python objects."
        " First suspect: "
    )


def test_growth_of_python_objects_is_not_called_native_where_nothing_is_found(grown: Run) -> None:
    sentence = str(attributed(grown).sentence)
    assert "native" not in sentence
    assert "most of it in the heap of Python objects" in sentence


def test_growth_of_malloc_may_be_native(grown: Run, make_run: MakeRun) -> None:
    heap = [10**7 + 2 * BYTES_A_SECOND * second for second in range(SECONDS)]
    run = make_run(
        readings=grown.readings,
        plan_changes={"visit": VISIT, "warmup": 0},
        live_heap=heap,
    )
    assert "possibly native memory" in str(attributed(run).sentence)


def test_a_horizon_over_time_counts_no_entries(grown: Run) -> None:
    verdict = judge(grown)
    assert verdict.status is Status.LEAK
    sentence = str(verdict.sentence)
    assert "entries" not in sentence
    assert "Growth outlasts 3 min 0 s; a cache that fills in more than " in sentence


def test_windows_of_time_need_not_be_alike() -> None:
    assert retained(MARKS, LENGTHS) is None
    rate = rising(MARKS, LENGTHS)
    assert rate is not None and rate.per_call == 500
    assert rising(MARKS, (*LENGTHS[:-1], LENGTHS[-2])) is None
