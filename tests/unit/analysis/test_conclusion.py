"""Several variants in three sentences: whether they leak, the limit they need, what helps."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from rich.console import Console

from leakhunt.analysis.conclusion import conclusion
from leakhunt.analysis.report import assemble
from leakhunt.model.report import JudgedRun, Report
from leakhunt.model.verdict import Outlook
from leakhunt.reporting.run.terminal import conclusion_lines, summary_table, verdict_lines
from leakhunt.storage import run_file

EXAMPLES = Path(__file__).parents[3] / "reports" / "examples"


@cache
def example(name: str) -> Report:
    runs = [run_file.load(each) for each in sorted((EXAMPLES / name).glob("*.run.jsonl"))]
    return assemble(runs, "leakhunt")


def said(report: Report) -> list[str]:
    return [str(each) for each in conclusion(report)]


def test_caches_that_fill_need_a_limit_and_what_saves_costs() -> None:
    leaks, limit, saves = said(example("fsmn-vad-run"))
    assert leaks == (
        "No leak, but a bounded cache of about 34.6 MiB: 6 variants; no leak: fixed-shape;"
        " inconclusive: streaming."
    )
    assert limit.startswith("Recommended memory limit: 1.08 to 1.15 GiB, by variant;")
    assert "RSS still rises" in limit
    assert saves.startswith("Saves most: fixed-shape, 62.5 KiB/call of live heap, 1.6 × the time,")
    assert "other results in 234 of 250 calls" in saves
    assert "saves nothing: cleaned (16 × the time), all-fixes (16 × the time)" in saves


def test_of_leaks_the_first_that_is_killed_is_named() -> None:
    leaks, limit, saves = said(example("fsmn-vad-cpu"))
    assert leaks == "Leak: 5 variants; no leak: fixed-shape."
    assert limit.startswith("First to reach its limit: naive. Free memory (22.8 GiB) lasts about")
    assert limit.endswith("1.08 GiB.")
    assert "fixed-shape" in saves


def test_times_that_were_measured_side_by_side_are_called_rough() -> None:
    report = example("fsmn-vad-run")
    rough = "; times are rough: variants ran side by side."
    assert said(report)[2].endswith(rough)
    apart = tuple(
        replace(entry, run=replace(entry.run, started_at=f"2026-11-29T{hour:02}:00:00.000+00:00"))
        for hour, entry in enumerate(report.entries)
    )
    assert said(replace(report, entries=apart))[2] == said(report)[2].removesuffix(rough) + "."
    unknown = replace(apart[0], run=replace(apart[0].run, started_at=""))
    assert not said(replace(report, entries=(unknown, *apart[1:])))[2].endswith(rough)


@pytest.mark.parametrize("outlook", [Outlook.KILLED, Outlook.EXCEEDED])
def test_who_is_over_its_limit_comes_before_who_will_be(outlook: Outlook) -> None:
    report = example("fsmn-vad-cpu")
    *others, last = report.entries
    forecast = last.verdict.forecast
    assert forecast is not None
    forecast = replace(forecast, outlook=outlook, calls=10**9, sentence="It is over")
    over = replace(last, verdict=replace(last.verdict, forecast=forecast))
    _, limit, _ = said(replace(report, entries=(*others, over)))
    assert limit == f"First to reach its limit: {last.variant}. It is over."


def the(report: Report, *names: str) -> tuple[JudgedRun, ...]:
    return tuple(entry for entry in report.entries if entry.variant in names)


@pytest.mark.parametrize("names", [(), ("naive",)])
def test_one_variant_alone_says_it_all_itself(names: tuple[str, ...]) -> None:
    report = example("fsmn-vad-run")
    assert conclusion(replace(report, entries=the(report, *names))) == ()


def test_where_nothing_saves_it_says_so() -> None:
    report = example("fsmn-vad-run")
    few = replace(report, entries=the(report, "naive", "cleaned"))
    leaks, _, saves = said(few)
    assert leaks.endswith(": naive, cleaned.")
    assert saves.startswith("No variant grows by less than naive; saves nothing: cleaned (16 ×")


def test_the_same_results_come_before_a_larger_saving() -> None:
    report = example("fsmn-vad-run")
    naive, fixed, chunked = (the(report, name)[0] for name in ("naive", "fixed-shape", "chunked"))
    assert chunked.difference is not None and not chunked.difference.differing
    trend = replace(
        naive.verdict.trends["live_heap"], rate=30_000.0, rate_low=29_000.0, rate_high=31_000.0
    )
    less = replace(
        chunked,
        verdict=replace(chunked.verdict, trends={**chunked.verdict.trends, "live_heap": trend}),
    )
    *_, saves = said(replace(report, entries=(naive, fixed, less)))
    assert saves.startswith("Saves most: chunked, 33.2 KiB/call of live heap,")
    assert saves.rstrip(".").endswith("the same results")


def test_without_the_reference_nothing_is_said_of_savings() -> None:
    report = example("fsmn-vad-run")
    few = replace(report, entries=the(report, "cleaned", "fixed-shape"))
    assert len(conclusion(few)) == 2


def test_where_the_reference_does_not_grow_nothing_is_to_be_saved() -> None:
    report = example("fsmn-vad-run")
    fixed, streaming = (the(report, name)[0] for name in ("fixed-shape", "streaming"))
    plan = replace(fixed.run.plan, reference="fixed-shape")
    first = replace(fixed, run=replace(fixed.run, plan=plan))
    assert len(conclusion(replace(report, entries=(first, streaming)))) == 2


def test_the_terminal_says_once_what_several_share_and_ends_with_the_conclusion() -> None:
    report = example("fsmn-vad-run")
    lines = [line.plain for line in verdict_lines(report)]
    assert sum("oneDNN primitive cache" in line for line in lines) == 1
    (cleaned,) = (line for line in lines if "cleaned:" in line)
    assert cleaned.startswith("● cleaned: Bounded cache. Same growth as naive, call by call")
    limits = [line for line in lines if line.startswith("  Recommended memory limit:")]
    assert len(limits) == 3  # of naive, fixed-shape and streaming
    first, *rest = [line.plain for line in conclusion_lines(report)]
    assert first == "For a service:"
    assert [line.strip() for line in rest] == said(report)


def test_the_table_fits_80_columns_and_breaks_no_word() -> None:
    console = Console(width=80, record=True)
    console.print(summary_table(example("fsmn-vad-run")))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    for word in ("inconclusive", "retention", "streaming", "fixed-shape"):
        assert word in text
