"""The words and cells of checked claims that every format shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from leakhunt.model.claims import (
    MEASURES,
    About,
    Check,
    CheckAnswer,
    CheckedScenario,
    ClaimsReport,
    ClaimVerdict,
    JudgedCheck,
    JudgedClaim,
    MadeRun,
)
from leakhunt.model.series import short_title
from leakhunt.reporting.run.tables import NOTHING
from leakhunt.reporting.shared.facts import fact_words
from leakhunt.text.language import mark, tr

# A word always, a sign beside it: never told by colour alone.
SIGNS: Mapping[ClaimVerdict, str] = {
    ClaimVerdict.REPRODUCED: "✓",
    ClaimVerdict.NOT_REPRODUCED: "✗",
    ClaimVerdict.OTHER_CAUSE: "≠",
    ClaimVerdict.INCONCLUSIVE: "?",
    ClaimVerdict.NOT_MEASURED: "–",
}
_ANSWER_SIGNS: Mapping[CheckAnswer, str] = {
    CheckAnswer.HOLDS: "✓",
    CheckAnswer.DOES_NOT_HOLD: "✗",
    CheckAnswer.INCONCLUSIVE: "?",
    CheckAnswer.NOT_MEASURED: "–",
}
HEADINGS = (
    mark("measure"),
    mark("claimed"),
    mark("limits"),
    mark("measured"),
    mark("result"),
    mark("run"),
)
SHORT_HEADINGS = (
    mark("verdict"),
    mark("claim"),
    mark("statement"),
    mark("claimed"),
    mark("measured"),
)
RUN_HEADINGS = (mark("run"), mark("command"), mark("measured on"), mark("result"))
HOW_IT_IS_READ = mark(
    "Reproduced: every figure is within its limits, including its 99 % bounds. Not reproduced:"
    " the bounds of a figure of the effect are outside its limits. Reproduced, other cause: the"
    " effect is there, but its stated cause is not. Inconclusive: bounds on both sides of a"
    " limit. A claim that is not reproduced is a finding about these versions and this machine,"
    " not a failure."
)


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A check in words: cells under `HEADINGS`, and the page of its run, empty without one."""

    cells: tuple[str, ...]
    page: str


def verdict_cell(claim: JudgedClaim) -> str:
    """``✓ reproduced``."""
    return f"{SIGNS[claim.verdict]} {tr(claim.verdict)}"


def answer_cell(judged: JudgedCheck) -> str:
    """``✗ does not hold``."""
    return f"{_ANSWER_SIGNS[judged.answer]} {tr(judged.answer)}"


def summary(claims: Iterable[JudgedClaim]) -> str:
    """Which claims have which verdict, in one line: ``Reproduced: A1, A2. ...``."""
    found = list(claims)
    parts = []
    for verdict, words in _SUMMARIES.items():
        names = [each.claim.id for each in found if each.verdict is verdict]
        if names:
            parts.append(tr("{kind}: {told}.", kind=tr(words), told=tr(", ").join(names)))
    return " ".join(parts) or tr("No claims.")


_SUMMARIES: Mapping[ClaimVerdict, str] = {
    ClaimVerdict.REPRODUCED: mark("Reproduced"),
    ClaimVerdict.NOT_REPRODUCED: mark("Not reproduced"),
    ClaimVerdict.OTHER_CAUSE: mark("Reproduced, other cause"),
    ClaimVerdict.INCONCLUSIVE: mark("Inconclusive"),
    ClaimVerdict.NOT_MEASURED: mark("Not measured"),
}


def title(report: ClaimsReport) -> str:
    """``Claims about fsmn-vad``."""
    names = tr(" and ").join(scenario.name for scenario in report.scenarios)
    return tr("Claims about {scenario}", scenario=names)


def row(judged: JudgedCheck, pages: Mapping[str, str]) -> ClaimRow:
    """A check in words; `pages` are the reports of the runs by name."""
    check = judged.check
    cells = (
        what(check),
        check.claimed or NOTHING,
        limits(check),
        measured_cell(judged),
        answer_cell(judged),
        check.run,
    )
    return ClaimRow(cells, pages.get(check.run, ""))


def pages(scenario: CheckedScenario) -> dict[str, str]:
    """The reports of a scenario's runs, by the name of the run."""
    return {made.run.name: made.page for made in scenario.runs if made.page}


def what(check: Check) -> str:
    """``naive: growth of rss``; what is blamed is told as a cause."""
    text = tr(
        MEASURES[check.measure].title,
        series=short_title(check.series),
        names=check.names,
        instrument=check.instrument,
    )
    if check.reference:
        text = tr("{told}, compared with {reference}", told=text, reference=check.reference)
    if check.from_call is not None or check.to_call is not None:
        text = tr(
            "{told}, from call {first} to {last}",
            told=text,
            first=check.from_call or 1,
            last=tr("the last") if check.to_call is None else check.to_call,
        )
    if check.variant:
        text = tr("{variant}: {told}", variant=check.variant, told=text)
    return tr("cause: {told}", told=text) if check.about is About.CAUSE else text


def limits(check: Check) -> str:
    """``at least 50 MB/call``, or the words that hold."""
    if check.words:
        return tr(" or ").join(map(tr, check.words))
    bounds = []
    if check.at_least is not None:
        bounds.append(tr("at least {limit}", limit=check.at_least.text))
    if check.at_most is not None:
        bounds.append(tr("at most {limit}", limit=check.at_most.text))
    return tr(", ").join(bounds)


def measured_cell(judged: JudgedCheck) -> str:
    """The figure with what it lies between, or why there is none."""
    return str(judged.measured.text if judged.measured is not None else judged.reason)


def claimed_cell(claim: JudgedClaim) -> str:
    """The figures as the report put them, on one line."""
    texts = [each.check.claimed for each in claim.checks if each.check.claimed]
    return tr("; ").join(texts or (limits(each.check) for each in claim.checks)) or NOTHING


def measured_cells(claim: JudgedClaim) -> str:
    """What was measured of a claim, on one line; why nothing was, where it was not."""
    texts = dict.fromkeys(map(measured_cell, claim.checks))
    return tr("; ").join(texts) or claim.claim.not_measured


def short_row(claim: JudgedClaim) -> tuple[str, ...]:
    """The cells of a claim under `SHORT_HEADINGS`."""
    return (
        verdict_cell(claim),
        claim.claim.id,
        claim.claim.claim,
        claimed_cell(claim),
        measured_cells(claim),
    )


def inputs(scenario: CheckedScenario) -> tuple[tuple[str, str], ...]:
    """What a reader must know of the inputs, above all of the weights: name and text."""
    found: dict[str, dict[str, None]] = {}
    for made in scenario.runs:
        for name, value in made.facts.items():
            found.setdefault(name, {})[value] = None
    return tuple((fact_words(name), " / ".join(values)) for name, values in found.items())


def run_row(made: MadeRun) -> tuple[str, ...]:
    """The cells of a run under `RUN_HEADINGS`."""
    facts = tr("; ").join(made.facts.values())
    result = made.page or str(made.reason) or made.folder
    return made.run.name, f"leakhunt {made.run.command}", facts or NOTHING, result


def unfinished(report: ClaimsReport) -> str:
    """That it was interrupted; empty: it was not."""
    if not report.interrupted:
        return ""
    return tr("Interrupted: claims without runs are not measured.")
