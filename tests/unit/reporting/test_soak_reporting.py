"""Reports of soaks: requests and not calls, how the load summary, and the time that passed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from conftest import HOSTILE, MakeRun, hostile_run
from made_soaks import MIB, Made, ended, soak
from rich.console import Console

from leakhunt.analysis.attribution.known_causes import catalogue
from leakhunt.analysis.report import assemble
from leakhunt.analysis.verdict import judge
from leakhunt.model.attribution import Attribution, Origin, Suspect
from leakhunt.model.plan import PlannedLoad, Work
from leakhunt.model.report import Report
from leakhunt.model.run import Ending, Run
from leakhunt.reporting.charts.plot_data import plot_data
from leakhunt.reporting.charts.series_values import heights, seconds_passed, title
from leakhunt.reporting.charts.sparkline import sparkline
from leakhunt.reporting.charts.trendline import trend_line
from leakhunt.reporting.registry import RENDERERS, RunRenderer
from leakhunt.reporting.run.html_page import bars
from leakhunt.reporting.run.notebook import card
from leakhunt.reporting.run.tables import headings, outcome_cell, remedies, row
from leakhunt.reporting.run.terminal import summary_table
from leakhunt.reporting.shared.load_table import LOAD_HEADINGS, load_lines, load_rows, work_of
from leakhunt.reporting.shared.suspects import cards
from leakhunt.text.language import speaking

NAIVE = Made(samples=120, retained=50_000, in_flight=100_000, failing=0.12, doublings=1)
OUTSIDE = replace(NAIVE, inside=False, failing=0.0)


def report_of(*runs: Run) -> Report:
    return assemble(runs, "leakhunt test")


def cut(run: Run, samples: int) -> Run:
    """`run` as a killed supervisor leaves it."""
    return replace(
        run,
        samples={name: values[:samples] for name, values in run.samples.items()},
        calls=run.calls[:samples],
        phases=tuple(phase for phase in run.phases if phase.first_sample <= samples),
        readings=tuple(each for each in run.readings if each.sample <= samples),
        damaged_lines=1,
    )


def hostile_soak() -> Run:
    run = hostile_run(soak(NAIVE))
    load = PlannedLoad(HOSTILE, HOSTILE, HOSTILE, users=3)
    notes = (
        {"record": "note", "kind": "errors", "errors": [[HOSTILE, 5]]},
        {"record": "note", "kind": "restarted", "text": HOSTILE},
    )
    return replace(run, plan=replace(run.plan, load=load), notes=notes)


MAKERS: dict[str, Callable[[], Report]] = {
    "two variants": lambda: report_of(
        soak(NAIVE), soak(replace(NAIVE, retained=0.0, seed=3, plan={"variant": "cleaned"}))
    ),
    "outside": lambda: report_of(
        soak(OUTSIDE), soak(replace(OUTSIDE, retained=0.0, plan={"variant": "cleaned"}))
    ),
    "killed": lambda: report_of(ended(cut(soak(OUTSIDE), 90), Ending.KILLED)),
    "one sample": lambda: report_of(cut(soak(NAIVE), 1)),
    "no sample": lambda: report_of(cut(soak(NAIVE), 0)),
    "the same twice": lambda: report_of(soak(OUTSIDE), soak(OUTSIDE)),
    "hostile": lambda: report_of(hostile_soak()),
}


@pytest.fixture(params=MAKERS, scope="module")
def report(request: pytest.FixtureRequest) -> Report:
    maker: Callable[[], Report] = MAKERS[request.param]
    return maker()


@pytest.mark.parametrize("renderer", RENDERERS, ids=lambda renderer: renderer.file_name)
def test_every_format_takes_every_soak(report: Report, renderer: RunRenderer) -> None:
    assert renderer.render(report)


def text_of(name: str, report: Report) -> str:
    (renderer,) = (renderer for renderer in RENDERERS if renderer.file_name == name)
    return renderer.render(report).decode()


def junit(report: Report) -> ElementTree.Element:
    return ElementTree.fromstring(text_of("junit.xml", report))  # noqa: S314 - made by us


def test_no_report_of_a_soak_speaks_of_calls() -> None:
    for maker in ("two variants", "outside"):
        text = text_of("report.md", MAKERS[maker]())
        assert "per request" in text and "/request" in text and "requests" in text
        assert "call" not in text.replace("phys_calls", "")


def test_hostile_texts_are_no_markup() -> None:
    made = MAKERS["hostile"]()
    page = text_of("report.html", made)
    assert "<script>alert(1)" not in page
    assert page.count("&lt;script&gt;alert(1)") > 5
    listed = [line for line in text_of("report.md", made).splitlines() if line.startswith("- ")]
    assert len(listed) >= 4 and not any(re.search(r"(?<!\\)<script", line) for line in listed)
    assert junit(made).tag == "testsuites"


def test_the_load_section_has_what_failed_and_why() -> None:
    made = MAKERS["two variants"]()
    rows = load_rows(made)
    assert [cells[0] for cells in rows] == ["naive", "cleaned"]
    assert {len(cells) for cells in rows} == {len(LOAD_HEADINGS)}
    summary = made.entries[0].load_summary
    assert summary is not None
    assert rows[0][1] == f"{summary.requests:,}"
    assert rows[0][2] == f"{summary.failed:,} ({100 * summary.failed / summary.requests:.2g} %)"
    texts = list(load_lines(made))
    assert texts[0].endswith("requests failed with: 500 Internal Server Error")
    page = text_of("report.html", made)
    assert '<h2 id="load">Load</h2>' in page and '<a href="#load">' in page
    assert "500 Internal Server Error" in page


@pytest.mark.parametrize("kind", ["restarted", "resumed", "lost-inside", "not-quiet"])
def test_what_happened_meanwhile_is_told(kind: str) -> None:
    note = {"record": "note", "kind": kind, "text": "2 of its processes were replaced"}
    made = report_of(replace(soak(OUTSIDE), notes=(note,)))
    assert list(load_lines(made)) == ["naive: 2 of its processes were replaced"]
    assert "2 of its processes were replaced" in text_of("report.html", made)


def test_a_report_of_runs_has_no_load(make_run: MakeRun) -> None:
    made = report_of(make_run(rss=[1, 2, 3], duration=[5, 5, 5]))
    assert work_of(made) is Work.CALL and not load_rows(made)
    assert 'id="load"' not in text_of("report.html", made)


def test_soaks_beside_runs_are_told_as_calls_and_keep_their_load(make_run: MakeRun) -> None:
    made = report_of(make_run(rss=[1, 2, 3], duration=[5, 5, 5]), soak(OUTSIDE))
    assert work_of(made) is Work.CALL
    assert len(load_rows(made)) == 1
    assert outcome_cell(made.entries[1]).endswith("requests")
    for renderer in RENDERERS:
        assert renderer.render(made)


def test_the_table_has_the_series_that_were_read_and_no_others() -> None:
    inside, outside = MAKERS["two variants"](), MAKERS["outside"]()
    assert "live heap per request" in headings(inside)
    assert "live heap per request" not in headings(outside)
    assert "anonymous memory per request" in headings(outside)
    for made in (inside, outside):
        assert {len(row(entry, made)) for entry in made.entries} == {len(headings(made))}


def test_from_outside_a_remedy_saves_anonymous_memory() -> None:
    (remedy,) = remedies(MAKERS["outside"]())
    assert "of anonymous memory" in remedy.saves and "/request" in remedy.saves
    assert "the time" in remedy.costs


def test_the_terminal_has_room_for_it() -> None:
    console = Console(width=80, record=True, file=None, quiet=False)
    with console.capture() as captured:
        console.print(summary_table(MAKERS["two variants"]()))
    text = captured.get()
    assert "time/request" in text and "failed" in text and "…" not in text


def test_time_is_what_passed_and_not_the_sum_of_what_ran_side_by_side() -> None:
    run = soak(replace(NAIVE, users=8))
    passed = seconds_passed(run)
    assert passed[-1] == pytest.approx(sum(run.samples["elapsed"]) / 1e9)
    assert passed[-1] < sum(run.samples["duration"]) / 4e9
    (variant,) = plot_data(report_of(run))["variants"]
    assert variant["along"]["time"][-1] == pytest.approx(passed[-1], rel=1e-6)
    case = next(junit(report_of(run)).iter("testcase"))
    assert float(case.attrib["time"]) == pytest.approx(passed[-1], rel=1e-6)


def test_the_pace_and_the_failures_are_drawn_as_rates() -> None:
    run = soak(Made(samples=200, users=4, milliseconds=20.0, failing=0.2))
    assert heights(run, "elapsed")[100] == pytest.approx(200, rel=0.1)
    failing = heights(run, "failures")
    assert sum(failing) / len(failing) == pytest.approx(20, abs=2)
    assert heights(run, "duration")[100] == pytest.approx(20e6, rel=0.1)
    titles = {series.name: title(series, run.plan.work) for series in run.series}
    assert titles["elapsed"] == "requests per second (median of 9 samples)"
    drawn = {each["name"]: each for each in plot_data(report_of(run))["series"]}
    assert drawn["elapsed"]["absolute"] and drawn["elapsed"]["unit"] == "count"
    assert not drawn["anonymous"]["absolute"]


def test_failures_are_drawn_only_where_there_were_some() -> None:
    drawn = {each["name"] for each in plot_data(report_of(soak(OUTSIDE)))["series"]}
    assert "failures" not in drawn and {"anonymous", "rss", "p95"} <= drawn


def test_json_has_the_load_and_its_landing() -> None:
    (run,) = json.loads(text_of("report.json", report_of(soak(NAIVE))))["runs"]
    assert run["plan"]["load"]["users"] == 4
    assert run["load_summary"]["failed"] > 0
    assert run["load_summary"]["errors"][0][0] == "500 Internal Server Error"
    assert run["forecast"]["seconds"] > 0


def test_csv_has_every_sample_as_it_was_read() -> None:
    """The verdict thins them; the samples stay what they were."""
    run = soak(NAIVE)
    rows = text_of("samples.csv", report_of(run)).splitlines()
    assert len(rows) == 1 + run.samples_done
    assert rows[0].endswith("failures,p50,p95,p99,elapsed,duration")
    assert rows[-1].split(",")[4] == str(run.calls[-1])
    assert [line.split(",")[5] for line in rows[1:]].count("true") == 2 * 120


def test_junit_says_how_a_soak_is_hunted() -> None:
    suite = junit(report_of(soak(NAIVE)))
    (failure,) = suite.iter("failure")
    assert "requests failed" in (failure.text or "")
    assert "To find the leak suspects: the same soak with --hunt" in (failure.text or "")
    suite = junit(report_of(soak(OUTSIDE)))
    (skipped,) = suite.iter("skipped")
    assert "(external metrics only)" in skipped.attrib["message"]


def test_a_ledger_from_outside_says_what_cannot_be_told_apart() -> None:
    (entry,) = report_of(soak(OUTSIDE)).entries
    ledger = entry.ledger
    assert ledger is not None and ledger.complete
    assert [line.name for line in ledger.lines] == ["anonymous", "file_backed", "unexplained"]
    assert sum(line.size_bytes for line in ledger.lines) == ledger.growth_bytes
    assert ledger.lines[0].size_bytes == pytest.approx(ledger.growth_bytes, abs=MIB)
    assert bars(ledger)[-1].name == "total"


def test_a_notebook_shows_a_soak() -> None:
    run = soak(NAIVE)
    text = card(run, judge(run))
    assert "live heap per request" in text and "requests" in text


def test_a_soak_is_told_in_chinese_without_falling_over() -> None:
    with speaking("zh"):
        made = MAKERS["two variants"]()
        for name in ("report.html", "report.md", "curves.svg"):
            assert text_of(name, made)


def test_a_leak_is_a_straight_line_however_far_apart_its_samples_are() -> None:
    """By samples, the dense beginning would make it look like one that speeds up."""
    (entry,) = report_of(soak(Made(samples=120, retained=50_000, doublings=4))).entries
    drawn = sparkline(entry, 24).heights
    steps = [later - sooner for sooner, later in pairwise(drawn)]
    assert min(steps) > 0.5 * max(steps)
    line, run = trend_line(entry, "live_heap"), entry.run
    assert line is not None
    for end, place in ((0, run.judged_from), (1, -1)):
        assert line.heights[end] == pytest.approx(run.samples["live_heap"][place], rel=0.02)


def test_a_suspect_of_a_soak_is_kept_and_verified_by_requests() -> None:
    (entry,) = report_of(soak(NAIVE)).entries
    cause = next(each for each in catalogue() if each.remedy.environment)
    suspect = Suspect(
        fingerprint="0", title="a cache", origin=Origin.LIBRARY, per_call=3, exact=True,
        bytes_per_call=34_000.0, share=0.5, where=None, holder=None, chain=(), stack=(),
        cause=cause, ceiling_bytes=None, ceiling_calls=None, evidence=(), instruments=(),
    )  # fmt: skip
    attribution = Attribution(
        suspects=(suspect,), growth=58_000.0, explained=34_000.0, bounded=False,
        ceiling_bytes=None, ceiling_calls=None, sentence="It.", retained=(), blind_spots=(),
        instruments=(),
    )  # fmt: skip
    (shown,) = cards(replace(entry, attribution=attribution))
    assert shown.keeps.startswith("33.2 KiB/request")
    verify = dict(shown.facts)["verify"]
    assert "repeat the soak with the service started with" in verify
    assert "leakhunt hunt" not in verify
