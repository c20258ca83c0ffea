"""Exactly k blocks of every call, as evidence."""

from __future__ import annotations

from made_findings import KIB, MARKS, MINE, THEIRS, finding

from leakhunt.analysis.attribution.clusters import holder_frame
from leakhunt.analysis.attribution.exact_evidence import exact_evidence
from leakhunt.model.attribution import STRIPPED, FindingKind, Frame, Instrument, Origin

APART = {"apart": True}


def test_what_stays_of_every_call_is_told_with_stack_and_holder() -> None:
    site = finding(2, KIB, instrument=Instrument.MEMRAY, key="1", facts=APART)
    list_ = finding(
        1,
        0,
        sort=FindingKind.CONTAINER,
        instrument=Instrument.MEMRAY,
        what="dict",
        keeps=("1",),
        stack=(),
        chain=("made.CACHE", "dict", "bytes"),
        facts={"most_items": 1000},
    )
    (found,) = exact_evidence([site, list_])
    assert (found.blocks, found.bytes_per_call) == (2, 2 * KIB)
    assert sum(found.stretches) == MARKS[-1] - MARKS[0]
    assert found.chain[0] == "made.CACHE"
    assert (found.where, found.holder) == (MINE, THEIRS)
    assert found.ends_after == 1000


def test_what_stays_of_some_calls_is_no_evidence() -> None:
    seldom = finding(0.5, KIB, instrument=Instrument.MEMRAY, key="1", facts=APART)
    once = finding(0, KIB, instrument=Instrument.MEMRAY, key="2", facts=APART)
    assert exact_evidence([seldom, once]) == ()


def test_a_stripped_frame_gives_way_to_one_that_its_library_names() -> None:
    stripped = Frame("_x.so", 0, STRIPPED, "", Origin.LIBRARY)
    named = Frame("_x.so", 0, "decode", "", Origin.LIBRARY)
    other = Frame("_y.so", 0, "call", "", Origin.LIBRARY)
    assert holder_frame([stripped, stripped, named, MINE]) == named
    assert holder_frame([stripped, other, MINE]) == stripped
    assert str(stripped) == "_x.so (stripped)"
