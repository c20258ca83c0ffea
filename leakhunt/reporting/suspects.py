"""Suspects and tried remedies in words, for every format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leakhunt.findings import Interval, Origin, RemedyTrial, Suspect
from leakhunt.model import JudgedRun, Unit
from leakhunt.units import format_bytes, format_rate

# Of a stack, so many frames are shown.
SHOWN_FRAMES = 40
LINE_HEADINGS = ("line", "RSS per call", "runs per call", "source")
TRIAL_HEADINGS = ("remedy", "saves", "of", "RSS in a run", "time of a call", "results")

_WHOSE = {
    Origin.YOURS: "your code",
    Origin.LIBRARY: "a library",
    Origin.INTERPRETER: "the interpreter",
}


@dataclass(frozen=True, slots=True)
class Card:
    """A suspect as it is shown: what is said of it by name, its chain and its stack.

    `percent` is the share of the growth, at most 100; None where that is not known.
    """

    number: int
    title: str
    keeps: str
    percent: float | None
    facts: tuple[tuple[str, str], ...]
    chain: tuple[str, ...]
    stack: tuple[str, ...]


def cards(entry: JudgedRun) -> list[Card]:
    """The suspects of a run, the gravest first; none where nobody looked."""
    if entry.attribution is None:
        return []
    return [
        Card(
            number=number,
            title=suspect.title,
            keeps=_keeps(suspect),
            percent=None if suspect.share is None else 100 * min(suspect.share, 1.0),
            facts=tuple(_facts(suspect, entry)),
            chain=suspect.chain,
            stack=tuple(map(str, suspect.stack[:SHOWN_FRAMES])),
        )
        for number, suspect in enumerate(entry.attribution.suspects, 1)
    ]


def _facts(suspect: Suspect, entry: JudgedRun) -> Iterator[tuple[str, str]]:
    if suspect.where is not None:
        source = f": {suspect.where.source}" if suspect.where.source else ""
        yield "from", f"{suspect.where}{source}"
    if suspect.holder is not None:
        yield "in", str(suspect.holder)
    yield "whose", _WHOSE[suspect.origin]
    yield "evidence", "; ".join(suspect.evidence)
    if suspect.cause is not None:
        yield "why", suspect.cause.reason
        yield "remedy", suspect.cause.remedy.text
        yield "verify", _verify(suspect, entry)
        yield "see", suspect.cause.link
    yield "fingerprint", suspect.fingerprint


def _keeps(suspect: Suspect) -> str:
    if suspect.bytes_per_call is None:
        return f"{suspect.per_call:.3g} a call"
    told = format_rate(suspect.bytes_per_call, Unit.BYTES)
    if suspect.share is not None:
        told += f", {suspect.share:.0%} of the growth"
    if suspect.ceiling_bytes is not None and suspect.ceiling_calls is not None:
        ceiling = format_bytes(suspect.ceiling_bytes)
        told += f"; bounded, full at about {ceiling} after {suspect.ceiling_calls:,} calls"
    return told


def _verify(suspect: Suspect, entry: JudgedRun) -> str:
    """The command that tries the remedy, where no change of the code is needed."""
    assert suspect.cause is not None
    plan = entry.run.plan
    command = f"leakhunt hunt {plan.source or plan.scenario}:{plan.variant}"
    if suspect.cause.remedy.environment:
        return f"{command} --try {suspect.cause.id}"
    return suspect.cause.verify.replace("TARGET", f"{plan.source or plan.scenario}:{plan.variant}")


def blind_spots(entry: JudgedRun) -> tuple[str, ...]:
    """What the instruments that were used cannot see."""
    return entry.attribution.blind if entry.attribution is not None else ()


def closing_lines(entry: JudgedRun) -> Iterator[str]:
    """What is to be said of the suspects as a whole: the sum, the ceiling, what is beside."""
    if entry.attribution is None:
        return
    yield entry.attribution.sentence
    if entry.ceiling is not None:
        yield entry.ceiling.sentence
    for cause in entry.attribution.beside:
        yield f"Also kept, without leaking: {cause.title}. {cause.reason} {cause.remedy.text}"


def line_rows(entry: JudgedRun) -> list[tuple[str, str, str, str]]:
    """memory-profiler's table, under `LINE_HEADINGS`; empty where it did not watch."""
    if entry.attribution is None:
        return []
    return [
        (
            str(line.place),
            format_rate(line.bytes_per_call, Unit.BYTES),
            f"{line.runs_per_call:.3g}",
            line.place.source,
        )
        for line in entry.attribution.lines
    ]


def trial_row(trial: RemedyTrial) -> tuple[str, ...]:
    """A remedy that was tried, under `TRIAL_HEADINGS`."""
    ratio = trial.time_ratio
    saved = _rate_interval(trial.saved) if trial.saved.low > 0 else "nothing that shows"
    rss = trial.saved_rss_bytes
    less = f"{format_bytes(rss.estimate)} less" if rss.low > 0 else "no difference that shows"
    if not trial.compared:
        results = "not summarized"
    elif trial.differing:
        results = f"{trial.differing:,} of {trial.compared:,} differ"
    else:
        results = f"same in all {trial.compared:,}"
    return (
        f"{trial.variant}: {trial.remedy}",
        saved,
        format_rate(trial.before, Unit.BYTES),
        less,
        f"{ratio.estimate:.2f} × ({ratio.low:.2f} to {ratio.high:.2f})",
        results,
    )


def _rate_interval(interval: Interval) -> str:
    told = (interval.estimate, interval.low, interval.high)
    estimate, low, high = (format_rate(each, Unit.BYTES) for each in told)
    return f"{estimate} ({low} to {high})"
