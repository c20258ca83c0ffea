"""Suspects in words, for every format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leakhunt.findings import Suspect
from leakhunt.model import JudgedRun, Unit
from leakhunt.units import format_rate

# Of a stack, so many frames are shown folded open.
SHOWN_FRAMES = 30


@dataclass(frozen=True, slots=True)
class Card:
    """A suspect as it is shown: a title, what is said of it by name, and its stack."""

    number: int
    title: str
    facts: tuple[tuple[str, str], ...]
    stack: tuple[str, ...]


def cards(entry: JudgedRun) -> list[Card]:
    """The suspects of a run, the gravest first; none where nobody looked."""
    if entry.attribution is None:
        return []
    return [
        Card(
            number=number,
            title=suspect.title,
            facts=tuple(_facts(suspect, entry)),
            stack=tuple(map(str, suspect.stack[:SHOWN_FRAMES])),
        )
        for number, suspect in enumerate(entry.attribution.suspects, 1)
    ]


def _facts(suspect: Suspect, entry: JudgedRun) -> Iterator[tuple[str, str]]:
    yield "keeps", _keeps(suspect)
    if suspect.chain:
        yield "held by", " -> ".join(suspect.chain)
    if suspect.where is not None:
        source = f": {suspect.where.source}" if suspect.where.source else ""
        yield "from", f"{suspect.where}{source}"
    if suspect.holder is not None:
        yield "in", str(suspect.holder)
    yield "whose", str(suspect.origin)
    for line in suspect.evidence:
        yield "evidence", line
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
        told += f", {min(suspect.share, 1.0):.0%} of the growth"
    if suspect.ceiling_bytes is not None and suspect.ceiling_calls is not None:
        ceiling = format_rate(suspect.ceiling_bytes, Unit.BYTES).removesuffix("/call")
        told += f"; bounded, full at about {ceiling} after {suspect.ceiling_calls:,} calls"
    return told


def _verify(suspect: Suspect, entry: JudgedRun) -> str:
    """The command that tries the remedy, where no change of the code is needed."""
    assert suspect.cause is not None
    plan = entry.run.plan
    command = f"leakhunt hunt {plan.source or plan.scenario}:{plan.variant}"
    if suspect.cause.remedy.environment:
        return f"{command} --try {suspect.cause.id}"
    if suspect.cause.bound is not None:
        return f"{command} --until-ceiling"
    return suspect.cause.verify


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
