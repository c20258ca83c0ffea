"""The verdict that joins both: what the curve says, and what was found to grow. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from leakhunt.amounts import Amount, Rate
from leakhunt.analysis.attribution.few_calls import by_exact_counts
from leakhunt.analysis.attribution.known_causes import title_of
from leakhunt.analysis.verdict.effort import has_slow_calls
from leakhunt.model.attribution import Attribution, Ceiling, Suspect
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Run
from leakhunt.model.series import Unit
from leakhunt.model.verdict import Status, Verdict
from leakhunt.text.message import Message, Text, joined, message, sentences

_MEASURED = message("attribution.ceiling-measured", "verified by a run past the ceiling")
_PROJECTED = message("attribution.ceiling-projected", "projected from the number of entries")


def joined_verdict(
    run: Run,
    verdict: Verdict,
    attribution: Attribution,
    past: Ceiling | None,
    watched: Sequence[Run] = (),
) -> Verdict:
    """The verdict on a run whose growth was looked into, also by a run `past` a ceiling.

    `watched` are the runs under instruments, of which `attribution` is.
    """
    if has_slow_calls(run) and verdict.status is Status.INCONCLUSIVE:
        verdict = by_exact_counts(run, verdict, attribution, watched)
    verdict = _with_garbage(run, verdict, attribution)
    if verdict.kind is Kind.BOUNDED_CACHE and attribution.growing:
        filled = message("attribution.filled-by", "Filled by: {names}", names=_names(attribution))
        return replace(verdict, sentence=sentences([verdict.sentence, filled]))
    return bounded(verdict, attribution, past)


def _with_garbage(run: Run, verdict: Verdict, attribution: Attribution) -> Verdict:
    """The verdict with what the cyclic garbage is, where nothing grows and that was looked at."""
    if not attribution.cycles or verdict.status is not Status.NO_LEAK:
        return verdict
    first = attribution.cycles[0]
    found = message(
        "attribution.garbage-by",
        "Cyclic garbage: {rate}, first: {name}",
        rate=Rate(attribution.garbage or 0.0, Unit.BYTES, run.plan.work),
        name=title_of(first.cause) if first.cause is not None else first.title,
    )
    return replace(verdict, sentence=sentences([verdict.sentence, found]))


def bounded(verdict: Verdict, attribution: Attribution, past: Ceiling | None) -> Verdict:
    """The verdict on a run whose growth is that of caches that end: no leak, but a ceiling.

    A run `past` the ceiling decides, if there is one. Without, memory must suffice for it.
    """
    size, calls = attribution.ceiling_bytes, attribution.ceiling_calls
    if size is None or calls is None:
        return verdict
    if past is not None and not past.is_level:
        return verdict
    if past is None and (not attribution.bounded or _ends_before(verdict, calls)):
        return verdict
    ceiling_reached = message(
        "attribution.bounded",
        "Bounded cache, ceiling about {size} after about {ceiling_calls:,} calls ({known}):"
        " {names}",
        size=Amount(past.found_bytes if past else size),
        ceiling_calls=calls,
        known=_MEASURED if past else _PROJECTED,
        names=_names(attribution),
    )
    until_then = message(
        "attribution.until-bounded",
        "Until then live memory grows by {grows}",
        grows=Rate(attribution.growth or 0.0),
    )
    return replace(
        verdict,
        status=Status.NO_LEAK,
        kind=Kind.BOUNDED_CACHE,
        also=tuple(kind for kind in verdict.also if not kind.is_leak),
        sentence=sentences([ceiling_reached, until_then]),
    )


def _ends_before(verdict: Verdict, calls: int) -> bool:
    """Whether the memory is used up before that number of calls."""
    return verdict.forecast is not None and verdict.forecast.comes_within(calls)


def _names(attribution: Attribution) -> Text:
    """Those that a library is known for by that, else what holds the first suspect."""
    known = [each for each in attribution.growing if each.cause and each.cause.bound]
    first = attribution.growing[0]
    return joined(_causes(known) or [first.chain[0] if first.chain else first.title], " and ", "")


def _causes(suspects: Sequence[Suspect]) -> list[Message]:
    """The names of the known causes of these, each once."""
    return list(dict.fromkeys(title_of(suspect.cause) for suspect in suspects if suspect.cause))
