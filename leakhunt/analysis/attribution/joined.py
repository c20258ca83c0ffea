"""The verdict that joins both: what the curve says, and what was found to grow. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from leakhunt.amounts import Amount, Count, Rate
from leakhunt.analysis.attribution.known_causes import title_of
from leakhunt.analysis.verdict.effort import COUNTED_CALLS, has_dear_calls
from leakhunt.analysis.verdict.statements import LEADS
from leakhunt.model.attribution import Attribution, Ceiling, Instrument, Suspect
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Run
from leakhunt.model.series import Unit
from leakhunt.model.verdict import Status, Verdict
from leakhunt.text.message import Message, Text, joined, message, sentences

_MEASURED = message("attribution.ceiling-measured", "verified by a run past the ceiling")
_PROJECTED = message("attribution.ceiling-projected", "projected from the number of entries")


def joined_verdict(
    run: Run, verdict: Verdict, attribution: Attribution, past: Ceiling | None
) -> Verdict:
    """The verdict on a run whose growth was looked into, also by a run `past` a ceiling."""
    verdict = _with_garbage(run, verdict, attribution)
    if verdict.kind is Kind.BOUNDED_CACHE and attribution.growing:
        filled = message("attribution.filled-by", "Filled by: {names}", names=_names(attribution))
        return replace(verdict, sentence=sentences([verdict.sentence, filled]))
    if has_dear_calls(run) and verdict.status is Status.INCONCLUSIVE:
        verdict = _by_exact_counts(run, verdict, attribution)
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


def _by_exact_counts(run: Run, verdict: Verdict, attribution: Attribution) -> Verdict:
    """The verdict on few dear calls, by what stays of every one of those that were counted.

    Exactly k blocks in each of three windows of prime lengths are no chance, and no warm-up.
    """
    if not attribution.instruments:
        return verdict
    staying = [each for each in attribution.growing if each.exact]
    evidence = message(
        "attribution.by-exact-counts",
        "Evidence: exact counts of {counted}, not the curve: calls are dear. --calls measures more",
        counted=Count(COUNTED_CALLS, run.plan.work),
    )
    if staying:
        first, kind = staying[0], _kind(staying[0])
        return replace(
            verdict,
            status=Status.LEAK,
            kind=kind,
            calls_needed=None,
            sentence=sentences([LEADS[kind], _stays(first), evidence]),
        )
    if attribution.growth is not None:
        open_still = message(
            "attribution.few-calls-unclear",
            "Inconclusive: live memory grew by {rate}, but not the same at every call",
            rate=Rate(attribution.growth, Unit.BYTES, run.plan.work),
        )
        return replace(verdict, sentence=sentences([open_still, evidence]))
    # How often this misses a leak is not known: it is no pass.
    nothing = message(
        "attribution.few-calls-nothing-stays",
        "Inconclusive: no allocation stayed in each window of calls, but smaller or rarer leaks"
        " would not show",
    )
    return replace(verdict, sentence=sentences([nothing, evidence]))


def _kind(suspect: Suspect) -> Kind:
    """The class of a leak, by who counted it."""
    if suspect.bytes_per_call is None:
        return Kind.RESOURCE_GROWTH
    if Instrument.CUDA in suspect.instruments:
        return Kind.CUDA_LEAK
    of_python = suspect.chain or (suspect.stack and suspect.stack[0].is_python)
    return Kind.PYTHON_LEAK if of_python else Kind.NATIVE_LEAK


def _stays(suspect: Suspect) -> Message:
    if suspect.bytes_per_call is None:
        return message(
            "attribution.stays-open",
            "Exactly {count:.0f} more at every call: {title}",
            count=suspect.per_call,
            title=suspect.title,
        )
    return message(
        "attribution.stays",
        "Exactly {count:.0f} more blocks, {rate}, at every call: {title}",
        count=suspect.per_call,
        rate=Rate(suspect.bytes_per_call),
        title=suspect.title,
    )


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
