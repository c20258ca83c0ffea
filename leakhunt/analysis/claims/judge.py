"""From measured figures to the verdict on a claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from leakhunt.analysis.claims.evidence import Evidence, MeasureContext
from leakhunt.analysis.claims.measures import FUNCTIONS
from leakhunt.model.claims import (
    MEASURES,
    About,
    Check,
    CheckAnswer,
    Claim,
    ClaimMeasurement,
    Claims,
    ClaimVerdict,
    JudgedCheck,
    JudgedClaim,
)
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending
from leakhunt.text.message import Text, message, plural_message


def judge_claims(claims: Claims, evidence: Mapping[str, Evidence]) -> tuple[JudgedClaim, ...]:
    """Every claim, judged by what its runs left; `evidence` by the name of the run."""
    return tuple(judge_claim(claims, claim, evidence) for claim in claims.claims)


def judge_claim(claims: Claims, claim: Claim, evidence: Mapping[str, Evidence]) -> JudgedClaim:
    """What became of one claim of these.

    All checks of the effect and of the cause hold: reproduced. One of the effect does not: not
    reproduced, whatever else could not be measured. The effect holds and one of the cause does not:
    another cause. A claim of causes alone has them for its effect.
    """
    checks = tuple(judge_check(check, evidence.get(check.run)) for check in claim.checks)
    return JudgedClaim(claims.scenario, claim, _verdict(checks), checks, claims.needed(claim))


def _verdict(checks: Sequence[JudgedCheck]) -> ClaimVerdict:
    effects = [each.answer for each in checks if each.check.about is About.EFFECT]
    causes = [each.answer for each in checks if each.check.about is About.CAUSE]
    if not effects:
        effects, causes = causes, []
    if not effects:
        return ClaimVerdict.NOT_MEASURED
    if CheckAnswer.DOES_NOT_HOLD in effects:
        return ClaimVerdict.NOT_REPRODUCED
    if (open_still := _open(effects)) is not None:
        return open_still
    if CheckAnswer.DOES_NOT_HOLD in causes:
        return ClaimVerdict.OTHER_CAUSE
    return _open(causes) or ClaimVerdict.REPRODUCED


def _open(answers: Sequence[CheckAnswer]) -> ClaimVerdict | None:
    """What keeps answers that are all no refusal from being all a yes."""
    if CheckAnswer.NOT_MEASURED in answers:
        return ClaimVerdict.NOT_MEASURED
    return ClaimVerdict.INCONCLUSIVE if CheckAnswer.INCONCLUSIVE in answers else None


def judge_check(check: Check, evidence: Evidence | None) -> JudgedCheck:
    """One figure, measured and held against its limits."""
    if evidence is None or evidence.report is None or evidence.missing:
        missing = evidence.missing if evidence is not None else ""
        return _not_measured(check, missing or message("claims.no-run", "no such run"))
    entries = [each for each in evidence.report.entries if each.variant == check.variant]
    if not check.variant:
        entries = list(evidence.report.entries)
    if len(entries) != 1:
        return _not_measured(check, _not_one(check, entries, evidence))
    reference = _reference(check, entries[0], evidence)
    for entry in filter(None, (entries[0], reference)):
        if failure := _failed(check, entry):
            return _not_measured(check, failure)
    context = MeasureContext(check, entries[0], reference, evidence.runs)
    measured = FUNCTIONS[check.measure](context)
    if measured.value is None:
        return JudgedCheck(check, CheckAnswer.INCONCLUSIVE, None, measured.text)
    return JudgedCheck(check, answer(check, measured), measured)


def answer(check: Check, measured: ClaimMeasurement) -> CheckAnswer:
    """Whether what was measured keeps the limits for certain, breaks one, or may do either."""
    if check.words:
        return CheckAnswer.HOLDS if measured.value in check.words else CheckAnswer.DOES_NOT_HOLD
    low = -inf if measured.low is None else measured.low
    high = inf if measured.high is None else measured.high
    least = check.at_least.amount if check.at_least is not None else -inf
    most = check.at_most.amount if check.at_most is not None else inf
    if high < least or low > most:
        return CheckAnswer.DOES_NOT_HOLD
    return CheckAnswer.HOLDS if least <= low and high <= most else CheckAnswer.INCONCLUSIVE


def _not_measured(check: Check, reason: Text) -> JudgedCheck:
    return JudgedCheck(check, CheckAnswer.NOT_MEASURED, None, reason)


def _not_one(check: Check, entries: Sequence[JudgedRun], evidence: Evidence) -> Text:
    """Why there is not just one run to look at."""
    assert evidence.report is not None
    known = tuple(dict.fromkeys(each.variant for each in evidence.report.entries))
    if not known:
        return message("claims.nothing-measured", "not measured")
    if not entries:
        return message(
            "claims.no-variant",
            "no run of {variant}, only of {known}",
            variant=check.variant,
            known=known,
        )
    if not check.variant:
        return message(
            "claims.which-variant",
            "the check names no variant, and the run has several: {known}",
            known=known,
        )
    return plural_message(
        "claims.which-run",
        "{n} run of {variant}: ambiguous",
        "{n} runs of {variant}: ambiguous",
        len(entries),
        variant=check.variant,
    )


def _failed(check: Check, entry: JudgedRun) -> Text:
    """Why a run says nothing on this check; empty: it does.

    A run that was killed or hung is a result. One whose own code failed, or that the user ended, is
    none, but for how it ended, if it had begun.
    """
    outcome, done = entry.run.outcome, entry.run.calls_done
    of_crash = MEASURES[check.measure].of_crash
    is_evidence = outcome.ending is Ending.CRASHED and done and of_crash
    if outcome.ending in (Ending.CRASHED, Ending.INTERRUPTED) and not is_evidence:
        values = {"variant": entry.variant, "ending": outcome.ending}
        if not outcome.reason:
            return plural_message(
                "claims.ended",
                "{variant}: {ending} after {n} call",
                "{variant}: {ending} after {n} calls",
                done,
                **values,
            )
        return plural_message(
            "claims.ended-because",
            "{variant}: {ending} after {n} call. {reason}",
            "{variant}: {ending} after {n} calls. {reason}",
            done,
            reason=outcome.reason,
            **values,
        )
    if not done and not of_crash:
        return message(
            "claims.variant-not-measured", "{variant}: not measured", variant=entry.variant
        )
    return ""


def _reference(check: Check, entry: JudgedRun, evidence: Evidence) -> JudgedRun | None:
    """The run that the check's variant is held against, if its measure asks for one."""
    assert evidence.report is not None
    measure = MEASURES[check.measure]
    if "reference" not in (*measure.takes, *measure.needs):
        return None
    name = check.reference or entry.run.plan.reference
    found = [each for each in evidence.report.entries if each.variant == name]
    return found[0] if len(found) == 1 else None
