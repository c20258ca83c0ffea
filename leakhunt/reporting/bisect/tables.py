"""The cells and phrases that every format of a bisection shares."""

from __future__ import annotations

import re
from collections.abc import Iterator

from leakhunt.amounts import format_amount, format_rate, format_seconds
from leakhunt.model.bisection import BisectReport, BisectStep, Direction
from leakhunt.model.verdict import Status
from leakhunt.reporting.formats.notebook_table import notebook_table
from leakhunt.reporting.matrix.tables import NOTHING, SIGNS, WORDS
from leakhunt.text.language import mark, tr

HEADINGS = (
    mark("step"),
    mark("version"),
    mark("verdict"),
    mark("growth per call"),
    mark("99 % bounds"),
    mark("runs"),
    mark("confidence"),
    mark("time"),
    mark("notes"),
)
HOW_IT_IS_READ = mark(
    "Confidence: the chance that the class of a version is right. Of all steps together it is at"
    " least 1 less the sum of the chances of error."
)
_FOUND = {
    Direction.INTRODUCED: mark("{first} introduced the growth; {last} does not leak"),
    Direction.ENDED: mark("{first} ended the growth; {last} leaks"),
}
_COMMIT = re.compile(r"[0-9a-f]{40,64}")
_SHORT_COMMIT = 12
# A share is written as such until it is this near to 1.
_SUREST = 0.9999


def short(version: str) -> str:
    """A version; of a commit the first digits."""
    return version[:_SHORT_COMMIT] if _COMMIT.fullmatch(version) else version


def heading(report: BisectReport) -> str:
    """``Bisection of multidict: svc:handle``."""
    return tr(
        "Bisection of {subject}: {scenario}:{variant}",
        subject=report.subject,
        scenario=report.scenario,
        variant=report.variant,
    )


def summary(report: BisectReport) -> Iterator[str]:
    """The result in sentences."""
    if report.is_found:
        text = tr(_FOUND[report.direction], first=short(report.first), last=short(report.last))
        yield tr("{found} (confidence {share})", found=text, share=share(report.confidence))
        if report.between:
            yield tr(
                "Not decided in between: {versions}",
                versions=tr(", ").join(map(short, report.between)),
            )
    elif report.interrupted:
        yield tr("Interrupted before a boundary was found")
    else:
        yield tr("No boundary: one end has to leak, and the other not to")
        for step in report.steps[:2]:
            yield f"{short(step.version)}{tr(': ')}{_verdict(step)}"
    yield tr(
        "{runs} runs of {steps} versions, of {all}",
        runs=report.runs,
        steps=len(report.steps),
        all=len(report.versions),
    )
    if report.suspect:
        yield tr("Leak suspect: {suspect}", suspect=report.suspect)


def share(confidence: float | None) -> str:
    """A confidence as a share."""
    if confidence is None:
        return NOTHING
    return f"> {_SUREST:.2%}" if confidence > _SUREST else f"{confidence:.2%}"


def row(number: int, step: BisectStep) -> tuple[str, ...]:
    """The row of a step under `HEADINGS`."""
    bounds = rate = NOTHING
    if step.status is Status.LEAK and step.unit and step.rate is not None:
        rate = format_rate(step.rate, step.unit)
        if step.rate_low is not None and step.rate_high is not None:
            low, high = (format_amount(each, step.unit) for each in (step.rate_low, step.rate_high))
            bounds = tr("{low} to {high}", low=low, high=high)
    return (
        str(number),
        short(step.version),
        f"{SIGNS[step.status]} {_verdict(step)}",
        rate,
        bounds,
        str(step.runs),
        share(step.confidence),
        format_seconds(step.seconds),
        str(step.reason) or NOTHING,
    )


def _verdict(step: BisectStep) -> str:
    return tr("skipped") if step.status is None else tr(WORDS[step.status])


def rows(report: BisectReport) -> Iterator[tuple[str, ...]]:
    """The steps in their order."""
    return (row(number, step) for number, step in enumerate(report.steps, 1))


def notebook_card(report: BisectReport) -> str:
    """The bisection as a notebook shows it."""
    title = f"{heading(report)}{tr(': ')}{next(summary(report))}"
    return notebook_table(title, tuple(map(tr, HEADINGS)), rows(report))
