"""From the measured and hunted runs of a variant to the gate's answer on it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from leakhunt.amounts import Rate
from leakhunt.analysis.attribution.coverage import EXPLAINED_SHARE
from leakhunt.analysis.gate.absolute import no_sample
from leakhunt.analysis.gate.check import check_all, default_budgets
from leakhunt.analysis.gate.small_objects import of_the_heap
from leakhunt.analysis.verdict.series import default_tolerance
from leakhunt.model.attribution import Attribution, Suspect
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
from leakhunt.model.report import JudgedRun
from leakhunt.model.series import (
    GARBAGE_OBJECTS,
    LIVE_HEAP,
    PYTHON_BLOCKS,
    PYTHON_LIVE,
    SeriesRole,
    Unit,
    has_role,
)
from leakhunt.text.message import Text, message


def answer_on(
    entries: Sequence[JudgedRun],
    terms: Terms,
    difference: BaselineDifference | None = None,
    attempts: int = 1,
) -> VariantResult:
    """The answer on the repeats of one variant; there is one at least.

    What no budget is about may not leak; with a baseline, nothing may leak more than there. Where
    it was hunted, suspects that are accepted do not count.
    """
    if not any(entry.run.samples_done for entry in entries):
        run = entries[0].run
        result = not_measured(run.plan.scenario, run.plan.variant, no_sample(run))
        return replace(result, entries=tuple(entries), attempts=attempts)
    is_compared = difference is not None and not difference.refusal
    budgets = _with_small_objects(terms.budgets, entries)
    implied = () if is_compared else _implied(budgets, entries)
    attribution = next((each.attribution for each in entries if each.attribution is not None), None)
    suspects = attribution.suspects if attribution is not None else ()
    accepted = tuple(_accepted(suspects, terms))
    lines = difference.lines if difference is not None and is_compared else None
    checks = check_all(entries, budgets, lines)
    if implied:
        checks += _decided(check_all(entries, implied), terms.budgets)
    if attribution is not None and accepted:
        names = {suspect.fingerprint for suspect, _ in accepted}
        counting = [each for each in suspects if each.fingerprint not in names]
        checks = tuple(_accepted_growth(check, attribution, counting, accepted) for check in checks)
        suspects = tuple(counting)
    refusal = difference.refusal if difference is not None else ""
    if not checks and not refusal:
        refusal = message(
            "gate.no-live-series", "no series of live memory can be read on this system"
        )
    answers = [check.answer for check in checks]
    return VariantResult(
        scenario=entries[0].run.plan.scenario,
        variant=entries[0].variant,
        answer=gravest([*answers, GateAnswer.NOT_MEASURED] if refusal else answers),
        checks=checks,
        entries=tuple(entries),
        attempts=attempts,
        suspects=suspects,
        accepted=accepted,
        mismatches=difference.mismatches if difference is not None else (),
        reason=refusal,
    )


def _with_small_objects(
    budgets: Sequence[Budget], entries: Sequence[JudgedRun]
) -> Sequence[Budget]:
    """The budgets, those of the live heap for small objects as well, unless they have their own."""
    if {budget.series for budget in budgets} & {PYTHON_BLOCKS, PYTHON_LIVE}:
        return budgets
    return (*budgets, *of_the_heap(budgets, entries))


def _implied(budgets: Sequence[Budget], entries: Sequence[JudgedRun]) -> Sequence[Budget]:
    """That nothing may leak of what no budget is about: one is one more thing to keep, none less.

    What holds all memory, such as RSS, is about live memory as well.
    """
    about = {budget.series for budget in budgets}
    if PYTHON_LIVE in about:
        about |= {PYTHON_BLOCKS}
    if any(has_role(series, SeriesRole.RETAINED) for series in about):
        about |= {LIVE_HEAP, PYTHON_BLOCKS}
    return tuple(each for each in default_budgets(entries) if each.series not in about)


def _decided(checks: Sequence[BudgetResult], budgets: Sequence[Budget]) -> tuple[BudgetResult, ...]:
    """What nobody asked for and too few calls were made for is left out, if memory has a budget."""
    if not any(has_role(each.series, SeriesRole.LIVE, SeriesRole.RETAINED) for each in budgets):
        return tuple(checks)
    return tuple(each for each in checks if each.answer is not GateAnswer.INCONCLUSIVE)


def not_measured(scenario: str, variant: str, reason: Text) -> VariantResult:
    """The answer on what could not be measured at all."""
    return VariantResult(scenario, variant, GateAnswer.NOT_MEASURED, (), attempts=0, reason=reason)


def with_totals(answer: VariantResult, first: Sequence[BudgetResult]) -> VariantResult:
    """The answer on longer runs, with the `first` ones' checks of what is counted over a run.

    The policy says how long a run is; one that is made longer, to tell more, grows by more.
    """
    of_first = {each.budget: each for each in first if each.budget.extent is Extent.RUN}
    checks = tuple(of_first.get(each.budget, each) for each in answer.checks)
    answers = [each.answer for each in checks]
    if answer.reason:
        answers.append(GateAnswer.NOT_MEASURED)
    return replace(answer, checks=checks, answer=gravest(answers))


def _accepted(suspects: Sequence[Suspect], terms: Terms) -> list[tuple[Suspect, Acceptance]]:
    valid = {each.fingerprint: each for each in terms.accepted if terms.today <= each.until}
    return [
        (each, valid[each.fingerprint])
        for each in suspects
        if each.fingerprint in valid and not _is_beyond(each, valid[each.fingerprint])
    ]


def _is_beyond(suspect: Suspect, acceptance: Acceptance) -> bool:
    """Whether a suspect keeps more than it was accepted for."""
    return acceptance.up_to is not None and (suspect.bytes_per_call or 0.0) > acceptance.up_to


def _accepted_growth(
    check: BudgetResult,
    attribution: Attribution,
    counting: Sequence[Suspect],
    accepted: Sequence[tuple[Suspect, Acceptance]],
) -> BudgetResult:
    """A budget that only accepted suspects break is kept.

    Only where the suspects explain the growth: what nobody names may be anybody.
    """
    if check.answer is not GateAnswer.OVER_BUDGET or check.budget.extent is not Extent.CALL:
        return check
    of_garbage = check.budget.series == GARBAGE_OBJECTS
    if (
        not of_garbage
        and attribution.growth is not None
        and (attribution.explained or 0.0) < EXPLAINED_SHARE * attribution.growth
    ):
        return check
    if check.unit is Unit.COUNT and not _explain_count(check, [suspect for suspect, _ in accepted]):
        return check
    remaining = sum(_counts_as(suspect, check) for suspect in counting)
    if remaining > max(check.budget.amount, default_tolerance(check.unit, 1)):
        return check
    reason = message(
        "gate.accepted",
        "{reason}; accepted: {fingerprints}",
        reason=check.reason,
        fingerprints=tuple(suspect.fingerprint for suspect, _ in accepted),
    )
    return replace(check, answer=GateAnswer.WITHIN_BUDGET, reason=reason)


def _counts_as(suspect: Suspect, check: BudgetResult) -> float:
    """What a suspect comes to in the unit of a budget: a cycle in objects of garbage only."""
    of_garbage = check.budget.series == GARBAGE_OBJECTS
    if suspect.cycle is not None:
        return suspect.per_call * suspect.cycle.objects if of_garbage else 0.0
    if of_garbage:
        return 0.0
    return (suspect.bytes_per_call or 0.0) if check.unit is Unit.BYTES else suspect.per_call


def _explain_count(check: BudgetResult, suspects: Sequence[Suspect]) -> bool:
    """Whether the suspects open what is counted, and not only keep the memory beside it."""
    if check.budget.series == GARBAGE_OBJECTS:
        opened = sum(_counts_as(each, check) for each in suspects)
    else:
        opened = sum(each.per_call for each in suspects if each.bytes_per_call is None)
    return opened >= EXPLAINED_SHARE * (check.low or 0.0)


def acceptance_notes(terms: Terms, variants: Sequence[VariantResult]) -> tuple[Text, ...]:
    """Acceptances that have run out, or that a suspect has outgrown, each as a line."""
    notes: list[Text] = []
    for each in terms.accepted:
        covered = [variant for variant in variants if each.applies_to(variant.variant)]
        found = {
            suspect.fingerprint: suspect for variant in covered for suspect in variant.suspects
        }
        if each.fingerprint in _accepted_fingerprints(covered):
            continue
        if terms.today > each.until:
            notes.append(_run_out(each, each.fingerprint in found))
        elif each.fingerprint in found and each.up_to is not None:
            notes.append(
                message(
                    "gate.acceptance-outgrown",
                    "{where}: {fingerprint} is accepted up to {up_to}, but retains {rate}",
                    where=each.where,
                    fingerprint=each.fingerprint,
                    up_to=Rate(each.up_to),
                    rate=Rate(found[each.fingerprint].bytes_per_call or 0.0),
                )
            )
    return tuple(notes)


def _accepted_fingerprints(variants: Sequence[VariantResult]) -> set[str]:
    return {suspect.fingerprint for each in variants for suspect, _ in each.accepted}


def _run_out(acceptance: Acceptance, is_found: bool) -> Text:
    values = {
        "where": acceptance.where,
        "fingerprint": acceptance.fingerprint,
        "until": acceptance.until.isoformat(),
    }
    if is_found:
        return message(
            "gate.acceptance-over",
            "{where}: the acceptance of {fingerprint} expired on {until}; the suspect is still"
            " present and counts again",
            **values,
        )
    return message(
        "gate.acceptance-over-unneeded",
        "{where}: the acceptance of {fingerprint} expired on {until}; no suspect matches it",
        **values,
    )


def unneeded_notes(terms: Terms, variants: Sequence[VariantResult]) -> tuple[Text, ...]:
    """Acceptances that nothing needs, where all that the policy names was measured."""

    def is_needed(acceptance: Acceptance) -> bool:
        covered = [each for each in variants if acceptance.applies_to(each.variant)]
        found = {suspect.fingerprint for each in covered for suspect in each.suspects}
        return acceptance.fingerprint in found | _accepted_fingerprints(covered)

    return tuple(
        message(
            "gate.acceptance-unneeded",
            "{where}: accepted {fingerprint} matches no suspect. Remove it, or check whether"
            " its fingerprint changed",
            where=each.where,
            fingerprint=each.fingerprint,
        )
        for each in terms.accepted
        if terms.today <= each.until and not is_needed(each)
    )
