"""Suspects and tried remedies in words, for every format."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from leakhunt.amounts import format_bytes, format_rate
from leakhunt.model.attribution import (
    Cause,
    Cycle,
    CycleKind,
    Frame,
    Interval,
    Origin,
    RemedyTrial,
    Suspect,
)
from leakhunt.model.plan import Plan, Work
from leakhunt.model.report import JudgedRun
from leakhunt.model.series import Unit
from leakhunt.text.interval import lower_bound
from leakhunt.text.language import mark, tr
from leakhunt.text.number import three_digits

# What a known cause has in place of the name of a scenario and its variant.
_TARGET = "TARGET"
# Of a stack, so many frames are shown.
SHOWN_FRAMES = 40
LINE_HEADINGS = (mark("line"), mark("RSS per call"), mark("runs per call"), mark("source"))
TRIAL_HEADINGS = (
    mark("fix"),
    mark("saving"),
    mark("of"),
    mark("RSS in a run"),
    mark("time of a call"),
    mark("results"),
)

_OWNERS = {
    Origin.YOURS: mark("your code"),
    Origin.LIBRARY: mark("a library"),
    Origin.INTERPRETER: mark("the interpreter"),
}


@dataclass(frozen=True, slots=True)
class SuspectCard:
    """A suspect as it is shown: what is said of it by name, its chain and its stack.

    `percent` is the share of the growth (of a cycle: of the garbage), at most 100; None where that
    is not known. The chain of a cycle ends where it begins.
    """

    number: int
    title: str
    keeps: str
    percent: float | None
    facts: tuple[tuple[str, str], ...]
    chain: tuple[str, ...]
    stack: tuple[str, ...]
    is_cycle: bool = False

    @property
    def chain_title(self) -> str:
        """What its chain is."""
        return tr("reference cycle") if self.is_cycle else tr("reference chain")


def cards(entry: JudgedRun) -> list[SuspectCard]:
    """The suspects of a run, the gravest first; none where nobody looked."""
    if entry.attribution is None:
        return []
    return [
        card(number, suspect, entry.run.plan)
        for number, suspect in enumerate(entry.attribution.suspects, 1)
    ]


def card(number: int, suspect: Suspect, plan: Plan | None) -> SuspectCard:
    """A suspect of a run with this plan; None: there is no run to say how a remedy is verified."""
    return SuspectCard(
        number=number,
        title=str(suspect.title),
        keeps=keeps(suspect, Work.CALL if plan is None else plan.work),
        percent=None if suspect.share is None else 100 * min(suspect.share, 1.0),
        facts=tuple(_facts(suspect, plan)),
        chain=suspect.chain,
        stack=tuple(map(str, suspect.stack[:SHOWN_FRAMES])),
        is_cycle=suspect.cycle is not None,
    )


def _facts(suspect: Suspect, plan: Plan | None) -> Iterator[tuple[str, str]]:
    if suspect.where is not None:
        yield tr("from"), _with_source(suspect.where)
    if suspect.cycle is not None:
        yield from _facts_of_cycle(suspect.cycle, suspect.where)
    if suspect.holder is not None:
        yield tr("in"), str(suspect.holder)
    yield tr("owner"), tr(_OWNERS[suspect.origin])
    yield tr("evidence"), tr("; ").join(map(str, suspect.evidence))
    if suspect.cause is not None:
        yield tr("reason"), tr(suspect.cause.reason)
        if versions := [each for each in suspect.cause.distributions if set(each) & set("<>=")]:
            yield tr("affected versions"), ", ".join(versions)
        yield tr("fix"), tr(suspect.cause.remedy.text)
        if plan is not None:
            yield tr("verify"), _verify(suspect.cause, plan)
        yield tr("see"), suspect.cause.link
    yield tr("fingerprint"), suspect.fingerprint


def _facts_of_cycle(cycle: Cycle, where: Frame | None) -> Iterator[tuple[str, str]]:
    """The line that closes a cycle, and what to cut."""
    if cycle.closed_at is not None and cycle.closed_at != where:
        yield tr("closed at"), _with_source(cycle.closed_at)
    if cycle.cut:
        references = " + ".join(cycle.cut)
        if cycle.weak_reference:
            references = tr(
                "{references} (or a weak reference in its place)", references=references
            )
        yield tr("reference to cut"), references
    elif cycle.kind is not CycleKind.CLASS:
        yield tr("reference to cut"), tr("no single one: take the objects apart when they are done")


def _with_source(frame: Frame) -> str:
    return f"{frame}: {frame.source}" if frame.source else str(frame)


_EACH = {
    Work.CALL: mark("{per_call:.3g} per call"),
    Work.REQUEST: mark("{per_call:.3g} per request"),
    Work.SECOND: mark("{per_call:.3g} per second"),
}
_BOUNDED = {
    Work.CALL: mark("; bounded, full at about {ceiling} after {ceiling_calls:,} calls"),
    Work.REQUEST: mark("; bounded, full at about {ceiling} after {ceiling_calls:,} requests"),
    Work.SECOND: mark("; bounded, full at about {ceiling} after {ceiling_calls:,} s"),
}


def keeps(suspect: Suspect, work: Work) -> str:
    """What it keeps per call or request, and where that ends."""
    if suspect.bytes_per_call is None:
        return tr(_EACH[work], per_call=suspect.per_call)
    amount = format_rate(suspect.bytes_per_call, Unit.BYTES, work)
    if suspect.cycle is not None:
        share = min(suspect.share or 0.0, 1.0)
        return tr(
            "{rate} until collected, {share:.0%} of the cyclic garbage", rate=amount, share=share
        )
    if suspect.share is not None:
        amount += tr(", {share:.0%} of the growth", share=suspect.share)
    if suspect.ceiling_bytes is not None and suspect.ceiling_calls is not None:
        ceiling = format_bytes(suspect.ceiling_bytes)
        amount += tr(
            _BOUNDED[work],
            ceiling=ceiling,
            ceiling_calls=suspect.ceiling_calls,
        )
    return amount


def _verify(cause: Cause, plan: Plan) -> str:
    """The command that tries the remedy, where no change of the code is needed."""
    if plan.load is not None:
        return _verify_under_load(cause)
    if plan.test:
        return _verify_by_test(cause, plan)
    target = f"{plan.source or plan.scenario}:{plan.variant}"
    if cause.remedy.environment:
        return f"leakhunt hunt {target} --try {cause.id}"
    return tr(cause.verify).replace(_TARGET, target)


def _verify_by_test(cause: Cause, plan: Plan) -> str:
    """A test is started anew, with what its environment needs."""
    settings = "".join(f"{name}={value} " for name, value in cause.remedy.environment.items())
    if settings:
        return f"{settings}pytest {plan.pytest_option} {shlex.quote(plan.test)}"
    text = tr(cause.verify)
    return tr("repeat the test with more calls") if _TARGET in text else text


def _verify_under_load(cause: Cause) -> str:
    """A service is tried by starting it anew, with what its environment needs."""
    if not cause.remedy.environment:
        return tr("repeat the soak with the fix, then compare: leakhunt compare")
    settings = " ".join(f"{name}={value}" for name, value in cause.remedy.environment.items())
    return tr(
        "repeat the soak with the service started with {settings}, then compare: leakhunt compare",
        settings=settings,
    )


def blind_spots(entry: JudgedRun) -> tuple[str, ...]:
    """What the instruments that were used cannot see."""
    return tuple(map(str, entry.attribution.blind_spots)) if entry.attribution is not None else ()


def closing_lines(entry: JudgedRun) -> Iterator[str]:
    """What is to be said of the suspects as a whole: the sum, the ceiling, what is retained."""
    if entry.attribution is None:
        return
    yield str(entry.attribution.sentence)
    if entry.ceiling is not None:
        yield str(entry.ceiling.sentence)
    for cause in entry.attribution.retained:
        yield tr(
            "Retained but not growing: {title}. {reason} {text}",
            title=tr(cause.title),
            reason=tr(cause.reason),
            text=tr(cause.remedy.text),
        )


def line_rows(entry: JudgedRun) -> list[tuple[str, str, str, str]]:
    """memory-profiler's table, under `LINE_HEADINGS`; empty where it did not watch."""
    if entry.attribution is None:
        return []
    return [
        (
            str(line.place),
            format_rate(line.bytes_per_call, Unit.BYTES),
            three_digits(line.runs_per_call),
            line.place.source,
        )
        for line in entry.attribution.lines
    ]


