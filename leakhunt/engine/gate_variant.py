"""Measuring what is gated: the repeats, longer ones where they cannot tell, and who is to blame.

The same for a variant of a scenario and for the body of a test: what carries a plan out is given.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil

from leakhunt.analysis.comparison.compare import compare
from leakhunt.analysis.gate.absolute import no_sample
from leakhunt.analysis.gate.decide import answer_on, with_totals
from leakhunt.analysis.report import assemble
from leakhunt.analysis.verdict.schedule import same_calls
from leakhunt.analysis.verdict.series import INTERIM_CHECK_RATIO, MIN_FOR_LEAK
from leakhunt.engine.explain import Carrier, under_instruments
from leakhunt.engine.interleave import interleaved
from leakhunt.model.attribution import GROWTH_INSTRUMENTS, Instrument
from leakhunt.model.comparison import Side
from leakhunt.model.gate import (
    SECONDS_PER_CALL,
    BaselineDifference,
    Extent,
    GateAnswer,
    Terms,
    VariantResult,
)
from leakhunt.model.plan import Plan
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending, Run
from leakhunt.model.series import GARBAGE_OBJECTS
from leakhunt.text.message import message

# A run is made longer by a little more than what its own noise says would do.
_MARGIN = 1.1
# The part of a longer run that is warm-up, where the first had to find its own.
_WARM_UP_SHARE = 0.25

# What differs from the baseline, of the repeats of a variant; None: there is none.
BaselineComparison = Callable[[Sequence[JudgedRun]], BaselineDifference | None]
# One of two revisions: what carries its plans out, and its runs so far.
_Side = tuple[Carrier, list[Run]]


@dataclass(frozen=True, slots=True)
class GateEffort:
    """How often a variant is measured, and how often again, longer, where that cannot tell.

    No run is made longer than `most_calls`; of calls so short that many are one sample, so many
    samples.
    """

    repeats: int = 1
    retries: int = 2
    most_calls: int = 20_000


class HuntInterrupted(KeyboardInterrupt):
    """The user ended the hunt: `result` is the answer, which does not name all suspects."""

    def __init__(self, result: VariantResult) -> None:
        super().__init__()
        self.result = result


def without_baseline(entries: Sequence[JudgedRun]) -> BaselineDifference | None:
    """Nothing to hold the repeats against."""
    return None


@dataclass(frozen=True, slots=True)
class Gate:
    """How plans are measured and answered on: what carries them out, the terms, and the effort.

    `against` tells what differs from the baseline; `usable` are the instruments that may be used.
    `generator` names the program and version.
    """

    carry: Carrier
    terms: Terms
    effort: GateEffort
    generator: str
    against: BaselineComparison = without_baseline
    usable: Collection[Instrument] = GROWTH_INSTRUMENTS

    def answer(self, plan: Plan) -> VariantResult:
        """Measure a plan, and the answer on it.

        What cannot tell is measured again, longer; what is over its budget is hunted, so that the
        answer can name who keeps the memory. The run files are named after the variant: ``naive``,
        ``naive.repeat-2``, ``naive.longer-1`` and so on.

        Raises:
            HuntInterrupted: the user ended it when only the hunt was left.
            KeyboardInterrupt: the user ended it before.
        """
        first = runs = self._repeats(plan, plan.variant)
        attempts = 1
        answer = self._answer(runs, first, attempts)
        while answer.answer is GateAnswer.INCONCLUSIVE and attempts <= self.effort.retries:
            longer = _longer(plan, runs, answer, self.effort.most_calls)
            if longer is None:
                break
            runs = self._repeats(longer, f"{plan.variant}.longer-{attempts}")
            attempts += 1
            answer = self._answer(runs, first, attempts)
        return self._hunted(answer, runs, partial(self._answer, first=first, attempts=attempts))

    def answer_against(self, plan: Plan, before: Carrier, label: str, pairs: int) -> VariantResult:
        """Measure a plan and the same plan of another revision, interleaved; the answer on it.

        `before` carries it out there, and `label` names it. What cannot tell is measured in as many
        pairs again. Where the plan leaves the number of calls open, a first run finds it.

        Raises:
            HuntInterrupted: the user ended it when only the hunt was left.
            KeyboardInterrupt: the user ended it before.
        """
        if plan.calls is None:
            plan = same_calls(self.carry(plan, f"{plan.variant}.first"))
        own: _Side = (self.carry, [])
        other: _Side = (before, [])
        attempts = 0
        while True:
            for turn, (carry, runs) in interleaved(own, other, pairs, 1 + attempts * pairs):
                runs.append(carry(plan, f"{plan.variant}.round-{turn}"))
            attempts += 1
            remeasure = partial(self._compared, others=other[1], label=label, attempts=attempts)
            result = remeasure(own[1])
            if result.answer is not GateAnswer.INCONCLUSIVE or attempts > self.effort.retries:
                break
            if not all(map(_lasted, [*own[1], *other[1]])):
                break
        return self._hunted(result, own[1], remeasure)

    def _repeats(self, plan: Plan, name: str) -> list[Run]:
        names = [name, *(f"{name}.repeat-{turn}" for turn in range(2, self.effort.repeats + 1))]
        return [self.carry(plan, each) for each in names]

    def _hunted(
        self,
        result: VariantResult,
        runs: Sequence[Run],
        again: Callable[[Sequence[Run]], VariantResult],
    ) -> VariantResult:
        """The answer on `runs`; where a budget is broken, with those that say who is to blame."""
        if result.answer is not GateAnswer.OVER_BUDGET:
            return result
        verdict = next(e.verdict for e in result.entries if e.run is runs[0])
        try:
            watched = [*under_instruments(runs[0], verdict, self.carry, usable=self.usable)]
            if _asks_for_garbage(result, watched) and Instrument.GARBAGE in self.usable:
                wanted = (Instrument.GARBAGE,)
                watched += under_instruments(runs[0], verdict, self.carry, wanted=wanted)
        except KeyboardInterrupt:
            raise HuntInterrupted(result) from None
        return again([*runs, *watched])

    def _answer(self, runs: Sequence[Run], first: Sequence[Run], attempts: int) -> VariantResult:
        result = answer_runs(runs, self.terms, self.generator, self.against, attempts)
        if attempts == 1:
            return result
        before = answer_runs(first, self.terms, self.generator, self.against)
        return with_totals(result, before.checks)

    def _compared(
        self, runs: Sequence[Run], others: Sequence[Run], label: str, attempts: int
    ) -> VariantResult:
        other = Side(label, assemble(others, self.generator).entries)
        empty = next((run for run in others if not run.samples_done), None)

        def against(entries: Sequence[JudgedRun]) -> BaselineDifference:
            if empty is not None:
                reason = message(
                    "gate.empty-beside", "{label}: {reason}", label=label, reason=no_sample(empty)
                )
                return BaselineDifference(refusal=reason)
            (pair,) = compare((other, Side("", tuple(entries))), False, self.generator).pairs
            return BaselineDifference(pair.lines, pair.refusing)

        return answer_runs(runs, self.terms, self.generator, against, attempts)


def _asks_for_garbage(result: VariantResult, watched: Sequence[Run]) -> bool:
    """Whether the budget of cyclic garbage is broken, and nobody looked at its cycles."""
    is_over = any(
        check.budget.series == GARBAGE_OBJECTS and check.answer is GateAnswer.OVER_BUDGET
        for check in result.checks
    )
    return is_over and not any(run.plan.instrument is Instrument.GARBAGE for run in watched)


def answer_runs(
    runs: Sequence[Run],
    terms: Terms,
    generator: str,
    against: BaselineComparison = without_baseline,
    attempts: int = 1,
) -> VariantResult:
    """The answer on the measured runs of one variant, with what watched runs found."""
    entries = assemble(runs, generator).entries
    return answer_on(entries, terms, against(entries), attempts)


def _longer(plan: Plan, runs: Sequence[Run], answer: VariantResult, most_calls: int) -> Plan | None:
    """The same with as many calls as would tell; None: more calls would not, or are too many."""
    if not all(map(_lasted, runs)):
        return None
    done = max(run.calls_done for run in runs)
    each = max(run.calls_per_sample for run in runs)
    # Times, and what grows over a whole run, differ from run to run, however long they are.
    open_still = {
        check.budget.series
        for check in answer.checks
        if check.answer is GateAnswer.INCONCLUSIVE
        and check.budget.extent is Extent.CALL
        and check.budget.series != SECONDS_PER_CALL
    }
    if not open_still:
        return None
    needed = [
        trend.calls_needed or 0
        for entry in answer.entries
        for name, trend in entry.verdict.trends.items()
        if name in open_still
    ]
    wanted = max(
        done + ceil(max(needed, default=0) * _MARGIN),
        ceil(done * INTERIM_CHECK_RATIO),
        ceil(MIN_FOR_LEAK * each / (1 - _WARM_UP_SHARE)),
    )
    calls = min(wanted, most_calls * each) // each * each
    if calls <= done:
        return None
    return replace(
        plan,
        calls=calls,
        warmup=int(calls * _WARM_UP_SHARE) // each * each,
        calls_per_sample=each,
        collect="always" if all(run.collects for run in runs) else "never",
        resolve=False,
    )


def _lasted(run: Run) -> bool:
    """Whether a run went to its end: one that ended before its time would do so again."""
    return run.outcome.ending is Ending.OK and run.calls_done > 0
