"""The answers of a gate in words, the gravest first: one way to say a thing for every format.

A `GateRow` is one answer to be told. What a variant says beyond its checks has a row of its own,
and so has a gate without any variant: nothing that failed may look like a pass for want of a line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leakhunt.amounts import format_amount, format_interval, format_rate, format_seconds
from leakhunt.model.gate import (
    SECONDS_PER_CALL,
    BudgetResult,
    Extent,
    GateAnswer,
    GateResult,
    VariantResult,
    gravest,
)
from leakhunt.model.run import Ending
from leakhunt.model.series import PEAK_RSS
from leakhunt.reporting.gate.suspects import work_of
from leakhunt.reporting.run.tables import NOTHING, limit_line
from leakhunt.text.language import mark, tr
from leakhunt.text.message import Text
from leakhunt.text.number import three_digits

# A word always, a sign beside it: never told by colour alone.
SIGNS = {
    GateAnswer.OVER_BUDGET: "▲",
    GateAnswer.NOT_MEASURED: "×",
    GateAnswer.INCONCLUSIVE: "?",
    GateAnswer.WITHIN_BUDGET: "●",
}
_COUNTED = {
    GateAnswer.OVER_BUDGET: mark("{count} over budget"),
    GateAnswer.NOT_MEASURED: mark("{count} not measured"),
    GateAnswer.INCONCLUSIVE: mark("{count} inconclusive"),
    GateAnswer.WITHIN_BUDGET: mark("{count} within budget"),
}


@dataclass(frozen=True, slots=True)
class GateRow:
    """One answer: on a budget, or (`check` is None) on the variant as a whole."""

    variant: VariantResult
    answer: GateAnswer
    reason: Text
    check: BudgetResult | None

    @property
    def series(self) -> str:
        """What the budget is about; empty where there is none."""
        return self.check.budget.series if self.check is not None else ""

    @property
    def name(self) -> str:
        """``fsmn-vad:naive live_heap``."""
        return f"{self.variant.name} {self.series}".strip()


def rows(gated: GateResult) -> list[GateRow]:
    """Every answer, the gravest first; else in the order of the policy."""
    found = [row for variant in variants_of(gated) for row in variant_rows(variant)]
    return sorted(found, key=lambda row: _graver(row.answer))


def variants_of(gated: GateResult) -> tuple[VariantResult, ...]:
    """The variants in the order of the policy; of a gate of nothing, one that says so."""
    return gated.variants or (
        VariantResult(
            "leakhunt", "gate", GateAnswer.NOT_MEASURED, (), reason=tr("no variant was checked")
        ),
    )


def by_gravity(gated: GateResult) -> list[VariantResult]:
    """The variants, the gravest answer first."""
    return sorted(gated.variants, key=lambda variant: _graver(variant.answer))


def variant_rows(variant: VariantResult) -> Iterator[GateRow]:
    """The answers on a variant: what is to be said of it as a whole, then those on its budgets."""
    answers = [check.answer for check in variant.checks]
    if variant.reason or not answers or gravest(answers) is not variant.answer:
        # Beside answers of its own, a reason is about what could not be held against a baseline.
        is_extra = bool(variant.reason and answers)
        whole = GateAnswer.NOT_MEASURED if is_extra else variant.answer
        yield GateRow(variant, whole, _reason(variant), None)
    for check in variant.checks:
        yield GateRow(variant, check.answer, check.reason, check)


def _reason(variant: VariantResult) -> Text:
    if variant.reason:
        return variant.reason
    if variant.mismatches:
        return tr("the baseline is from another environment")
    return tr("no budget was checked") if not variant.checks else tr("no reason given")


def _graver(answer: GateAnswer) -> int:
    """How many answers are graver than this one."""
    return sum(gravest((answer, other)) is not answer for other in GateAnswer)


def word(answer: GateAnswer) -> str:
    """``within budget``, ``over budget``, ``inconclusive``, ``not measured``."""
    return str(answer)


def measured(row: GateRow) -> str:
    """``1.02 [1.01, 1.03] KiB/call``, or a dash where there is no figure.

    What was read and not estimated has no interval.
    """
    check = row.check
    if check is None or (estimate := finite(check.estimate)) is None:
        return NOTHING
    amount, low, high = _amount(row, check, estimate), finite(check.low), finite(check.high)
    if low is None or high is None or low == high:
        return amount
    return format_interval(amount, _bare(check, low), _bare(check, high))


def power(row: GateRow) -> str:
    """The smallest growth that would have been seen with 95 %; a dash where that is not known."""
    check = row.check
    if check is None or (detection_limit := finite(check.detection_limit)) is None:
        return NOTHING
    return _amount(row, check, detection_limit)


def finite(value: float | None) -> float | None:
    """`value`; None where it is no number to be told: a bound that is none cannot be worked out."""
    return value if value is not None and math.isfinite(value) else None


def limit(row: GateRow) -> str:
    """The budget as it was written; a dash where the row is about none."""
    return row.check.budget.text if row.check is not None else NOTHING


def sentence(row: GateRow) -> str:
    """What follows the variant's name: the figures where they say it all, else the reason."""
    if row.check is None:
        return str(row.reason)
    if figures_suffice(row):
        text = tr(
            "{series} {measured}, budget {limit}",
            series=row.series,
            measured=measured(row),
            limit=limit(row),
        )
    else:
        text = tr(
            "{series}: {reason}; budget {limit}",
            series=row.series,
            reason=str(row.reason).removesuffix(tr(".")),
            limit=limit(row),
        )
    suffix = tr("; detection limit {power} (95 % power)", power=power(row))
    return text if power(row) == NOTHING or suffix in text else text + suffix


