from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest
from conftest import MakeRun
from made_findings import made_suspect

from leakhunt.analysis.gate.check import check_all, default_budgets
from leakhunt.analysis.gate.decide import acceptance_notes, answer_on, unneeded_notes
from leakhunt.analysis.report import assemble
from leakhunt.model.attribution import Attribution, Interval, Suspect
from leakhunt.model.comparison import TIME, Conclusion, Metric
from leakhunt.model.gate import (
    Acceptance,
    BaselineDifference,
    Budget,
    BudgetResult,
    Extent,
    GateAnswer,
    Terms,
    VariantResult,
    gravest,
)
from leakhunt.model.kinds import Kind
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending, Outcome, Reading, Run
from leakhunt.model.series import Unit
from leakhunt.text.language import speaking
from leakhunt.text.message import to_json

BASE = 100 << 20
PER_CALL = Budget("live_heap", 4096.0, Extent.CALL, more=False, text="4 KiB/call")
NO_GROWTH = Budget("live_heap", 0.0, Extent.CALL, more=False, text="0")
RSS_TOTAL = Budget("rss", float(50 << 20), Extent.RUN, more=False, text="50 MiB total")
MORE = Budget("live_heap", 1024.0, Extent.CALL, more=True, text="+1 KiB/call")
SLOWER = Budget("seconds_per_call", 0.2, Extent.SHARE, more=True, text="+20 %")
TODAY = date(2026, 11, 27)


def leak(rate: int, calls: int = 300) -> list[int]:
    return [BASE + rate * call for call in range(calls)]


def judged(*runs: Run) -> tuple[JudgedRun, ...]:
    return assemble(runs, "leakhunt test").entries


def only(budget: Budget, *runs: Run, lines: Sequence[Metric] | None = None) -> BudgetResult:
    return check_all(judged(*runs), [budget], lines)[0]


def line(name: str, conclusion: Conclusion, interval: Interval | None, reason: str = "") -> Metric:
    return Metric(name, name, Unit.BYTES, 0.0, 0.0, interval, 64.0, conclusion, reason)


def test_a_run_within_the_budget_passes_and_tells_its_power(make_run: MakeRun) -> None:
    noisy = [value + 40_000 * (index * 7919 % 13) for index, value in enumerate(leak(0, 400))]
    result = only(PER_CALL, make_run(live_heap=noisy))
    assert result.answer is GateAnswer.WITHIN_BUDGET
    assert result.detection_limit is not None
    assert result.detection_limit > 0


def test_a_leak_below_the_budget_is_within_it(make_run: MakeRun) -> None:
    result = only(PER_CALL, make_run(live_heap=leak(1000)))
    assert result.answer is GateAnswer.WITHIN_BUDGET
    assert result.high == pytest.approx(1000)


def test_a_run_over_the_budget_fails_with_its_figures(make_run: MakeRun) -> None:
    result = only(PER_CALL, make_run(live_heap=leak(5000)))
    assert result.answer is GateAnswer.OVER_BUDGET
    assert result.estimate == pytest.approx(5000)
    assert "lower bound 4.88 KiB/call" in str(result.reason)


def test_a_reason_is_said_in_the_language_spoken_where_it_is_shown(make_run: MakeRun) -> None:
    result = only(PER_CALL, make_run(live_heap=leak(5000)))
    with speaking("zh"):
        assert "下界 4.88 KiB" in str(result.reason)


def test_a_reason_has_an_id_and_raw_values_for_programs(make_run: MakeRun) -> None:
    document = to_json(only(PER_CALL, make_run(live_heap=leak(5000))).reason)
    assert document["message"] == "gate.at-least"
    assert document["values"]["low"] == {
        "value": pytest.approx(5000), "unit": "bytes", "per": "call",
    }  # fmt: skip


