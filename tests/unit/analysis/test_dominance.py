"""One holder of nearly all of the growth comes before what it dominates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from made_findings import KIB, MALLOC, MINE, ONEDNN, attributed, finding, watched

from leakhunt.analysis.attribution import attribute
from leakhunt.analysis.verdict import judge
from leakhunt.model.attribution import Finding, FindingKind, Frame, Instrument, Origin
from leakhunt.model.run import Run

PLACES = [
    Frame("made.py", line, f"make_{line}", f"made.append({line})", Origin.YOURS)
    for line in (11, 22, 33)
]


def site(number: int, size: float = 1.3 * KIB) -> Finding:
    return finding(size=size, key=str(number), what="Python", stack=(PLACES[number],))


def holder(**more: Any) -> Finding:
    told: dict[str, Any] = {
        "sort": FindingKind.HOLDER,
        "what": "Session",
        "chain": ("made.APP.session", "Session", "Order | Line"),
        "keeps": ("0", "1", "2"),
        "stack": (),
        "facts": {"owns": 0.95, "native_growth": 0, "held_by": "yours"},
    }
    return finding(12, 300, **told | more)


def container(name: str, keeps: tuple[str, ...], owns: float, **facts: Any) -> Finding:
    return finding(
        size=0,
        sort=FindingKind.CONTAINER,
        what="dict",
        keeps=keeps,
        chain=(name, "dict", "Order"),
        stack=(),
        facts={"owns": owns, **facts},
    )


def test_one_holder_of_sites_from_many_lines_is_the_one_suspect(leaking_objects: Run) -> None:
    sites = [site(number) for number in range(3)]
    alone = attributed(leaking_objects, *sites)
    assert len(alone.suspects) == 3
    told = attributed(leaking_objects, *sites, holder())
    (suspect,) = told.suspects
    assert suspect.chain[0] == "made.APP.session"
    assert suspect.share == pytest.approx(0.97, abs=0.02)
    assert suspect.origin is Origin.YOURS
    assert suspect.where in PLACES
    evidence = [str(line) for line in suspect.evidence]
    assert any("exactly 12 more objects per call" in line for line in evidence)
    assert any("retains 95% of the bytes of all new objects" in line for line in evidence)
    assert sum("part of it: 1.30 KiB/call, make_" in line for line in evidence) == 3
    assert told.explained == pytest.approx(alone.explained)


def test_containers_that_share_their_items_are_details_of_who_has_them_all(
    leaking_objects: Run,
) -> None:
    sites = [site(number) for number in range(3)]
    states = container("made.APP.session.states", ("0", "1", "2"), 0.05)
    (suspect,) = attributed(leaking_objects, *sites, states, holder()).suspects
    assert suspect.chain[0] == "made.APP.session"
    assert suspect.cause is None  # a dict without a bound is not what it is about
    assert any("made.APP.session.states" in str(line) for line in suspect.evidence)


def test_a_container_that_owns_as_much_is_the_better_name(leaking_objects: Run) -> None:
    sites = [site(number) for number in range(3)]
    whole = container("made.APP.session.states", ("0", "1", "2"), 0.9)
    first, *_ = attributed(leaking_objects, *sites, whole, holder()).suspects
    assert first.chain[0] == "made.APP.session.states"
    assert first.cause is not None and first.cause.id == "unbounded-dict"


def test_a_bounded_cache_does_not_get_lost_in_a_holder_without_an_end(
    leaking_objects: Run,
) -> None:
    sites = [site(number) for number in range(3)]
    bounded = container("made.APP.session.cache", ("0", "1", "2"), 0.1, most_items=100_000)
    told = attributed(leaking_objects, *sites, bounded, holder())
    assert told.suspects[0].chain[0] == "made.APP.session.cache"
    assert told.bounded


def test_a_holder_of_a_part_changes_nothing(leaking_objects: Run) -> None:
    sites = [site(number) for number in range(3)]
    before = attributed(leaking_objects, *sites)
    after = attributed(leaking_objects, *sites, holder(keeps=("0", "1")))
    assert after.suspects == before.suspects


def test_what_the_holder_does_not_dominate_stays_a_suspect(leaking_objects: Run) -> None:
    sites = [site(0, 3.4 * KIB), site(1, 0.3 * KIB)]
    first, other = attributed(leaking_objects, *sites, holder(keeps=("0",))).suspects
    assert first.chain[0] == "made.APP.session"
    assert other.where == PLACES[1]


def test_tensors_count_with_the_holder_though_no_site_is_theirs(leaking_objects: Run) -> None:
    calls = holder().calls[-1] - holder().calls[0]
    held = holder(facts={"owns": 1.0, "native_growth": 3 * KIB * calls})
    first, *_ = attributed(leaking_objects, site(0, 0.5 * KIB), held).suspects
    assert first.bytes_per_call == pytest.approx(3.5 * KIB)


def test_without_sites_the_holders_sizes_count(leaking_objects: Run) -> None:
    held = replace(holder(), sizes=tuple(4 * KIB * (call - 263) for call in holder().calls))
    (suspect,) = attributed(leaking_objects, held).suspects
    assert suspect.bytes_per_call == 4 * KIB


def test_an_average_counts_where_the_numbers_of_objects_differ(leaking_objects: Run) -> None:
    held = replace(
        holder(),
        counts=(0, 5, 200, 444),
        sizes=tuple(4 * KIB * (call - 263) for call in holder().calls),
    )
    (suspect,) = attributed(leaking_objects, held).suspects
    assert suspect.per_call == pytest.approx(12)
    assert not suspect.exact
    # Nor did it get bytes in every stretch.
    none = replace(held, sizes=(0, 5 * KIB, 5 * KIB, 300 * KIB))
    assert attributed(leaking_objects, none).suspects == ()


@pytest.mark.parametrize("traced", [True, False])
def test_slots_of_containers_count_where_sites_do(leaking_objects: Run, traced: bool) -> None:
    lists = container("made.APP.session.lists", (), 0.2, slot_bytes=512.0)
    held = replace(holder(), sizes=tuple(4 * KIB * (call - 263) for call in holder().calls))
    sites = [site(number) for number in range(3)] if traced else []
    first, *_ = attributed(leaking_objects, *sites, lists, held).suspects
    assert first.chain[0] == "made.APP.session"
    # Sizes of objects have them already.
    assert first.bytes_per_call == pytest.approx(3 * 1.3 * KIB + 512 if traced else 4 * KIB, abs=1)


def test_sites_of_another_instrument_are_part_of_it_at_the_same_line(leaking_objects: Run) -> None:
    sites = [site(number) for number in range(3)]
    native = [
        finding(size=300, key="m1", instrument=Instrument.MEMRAY, stack=(MALLOC, PLACES[1])),
        finding(size=300, key="m2", instrument=Instrument.MEMRAY, stack=(MALLOC, MINE)),
    ]
    runs = [watched(*sites, holder()), watched(*native)]
    first, *rest = attribute(leaking_objects, judge(leaking_objects), runs).suspects
    assert first.chain[0] == "made.APP.session"
    assert [each.where for each in rest] == [MINE]


def by_size(per_call: float, **more: Any) -> Finding:
    """A holder whose objects come to so much, and of which no site is known."""
    calls = holder().calls
    told = holder(keeps=(), **more)
    return replace(told, sizes=tuple(round(per_call * (call - calls[0])) for call in calls))


def test_a_holder_whose_objects_are_the_growth_comes_before_a_reused_block(
    leaking_objects: Run,
) -> None:
    """What is returned is freed into a pool, and what is kept gets its block."""
    returned = site(0, 2.9 * KIB)
    kept = container("made.APP.session.states", ("1",), 0.94, slot_bytes=8)
    before, *_ = attributed(leaking_objects, returned, site(1, 0.9 * KIB), kept).suspects
    assert before.where == PLACES[0]
    told = attributed(leaking_objects, returned, site(1, 0.9 * KIB), kept, by_size(3.7 * KIB))
    (suspect,) = told.suspects
    assert suspect.chain[0] == "made.APP.session.states"
    assert suspect.where == PLACES[1]
    assert suspect.bytes_per_call == pytest.approx(3.7 * KIB, rel=0.01)
    assert any(
        "2.90 KiB/call of its memory is in blocks that were allocated at make_11" in str(line)
        for line in suspect.evidence
    )
    assert told.explained == pytest.approx(3.7 * KIB, rel=0.01)


def test_a_site_for_which_the_holder_leaves_room_stays_first(leaking_objects: Run) -> None:
    sites = [site(0, 2.9 * KIB), site(1, 0.9 * KIB)]
    before = attributed(leaking_objects, *sites).suspects
    after = attributed(leaking_objects, *sites, by_size(1.1 * KIB)).suspects
    assert after == before


def test_a_known_cause_is_no_reused_block(leaking_objects: Run) -> None:
    onednn = finding(size=2.9 * KIB, key="7", instrument=Instrument.MEMRAY, stack=(ONEDNN, MINE))
    held = replace(by_size(3.7 * KIB), instrument=Instrument.MEMRAY)
    found = attributed(leaking_objects, onednn, held).suspects
    assert "onednn-primitive-cache" in {each.cause.id for each in found if each.cause}
