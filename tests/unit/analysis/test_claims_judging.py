"""From what was measured to the verdict on a claim."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import MakeRun

from leakhunt.analysis.claims import Evidence, judge_claims
from leakhunt.analysis.claims.judge import answer, judge_check
from leakhunt.analysis.report import assemble
from leakhunt.model.claims import (
    About,
    Check,
    CheckAnswer,
    Claim,
    ClaimLimit,
    ClaimMeasurement,
    ClaimRun,
    Claims,
    ClaimVerdict,
    JudgedClaim,
)
from leakhunt.model.run import Ending, Outcome, Run

KIB = 1024
CRASHED = Outcome(Ending.CRASHED, "ValueError: no")


def evidence(*runs: Run) -> Evidence:
    return Evidence(assemble(runs, "test"), runs)


def holds(variant: str = "naive", about: About = About.EFFECT, run: str = "r") -> Check:
    """Four KiB a call is at least one."""
    return Check(run, "growth", variant, at_least=ClaimLimit(KIB, "1 KiB/call"), about=about)


def fails(about: About = About.EFFECT) -> Check:
    return Check("r", "growth", "naive", at_least=ClaimLimit(1e9, "1 GB/call"), about=about)


def open_still(about: About = About.EFFECT) -> Check:
    """There is no such series."""
    return Check(
        "r", "growth", "naive", "cuda_reserved", at_least=ClaimLimit(1, "1/call"), about=about
    )


def not_here(about: About = About.EFFECT) -> Check:
    return holds(run="gpu", about=about)


def judged(leaking: Run, *checks: Check) -> JudgedClaim:
    claim = Claim("A1", "It grows", "report", checks)
    runs = (ClaimRun("r", "run null"), ClaimRun("gpu", "run null", "cuda"))
    found = {"r": evidence(leaking), "gpu": Evidence(missing="no GPU")}
    (made,) = judge_claims(Claims("made", runs, (claim,)), found)
    return made


CAUSE = About.CAUSE


@pytest.mark.parametrize(
    ("checks", "verdict"),
    [
        ((holds(),), ClaimVerdict.REPRODUCED),
        ((holds(), holds(about=CAUSE)), ClaimVerdict.REPRODUCED),
        ((fails(),), ClaimVerdict.NOT_REPRODUCED),
        ((holds(), fails()), ClaimVerdict.NOT_REPRODUCED),
        ((fails(), not_here(), open_still()), ClaimVerdict.NOT_REPRODUCED),
        ((fails(), fails(CAUSE)), ClaimVerdict.NOT_REPRODUCED),
        ((holds(), fails(CAUSE)), ClaimVerdict.OTHER_CAUSE),
        ((holds(), fails(CAUSE), open_still(CAUSE)), ClaimVerdict.OTHER_CAUSE),
        ((open_still(), fails(CAUSE)), ClaimVerdict.INCONCLUSIVE),
        ((holds(), open_still()), ClaimVerdict.INCONCLUSIVE),
        ((holds(), open_still(CAUSE)), ClaimVerdict.INCONCLUSIVE),
        ((holds(), not_here()), ClaimVerdict.NOT_MEASURED),
        ((open_still(), not_here()), ClaimVerdict.NOT_MEASURED),
        ((holds(), not_here(CAUSE)), ClaimVerdict.NOT_MEASURED),
        ((holds(about=CAUSE),), ClaimVerdict.REPRODUCED),
        ((fails(CAUSE),), ClaimVerdict.NOT_REPRODUCED),
        ((), ClaimVerdict.NOT_MEASURED),
    ],
)
def test_the_verdict_on_a_claim(
    leaking: Run, checks: tuple[Check, ...], verdict: ClaimVerdict
) -> None:
    assert judged(leaking, *checks).verdict is verdict


def test_a_judged_claim_names_the_runs_it_needs(leaking: Run) -> None:
    made = judged(leaking, holds(), not_here())
    assert [run.name for run in made.runs] == ["r", "gpu"]
    assert [each.reason for each in made.checks] == ["", "no GPU"]
    assert made.checks[0].measured is not None and made.checks[1].measured is None


@pytest.mark.parametrize(
    ("low", "high", "least", "most", "expected"),
    [
        (5.0, 6.0, 5, None, CheckAnswer.HOLDS),
        (5.0, 6.0, None, 6, CheckAnswer.HOLDS),
        (5.0, 6.0, 4, 7, CheckAnswer.HOLDS),
        (5.0, 6.0, 7, None, CheckAnswer.DOES_NOT_HOLD),
        (5.0, 6.0, None, 4, CheckAnswer.DOES_NOT_HOLD),
        (5.0, 6.0, 1, 2, CheckAnswer.DOES_NOT_HOLD),
        (5.0, 6.0, 5.5, None, CheckAnswer.INCONCLUSIVE),
        (5.0, 6.0, None, 5.5, CheckAnswer.INCONCLUSIVE),
        (5.0, 6.0, 5.2, 5.8, CheckAnswer.INCONCLUSIVE),
        (5.0, None, 4, None, CheckAnswer.HOLDS),
        (5.0, None, None, 6, CheckAnswer.INCONCLUSIVE),
        (5.0, None, None, 4, CheckAnswer.DOES_NOT_HOLD),
        (None, None, 4, None, CheckAnswer.INCONCLUSIVE),
    ],
)
def test_bounds_on_both_sides_of_a_limit_cannot_tell(
    low: float | None,
    high: float | None,
    least: float | None,
    most: float | None,
    expected: CheckAnswer,
) -> None:
    check = Check(
        "r",
        "growth",
        at_least=None if least is None else ClaimLimit(least, "x"),
        at_most=None if most is None else ClaimLimit(most, "x"),
    )
    assert answer(check, ClaimMeasurement(5.5, low, high, "bytes/call", "")) is expected


def test_a_word_is_one_of_those_asked_for_or_not() -> None:
    check = Check("r", "ending", words=("killed", "timeout"))
    assert answer(check, ClaimMeasurement("killed", None, None, "word", "")) is CheckAnswer.HOLDS
    assert (
        answer(check, ClaimMeasurement("ok", None, None, "word", "")) is CheckAnswer.DOES_NOT_HOLD
    )


def reason(check: Check, found: Evidence | None) -> str:
    made = judge_check(check, found)
    assert made.answer is CheckAnswer.NOT_MEASURED
    assert made.measured is None
    return str(made.reason)


def test_why_a_check_is_not_measured(leaking: Run, make_run: MakeRun) -> None:
    other = replace(leaking, plan=replace(leaking.plan, variant="other"))
    assert reason(holds(), None) == "no such run"
    assert reason(holds(), Evidence(missing="no CUDA")) == "no CUDA"
    assert reason(holds("fixed"), evidence(leaking)) == "no run of fixed, only of naive"
    assert "the run has several: naive, other" in reason(holds(""), evidence(leaking, other))
    assert "2 runs of naive" in reason(holds(), evidence(leaking, leaking))
    assert reason(holds(), evidence()) == "not measured"
    assert reason(holds(), evidence(make_run())) == "naive: not measured"


def test_a_check_without_a_variant_is_on_the_only_one(leaking: Run) -> None:
    assert judge_check(holds(""), evidence(leaking)).answer is CheckAnswer.HOLDS


def test_a_run_whose_own_code_failed_is_no_evidence_but_for_how_it_ended(leaking: Run) -> None:
    crashed = evidence(replace(leaking, outcome=CRASHED))
    assert reason(holds(), crashed) == "naive: crashed after 300 calls. ValueError: no"
    ending = Check("r", "ending", "naive", words=("crashed",))
    assert judge_check(ending, crashed).answer is CheckAnswer.HOLDS


def test_a_crash_before_the_first_call_says_nothing_at_all(make_run: MakeRun) -> None:
    crashed = evidence(make_run(outcome=CRASHED))
    ending = Check("r", "ending", "naive", words=("crashed",))
    assert reason(ending, crashed) == "naive: crashed after 0 calls. ValueError: no"


def test_an_interrupted_run_is_no_evidence(leaking: Run) -> None:
    stopped = evidence(replace(leaking, outcome=Outcome(Ending.INTERRUPTED)))
    for measure, words in (("growth", ()), ("ending", ("interrupted",)), ("calls_done", ())):
        check = Check("r", measure, "naive", words=words, at_least=ClaimLimit(0, "0"))
        assert reason(check, stopped).startswith("naive: interrupted after 300 calls")


def test_a_killed_run_is_evidence(leaking: Run) -> None:
    killed = evidence(replace(leaking, outcome=Outcome(Ending.KILLED, "SIGKILL", "SIGKILL")))
    assert judge_check(holds(), killed).answer is CheckAnswer.HOLDS


def test_a_failed_reference_matters_to_those_who_need_it_alone(
    leaking: Run, make_run: MakeRun
) -> None:
    flat = make_run(live_heap=[5] * 300, plan_changes={"variant": "fixed"})
    runs = evidence(replace(leaking, outcome=CRASHED), flat)
    saving = Check("r", "saving", "fixed", reference="naive", at_least=ClaimLimit(0.5, "50 %"))
    assert reason(saving, runs).startswith("naive: crashed")
    level = Check("r", "growth", "fixed", at_most=ClaimLimit(1, "1 B/call"))
    assert judge_check(level, runs).answer is CheckAnswer.HOLDS


def test_what_cannot_be_told_says_why(leaking: Run) -> None:
    made = judge_check(open_still(), evidence(leaking))
    assert (made.answer, str(made.reason)) == (
        CheckAnswer.INCONCLUSIVE,
        "cuda_reserved was not recorded in this run",
    )
