"""The suspects of a gated variant in words: what retains how much, and what is accepted."""

from __future__ import annotations

import re

from leakhunt.model.attribution import Suspect
from leakhunt.model.gate import Acceptance, VariantResult
from leakhunt.model.plan import Work
from leakhunt.reporting.shared.suspects import keeps
from leakhunt.text.language import ntr, tr

# Of a variant's suspects, so many are shown; all of them are in gate.json and in the report.
SHOWN_SUSPECTS = 5
# The month in which a run was started.
_MONTH = re.compile(r"(\d{4})-(\d\d)-\d\d")
# An acceptance should end: this many months on, at the first of the month.
_MONTHS_ACCEPTED = 2


def work_of(variant: VariantResult) -> Work:
    """What its calls are; calls where no run tells."""
    return variant.entries[0].run.plan.work if variant.entries else Work.CALL


def suspect_line(suspect: Suspect, variant: VariantResult) -> str:
    """What keeps how much, at which line: a sentence.

    The title of most suspects names the line; it is not told twice.
    """
    text = tr(
        "{title} retains {amount}", title=suspect.title, amount=keeps(suspect, work_of(variant))
    )
    at = suspect_place(suspect)
    return tr("{told}, at {at}", told=text, at=at) if at and at not in str(suspect.title) else text


def more_suspects(variant: VariantResult) -> str:
    """How many are not shown; empty where all are."""
    hidden = len(variant.suspects) - SHOWN_SUSPECTS
    return ntr("and {n} more", "and {n} more", hidden) if hidden > 0 else ""


def suspect_place(suspect: Suspect) -> str:
    """``_detect (app/scenario.py:12)``: the user's line, else the library's; empty: neither."""
    frame = suspect.where or suspect.holder
    return str(frame) if frame is not None else ""


def accepted_line(suspect: Suspect, acceptance: Acceptance, variant: VariantResult) -> str:
    """The suspect, why it is accepted and until when."""
    return tr(
        "{suspect}; accepted until {until}: {reason}",
        suspect=suspect_line(suspect, variant),
        until=acceptance.until.isoformat(),
        reason=acceptance.reason,
    )


def until(variant: VariantResult) -> str:
    """A day that an acceptance may run to: ``2027-01-01``; a blank to fill in without a date."""
    for entry in variant.entries:
        if (found := _MONTH.match(entry.run.started_at)) is not None:
            months = int(found[1]) * 12 + int(found[2]) - 1 + _MONTHS_ACCEPTED
            return f"{months // 12:04d}-{months % 12 + 1:02d}-01"
    return "YYYY-MM-DD"