def test_a_budget_of_nothing_tolerates_what_no_instrument_can_tell_from_nothing(
    make_run: MakeRun,
) -> None:
    assert only(NO_GROWTH, make_run(live_heap=leak(100))).answer is GateAnswer.WITHIN_BUDGET
    assert only(NO_GROWTH, make_run(live_heap=leak(400))).answer is GateAnswer.OVER_BUDGET


def test_blocks_that_come_to_no_bytes_are_within_a_budget_of_nothing(make_run: MakeRun) -> None:
    readings = [
        Reading("look_collected", {"python_blocks": 2 * calls, "python_live": 64 * calls}, calls)
        for calls in (75, 150, 225, 300)
    ]
    blocks = Budget("python_blocks", 0.0, Extent.CALL, more=False, text="0")
    run = make_run(readings=readings, python_blocks=[2 * call for call in range(300)])
    assert only(blocks, run).answer is GateAnswer.WITHIN_BUDGET
    one = replace(blocks, amount=1.0, text="1/call")
    assert only(one, run).answer is GateAnswer.INCONCLUSIVE


def test_a_filling_cache_is_not_called_over_the_budget(make_run: MakeRun) -> None:
    filling = [BASE + int(40_000_000 * (1 - 0.98**call)) for call in range(200)]
    result = only(PER_CALL, make_run(live_heap=filling))
    assert result.low is not None
    assert result.low > PER_CALL.amount
    assert result.answer is GateAnswer.INCONCLUSIVE


