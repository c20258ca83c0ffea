"""Every measure of a claim: what it comes to, and where it cannot be told."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from conftest import MakeRun
from made_findings import MINE, THEIRS, attributed, finding

from leakhunt.analysis.claims.evidence import MeasureContext
from leakhunt.analysis.claims.measures import FUNCTIONS
from leakhunt.analysis.report import assemble
from leakhunt.model.attribution import FindingKind, Instrument
from leakhunt.model.claims import Check, ClaimMeasurement
from leakhunt.model.report import JudgedRun, LoadSummary
from leakhunt.model.run import Ending, Outcome, Phase, Purpose, Run

MB = 1_000_000
KIB = 1024
KILLED = Outcome(Ending.KILLED, "SIGKILL", "SIGKILL")


def asked(*runs: Run, **check: Any) -> MeasureContext:
    """The first of `runs`, beside the second as its reference."""
    entries = {each.run.plan.variant: each for each in assemble(runs, "test").entries}
    chosen = [entries[run.plan.variant] for run in runs]
    return MeasureContext(
        Check("r", **{"measure": "growth"} | check),
        chosen[0],
        chosen[1] if len(chosen) > 1 else None,
        runs,
    )


def measured(name: str, *runs: Run, **check: Any) -> ClaimMeasurement:
    return FUNCTIONS[name](asked(*runs, measure=name, **check))


def judged(entry: JudgedRun, name: str, **check: Any) -> ClaimMeasurement:
    return FUNCTIONS[name](MeasureContext(Check("r", name, **check), entry, None, (entry.run,)))


def with_noise(rate: int) -> list[int]:
    noise = Random(rate)
    return [rate * call + noise.randrange(9000) for call in range(300)]


def named(run: Run, variant: str) -> Run:
    return replace(run, plan=replace(run.plan, variant=variant))


@pytest.fixture
def leak(make_run: MakeRun) -> Run:
    return make_run(
        readings={"start": {"live_heap": -MB, "rss": 0}},
        live_heap=[4 * KIB * call for call in range(300)],
        duration=[20_000_000 + 1000 * (call % 7) for call in range(300)],
        python_blocks=[2 * call for call in range(300)],
    )


def test_growth_is_the_rate_of_the_trend_with_its_bounds(leak: Run) -> None:
    found = measured("growth", leak)
    assert found.value == pytest.approx(4 * KIB)
    assert found.low is not None and found.high is not None
    assert found.low <= 4 * KIB <= found.high
    assert (found.unit, str(found.text)) == ("bytes/call", "4.00 KiB/call (4.00 to 4.00 KiB)")
    blocks = measured("growth", leak, series="python_blocks")
    assert blocks.value == pytest.approx(2)
    assert blocks.unit == "blocks/call"


def test_growth_of_a_noisy_series_has_bounds_on_both_sides(make_run: MakeRun) -> None:
    noisy = make_run(live_heap=with_noise(100))
    found = measured("growth", noisy)
    assert found.low is not None and found.high is not None
    assert found.low < 100 < found.high


def test_growth_cannot_be_told_of_few_samples_or_another_series(make_run: MakeRun) -> None:
    short = make_run(live_heap=[1, 2, 3])
    assert measured("growth", short).value is None
    assert "needs 50" in str(measured("growth", short).text)
    assert str(measured("growth", short, series="rss").text) == "rss was not recorded in this run"


def test_growth_in_all_is_last_less_first_or_between_calls(make_run: MakeRun) -> None:
    run = make_run(rss=[10, 20, 15, 40])
    found = measured("total_growth", run, series="rss")
    assert (found.value, found.low, found.high, found.unit) == (30, 30, 30, "bytes")
    assert str(found.text) == "30 B, calls 1 to 4"
    between = measured("total_growth", run, series="rss", from_call=2, to_call=3)
    assert between.value == -5
    assert measured("total_growth", run, series="rss", from_call=3).value == 25


def test_growth_in_all_is_not_told_of_calls_that_were_not_made(make_run: MakeRun) -> None:
    run = make_run(rss=[10, 20])
    text = measured("total_growth", run, series="rss", to_call=50).text
    assert str(text) == "ended after 2 calls"
    assert measured("total_growth", run, series="rss", from_call=2).value is None
    assert measured("total_growth", make_run(rss=[5]), series="rss").value is None
    assert measured("total_growth", make_run(rss=[5, 6])).value is None


@pytest.mark.parametrize("name", ["total_growth", "spread", "peak"])
def test_of_a_killed_run_an_extreme_is_the_least_it_came_to(make_run: MakeRun, name: str) -> None:
    values = [0, 1, 2, 3, 4, 5, 6, 90]
    whole = make_run(readings={"start": {"rss": 0}}, rss=values)
    killed = replace(whole, outcome=KILLED)
    assert measured(name, whole, series="rss").high == measured(name, whole, series="rss").value
    found = measured(name, killed, series="rss")
    assert found.low == found.value
    assert found.high is None
    assert "lower bound: ended early (killed)" in str(found.text)


def test_growth_between_calls_that_a_killed_run_made_is_known(make_run: MakeRun) -> None:
    killed = make_run(rss=[1, 5, 9], outcome=KILLED)
    assert measured("total_growth", killed, series="rss", from_call=1, to_call=2).high == 4


def test_spread_is_of_the_judged_samples(make_run: MakeRun) -> None:
    run = make_run(rss=[1000, 0, 7, 5, 6, 9, 8, 7])
    assert run.judged_from == 2
    found = measured("spread", run, series="rss")
    assert (found.value, str(found.text)) == (4, "4 B, calls 3 to 8")
    assert measured("spread", make_run(rss=[5]), series="rss").value is None
    assert measured("spread", run).value is None


def test_peak_is_above_the_first_full_reading(make_run: MakeRun) -> None:
    run = make_run(readings={"start": {"rss": 100}}, rss=[150, 400, 200])
    assert measured("peak", run, series="rss").value == 300
    assert measured("peak", replace(run, readings=()), series="rss").value is None
    assert measured("peak", run).value is None
    assert measured("peak", make_run(), series="rss").value is None


def test_a_peak_within_a_call_is_the_kernels_to_tell(make_run: MakeRun) -> None:
    values = {"start": {"rss": 100, "rss_peak": 600}, "end": {"rss": 200, "rss_peak": 900}}
    within = make_run(readings=values, rss=[150, 400, 200])
    assert measured("peak", within, series="rss").value == 800
    before = make_run(readings=values | {"end": {"rss_peak": 600}}, rss=[150, 400, 200])
    assert measured("peak", before, series="rss").value == 300


def test_saving_is_a_share_of_the_references_growth(make_run: MakeRun, leak: Run) -> None:
    fixed = named(make_run(live_heap=[KIB * call for call in range(300)]), "fixed")
    found = measured("saving", fixed, leak, reference="naive")
    assert found.value == pytest.approx(0.75)
    assert found.low is not None and found.high is not None
    assert found.low <= 0.75 <= found.high
    assert str(found.text).startswith("75 % (75 to 75 %), 1.00 KiB/call and 4.00 KiB/call")


def test_the_bounds_of_a_saving_hold_those_of_both(make_run: MakeRun) -> None:
    def noisy(rate: int, name: str) -> Run:
        return named(make_run(live_heap=with_noise(rate)), name)

    base, own = noisy(400, "naive"), noisy(100, "fixed")
    found = measured("saving", own, base, reference="naive")
    growths = [measured("growth", each) for each in (own, base)]
    assert all(each.low is not None and each.high is not None for each in growths)
    assert found.low == pytest.approx(1 - (growths[0].high or 0) / (growths[1].low or 0))
    assert found.low is not None and found.high is not None
    assert found.low < 0.75 < found.high


def test_no_saving_is_told_where_the_reference_does_not_grow(make_run: MakeRun) -> None:
    flat = make_run(live_heap=[5] * 300)
    found = measured("saving", named(flat, "fixed"), flat, reference="naive")
    assert (found.value, str(found.text)) == (
        None,
        "the growth of the reference is not significant",
    )
    assert measured("saving", flat, reference="gone").value is None
    short = make_run(live_heap=[5])
    assert measured("saving", named(short, "fixed"), flat, reference="naive").value is None


def test_peak_saving_is_a_share_of_the_references_peak(make_run: MakeRun) -> None:
    base = make_run(readings={"start": {"rss": 0}}, rss=[100, 400])
    own = named(make_run(readings={"start": {"rss": 0}}, rss=[100, 100]), "fixed")
    found = measured("peak_saving", own, base, series="rss", reference="naive")
    assert (found.value, found.low, found.high) == (0.75, 0.75, 0.75)
    killed = replace(base, outcome=KILLED)
    more = measured("peak_saving", own, killed, series="rss", reference="naive")
    assert (more.low, more.high) == (0.75, None)
    ended = replace(own, outcome=KILLED)
    assert measured("peak_saving", ended, base, series="rss", reference="naive").value is None
    assert measured("peak_saving", own, series="rss", reference="naive").value is None
    level = make_run(readings={"start": {"rss": 900}}, rss=[100, 400])
    assert measured("peak_saving", own, level, series="rss", reference="naive").value is None


def test_a_time_ratio_holds_what_runs_of_the_same_work_differ_by(leak: Run) -> None:
    doubled = [2 * each for each in leak.samples["duration"]]
    slow = named(replace(leak, samples={**leak.samples, "duration": doubled}), "slow")
    found = measured("time_ratio", slow, leak)
    assert found.value == pytest.approx(2, rel=0.01)
    assert found.low is not None and found.high is not None
    assert 1.4 < found.low < 1.7
    assert 2.4 < found.high < 2.9


def test_a_time_ratio_of_few_calls_is_wide_and_of_two_not_told(make_run: MakeRun) -> None:
    def timed(name: str, *seconds: float) -> Run:
        return named(make_run(duration=[round(each * 1e9) for each in seconds]), name)

    base = timed("naive", 1.0, 1.1, 1.0, 1.1, 1.0, 1.1, 1.0, 1.1)
    slow = timed("slow", 3.0, 3.1, 3.0, 3.1, 3.0, 3.1, 3.0, 3.1)
    found = measured("time_ratio", slow, base)
    assert found.value == pytest.approx(2.9, rel=0.05)
    assert found.low is not None and found.high is not None
    assert found.low < 2.3 and found.high > 3.7
    assert measured("time_ratio", timed("slow", 1.0, 1.0), base).value is None
    assert str(measured("time_ratio", base).text) == "the reference was not run"
    untimed = make_run(rss=[1] * 8)
    assert measured("time_ratio", named(untimed, "slow"), base).value is None
    stopped = timed("slow", *[0.0] * 8)
    assert measured("time_ratio", stopped, base).value == pytest.approx(1e-9, rel=0.1)


def test_slowdown_is_the_last_tenth_of_the_calls_against_the_first(make_run: MakeRun) -> None:
    durations = [1_000_000 * (3 if call < 50 else 30) for call in range(100)]
    found = measured("slowdown", make_run(duration=durations))
    assert found.value == pytest.approx(10)
    assert str(found.text) == "10 × (10 to 10), 30 ms and 3 ms per call"
    assert measured("slowdown", make_run(duration=[1] * 20)).value is None
    assert measured("slowdown", make_run(rss=[1] * 100)).value is None
    assert measured("slowdown", make_run()).value is None


def test_slowdown_goes_by_calls_where_a_sample_stands_for_many(make_run: MakeRun) -> None:
    made = make_run(duration=[100] * 20 + [4000] * 20)
    calls = [*range(1, 21), *range(40, 440, 20)]
    phases = (
        Phase(0, 20, Purpose.WARM_UP, 1, collects=False),
        Phase(20, 20, Purpose.JUDGED, 20, collects=False),
    )
    found = measured("slowdown", replace(made, calls=calls, phases=phases))
    assert found.value == pytest.approx(2)  # 4000 ns in 20 calls against 100 ns in one
    calls = [*range(1, 51), *range(60, 360, 10)]
    long = make_run(duration=[100] * 50 + [4000] * 30)
    found = measured("slowdown", replace(long, calls=calls))
    assert found.value == pytest.approx(4)


def test_time_per_minute_of_audio(make_run: MakeRun) -> None:
    minute = 60_000_000_000
    run = make_run(duration=[1_500_000_000] * 40, audio=[minute] * 40)
    found = measured("time_per_minute", run, series="audio")
    assert (found.value, found.low, found.high) == pytest.approx((1.5, 1.5, 1.5))
    assert found.unit == "s/min"
    uneven = make_run(
        duration=[(3 if call % 2 else 1) * 1_000_000_000 for call in range(40)],
        audio=[minute] * 40,
    )
    found = measured("time_per_minute", uneven)
    assert found.low is not None and found.high is not None
    assert found.low < 2 < found.high
    assert measured("time_per_minute", make_run(duration=[5] * 40)).value is None
    silent = make_run(duration=[5] * 40, audio=[0] * 40)
    assert measured("time_per_minute", silent).value is None


def test_falls_is_a_share_of_the_steps(make_run: MakeRun) -> None:
    found = measured("falls", make_run(rss=[1, 3, 2, 2, 5]), series="rss")
    assert (found.value, found.low, found.high) == (0.25, 0.25, 0.25)
    assert str(found.text) == "25 %: 1 of 4 steps"
    assert measured("falls", make_run(rss=[1]), series="rss").value is None
    assert measured("falls", make_run(), series="rss").value is None
    assert measured("falls", make_run(rss=[1]), series="cuda_reserved").value is None


def test_differing_results_are_a_share_of_the_calls(make_run: MakeRun) -> None:
    base = make_run(rss=[1] * 4, results={call: call for call in range(4)})
    own = named(replace(base, results={0: 0, 1: 9, 2: 2, 3: 3}), "other")
    found = measured("differing", own, base)
    assert (found.value, str(found.text)) == (0.25, "25 %: 1 of 4 results")
    assert measured("differing", own, base, reference="naive").value == 0.25
    assert measured("differing", own, reference="naive").value is None
    assert measured("differing", base).value is None
    assert str(measured("worst_difference", own, base).text) == "the results are not intervals"


def test_the_worst_difference_is_in_milliseconds(make_run: MakeRun) -> None:
    base = make_run(
        rss=[1, 1],
        results={0: [[0, 100]], 1: [[0, 500]]},
        plan_changes={"result_kind": "intervals"},
    )
    own = named(replace(base, results={0: [[0, 100]], 1: [[0, 200]]}), "other")
    found = measured("worst_difference", own, base)
    assert (found.value, found.unit) == (300, "ms")
    assert str(found.text) == "300 ms in one of 2 results"
    assert measured("worst_difference", make_run()).value is None


def test_the_verdict_is_the_class_or_another_that_holds_as_well(leak: Run) -> None:
    assert measured("verdict", leak, words=("clean",)).value == "leak in Python"
    killed = measured("verdict", replace(leak, outcome=KILLED), words=("leak in Python",))
    assert killed.value == "leak in Python"
    assert str(killed.text) == "killed while growing and leak in Python"
    assert (killed.low, killed.high, killed.unit) == (None, None, "word")


def test_an_inconclusive_verdict_tells_nothing_unless_it_is_asked_for(make_run: MakeRun) -> None:
    short = make_run(live_heap=[1])
    assert measured("verdict", short, words=("clean",)).value is None
    assert measured("verdict", short, words=("inconclusive",)).value == "inconclusive"


def test_the_ending_and_the_calls_before_it(make_run: MakeRun) -> None:
    run = make_run(rss=[1, 2, 3], outcome=KILLED)
    assert measured("ending", run).value == "killed"
    assert str(measured("ending", run).text) == "killed after 3 calls"
    assert (measured("calls_done", run).value, measured("calls_done", run).low) == (3, 3)
    assert str(measured("calls_done", run).text) == "3 calls, then killed"
    assert str(measured("calls_done", make_run(rss=[1])).text) == "1 call"


@pytest.mark.parametrize(
    ("names", "share"), [("naive", 1), ("made.KEPT", 1), ("list", 1), ("CACHE", 0)]
)
def test_a_suspect_is_told_by_its_chain_line_or_cause(
    leaking_objects: Run, names: str, share: float
) -> None:
    attribution = attributed(
        leaking_objects,
        finding(size=4 * KIB, key="0", stack=(MINE,)),
        finding(
            size=4 * KIB,
            sort=FindingKind.CONTAINER,
            what="list",
            chain=("made.KEPT", "list", "bytes"),
            keeps=("0",),
        ),
    )
    (entry,) = assemble([leaking_objects], "test").entries
    hunted = replace(entry, attribution=attribution)
    found = judged(hunted, "suspect", names=names)
    assert found.value == pytest.approx(share, abs=0.1)
    assert found.low == found.high == found.value
    if not share:
        assert "no suspect names CACHE; the first is " in str(found.text)


def test_no_suspect_is_told_without_a_hunt_or_without_known_growth(leaking_objects: Run) -> None:
    (entry,) = assemble([leaking_objects], "test").entries
    assert judged(entry, "suspect", names="x").value is None
    attribution = attributed(leaking_objects, finding(size=4 * KIB, stack=(MINE,)))
    unknown = tuple(replace(each, share=None) for each in attribution.suspects)
    hunted = replace(entry, attribution=replace(attribution, suspects=unknown))
    assert judged(hunted, "suspect", names="naive").value is None
    nobody = replace(entry, attribution=replace(attribution, suspects=()))
    assert judged(nobody, "suspect", names="naive").value == 0


def test_the_largest_finding_is_of_the_sites_that_name_it(leaking_objects: Run) -> None:
    plan = leaking_objects.plan
    small, large = (finding(size=size, stack=(THEIRS, MINE)) for size in (KIB, 64 * KIB))
    holder = finding(size=900 * KIB, sort=FindingKind.CONTAINER, stack=(MINE,))
    watched = replace(
        leaking_objects,
        plan=replace(plan, instrument=Instrument.TRACEMALLOC),
        findings=(small, large, holder),
    )
    runs = (leaking_objects, watched)
    (entry,) = assemble(runs, "test").entries

    def found(names: str, instrument: str = "tracemalloc") -> ClaimMeasurement:
        check = Check("r", "largest_finding", names=names, instrument=instrument)
        return FUNCTIONS["largest_finding"](MeasureContext(check, entry, None, runs))

    assert found("made.py").value == large.sizes[-1]
    assert str(found("KEPT.append").text).endswith(f"from {MINE}")
    assert (found("torch").value, found("torch").high) == (0, 0)
    assert str(found("made.py", "memray").text) == "not instrumented by memray"


def test_failed_requests_are_a_share_of_all(leak: Run) -> None:
    (entry,) = assemble([leak], "test").entries
    assert judged(entry, "failed").value is None
    soaked = replace(entry, load_summary=LoadSummary(200, 3, 1.0, 1.0, 0.1, 0.2, 0.3))
    found = judged(soaked, "failed")
    assert (found.value, str(found.text)) == (0.015, "1.5 %: 3 of 200 requests")
    empty = replace(entry, load_summary=LoadSummary(0, 0, 0.0, 0.0, 0.0, 0.0, 0.0))
    assert judged(empty, "failed").value is None


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@pytest.mark.parametrize("samples", [(), (5,), (5, 9)])
def test_no_measure_fails_on_an_empty_or_tiny_run(
    make_run: MakeRun, name: str, samples: tuple[int, ...]
) -> None:
    run = make_run(rss=samples, duration=samples, audio=samples)
    other = named(run, "other")
    keys = {"names": "x", "instrument": "memray", "series": "rss", "reference": "naive"}
    found = measured(name, other, run, **keys)
    assert found.text
    assert (found.value is None) <= (found.low is None and found.high is None)