def figures_suffice(row: GateRow) -> bool:
    """Whether the interval lies on the answer's side of the budget, and that is all there is to it.

    It does not where growth is accepted or known to end, and where a run ended early.
    """
    check = row.check
    if check is None or finite(check.estimate) is None:
        return False
    low, high = finite(check.low), finite(check.high)
    if low is None or high is None:
        return False
    if row.answer is GateAnswer.WITHIN_BUDGET:
        return high <= check.budget.amount
    ended = {entry.run.outcome.ending for entry in row.variant.entries}
    return (
        row.answer is GateAnswer.OVER_BUDGET and low > check.budget.amount and ended <= {Ending.OK}
    )


def _amount(row: GateRow, check: BudgetResult, value: float) -> str:
    """A figure in the unit of the budget, with what it is counted over."""
    if check.budget.extent is Extent.CALL and check.budget.series != SECONDS_PER_CALL:
        return _signed(check, value, format_rate(value, check.unit, work_of(row.variant)))
    if check.budget.extent is Extent.RUN and check.budget.series != PEAK_RSS:
        return tr("{amount} in total", amount=_bare(check, value))
    return _bare(check, value)


def _bare(check: BudgetResult, value: float) -> str:
    """A figure without what it is counted over; with its sign where it is a difference."""
    if check.budget.extent is Extent.SHARE:
        return f"{'+' if value >= 0 else ''}{three_digits(100 * value)} %"
    if check.budget.series == SECONDS_PER_CALL:
        sign = "-" if value < 0 else ""
        return _signed(check, value, sign + format_seconds(abs(value)))
    return _signed(check, value, format_amount(value, check.unit))


def _signed(check: BudgetResult, value: float, amount: str) -> str:
    return f"+{amount}" if check.budget.more and value > 0 else amount


def overall(gated: GateResult) -> str:
    """``over budget``: the answer for all in words."""
    return str(gated.answer)


def counts(gated: GateResult) -> str:
    """``1 over, 3 within``: how many variants have which answer, the gravest first."""
    answers = [variant.answer for variant in by_gravity(gated)]
    parts = [tr(_COUNTED[answer], count=answers.count(answer)) for answer in dict.fromkeys(answers)]
    return tr(", ").join(parts) or tr("no variant")


def compared_with(gated: GateResult) -> str:
    """The policy and what was compared with; empty where neither has a name."""
    parts = [tr("policy {policy}", policy=gated.policy)] if gated.policy else []
    parts += [tr("against {against}", against=gated.against)] if gated.against else []
    return tr(", ").join(parts)


def notes_of(variant: VariantResult) -> list[str]:
    """What there is to know beside the answers on a variant: its baseline, and its attempts."""
    return list(filter(None, (mismatch_line(variant), attempts(variant))))


def all_sentences(gated: GateResult, table_rows: Sequence[GateRow]) -> Iterator[str]:
    """Every answer, then every verdict that they rest on."""
    for row in table_rows:
        yield f"{SIGNS[row.answer]} {row.variant.name}{tr(': ')}{sentence(row)}"
    for variant in by_gravity(gated):
        for entry in variant.entries:
            lines = (str(entry.verdict.sentence), limit_line(entry.verdict))
            yield from (f"{variant.name}{tr(': ')}{line}" for line in lines if line)


def attempts(variant: VariantResult) -> str:
    """That it was measured again and longer; empty where once was enough."""
    if variant.attempts <= 1:
        return ""
    return tr("measured {attempts} times, each run longer", attempts=variant.attempts)


def mismatch_line(variant: VariantResult) -> str:
    """For which facts the baseline could not be held against it; empty where it could."""
    facts = (
        tr(
            "{fact}: {before} there, {after} here",
            fact=each.title,
            before=each.before,
            after=each.after,
        )
        for each in variant.mismatches
    )
    line = tr(" | ").join(facts)
    if not line:
        return ""
    return tr(
        "the baseline is from another environment ({facts}). Measure in the same environment"
        " ('threads' is set in the policy), or replace it with 'leakhunt baseline update"
        " RUN_FOLDER'",
        facts=line,
    )
