"""Measuring what is gated, by a scripted carrier in place of processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from math import expm1

import pytest
from conftest import MakeRun, plan
from made_findings import cycle, finding, watched

from leakhunt.engine.gate_variant import Gate, GateEffort, HuntInterrupted
from leakhunt.model.attribution import Instrument
from leakhunt.model.gate import Budget, Extent, GateAnswer, Terms
from leakhunt.model.plan import Plan
from leakhunt.model.run import Ending, Outcome, Reading, Run
from leakhunt.model.series import GARBAGE_OBJECTS

BUDGET = Budget("live_heap", 1024.0, Extent.CALL, more=False, text="1 KiB/call")
MORE = Budget("live_heap", 1024.0, Extent.CALL, more=True, text="+1 KiB/call")
OPEN = plan(calls=None, warmup=None, calls_per_sample=None, collect="auto")

Heights = Callable[[int], int]


def steady(rate: int) -> Heights:
    return lambda call: rate * call


def settles_late(call: int) -> int:
    """A cache of two megabytes, most of which is filled after a hundred calls."""
    return round(2_000_000 * -expm1(-call / 50))


def near_the_budget(call: int) -> int:
    """Just below it, with waves that leave its bounds on both sides of it."""
    return 1000 * call + 300_000 * (call // 20 % 2)


class Script:
    """Carries out plans by heights of the live heap, and keeps the plans."""

    def __init__(self, make_run: MakeRun, *heights: Heights, calls: int = 200) -> None:
        self._make_run = make_run
        self._heights = list(heights)
        self._calls = calls
        self.plans: list[tuple[str, Plan]] = []

    def __call__(self, requested: Plan, name: str) -> Run:
        self.plans.append((name, requested))
        if requested.instrument is not None:
            return replace(watched(finding(size=5000)), plan=requested)
        heights = self._heights.pop(0) if len(self._heights) > 1 else self._heights[0]
        calls = requested.calls or self._calls
        run = self.make([heights(call) for call in range(calls)])
        return replace(run, plan=requested)

    def make(self, heights: Sequence[int]) -> Run:
        """A run with these readings of the live heap."""
        return self._make_run(live_heap=heights)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.plans]


def gate(script: Script, *budgets: Budget, **effort: int) -> Gate:
    terms = Terms(budgets or (BUDGET,), (), date(2026, 11, 27))
    return Gate(
        script, terms, GateEffort(**effort), "leakhunt test", usable=[Instrument.TRACEMALLOC]
    )


def test_a_clean_variant_is_measured_once(make_run: MakeRun) -> None:
    script = Script(make_run, steady(0))
    answer = gate(script).answer(OPEN)
    assert (answer.answer, answer.attempts) == (GateAnswer.WITHIN_BUDGET, 1)
    assert script.names == ["naive"]


def test_repeats_are_fresh_runs_of_the_same_plan(make_run: MakeRun) -> None:
    script = Script(make_run, steady(0))
    answer = gate(script, repeats=3).answer(OPEN)
    assert script.names == ["naive", "naive.repeat-2", "naive.repeat-3"]
    assert len(answer.entries) == 3


def test_what_cannot_tell_is_measured_again_longer_until_it_can(make_run: MakeRun) -> None:
    script = Script(make_run, settles_late)
    answer = gate(script, retries=3).answer(OPEN)
    calls = [requested.calls or 200 for _, requested in script.plans]
    assert answer.answer is GateAnswer.WITHIN_BUDGET
    assert calls == sorted(set(calls))
    assert script.names[1] == "naive.longer-1"
    assert answer.attempts == len(calls) > 1


def test_retries_end_at_their_number_and_at_the_most_calls(make_run: MakeRun) -> None:
    once = Script(make_run, near_the_budget)
    assert gate(once, retries=1).answer(OPEN).answer is GateAnswer.INCONCLUSIVE
    assert len(once.plans) == 2
    bounded = Script(make_run, near_the_budget)
    assert gate(bounded, retries=9, most_calls=400).answer(OPEN).answer is GateAnswer.INCONCLUSIVE
    assert max(requested.calls or 0 for _, requested in bounded.plans) == 400
    assert gate(Script(make_run, near_the_budget), retries=0).answer(OPEN).attempts == 1


def test_a_run_that_ended_by_itself_is_not_tried_again(make_run: MakeRun) -> None:
    script = Script(make_run, steady(0))

    def killed(requested: Plan, name: str) -> Run:
        return replace(script(requested, name), outcome=Outcome(Ending.KILLED, "SIGKILL"))

    job = replace(gate(script), carry=killed)
    assert job.answer(OPEN).answer is GateAnswer.INCONCLUSIVE
    assert script.names == ["naive"]


def test_a_budget_on_a_whole_run_is_about_as_many_calls_as_the_policy_says(
    make_run: MakeRun,
) -> None:
    total = Budget("live_heap", 600_000.0, Extent.RUN, more=False, text="600 kB total")
    job = gate(Script(make_run, near_the_budget, steady(900)), BUDGET, total)
    answer = job.answer(replace(OPEN, calls=200, warmup=50, calls_per_sample=1))
    assert answer.attempts == 2
    assert max(entry.run.calls_done for entry in answer.entries) > 700
    assert [check.answer for check in answer.checks] == [
        GateAnswer.WITHIN_BUDGET,
        GateAnswer.WITHIN_BUDGET,
    ]
    assert "in 200 calls" in str(answer.checks[1].reason)


def test_time_that_cannot_tell_is_not_measured_for_longer(make_run: MakeRun) -> None:
    def timed(requested: Plan, name: str) -> Run:
        asks.append(name)
        run = make_run(live_heap=[0] * 300, duration=[1_000_000] * 300)
        return replace(run, plan=requested)

    asks: list[str] = []
    fast = Budget("seconds_per_call", 0.001, Extent.CALL, more=False, text="1 ms")
    job = replace(gate(Script(make_run, steady(0)), fast, retries=3), carry=timed)
    assert job.answer(OPEN).answer is GateAnswer.INCONCLUSIVE
    assert asks == ["naive"]


def test_an_interrupt_of_the_hunt_leaves_the_answer(make_run: MakeRun) -> None:
    script = Script(make_run, steady(5000))

    def interrupted(requested: Plan, name: str) -> Run:
        if requested.instrument is not None:
            raise KeyboardInterrupt
        return script(requested, name)

    with pytest.raises(HuntInterrupted) as raised:
        replace(gate(script), carry=interrupted).answer(OPEN)
    result = raised.value.result
    assert (result.answer, result.suspects) == (GateAnswer.OVER_BUDGET, ())


def test_what_is_over_is_hunted_and_its_suspect_named(make_run: MakeRun) -> None:
    script = Script(make_run, steady(5000))
    answer = gate(script).answer(OPEN)
    assert answer.answer is GateAnswer.OVER_BUDGET
    assert script.names[0] == "naive"
    assert "naive.under-tracemalloc" in script.names
    where = answer.suspects[0].where
    assert where is not None
    assert (where.file, where.line) == ("made.py", 7)


def test_cycles_are_named_where_the_budget_of_garbage_is_broken(make_run: MakeRun) -> None:
    budget = Budget(GARBAGE_OBJECTS, 1.0, Extent.CALL, more=False, text="1/call")

    def carry(requested: Plan, name: str) -> Run:
        if requested.instrument is not None:
            return replace(watched(cycle()), plan=requested)
        readings = [
            Reading("look_collected", {GARBAGE_OBJECTS: 5 * calls}, calls)
            for calls in (100, 150, 200)
        ]
        run = make_run(live_heap=[0] * 200, python_blocks=[9] * 200, readings=readings)
        return replace(run, plan=requested)

    held = gate(Script(make_run, steady(0)), budget)
    answer = replace(held, carry=carry, usable=list(Instrument)).answer(OPEN)
    assert answer.answer is GateAnswer.OVER_BUDGET
    assert [each.cycle is not None for each in answer.suspects] == [True]
    without = replace(held, carry=carry, usable=[Instrument.MEMRAY]).answer(OPEN)
    assert (without.answer, without.suspects) == (GateAnswer.OVER_BUDGET, ())


def test_another_revision_is_measured_in_turns(make_run: MakeRun) -> None:
    order: list[str] = []
    before = Script(make_run, steady(3000))
    after = Script(make_run, steady(3000))

    def carrying(side: str, script: Script) -> Callable[[Plan, str], Run]:
        def carry(requested: Plan, name: str) -> Run:
            order.append(f"{side} {name}")
            return script(requested, name)

        return carry

    job = replace(gate(after, MORE), carry=carrying("after", after))
    answer = job.answer_against(plan(calls=200), carrying("before", before), "main", pairs=2)
    assert answer.answer is GateAnswer.WITHIN_BUDGET
    assert order == [
        "after naive.round-1", "before naive.round-1", "before naive.round-2",
        "after naive.round-2",
    ]  # fmt: skip


def test_calls_that_are_left_open_are_found_by_a_first_run(make_run: MakeRun) -> None:
    before, after = Script(make_run, steady(0)), Script(make_run, steady(0), calls=250)
    gate(after, MORE).answer_against(OPEN, before, "main", pairs=2)
    assert after.names[0] == "naive.first"
    assert {requested.calls for _, requested in before.plans} == {250}
    assert {requested.calls for _, requested in after.plans[1:]} == {250}


@pytest.mark.parametrize(
    ("grown", "answer"),
    [
        (3000, GateAnswer.WITHIN_BUDGET),
        (3900, GateAnswer.WITHIN_BUDGET),
        (5000, GateAnswer.OVER_BUDGET),
    ],
)
def test_only_what_is_worse_than_the_other_revision_fails(
    make_run: MakeRun, grown: int, answer: GateAnswer
) -> None:
    before, after = Script(make_run, steady(3000)), Script(make_run, steady(grown))
    result = gate(after, MORE).answer_against(plan(calls=200), before, "main", pairs=2)
    assert result.answer is answer


@pytest.mark.parametrize("breaks", ["here", "there"])
def test_a_side_that_ends_early_is_no_pass_and_not_tried_again(
    make_run: MakeRun, breaks: str
) -> None:
    script = Script(make_run, steady(0))

    def killed(requested: Plan, name: str) -> Run:
        asks.append(name)
        run = make_run(live_heap=[0] * 20)
        return replace(run, plan=requested, outcome=Outcome(Ending.KILLED, "SIGKILL after call 20"))

    asks: list[str] = []
    job = replace(gate(script, MORE), carry=killed if breaks == "here" else script)
    other = killed if breaks == "there" else script
    answer = job.answer_against(plan(calls=200), other, "main", pairs=2)
    assert answer.answer is GateAnswer.INCONCLUSIVE
    assert asks == ["naive.round-1", "naive.round-2"]


def test_rounds_that_cannot_tell_are_followed_by_more(make_run: MakeRun) -> None:
    def swinging(rates: Sequence[int]) -> list[Heights]:
        return [steady(rate) for rate in rates]

    after = Script(make_run, *swinging([3000, 5400, 3900, 3900, 3900, 3900]))
    before = Script(make_run, steady(3000))
    answer = gate(after, MORE, retries=1).answer_against(plan(calls=200), before, "main", pairs=2)
    assert answer.attempts == 2
    assert len(before.plans) == 4


def test_short_calls_are_counted_by_samples(make_run: MakeRun) -> None:
    """A thousand calls a sample would be beyond any number of calls at once."""
    script = Script(make_run, near_the_budget)
    each = replace(OPEN, calls_per_sample=100)
    effort = GateEffort(retries=1, most_calls=400)
    job = replace(gate(script), effort=effort, carry=in_batches(script))
    assert job.answer(each).attempts == 2
    assert 200 * 100 < (script.plans[1][1].calls or 0) <= 400 * 100


def in_batches(script: Script) -> Callable[[Plan, str], Run]:
    """The same with a hundred calls a sample."""

    def carry(requested: Plan, name: str) -> Run:
        script.plans.append((name, requested))
        samples = (requested.calls or 20_000) // 100
        heights = [100 * near_the_budget(sample) for sample in range(samples)]
        run = script.make(heights)
        phases = tuple(replace(phase, calls_per_sample=100) for phase in run.phases)
        calls = range(100, 100 * samples + 1, 100)
        return replace(run, plan=requested, phases=phases, calls=calls)

    return carry
