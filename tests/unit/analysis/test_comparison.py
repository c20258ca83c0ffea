"""What is said of two sides: figures, conclusions, refusals, suspects, what is on one side only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import MakeRun

from leakhunt.analysis.comparison.alignment import common_samples
from leakhunt.analysis.comparison.compare import compare
from leakhunt.analysis.comparison.times import SPREAD_BETWEEN_RUNS, log_ratio
from leakhunt.analysis.report import assemble
from leakhunt.model.attribution import Attribution, Instrument, Origin, Suspect
from leakhunt.model.comparison import Comparison, Conclusion, Fate, Metric, Pair, Side, VerdictCount
from leakhunt.model.kinds import Kind
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending, Outcome, Phase, Purpose, Reading, Run
from leakhunt.text.language import speaking

CALLS = 300
MIB = 1 << 20
MakeSide = Callable[..., Side]


@pytest.fixture
def leaking(make_run: MakeRun) -> Callable[..., Run]:
    """A run that leaks `rate` bytes a call with noise, at `milliseconds` a call."""

    def make(
        rate: int = 4096,
        seed: int = 0,
        milliseconds: float = 10.0,
        calls: int = CALLS,
        noise: float = 2000.0,
        **changes: Any,
    ) -> Run:
        rng = np.random.default_rng([1, seed])
        heap = 50 * MIB + rate * np.arange(calls) + rng.normal(0, noise, calls)
        times = milliseconds * 1e6 * np.exp(rng.normal(0, 0.02, calls))
        readings = {
            "start": {"rss": 100 * MIB, "live_heap": 50 * MIB},
            "end": {"rss": 100 * MIB + rate * calls + int(rng.normal(0, MIB))},
        }
        made = make_run(
            live_heap=heap.astype(int).tolist(),
            duration=times.astype(int).tolist(),
            readings=readings,
            results={call: call for call in range(calls)},
            plan_changes={"calls": calls, "warmup": calls // 4, **changes},
        )
        return replace(made, started_at=f"{seed}")

    return make


def side(label: str, *runs: Run) -> Side:
    return Side(label, assemble(runs, "test").entries)


def compared(*sides: Side, despite: bool = False) -> Comparison:
    return compare(sides, despite, "test")


def only(comparison: Comparison) -> Pair:
    (pair,) = comparison.pairs
    return pair


def line(pair: Pair, name: str) -> Metric:
    (found,) = (each for each in pair.lines if each.name == name)
    return found


def test_a_leak_that_is_gone_grows_less_by_as_much(leaking: Callable[..., Run]) -> None:
    pair = only(compared(side("before", leaking()), side("after", leaking(0, seed=1))))
    heap = line(pair, "live_heap")
    assert heap.conclusion is Conclusion.DECREASE
    assert heap.difference is not None
    assert heap.difference.low < -4096 < heap.difference.high
    assert heap.difference.estimate == pytest.approx(-4096, rel=0.01)
    assert heap.before is not None and heap.after is not None
    assert heap.after - heap.before == pytest.approx(heap.difference.estimate)
    assert str(pair.sentence).startswith("naive: growth in after, live heap: 4.0")
    assert " less than before (99 %: " in str(pair.sentence)
    assert "all 300 results are identical" in str(pair.sentence)
    assert pair.verdicts[0] == (VerdictCount(Kind.NATIVE_LEAK, 1),)


def test_the_other_way_round_it_grows_more_by_as_much(leaking: Callable[..., Run]) -> None:
    there = line(only(compared(side("a", leaking()), side("b", leaking(0, seed=1)))), "live_heap")
    back = line(only(compared(side("b", leaking(0, seed=1)), side("a", leaking()))), "live_heap")
    assert there.difference is not None and back.difference is not None
    assert back.conclusion is Conclusion.INCREASE
    assert back.difference.low == pytest.approx(-there.difference.high)


def test_equals_differ_in_nothing_that_shows_and_it_is_said_what_would(
    leaking: Callable[..., Run],
) -> None:
    pair = only(compared(side("a", leaking()), side("b", leaking(seed=1))))
    heap = line(pair, "live_heap")
    assert heap.conclusion is Conclusion.NO_DIFFERENCE
    assert heap.would_show is not None and 256 < heap.would_show < 2048
    assert "no significant difference in memory (detection limit" in str(pair.sentence)
    assert line(pair, "time").conclusion is Conclusion.NO_DIFFERENCE


def test_what_the_inputs_cost_falls_out_of_the_difference(make_run: MakeRun) -> None:
    rng = np.random.default_rng(3)
    inputs = np.cumsum(rng.exponential(50_000, CALLS))

    def line_of(costs: np.ndarray) -> Metric:
        runs = [make_run(live_heap=each.astype(int).tolist()) for each in (inputs, costs)]
        return line(only(compared(side("a", runs[0]), side("b", runs[1]))), "live_heap")

    alike = line_of(inputs + 1000 * np.arange(CALLS))
    others = line_of(np.cumsum(rng.exponential(50_000, CALLS)) + 1000 * np.arange(CALLS))
    assert alike.conclusion is Conclusion.INCREASE
    assert alike.difference is not None
    assert alike.difference.estimate == pytest.approx(1000, abs=1)
    assert others.conclusion is Conclusion.NO_DIFFERENCE
    assert others.would_show is not None and others.would_show > 10_000


def test_a_difference_below_the_tolerance_is_none(make_run: MakeRun) -> None:
    runs = [make_run(live_heap=[rate * call for call in range(CALLS)]) for rate in (4000, 4200)]
    heap = line(only(compared(side("a", runs[0]), side("b", runs[1]))), "live_heap")
    assert heap.difference is not None and heap.difference.low == pytest.approx(200)
    assert heap.conclusion is Conclusion.NO_DIFFERENCE


def test_runs_of_other_lengths_are_compared_over_the_calls_both_made(
    leaking: Callable[..., Run],
) -> None:
    long, short = leaking(noise=0), leaking(0, seed=1, noise=0, calls=200)
    common = common_samples(long, short)
    assert common is not None
    assert (common[0][0], common[0][-1]) == (75, 199)
    pair = only(compared(side("a", long), side("b", short)))
    assert line(pair, "live_heap").difference is not None
    assert "the same 125 calls" in str(line(pair, "live_heap").reason)
    total = line(pair, "rss_total")
    assert total.conclusion is Conclusion.INCONCLUSIVE
    assert str(total.reason) == "different number of calls: 200 to 300"
    assert total.before is not None


def test_runs_sampled_another_way_are_each_taken_by_themselves(leaking: Callable[..., Run]) -> None:
    run = leaking(seed=1)
    sampled = replace(
        run,
        calls=range(10, 10 * CALLS + 1, 10),
        phases=tuple(replace(phase, calls_per_sample=10) for phase in run.phases),
    )
    heap = line(only(compared(side("a", leaking()), side("b", sampled))), "live_heap")
    assert heap.conclusion is Conclusion.DECREASE
    assert heap.difference is not None
    assert heap.difference.estimate == pytest.approx(-0.9 * 4096, rel=0.02)
    assert str(heap.reason).endswith("compared by their own bounds: samples at different calls")


def test_too_few_samples_are_told_with_how_many_are_needed(leaking: Callable[..., Run]) -> None:
    pair = only(compared(side("a", leaking()), side("b", leaking(seed=1, calls=60))))
    heap = line(pair, "live_heap")
    assert heap.conclusion is Conclusion.INCONCLUSIVE
    assert str(heap.reason) == "45 measured samples; needs 50"
    assert "memory: inconclusive" in str(pair.sentence)


@pytest.mark.parametrize("calls", [1, 2, 9])
def test_hardly_any_samples_are_no_reason_to_fail(leaking: Callable[..., Run], calls: int) -> None:
    pair = only(compared(side("a", leaking(calls=calls)), side("b", leaking(seed=1, calls=calls))))
    assert all(each.difference is None for each in pair.lines)


def test_an_empty_run_is_compared_to_no_avail(make_run: MakeRun) -> None:
    empty = make_run(outcome=Outcome(Ending.KILLED, "SIGKILL before the first call"))
    pair = only(compared(side("a", make_run()), side("b", empty)))
    assert not [each for each in pair.lines if each.difference is not None]
    assert str(pair.sentence).endswith("b was killed after 0 calls.")


def test_repeats_are_judged_by_the_spread_between_them(leaking: Callable[..., Run]) -> None:
    before = side("a", *(leaking(seed=seed) for seed in (0, 1, 2)))
    after = side("b", *(leaking(1000, seed=seed, milliseconds=15) for seed in (3, 4, 5)))
    pair = only(compared(before, after))
    assert (len(pair.before), len(pair.after)) == (3, 3)
    heap, total, time = (line(pair, name) for name in ("live_heap", "rss_total", "time"))
    assert str(heap.reason) == "spread between runs (3 and 3 runs)"
    assert (heap.conclusion, time.conclusion) == (Conclusion.DECREASE, Conclusion.INCREASE)
    assert total.difference is not None
    assert total.difference.estimate == pytest.approx(-3096 * CALLS, abs=4 * MIB)
    assert time.difference is not None
    assert time.difference.estimate == pytest.approx(1.5, rel=0.02)
    assert pair.results is not None and pair.results.compared == 3 * CALLS


def test_one_run_each_tells_a_ratio_of_times_no_better_than_runs_repeat(
    leaking: Callable[..., Run],
) -> None:
    def ratio(milliseconds: float) -> Metric:
        other = leaking(seed=1, milliseconds=milliseconds)
        return line(only(compared(side("a", leaking()), side("b", other))), "time")

    little, much = ratio(11), ratio(20)
    assert (little.conclusion, much.conclusion) == (Conclusion.NO_DIFFERENCE, Conclusion.INCREASE)
    assert much.difference is not None
    assert much.difference.low < 2 < much.difference.high
    assert np.log(much.difference.high / much.difference.estimate) > 3 * SPREAD_BETWEEN_RUNS


def test_times_of_equals_differ_in_one_pair_of_a_hundred_at_most(
    leaking: Callable[..., Run],
) -> None:
    rng = np.random.default_rng(8)
    pairs, misses = 300, 0
    for number in range(pairs):
        runs = [
            leaking(
                seed=number + side, milliseconds=10 * np.exp(rng.normal(0, SPREAD_BETWEEN_RUNS))
            )
            for side in (0, pairs)
        ]
        found = log_ratio(*runs)
        assert found is not None
        misses += abs(found[2].value) > found[2].half_width
    assert misses <= 0.01 * pairs


def test_other_inputs_refuse_every_conclusion_and_keep_the_figures(
    leaking: Callable[..., Run],
) -> None:
    comparison = compared(side("a", leaking()), side("b", leaking(0, seed=1)))
    assert not comparison.is_refused
    other = leaking(0, seed=1)
    other = replace(other, plan=replace(other.plan, seed=7))
    comparison = compared(side("a", leaking()), side("b", other))
    pair = only(comparison)
    assert comparison.is_refused
    assert {each.name: each.conclusion for each in pair.lines} == {
        "live_heap": Conclusion.NOT_COMPARABLE,
        "rss_total": Conclusion.INCONCLUSIVE,
        "time": Conclusion.NOT_COMPARABLE,
    }
    assert line(pair, "live_heap").difference is not None
    assert pair.results is None
    assert str(pair.sentence) == "naive: not comparable, the runs differ in: seed: 0 and 7."


def test_another_machine_refuses_conclusions_on_time_alone(leaking: Callable[..., Run]) -> None:
    other = replace(leaking(0, seed=1), environment={"cores": "64"})
    here = replace(leaking(), environment={"cores": "2"})
    comparison = compared(side("a", here), side("b", other))
    pair = only(comparison)
    assert comparison.is_refused
    assert line(pair, "live_heap").conclusion is Conclusion.DECREASE
    assert line(pair, "time").conclusion is Conclusion.NOT_COMPARABLE
    assert "time not comparable, the runs differ in: cores: 2 and 64" in str(pair.sentence)
    assert pair.results is not None


def test_conclusions_despite_differences_say_so(leaking: Callable[..., Run]) -> None:
    other = leaking(0, seed=1)
    other = replace(other, plan=replace(other.plan, seed=7))
    comparison = compared(side("a", leaking()), side("b", other), despite=True)
    assert not comparison.is_refused
    assert line(only(comparison), "live_heap").conclusion is Conclusion.DECREASE
    assert str(only(comparison).sentence).startswith(
        "naive (despite differences): growth in b, live heap: "
    )


def test_what_is_on_one_side_only_is_listed(leaking: Callable[..., Run]) -> None:
    sides = [
        side("a", leaking(), leaking(variant="old", seed=1)),
        side("b", leaking(seed=2), leaking(variant="new", seed=3)),
        side("c", leaking(variant="old", seed=4)),
    ]
    comparison = compared(*sides)
    assert [(pair.name, pair.after_label) for pair in comparison.pairs] == [
        ("naive", "b"),
        ("old", "c"),
    ]
    assert [(each.name, each.present, each.missing) for each in comparison.alone] == [
        ("naive", ("a", "b"), ("c",)),
        ("old", ("a", "c"), ("b",)),
        ("new", ("b",), ("a", "c")),
    ]


def test_variants_of_several_scenarios_are_told_apart(leaking: Callable[..., Run]) -> None:
    sides = [
        side(label, leaking(seed=seed), leaking(seed=seed + 5, scenario="other"))
        for label, seed in (("a", 0), ("b", 1))
    ]
    assert [pair.name for pair in compared(*sides).pairs] == ["made:naive", "other:naive"]


def suspect(name: str, size: float) -> Suspect:
    return Suspect(
        fingerprint=name, title=f"title of {name}", origin=Origin.YOURS, per_call=1.0, exact=True,
        bytes_per_call=size, share=None, where=None, holder=None, chain=(), stack=(), cause=None,
        ceiling_bytes=None, ceiling_calls=None, evidence=(), instruments=(Instrument.MEMRAY,),
    )  # fmt: skip


def hunted(made: Side, *suspects: Suspect) -> Side:
    attribution = Attribution(suspects, 1.0, 1.0, False, None, None, "", (), (), ())
    entries: Sequence[JudgedRun] = [replace(each, attribution=attribution) for each in made.entries]
    return replace(made, entries=tuple(entries))


def test_suspects_are_new_gone_or_still_there(leaking: Callable[..., Run]) -> None:
    before = hunted(side("a", leaking()), suspect("x", 10), suspect("y", 20))
    after = hunted(side("b", leaking(seed=1)), suspect("y", 25), suspect("z", 5))
    found = only(compared(before, after)).suspects
    assert [(each.suspect.fingerprint, each.fate, each.before, each.after) for each in found] == [
        ("z", Fate.NEW, None, 5),
        ("x", Fate.GONE, 10, None),
        ("y", Fate.STILL, 20, 25),
    ]
    text = str(only(compared(before, after)).sentence)
    assert "; suspects: 1 new, 1 gone, 1 still there." in text


def test_where_nobody_looked_nothing_is_new(leaking: Callable[..., Run]) -> None:
    after = hunted(side("b", leaking(seed=1)), suspect("z", 5))
    (change,) = only(compared(side("a", leaking()), after)).suspects
    assert change.fate is Fate.UNKNOWN


def test_without_a_leak_the_suspects_are_gone_though_nobody_looked(
    leaking: Callable[..., Run],
) -> None:
    fixed = side("b", leaking(rate=0, seed=1))
    pair = only(compared(hunted(side("a", leaking()), suspect("x", 10)), fixed))
    assert [change.fate for change in pair.suspects] == [Fate.GONE]
    assert "; suspects: 1 gone." in str(pair.sentence)
    (change,) = only(compared(fixed, hunted(side("a", leaking()), suspect("x", 10)))).suspects
    assert change.fate is Fate.NEW


def test_suspects_of_other_inputs_are_not_compared(leaking: Callable[..., Run]) -> None:
    other = leaking(seed=1)
    other = replace(other, plan=replace(other.plan, seed=7))
    after = hunted(side("b", other), suspect("z", 5))
    (change,) = only(compared(hunted(side("a", leaking())), after)).suspects
    assert change.fate is Fate.REFUSED


def collecting(make_run: MakeRun, per_call: int, garbage: int) -> Run:
    """A run whose heap has `kept` bytes a call and a sawtooth of garbage that looks collect."""
    samples, looks = 250, (100, 200, 250)
    heap = [per_call * call + garbage * (call % 50) for call in range(samples)]
    readings = [
        Reading(
            "look_collected", {"live_heap": per_call * at, "python_live": per_call * at // 2}, at
        )
        for at in looks
    ]
    made = make_run(live_heap=heap, readings=readings)
    return replace(
        made,
        phases=(
            Phase(0, 100, Purpose.WARM_UP, 1, collects=False),
            Phase(100, 150, Purpose.JUDGED, 1, collects=False),
        ),
    )


def test_where_the_verdict_goes_by_collections_so_does_the_rate(make_run: MakeRun) -> None:
    before, after = (collecting(make_run, per_call, 100) for per_call in (60_000, 10_000))
    pair = only(compared(side("a", before), side("b", replace(after, started_at="1"))))
    heap, python = line(pair, "live_heap"), line(pair, "python_live")
    assert heap.before == pytest.approx(60_000)
    assert heap.after == pytest.approx(10_000)
    assert "corrected for cyclic garbage" in str(heap.reason)
    assert python.before == pytest.approx(30_000)
    assert python.conclusion is Conclusion.DECREASE
    assert python.difference is not None
    assert python.difference.low == pytest.approx(-25_000)


def test_a_collection_that_found_rss_high_is_no_growth_of_rss(make_run: MakeRun) -> None:
    def run(at_the_end: int) -> Run:
        looks = {100: 50 * MIB, 200: 50 * MIB, 250: 50 * MIB + at_the_end}
        readings = [Reading("look_collected", {"rss": size}, at) for at, size in looks.items()]
        rising = [50 * MIB + 4096 * call for call in range(250)]
        return replace(
            make_run(rss=rising, readings=readings),
            phases=(
                Phase(0, 100, Purpose.WARM_UP, 1, collects=False),
                Phase(100, 150, Purpose.JUDGED, 1, collects=False),
            ),
        )

    pair = only(compared(side("a", run(0)), side("b", replace(run(30 * MIB), started_at="1"))))
    assert line(pair, "rss").conclusion is Conclusion.NO_DIFFERENCE


def test_floors_and_collections_that_disagree_conclude_nothing(make_run: MakeRun) -> None:
    before, after = (collecting(make_run, 60_000, garbage) for garbage in (100, 100))
    shifted = [
        replace(each, values={**each.values, "live_heap": each.values["live_heap"] + more})
        for each, more in zip(after.readings, (0, 0, 40_000_000), strict=True)
    ]
    after = replace(after, readings=tuple(shifted), started_at="1")
    heap = line(only(compared(side("a", before), side("b", after))), "live_heap")
    assert heap.difference is not None and heap.difference.estimate > 100_000
    assert heap.conclusion is Conclusion.NO_DIFFERENCE


def test_descriptors_have_a_line_where_they_leak_only(make_run: MakeRun) -> None:
    flat, leaks = ([5] * CALLS, list(range(CALLS)))
    names = [
        [each.name for each in only(compared(*sides)).lines]
        for sides in (
            [side(n, make_run(live_heap=flat, descriptors=flat)) for n in "ab"],
            [
                side("a", make_run(live_heap=flat, descriptors=flat)),
                side("b", make_run(live_heap=flat, descriptors=leaks)),
            ],
        )
    ]
    assert names == [["live_heap"], ["live_heap", "descriptors"]]


def test_it_is_compared_in_no_language_and_said_in_any(leaking: Callable[..., Run]) -> None:
    other = leaking()
    sides = side("a", leaking()), side("b", replace(other, plan=replace(other.plan, seed=7)))
    pair = only(compared(*sides))
    with speaking("zh"):
        again = only(compared(*sides))
        sentence, title = str(pair.sentence), str(line(pair, "live_heap").title)
    assert again.sentence == pair.sentence
    assert (again.lines, again.mismatches) == (pair.lines, pair.mismatches)
    assert "种子" in sentence and "seed" not in sentence
    assert title == "存活堆"


def under(run: Run, allocator: str) -> Run:
    """The run, with what served malloc."""
    return replace(run, environment={"allocator": f"{allocator} 1.0 (preloaded)"})


def test_two_allocators_are_not_compared_by_themselves(leaking: Callable[..., Run]) -> None:
    before, after = under(leaking(4112), "glibc"), under(leaking(4096, seed=1), "jemalloc")
    pair = only(compared(side("a", before), side("b", after)))
    assert "allocator" in {each.fact for each in pair.refusing}
    assert line(pair, "live_heap").conclusion is Conclusion.NOT_COMPARABLE


def test_what_two_allocators_round_is_no_difference(leaking: Callable[..., Run]) -> None:
    """Both sides tell what is in use, each in sizes of its own: the same leak, a tenth apart."""
    before, after = leaking(4096), leaking(3700, seed=1, noise=10.0)
    one = [side("a", under(before, "glibc")), side("b", under(after, "glibc"))]
    assert line(only(compared(*one, despite=True)), "live_heap").conclusion is Conclusion.DECREASE
    two = [side("a", under(before, "glibc")), side("b", under(after, "jemalloc"))]
    found = line(only(compared(*two, despite=True)), "live_heap")
    assert found.conclusion is Conclusion.NO_DIFFERENCE
    fixed = under(leaking(0, seed=1), "jemalloc")
    found = line(only(compared(two[0], side("b", fixed), despite=True)), "live_heap")
    assert found.conclusion is Conclusion.DECREASE, "a leak that is gone is gone under any"


def test_a_heap_that_one_side_does_not_tell_is_not_compared(leaking: Callable[..., Run]) -> None:
    before, after = under(leaking(4096), "glibc"), under(leaking(4096, seed=1), "mimalloc")
    samples = {name: each for name, each in after.samples.items() if name != "live_heap"}
    series = tuple(each for each in after.series if each.name != "live_heap")
    silent = replace(after, samples=samples, series=series, unavailable={"live_heap": "why"})
    pair = only(compared(side("a", before), side("b", silent), despite=True))
    found = line(pair, "live_heap")
    assert found.conclusion is Conclusion.INCONCLUSIVE
    assert found.before is not None and found.after is None
    assert "does not report the bytes in use" in str(pair.sentence)