def trial_row(trial: RemedyTrial) -> tuple[str, ...]:
    """A remedy that was tried, under `TRIAL_HEADINGS`."""
    ratio = trial.time_ratio
    if trial.saved is None:
        saved = tr("not measured")
    else:
        saved = _rate_interval(trial.saved) if trial.saves else tr("not significant")
    rss = trial.saved_rss_bytes
    less = (
        tr("{estimate} less", estimate=format_bytes(rss.estimate))
        if rss.low > 0
        else tr("no significant difference")
    )
    if not trial.compared:
        results = tr("not in the summary")
    elif trial.differing:
        results = tr(
            "{differing:,} of {compared:,} differ",
            differing=trial.differing,
            compared=trial.compared,
        )
    else:
        results = tr("identical in all {compared:,}", compared=trial.compared)
    return (
        f"{trial.variant}: {trial.remedy}",
        saved,
        tr("not measured") if trial.before is None else format_rate(trial.before, Unit.BYTES),
        less,
        tr(
            "{estimate:.2f} × ({low:.2f} to {high:.2f})",
            estimate=ratio.estimate,
            low=ratio.low,
            high=ratio.high,
        ),
        results,
    )


def _rate_interval(interval: Interval) -> str:
    figures = (interval.estimate, interval.low, interval.high)
    estimate, low, high = (format_rate(each, Unit.BYTES) for each in figures)
    low = lower_bound(low, high)
    return tr(
        "{estimate} ({low} to {high})", estimate=estimate, low=lower_bound(low, high), high=high
    )
