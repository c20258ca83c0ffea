"""Whether a bounded cache ends where its entries say: a run past the ceiling. Pure."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from leakhunt.amounts import Amount
from leakhunt.model.attribution import Ceiling
from leakhunt.model.plan import Plan, Role
from leakhunt.model.run import Run
from leakhunt.model.series import live_bytes
from leakhunt.model.verdict import Status, Verdict
from leakhunt.text.message import message

# The run goes on for so much longer than the cache takes to fill, and is judged from there on.
_FULL = 1.15
CEILING_LENGTH = 1.6
_MIN_CALLS = 200
# Measured and predicted may differ by this part: what else warmed up is in the one only.
_AGREES = 0.25


def ceiling_plan(plan: Plan, calls: int) -> Plan:
    """The plan of a run that goes on past the ceiling, which comes after about so many `calls`."""
    full = ceil(calls * _FULL)
    return replace(
        plan,
        calls=max(ceil(calls * CEILING_LENGTH), full + _MIN_CALLS),
        warmup=full,
        calls_per_sample=1,
        collect="never",
        resolve=False,
        role=Role.CEILING,
    )


def ceiling(run: Run, verdict: Verdict, predicted_bytes: float) -> Ceiling | None:
    """What a run past the ceiling says of it; None where it did not live to settle."""
    start, end = run.reading("start"), run.reading("trimmed")
    if start is None or end is None:
        return None
    live = [facts.name for facts in live_bytes() if not facts.is_on_gpu]
    found = sum(end.values.get(name, 0) - start.values.get(name, 0) for name in live)
    level = verdict.status is Status.NO_LEAK
    what = message(
        "attribution.ceiling-found",
        "{found} above the start, predicted {predicted_bytes}",
        found=Amount(found),
        predicted_bytes=Amount(predicted_bytes),
    )
    if not level:
        sentence = message(
            "attribution.ceiling-not-confirmed",
            "Ceiling not confirmed: after {calls_done:,} calls {what}; {kind}.",
            calls_done=run.calls_done,
            what=what,
            kind=verdict.kind,
        )
    elif abs(found - predicted_bytes) <= _AGREES * predicted_bytes:
        sentence = message(
            "attribution.ceiling-confirmed",
            "Ceiling confirmed: level after {judged_from:,} calls, {what}.",
            judged_from=run.judged_from,
            what=what,
        )
    else:
        sentence = message(
            "attribution.ceiling-corrected",
            "Ceiling corrected: level after {judged_from:,} calls, {what}.",
            judged_from=run.judged_from,
            what=what,
        )
    return Ceiling(predicted_bytes, found, run.judged_from, level, sentence)
