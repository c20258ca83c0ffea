"""The verdict that joins the curve and what was found: of caches that filled, and of variants."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import MakeRun
from made_findings import finding

from leakhunt.analysis.attribution import attribute
from leakhunt.analysis.attribution.growing_part import growing_part
from leakhunt.analysis.attribution.joined_verdict import joined_verdict
from leakhunt.analysis.attribution.same_growth import growth_difference
from leakhunt.analysis.report import assemble
from leakhunt.analysis.verdict import judge
from leakhunt.model.attribution import FindingKind, Instrument
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Run
from leakhunt.model.verdict import Status

KIB, MIB = 1 << 10, 1 << 20
CALLS = 400


def growing(make_run: MakeRun, variant: str, rate: int = 40 * KIB) -> Run:
    heap = [rate * call + 512 * (call % 7) for call in range(CALLS)]
    return make_run(live_heap=heap, plan_changes={"variant": variant})


def filled(make_run: MakeRun, entries: int, calls: int = 4000) -> Run:
    heap = [20 * KIB * min(call, entries) for call in range(calls)]
    full = {"live_heap": 20 * KIB * entries}
    return make_run(live_heap=heap, readings={"start": {"live_heap": 0}, "trimmed": full})


def under(run: Run, *findings: object) -> Run:
    plan = replace(run.plan, instrument=Instrument.MEMRAY)
    return replace(run, plan=plan, findings=tuple(findings), readings=())  # type: ignore[arg-type]


def test_a_cache_that_filled_is_looked_into_where_it_filled(make_run: MakeRun) -> None:
    run = filled(make_run, 1024)
    verdict = judge(run)
    assert (verdict.status, verdict.kind) == (Status.NO_LEAK, Kind.BOUNDED_CACHE)
    assert "Level since about" in str(verdict.sentence)
    assert "20.0 MiB above the start" in str(verdict.sentence)
    found = growing_part(run, verdict)
    assert found is not None
    part, then = found
    assert part.calls_done < 1024 and then.trends["live_heap"].rises_undecided | (
        then.status is Status.LEAK
    )


@pytest.mark.parametrize("entries", [0, 100])
def test_a_small_cache_is_not_worth_another_run(make_run: MakeRun, entries: int) -> None:
    run = filled(make_run, entries)
    assert growing_part(run, judge(run)) is None


def test_what_grew_without_a_bound_is_no_cause_of_a_cache_that_filled(make_run: MakeRun) -> None:
    run = filled(make_run, 1024)
    verdict = judge(run)
    found = growing_part(run, verdict)
    assert found is not None
    part, then = found
    site = finding(size=20 * KIB, key="1", instrument=Instrument.TRACEMALLOC)
    box = finding(
        size=0, sort=FindingKind.CONTAINER, what="list", keeps=("1",), chain=("app.SEEN", "list"),
        instrument=Instrument.TRACEMALLOC,
    )  # fmt: skip
    attribution = attribute(part, then, [under(run, site, box)], has_filled=True)
    assert attribution.suspects and attribution.suspects[0].cause is None
    joined = joined_verdict(run, verdict, attribution, None)
    assert joined.kind is Kind.BOUNDED_CACHE
    assert "Filled by: app.SEEN" in str(joined.sentence)


@pytest.mark.parametrize(("most", "is_said"), [(1024, True), (1 << 20, False)])
def test_a_bound_that_was_not_reached_is_not_where_it_ended(
    make_run: MakeRun, most: int, is_said: bool
) -> None:
    run = filled(make_run, 1024)
    found = growing_part(run, judge(run))
    assert found is not None
    part, then = found
    site = finding(size=20 * KIB, key="1", instrument=Instrument.TRACEMALLOC)
    cache = finding(
        size=0, sort=FindingKind.CONTAINER, what="dict", keeps=("1",), chain=("app.glyph", "dict"),
        facts={"most_items": most}, instrument=Instrument.TRACEMALLOC,
    )  # fmt: skip
    attribution = attribute(part, then, [under(run, site, cache)], has_filled=True)
    assert (attribution.suspects[0].ceiling_calls is not None) is is_said


def test_variants_on_the_same_inputs_grow_alike_or_apart(make_run: MakeRun) -> None:
    naive = growing(make_run, "naive")
    assert (growth_difference(growing(make_run, "other"), naive) or 0) < 256
    assert growth_difference(growing(make_run, "other", 44 * KIB), naive) is None
    assert growth_difference(growing(make_run, "fixed", 0), naive) is None
    elsewhere = replace(naive, plan=replace(naive.plan, seed=7))
    assert growth_difference(elsewhere, naive) is None


def test_a_variant_that_grows_as_the_first_has_its_causes(make_run: MakeRun) -> None:
    naive, other = growing(make_run, "naive"), growing(make_run, "other")
    apart = growing(make_run, "apart", 80 * KIB)
    site = finding(size=40 * KIB, key="5")
    cache = finding(
        size=0, sort=FindingKind.CONTAINER, what="dict", keeps=("5",), chain=("app.parse", "dict"),
        facts={"most_items": 5000},
    )  # fmt: skip
    plan = replace(naive.plan, instrument=Instrument.TRACEMALLOC)
    looked = replace(naive, plan=plan, findings=(site, cache))
    report = assemble([naive, other, apart, looked], "test")
    verdicts = {each.run.plan.variant: each.verdict for each in report.entries}
    assert verdicts["naive"].kind is verdicts["other"].kind is Kind.BOUNDED_CACHE
    assert "Same growth as naive, call by call" in str(verdicts["other"].sentence)
    assert verdicts["apart"].status is Status.LEAK
    assert [each.attribution is None for each in report.entries].count(True) == 2


def test_the_limit_of_a_variant_has_the_ceiling_that_was_found_in_the_first(
    make_run: MakeRun,
) -> None:
    heap = [40 * KIB * call for call in range(CALLS)]
    rss = [50 * MIB + each for each in heap]
    readings = {"start": {"rss": rss[0], "live_heap": 0}, "end": {"rss": rss[-1]}}
    naive, other = (
        make_run(readings, live_heap=heap, rss=rss, peak_rss=rss, plan_changes={"variant": name})
        for name in ("naive", "other")
    )
    cache = finding(
        size=0, sort=FindingKind.CONTAINER, what="dict", keeps=("5",), chain=("app.parse", "dict"),
        facts={"most_items": 5000},
    )  # fmt: skip
    plan = replace(naive.plan, instrument=Instrument.TRACEMALLOC)
    looked = replace(naive, plan=plan, findings=(finding(size=40 * KIB, key="5"), cache))
    limits = [each.recommended_limit for each in assemble([naive, other, looked], "test").entries]
    assert [limit and limit.ceiling_bytes for limit in limits] == [5000 * 40 * KIB] * 2
