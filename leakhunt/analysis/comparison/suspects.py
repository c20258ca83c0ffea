"""Which suspects are new, gone or still there, by their fingerprints. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from leakhunt.model.attribution import Suspect
from leakhunt.model.comparison import Fate, SuspectChange
from leakhunt.model.report import JudgedRun
from leakhunt.model.verdict import Status

_Found = dict[str, list[Suspect]]


def suspect_changes(
    before: Sequence[JudgedRun], after: Sequence[JudgedRun], refused: Fate | None = None
) -> tuple[SuspectChange, ...]:
    """The suspects of both sides: new ones first, then by what they keep.

    Of a variant that nobody hunted on one side, it cannot be said whether they are new or gone,
    unless it does not leak there.
    `refused`: the fate of all of them where the sides cannot be compared.
    """
    known = [_are_known(side) for side in (before, after)]
    found = [_found(side) for side in (before, after)]
    changes = [
        SuspectChange(
            suspect=(found[1].get(name) or found[0][name])[0],
            fate=refused or _fate(name in found[0], name in found[1], all(known)),
            before=_bytes_per_call(found[0].get(name, ())),
            after=_bytes_per_call(found[1].get(name, ())),
        )
        for name in dict.fromkeys([*found[1], *found[0]])
    ]
    order = list(Fate)
    return tuple(
        sorted(
            changes,
            key=lambda each: (order.index(each.fate), -max(each.before or 0, each.after or 0)),
        )
    )


def _are_known(side: Sequence[JudgedRun]) -> bool:
    """Whether the suspects of a side are known: it was hunted, or there is no leak to hunt."""
    return any(entry.attribution is not None for entry in side) or all(
        entry.verdict.status is Status.NO_LEAK for entry in side
    )


def _found(side: Sequence[JudgedRun]) -> _Found:
    found: _Found = {}
    for suspect in _suspects(side):
        found.setdefault(suspect.fingerprint, []).append(suspect)
    return found


def _suspects(side: Sequence[JudgedRun]) -> Iterator[Suspect]:
    for entry in side:
        yield from entry.attribution.suspects if entry.attribution is not None else ()


def _bytes_per_call(suspects: Sequence[Suspect]) -> float | None:
    known = [each.bytes_per_call for each in suspects if each.bytes_per_call is not None]
    return fmean(known) if known else None


def _fate(was: bool, is_there: bool, both_known: bool) -> Fate:
    if was and is_there:
        return Fate.STILL
    if not both_known:
        return Fate.UNKNOWN
    return Fate.NEW if is_there else Fate.GONE
