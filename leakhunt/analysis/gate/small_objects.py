"""The budget on small Python objects, in bytes: what pymalloc serves, and the live heap leaves out.

Their bytes are read after full collections only, without noise: the bounds of the rate are the
lowest and the highest between two of them. Whether it grows at all is the verdict on the blocks,
which are counted at every sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from leakhunt.amounts import Rate
from leakhunt.analysis.gate.absolute import answer_between, unseen, until_full, with_ending
from leakhunt.analysis.verdict.after_gc import remains
from leakhunt.analysis.verdict.series import MIN_FOR_CLEAN, default_tolerance
from leakhunt.model.gate import Budget, BudgetResult, GateAnswer
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending
from leakhunt.model.series import LIVE_HEAP, PYTHON_BLOCKS, PYTHON_LIVE, Unit
from leakhunt.model.verdict import Status
from leakhunt.text.message import Text, message


def small_objects(entry: JudgedRun, budget: Budget) -> BudgetResult:
    """Bytes of small Python objects per call."""
    run, blocks = entry.run, entry.verdict.trends.get(PYTHON_BLOCKS)
    left = remains(run, PYTHON_LIVE)
    if blocks is None or not run.samples_done:
        return unseen(entry, budget)
    if left is None:
        few = message(
            "gate.no-python-bytes",
            "fewer than three collections with the bytes of small Python objects; measure again",
        )
        return BudgetResult(budget, Unit.BYTES, GateAnswer.NOT_MEASURED, few)
    grown, low, high = (max(each, 0.0) for each in (left.rate, min(left.pieces), max(left.pieces)))
    limit = max(budget.amount, default_tolerance(Unit.BYTES, run.calls_per_sample))
    answer = answer_between(low, high, limit)
    if answer is GateAnswer.OVER_BUDGET and blocks.status is not Status.LEAK:
        answer = GateAnswer.INCONCLUSIVE  # it may be a warm-up yet
    if blocks.status is Status.NO_LEAK and blocks.samples >= MIN_FOR_CLEAN:
        answer = GateAnswer.WITHIN_BUDGET
    is_whole = run.outcome.ending is Ending.OK and blocks.samples >= MIN_FOR_CLEAN
    if answer is GateAnswer.WITHIN_BUDGET and not is_whole:
        answer = GateAnswer.INCONCLUSIVE
    reason: Text = message(
        "gate.small-objects",
        "{rate} ({low} to {high} between collections)",
        rate=Rate(grown, Unit.BYTES, run.plan.work),
        low=Rate(low, Unit.BYTES, run.plan.work),
        high=Rate(high, Unit.BYTES, run.plan.work),
    )
    if answer is GateAnswer.OVER_BUDGET and (bounded := until_full(entry, reason)) is not None:
        answer, reason = GateAnswer.WITHIN_BUDGET, bounded
    return BudgetResult(budget, Unit.BYTES, answer, with_ending(reason, run), grown, low, high)


def of_the_heap(budgets: Sequence[Budget], entries: Sequence[JudgedRun]) -> tuple[Budget, ...]:
    """What the budgets of the live heap allow of small objects, which it leaves out: as much.

    None where their bytes cannot be read.
    """
    if not all(remains(entry.run, PYTHON_LIVE) for entry in entries):
        return ()
    of_heap = (each for each in budgets if each.series == LIVE_HEAP and not each.more)
    return tuple(replace(each, series=PYTHON_LIVE) for each in of_heap)
