"""What changed between two looks into a process."""

from __future__ import annotations

from collections.abc import Mapping

from leakhunt.analysis.attached_difference import difference
from leakhunt.model.attached import AttachReport
from leakhunt.model.report import LedgerLine
from leakhunt.model.retained import OTHER, HolderKind, RetainedHeap, RetainedHolder
from leakhunt.reporting.attached.tables import difference_sections, difference_summary

KIB = 1024


def holder(path: str, size: int, kind: HolderKind = HolderKind.OBJECT) -> RetainedHolder:
    return RetainedHolder(path, kind, "dict", size // 100, size, 0, None, None, None, ())


def look(rss: int, lines: Mapping[str, int], *holders: RetainedHolder) -> AttachReport:
    breakdown = tuple(LedgerLine(name, name, size, "") for name, size in lines.items())
    heap = RetainedHeap("attached", 1, 1000, rss, rss, rss, tuple(holders), ())
    return AttachReport(
        process="app.py",
        pid=7,
        python="3.11",
        allocator="glibc",
        generator="leakhunt",
        rss_bytes=rss,
        breakdown=breakdown,
        given_back=(),
        bounds=(),
        possible_causes=(),
        heap=heap,
        seconds_watched=0,
        verdict=None,
        growers=(),
        places=(),
        cost=None,
        caveats=(),
    )


BEFORE = look(
    5000 * KIB,
    {"live_python": 1000 * KIB, "files": 4000 * KIB},
    holder("app.CACHE", 100 * KIB),
    holder("app.OLD", 300 * KIB),
    holder("json", 60 * KIB, HolderKind.PACKAGE),
    holder(OTHER, 40 * KIB, HolderKind.PACKAGE),
)
AFTER = look(
    7000 * KIB,
    {"live_python": 3000 * KIB, "files": 4000 * KIB, "garbage": 5},
    holder("app.CACHE", 2100 * KIB),
    holder("app.NEW", 50 * KIB),
    holder(OTHER, 100 * KIB, HolderKind.PACKAGE),
)


def test_holders_that_grew_come_first_and_those_that_shrank_last() -> None:
    found = difference(BEFORE, AFTER, 600.0)
    assert [(each.title, each.grown_bytes) for each in found.holders] == [
        ("app.CACHE", 2000 * KIB),
        ("app.NEW", 50 * KIB),
        ("app.OLD", -300 * KIB),
    ]
    assert found.holders[0].objects_before == 100 * KIB // 100
    assert found.rss is not None and found.rss.grown_bytes == 2000 * KIB
    assert [each.title for each in found.memory] == ["live_python", "files"]


def test_a_holder_with_another_path_later_is_the_same() -> None:
    before = look(1000, {}, holder("frame -> App -> Holder -> dict", 100 * KIB))
    after = look(1000, {}, holder("frame -> dict -> Blocks -> Holder -> dict", 300 * KIB))
    (change,) = difference(before, after).holders
    assert change.title == "frame -> dict -> Blocks -> Holder -> dict"
    assert change.grown_bytes == 200 * KIB
    # Where two could be meant, none is.
    other = look(1000, {}, *after.heap.holders, holder("app.x -> Holder -> dict", 90 * KIB))  # type: ignore[union-attr]
    assert len(difference(before, other).holders) == 3


def test_a_package_that_one_look_sums_up_is_no_change() -> None:
    assert "json" not in {each.title for each in difference(BEFORE, AFTER).holders}


def test_the_growth_is_said_first() -> None:
    told = list(difference_summary(difference(BEFORE, AFTER, 600.0)))
    assert told[0].startswith("RSS +1.95 MiB in 10 min")
    assert told[1] == "Largest growth: app.CACHE, +1.95 MiB."
    assert list(difference_summary(difference(AFTER, AFTER)))[1] == "No holder grew."
    holders, memory = difference_sections(difference(BEFORE, AFTER, 600.0))
    assert holders.rows[0][:4] == ("app.CACHE", "100.0 KiB", "2.05 MiB", "+1.95 MiB")
    assert memory.rows[0][0] == "RSS"