def test_a_rate_whose_bounds_hold_the_budget_cannot_tell(make_run: MakeRun) -> None:
    wavy = [value + 3_000_000 * (index // 20 % 2) for index, value in enumerate(leak(4000))]
    assert only(PER_CALL, make_run(live_heap=wavy)).answer is GateAnswer.INCONCLUSIVE


@pytest.mark.parametrize("calls", [20, 99])
def test_a_short_run_never_passes(make_run: MakeRun, calls: int) -> None:
    assert only(PER_CALL, make_run(live_heap=leak(0, calls))).answer is GateAnswer.INCONCLUSIVE


@pytest.mark.parametrize("budget", [PER_CALL, RSS_TOTAL])
def test_a_run_that_ended_early_never_passes(make_run: MakeRun, budget: Budget) -> None:
    outcome = Outcome(Ending.KILLED, "SIGKILL after call 300")
    result = only(budget, make_run(outcome=outcome, live_heap=leak(0), rss=leak(0)))
    assert result.answer is GateAnswer.INCONCLUSIVE
    assert "SIGKILL" in str(result.reason)


def test_a_run_that_was_killed_over_its_total_is_over(make_run: MakeRun) -> None:
    killed = make_run(outcome=Outcome(Ending.KILLED, "SIGKILL"), rss=leak(1 << 20, 120))
    assert only(RSS_TOTAL, killed).answer is GateAnswer.OVER_BUDGET


def test_an_empty_run_measured_nothing(make_run: MakeRun) -> None:
    result = only(PER_CALL, make_run(outcome=Outcome(Ending.CRASHED, "ValueError: no")))
    assert result.answer is GateAnswer.NOT_MEASURED
    assert "ValueError: no" in str(result.reason)


def test_a_series_that_was_not_read_never_passes(make_run: MakeRun) -> None:
    cuda = Budget("cuda_reserved", 0.0, Extent.CALL, more=False, text="0")
    result = only(cuda, make_run(live_heap=leak(0)))
    assert result.answer is GateAnswer.NOT_MEASURED
    assert "on the CPU" in str(result.reason)


def test_a_total_goes_from_before_the_first_call_to_after_the_last(make_run: MakeRun) -> None:
    readings = {"start": {"rss": 10 << 20}, "end": {"rss": 70 << 20}}
    result = only(RSS_TOTAL, make_run(readings=readings, rss=leak(0)))
    assert (result.answer, result.estimate) == (GateAnswer.OVER_BUDGET, float(60 << 20))
    assert "60.0 MiB in 300 calls" in str(result.reason)


def test_repeats_that_disagree_cannot_tell(make_run: MakeRun) -> None:
    good, bad = make_run(live_heap=leak(0)), make_run(live_heap=leak(5000))
    result = only(PER_CALL, good, bad)
    assert result.answer is GateAnswer.INCONCLUSIVE
    assert "in 1 of 2 runs" in str(result.reason)
    assert only(PER_CALL, bad, bad).answer is GateAnswer.OVER_BUDGET
    assert only(PER_CALL, good, good).answer is GateAnswer.WITHIN_BUDGET


def test_a_repeat_that_measured_nothing_is_no_pass(make_run: MakeRun) -> None:
    empty = make_run(outcome=Outcome(Ending.CRASHED, "no"))
    result = only(PER_CALL, make_run(live_heap=leak(0)), empty)
    assert result.answer is GateAnswer.NOT_MEASURED


def test_a_relative_budget_without_a_baseline_measured_nothing(make_run: MakeRun) -> None:
    result = only(MORE, make_run(live_heap=leak(0)))
    assert result.answer is GateAnswer.NOT_MEASURED
    assert "leakhunt baseline save" in str(result.reason)


@pytest.mark.parametrize(
    ("interval", "answer"),
    [
        (Interval(2000, 1500, 2500), GateAnswer.OVER_BUDGET),
        (Interval(2000, 900, 2500), GateAnswer.INCONCLUSIVE),
        (Interval(500, 100, 1000), GateAnswer.WITHIN_BUDGET),
    ],
)
def test_more_than_the_baseline_goes_by_both_bounds(
    make_run: MakeRun, interval: Interval, answer: GateAnswer
) -> None:
    lines = [line("live_heap", Conclusion.INCREASE, interval)]
    assert only(MORE, make_run(live_heap=leak(0)), lines=lines).answer is answer


@pytest.mark.parametrize(
    ("interval", "answer"),
    [
        (Interval(1.5, 1.3, 1.7), GateAnswer.OVER_BUDGET),
        (Interval(1.1, 1.0, 1.19), GateAnswer.WITHIN_BUDGET),
        (Interval(1.1, 0.9, 1.3), GateAnswer.INCONCLUSIVE),
    ],
)
def test_time_may_be_a_share_more(
    make_run: MakeRun, interval: Interval, answer: GateAnswer
) -> None:
    lines = [line(TIME, Conclusion.INCREASE, interval)]
    assert only(SLOWER, make_run(live_heap=leak(0)), lines=lines).answer is answer


def test_a_refused_comparison_is_no_pass(make_run: MakeRun) -> None:
    lines = [line("live_heap", Conclusion.NOT_COMPARABLE, Interval(0, 0, 0), "threads: 2, 4")]
    result = only(MORE, make_run(live_heap=leak(0)), lines=lines)
    assert (result.answer, result.reason) == (GateAnswer.NOT_MEASURED, "threads: 2, 4")


def test_with_a_baseline_no_live_series_may_have_got_worse(make_run: MakeRun) -> None:
    lines = [
        line("live_heap", Conclusion.INCREASE, Interval(900, 800, 1000)),
        line("threads", Conclusion.NO_DIFFERENCE, Interval(0, 0, 0)),
        line("rss", Conclusion.INCREASE, Interval(900, 800, 1000)),
    ]
    result = check_all(judged(make_run(live_heap=leak(0))), [RSS_TOTAL], lines)
    implied = {each.budget.series: each.answer for each in result[1:]}
    assert implied == {"live_heap": GateAnswer.OVER_BUDGET, "threads": GateAnswer.WITHIN_BUDGET}


def test_a_run_that_ended_early_is_no_pass_beside_a_baseline(make_run: MakeRun) -> None:
    same = [line("live_heap", Conclusion.NO_DIFFERENCE, Interval(0, 0, 0))]
    killed = make_run(outcome=Outcome(Ending.KILLED, "SIGKILL after call 300"), live_heap=leak(0))
    (result,) = check_all(judged(killed), [], same)
    assert result.answer is GateAnswer.INCONCLUSIVE and "SIGKILL" in str(result.reason)
    worse = [line("live_heap", Conclusion.INCREASE, Interval(900, 800, 1000))]
    assert check_all(judged(killed), [], worse)[0].answer is GateAnswer.OVER_BUDGET


def test_a_run_without_a_sample_measured_nothing_beside_a_baseline(make_run: MakeRun) -> None:
    failed = make_run(outcome=Outcome(Ending.CRASHED, "no weights here"), live_heap=[])
    (result,) = check_all(judged(failed), [], [line("live_heap", Conclusion.INCONCLUSIVE, None)])
    assert result.answer is GateAnswer.NOT_MEASURED and "no weights here" in str(result.reason)


@pytest.mark.parametrize(
    ("interval", "answer"),
    [
        (Interval(500, -9, 1009), GateAnswer.WITHIN_BUDGET),
        (Interval(500, -90, 1090), GateAnswer.INCONCLUSIVE),
        (Interval(0, -9000, 9000), GateAnswer.INCONCLUSIVE),
    ],
)
def test_no_difference_passes_where_no_kilobyte_a_call_can_hide(
    make_run: MakeRun, interval: Interval, answer: GateAnswer
) -> None:
    lines = [line("live_heap", Conclusion.NO_DIFFERENCE, interval)]
    (result,) = check_all(judged(make_run(live_heap=leak(5000))), [], lines)
    assert result.answer is answer


def test_what_does_not_leak_passes_however_noisy_the_baseline_was(make_run: MakeRun) -> None:
    lines = [line("live_heap", Conclusion.NO_DIFFERENCE, Interval(0, -9000, 9000))]
    (result,) = check_all(judged(make_run(live_heap=leak(0))), [], lines)
    assert result.answer is GateAnswer.WITHIN_BUDGET


def test_what_the_baseline_has_not_read_may_not_leak(make_run: MakeRun) -> None:
    same = [line("python_blocks", Conclusion.NO_DIFFERENCE, Interval(0, 0, 0))]
    leaking = make_run(live_heap=leak(5000), python_blocks=[1] * 300, threads=list(range(300)))
    values = {check.budget.series: check.answer for check in check_all(judged(leaking), [], same)}
    assert values == {
        "python_blocks": GateAnswer.WITHIN_BUDGET,
        "live_heap": GateAnswer.OVER_BUDGET,
        "threads": GateAnswer.OVER_BUDGET,
    }
    clean = make_run(live_heap=leak(0), python_blocks=[1] * 300, threads=[1] * 300)
    assert [check.budget.text for check in check_all(judged(clean), [], same)] == ["+0", "0"]


def test_without_budgets_nothing_live_may_leak(make_run: MakeRun) -> None:
    run = make_run(live_heap=leak(0), rss=leak(5000), threads=[1] * 300)
    assert [each.series for each in default_budgets(judged(run))] == ["live_heap", "threads"]
    assert answer_on(judged(run), terms()).answer is GateAnswer.WITHIN_BUDGET
    leaking = make_run(live_heap=leak(0), threads=list(range(300)))
    assert answer_on(judged(leaking), terms()).answer is GateAnswer.OVER_BUDGET


def test_a_budget_of_time_alone_leaves_the_default_for_memory(make_run: MakeRun) -> None:
    fast = Budget("seconds_per_call", 1.0, Extent.CALL, more=False, text="1 s")
    run = make_run(live_heap=leak(5000), duration=[1000] * 300)
    result = answer_on(judged(run), terms(budgets=(fast,)))
    assert {check.budget.series: check.answer for check in result.checks} == {
        "seconds_per_call": GateAnswer.WITHIN_BUDGET,
        "live_heap": GateAnswer.OVER_BUDGET,
    }


def test_a_budget_for_descriptors_takes_nothing_from_the_default_for_memory(
    make_run: MakeRun,
) -> None:
    budget = Budget("descriptors", 2.0, Extent.CALL, more=False, text="2/call")
    run = make_run(live_heap=leak(5000), descriptors=list(range(300)))
    result = answer_on(judged(run), terms(budgets=(budget,)))
    assert {check.budget.series: check.answer for check in result.checks} == {
        "descriptors": GateAnswer.WITHIN_BUDGET,
        "live_heap": GateAnswer.OVER_BUDGET,
    }


def test_a_baseline_of_another_environment_is_no_pass(make_run: MakeRun) -> None:
    refused = BaselineDifference(refusal="libc: glibc 2.36, glibc 2.39")
    result = answer_on(judged(make_run(live_heap=leak(0))), terms(), refused)
    assert (result.answer, result.reason) == (
        GateAnswer.NOT_MEASURED,
        "libc: glibc 2.36, glibc 2.39",
    )
    leaking = answer_on(judged(make_run(live_heap=leak(5000))), terms(), refused)
    assert leaking.answer is GateAnswer.OVER_BUDGET


def test_with_a_baseline_what_leaked_before_may_go_on(make_run: MakeRun) -> None:
    same = BaselineDifference((line("live_heap", Conclusion.NO_DIFFERENCE, Interval(0, -9, 9)),))
    assert (
        answer_on(judged(make_run(live_heap=leak(5000))), terms(), same).answer
        is GateAnswer.WITHIN_BUDGET
    )


def terms(*accepted: Acceptance, budgets: tuple[Budget, ...] = ()) -> Terms:
    return Terms(budgets, accepted, TODAY)


def acceptance(fingerprint: str, until: date = TODAY) -> Acceptance:
    return Acceptance(fingerprint, "known, issue 7", until, "pyproject.toml:31")


def hunted(run: Run, *suspects: Suspect, explained: float = 5000.0) -> tuple[JudgedRun, ...]:
    attribution = Attribution(
        suspects=suspects,
        growth=5000.0,
        explained=explained,
        bounded=False,
        ceiling_bytes=None,
        ceiling_calls=None,
        sentence="",
        retained=(),
        blind_spots=(),
        instruments=(),
    )
    return tuple(replace(entry, attribution=attribution) for entry in judged(run))


@pytest.fixture
def leaking_run(make_run: MakeRun) -> Run:
    return make_run(live_heap=leak(5000))


def answered(
    run: Run, suspects: Sequence[Suspect], *accepted: Acceptance, explained: float = 5000.0
) -> VariantResult:
    entries = hunted(run, *suspects, explained=explained)
    return answer_on(entries, terms(*accepted, budgets=(PER_CALL,)))


def test_an_accepted_suspect_does_not_fail_the_gate_until_its_day(leaking_run: Run) -> None:
    suspects = [made_suspect("aa", 5000.0)]
    result = answered(leaking_run, suspects, acceptance("aa"))
    assert result.answer is GateAnswer.WITHIN_BUDGET
    assert "accepted: aa" in str(result.checks[0].reason)
    assert [each.fingerprint for each, _ in result.accepted] == ["aa"]
    assert result.suspects == ()


def test_an_expired_acceptance_counts_again(leaking_run: Run) -> None:
    expired = acceptance("aa", date(2026, 11, 26))
    result = answered(leaking_run, [made_suspect("aa", 5000.0)], expired)
    assert result.answer is GateAnswer.OVER_BUDGET
    assert [each.fingerprint for each in result.suspects] == ["aa"]
    (note,) = acceptance_notes(terms(expired), [result])
    assert str(note).startswith("pyproject.toml:31: the acceptance of aa expired on 2026-11-26")
    assert "counts again" in str(note)


def test_a_new_suspect_beside_an_accepted_one_fails_the_gate(leaking_run: Run) -> None:
    suspects = [made_suspect("aa", 600.0), made_suspect("bb", 4400.0)]
    result = answered(leaking_run, suspects, acceptance("aa"))
    assert result.answer is GateAnswer.OVER_BUDGET
    assert [each.fingerprint for each in result.suspects] == ["bb"]


def test_descriptors_that_nobody_names_are_not_accepted_with_memory(make_run: MakeRun) -> None:
    run = make_run(live_heap=leak(5000), descriptors=list(range(300)))
    memory = made_suspect("aa", 5000.0)
    result = answer_on(hunted(run, memory), terms(acceptance("aa")))
    assert {check.budget.series: check.answer for check in result.checks} == {
        "live_heap": GateAnswer.WITHIN_BUDGET,
        "descriptors": GateAnswer.OVER_BUDGET,
    }
    opened = replace(made_suspect("bb", 0.0), bytes_per_call=None, per_call=1.0)
    both = answer_on(hunted(run, memory, opened), terms(acceptance("aa"), acceptance("bb")))
    assert both.answer is GateAnswer.WITHIN_BUDGET


def test_growth_that_nobody_explains_is_not_accepted(leaking_run: Run) -> None:
    result = answered(leaking_run, [made_suspect("aa", 900.0)], acceptance("aa"), explained=900.0)
    assert result.answer is GateAnswer.OVER_BUDGET


def test_an_acceptance_that_nothing_needs_is_told(make_run: MakeRun) -> None:
    clean = answer_on(judged(make_run(live_heap=leak(0))), terms())
    (note,) = unneeded_notes(terms(acceptance("aa")), [clean])
    assert "matches no suspect. Remove it" in str(note)
    assert unneeded_notes(terms(acceptance("aa", date(2026, 1, 1))), [clean]) == ()


def test_an_acceptance_of_a_function_is_needed_by_that_function_alone(leaking_run: Run) -> None:
    leaking = answered(leaking_run, [made_suspect("aa", 5000.0)])
    other = replace(acceptance("aa"), variants=("another",))
    own = replace(acceptance("aa"), variants=(leaking.variant,))
    assert unneeded_notes(terms(own), [leaking]) == ()
    (note,) = unneeded_notes(terms(other), [leaking])
    assert "matches no suspect" in str(note)
    expired = replace(other, until=date(2026, 11, 26))
    (note,) = acceptance_notes(terms(expired), [leaking])
    assert "no suspect matches it" in str(note)


def test_a_suspect_that_outgrew_what_it_was_accepted_for_counts(leaking_run: Run) -> None:
    some = replace(acceptance("aa"), up_to=4000.0)
    result = answered(leaking_run, [made_suspect("aa", 5000.0)], some)
    assert result.answer is GateAnswer.OVER_BUDGET
    (note,) = acceptance_notes(terms(some), [result])
    assert "accepted up to 3.91 KiB/call, but retains 4.88 KiB/call" in str(note)
    enough = replace(some, up_to=5000.0)
    assert (
        answered(leaking_run, [made_suspect("aa", 5000.0)], enough).answer
        is GateAnswer.WITHIN_BUDGET
    )


def test_runs_that_read_nothing_are_one_answer_and_not_one_a_budget(make_run: MakeRun) -> None:
    empty = make_run(outcome=Outcome(Ending.CRASHED, "ModuleNotFoundError: shop"))
    result = answer_on(judged(empty), terms(budgets=(PER_CALL, RSS_TOTAL)))
    assert (result.answer, result.checks) == (GateAnswer.NOT_MEASURED, ())
    assert "ModuleNotFoundError: shop" in str(result.reason)


def test_of_several_answers_the_gravest_is_the_answer() -> None:
    assert gravest([]) is GateAnswer.NOT_MEASURED
    assert gravest([GateAnswer.WITHIN_BUDGET, GateAnswer.INCONCLUSIVE]) is GateAnswer.INCONCLUSIVE
    assert gravest([GateAnswer.INCONCLUSIVE, GateAnswer.NOT_MEASURED]) is GateAnswer.NOT_MEASURED
    assert (
        gravest([GateAnswer.NOT_MEASURED, GateAnswer.OVER_BUDGET, GateAnswer.WITHIN_BUDGET])
        is GateAnswer.OVER_BUDGET
    )


def small(rate: int, calls: int = 400) -> list[Reading]:
    """Full readings of a run that keeps so many bytes of small objects a call."""
    steps = [("start", 0), *(("look_collected", at) for at in range(100, calls, 100)),
             ("collected", calls), ("end", calls)]  # fmt: skip
    return [Reading(step, {"live_heap": BASE, "python_live": rate * at}, at) for step, at in steps]


def small_objects_run(make_run: MakeRun, blocks: int, rate: int, **samples: list[int]) -> Run:
    given = {"live_heap": [BASE] * 400, "threads": [4] * 400} | samples
    return make_run(
        readings=small(rate), python_blocks=[blocks * call for call in range(400)], **given
    )


def checks_of(run: Run, *budgets: Budget) -> dict[str, GateAnswer]:
    answer = answer_on(judged(run), Terms(budgets, (), TODAY))
    return {check.budget.series: check.answer for check in answer.checks}


def test_small_objects_are_held_to_the_budget_of_the_heap_that_leaves_them_out(
    make_run: MakeRun,
) -> None:
    quarter = replace(PER_CALL, amount=256.0, text="256/call")
    leaks = small_objects_run(make_run, blocks=16, rate=864)
    answer = answer_on(judged(leaks), Terms((quarter,), (), TODAY))
    assert answer.answer is GateAnswer.OVER_BUDGET
    (check,) = (each for each in answer.checks if each.answer is GateAnswer.OVER_BUDGET)
    assert (check.budget.series, check.budget.text) == ("python_live", "256/call")
    assert check.estimate == check.low == pytest.approx(864)
    assert "864 B/call (864 to 864 B/call between collections)" in str(check.reason)
    assert set(checks_of(leaks, replace(quarter, amount=1024.0)).values()) == {
        GateAnswer.WITHIN_BUDGET
    }
    clean = small_objects_run(make_run, blocks=0, rate=0)
    assert set(checks_of(clean, quarter).values()) == {GateAnswer.WITHIN_BUDGET}


def test_small_objects_have_budgets_of_their_own(make_run: MakeRun) -> None:
    leaks = small_objects_run(make_run, blocks=16, rate=864)
    own = replace(PER_CALL, series="python_live", amount=1000.0)
    assert checks_of(leaks, own, replace(PER_CALL, amount=256.0))["python_live"] is (
        GateAnswer.WITHIN_BUDGET
    )
    blocks = replace(PER_CALL, series="python_blocks", amount=20.0)
    assert "python_live" not in checks_of(leaks, PER_CALL, blocks)
    total = Budget("python_live", 300_000.0, Extent.RUN, more=False, text="300 kB total")
    assert checks_of(leaks, total)["python_live"] is GateAnswer.OVER_BUDGET
    assert checks_of(leaks, replace(total, amount=400_000.0))["python_live"] is (
        GateAnswer.WITHIN_BUDGET
    )


def test_small_objects_of_too_few_calls_for_a_verdict_are_no_answer(make_run: MakeRun) -> None:
    few = make_run(
        readings=small(864, calls=40), live_heap=[BASE] * 40,
        python_blocks=[16 * call for call in range(40)],
    )  # fmt: skip
    assert only(replace(PER_CALL, series="python_live"), few).answer is GateAnswer.NOT_MEASURED


@pytest.mark.parametrize("series", ["threads", "python_blocks"])
def test_a_budget_takes_no_other_rule_away(make_run: MakeRun, series: str) -> None:
    """What no budget is about may not leak."""
    rising = {series: [4 + call for call in range(400)]}
    run = make_run(**{"live_heap": [BASE] * 400, **rising})
    assert checks_of(run, PER_CALL)[series] is GateAnswer.OVER_BUDGET
    assert checks_of(run, RSS_TOTAL).get(series) is (
        GateAnswer.OVER_BUDGET if series == "threads" else None
    )


def test_a_budget_of_blocks_leaves_the_heap_its_rule(make_run: MakeRun) -> None:
    blocks = replace(PER_CALL, series="python_blocks", amount=1.0)
    run = make_run(live_heap=leak(5000), python_blocks=[1000] * 300)
    assert checks_of(run, blocks)["live_heap"] is GateAnswer.OVER_BUDGET


def test_small_objects_that_may_be_a_warm_up_yet_are_inconclusive(make_run: MakeRun) -> None:
    slowing = [round(2000 * (1 - 0.99**call)) for call in range(400)]
    run = make_run(readings=small(864), live_heap=[BASE] * 400, python_blocks=slowing)
    result = only(replace(PER_CALL, series="python_live", amount=256.0), run)
    assert result.answer is GateAnswer.INCONCLUSIVE


def test_small_objects_of_a_run_that_ended_early_are_no_pass(make_run: MakeRun) -> None:
    run = small_objects_run(make_run, blocks=0, rate=0)
    own = replace(PER_CALL, series="python_live")
    assert only(own, run).answer is GateAnswer.WITHIN_BUDGET
    killed = replace(run, outcome=Outcome(Ending.KILLED, "SIGKILL"))
    result = only(own, killed)
    assert result.answer is GateAnswer.INCONCLUSIVE
    assert "ended early" in str(result.reason)


def test_small_objects_of_a_cache_that_ends_are_within_as_those_of_the_heap_are(
    make_run: MakeRun,
) -> None:
    (entry,) = hunted(small_objects_run(make_run, blocks=16, rate=864))
    cache = replace(entry, verdict=replace(entry.verdict, kind=Kind.BOUNDED_CACHE))
    own = replace(PER_CALL, series="python_live", amount=256.0)
    assert check_all([entry], [own])[0].answer is GateAnswer.OVER_BUDGET
    (check,) = check_all([cache], [own])
    assert check.answer is GateAnswer.WITHIN_BUDGET
    assert "until bounded caches are full" in str(check.reason)


def test_small_objects_are_held_to_the_heaps_budget_beside_a_baseline(make_run: MakeRun) -> None:
    run = small_objects_run(make_run, blocks=16, rate=864)
    same = line("python_blocks", Conclusion.NO_DIFFERENCE, Interval(0.0, -0.1, 0.1))
    difference = BaselineDifference((same,))
    quarter = replace(PER_CALL, amount=256.0)
    answer = answer_on(judged(run), Terms((quarter,), (), TODAY), difference)
    assert answer.answer is GateAnswer.OVER_BUDGET


def test_more_small_objects_are_allowed_by_their_own_budget(make_run: MakeRun) -> None:
    run = small_objects_run(make_run, blocks=16, rate=864)
    more = Budget("python_live", 1024.0, Extent.CALL, more=True, text="+1 KiB/call")
    grown = [
        line("python_live", Conclusion.INCREASE, Interval(500.0, 450.0, 550.0)),
        line("python_blocks", Conclusion.INCREASE, Interval(9.0, 8.0, 10.0)),
    ]
    checks = {each.budget.series: each.answer for each in check_all(judged(run), [more], grown)}
    assert checks["python_live"] is GateAnswer.WITHIN_BUDGET
    assert "python_blocks" not in checks


def test_what_nobody_asked_for_does_not_hold_up_a_short_run(make_run: MakeRun) -> None:
    short = make_run(rss=[BASE] * 30, threads=[4] * 30, live_heap=[BASE] * 30)
    assert checks_of(short, RSS_TOTAL) == {"rss": GateAnswer.WITHIN_BUDGET}
    assert checks_of(short)["threads"] is GateAnswer.INCONCLUSIVE
