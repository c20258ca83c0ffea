"""What a page, a table or a picture says must be so, also of odd runs and hostile names."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from conftest import HOSTILE, MakeRun, hostile_run
from rich.console import Console

from leakhunt.analysis.report import assemble
from leakhunt.analysis.verdict import judge
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Phase, Purpose, Run
from leakhunt.model.verdict import Status
from leakhunt.reporting.charts.curves import curves_figure
from leakhunt.reporting.charts.ledger import no_ledger
from leakhunt.reporting.charts.plot_data import plot_data
from leakhunt.reporting.charts.series_values import heights
from leakhunt.reporting.charts.thinning import decimated
from leakhunt.reporting.index.page import contents_of_report
from leakhunt.reporting.run.html_page import bars, render
from leakhunt.reporting.run.json_file import render as render_json
from leakhunt.reporting.run.markdown import render as render_markdown
from leakhunt.reporting.run.notebook import card
from leakhunt.reporting.run.samples import samples_csv
from leakhunt.reporting.run.terminal import summary_table, suspect_lines, verdict_lines
from leakhunt.reporting.shared.headline import main_series, shown_series

MIB = 1 << 20


def sampled(make_run: MakeRun, warm_up: int, each: int) -> Run:
    """A call a sample in the warm-up, `each` calls a sample after it; every call takes 5 ms."""
    judged = 40
    calls = [*range(1, warm_up + 1), *(warm_up + each * n for n in range(1, judged + 1))]
    spent = [5_000_000] * warm_up + [5_000_000 * each] * judged
    run = make_run(live_heap=list(range(warm_up + judged)), duration=spent)
    phases = (
        Phase(0, warm_up, Purpose.WARM_UP, 1, collects=False),
        Phase(warm_up, judged, Purpose.JUDGED, each, collects=False),
    )
    return replace(run, calls=calls, phases=phases[0 if warm_up else 1 :])


def test_the_time_of_a_call_is_the_same_whatever_a_sample_is(make_run: MakeRun) -> None:
    run = sampled(make_run, 30, 100)
    assert [*heights(run, "duration")[:20], *heights(run, "duration")[-30:]] == [5_000_000.0] * 50
    (drawn,) = plot_data(assemble([run], "test"))["variants"]
    assert set(drawn["curves"]["duration"]["value"][:20]) == {5_000_000.0}


@pytest.mark.parametrize(("warm_up", "shaded"), [(30, 30), (0, 0)])
def test_the_warm_up_ends_before_the_first_judged_call(
    make_run: MakeRun, warm_up: int, shaded: int
) -> None:
    (drawn,) = plot_data(assemble([sampled(make_run, warm_up, 100)], "test"))["variants"]
    assert drawn["warmUp"] == shaded
    assert drawn["judgedFrom"] == warm_up + 100


def test_a_thinned_curve_has_its_first_and_its_last_sample() -> None:
    places, heights = decimated([5.0, *([1.0, 9.0] * 5000), 5.0])
    assert (places[0], places[-1]) == (0, 10_001)
    assert (heights[0], heights[-1]) == (5.0, 5.0)


def test_a_variant_without_a_sample_leaves_the_axis_of_the_others(make_run: MakeRun) -> None:
    whole = sampled(make_run, 0, 1000)
    crashed = make_run(plan_changes={"variant": "crashed"})
    figure = curves_figure(assemble([whole, crashed], "test"))
    assert figure.axes[-1].get_xlabel() == "call"


def test_what_is_shown_first_follows_the_verdict(make_run: MakeRun) -> None:
    heap = [5_000_000 + 60_000 * call for call in range(300)]
    cuda = make_run(live_heap=heap, cuda_allocated=[2 * MIB * call for call in range(300)])
    verdict = judge(cuda)
    assert verdict.kind is Kind.CUDA_LEAK
    assert main_series(cuda, verdict) == "cuda_allocated"
    (listed,) = contents_of_report(render_json(assemble([cuda], "test"))).variants
    assert listed.rate.startswith("CUDA allocated 2.00 MiB/call")
    assert "CUDA allocated per call: 2.00 [" in card(cuda, verdict)
    opened = make_run(live_heap=heap, descriptors=list(range(300)))
    assert "descriptors: 0" in card(opened, judge(opened))
    assert shown_series("clean", {"rss", "live_heap"}, ()) == "live_heap"
    assert shown_series("clean", (), ()) == ""


def test_a_run_that_was_measured_is_not_said_to_be_empty(make_run: MakeRun) -> None:
    entries = assemble([make_run(live_heap=[5] * 100), make_run()], "test").entries
    assert [no_ledger(entry) for entry in entries] == [
        "no full reading of RSS at the start", "not measured",
    ]  # fmt: skip


def test_what_was_given_back_is_drawn_as_that(make_run: MakeRun) -> None:
    before = {"rss": 100 * MIB, "live_heap": 50 * MIB, "python_live": MIB, "python_arenas": MIB}
    after = before | {"rss": 90 * MIB, "live_heap": 30 * MIB}
    readings = {"start": before, "end": after, "collected": after, "trimmed": after}
    (entry,) = assemble([make_run(readings=readings, rss=[5] * 9)], "test").entries
    assert entry.ledger is not None
    signs = [line.size_bytes < 0 for line in entry.ledger.lines]
    assert [bar.less for bar in bars(entry.ledger)] == [*signs, True]
    assert any(signs)


def test_a_fold_of_the_markdown_shows_a_name_as_it_is(make_run: MakeRun) -> None:
    readings = {"start": {"rss": MIB}, "end": {"rss": 2 * MIB}}
    run = make_run(readings=readings, rss=[5] * 9, plan_changes={"variant": "v_1 <b> *x*"})
    folds = [
        line
        for line in render_markdown(assemble([run], "test")).decode().splitlines()
        if line.startswith("<summary>RSS growth of ")
    ]
    assert folds and all("v_1 &lt;b&gt; *x*" in line for line in folds)


def test_no_name_steers_the_terminal(make_run: MakeRun) -> None:
    run = hostile_run(make_run(live_heap=[9000 * call for call in range(300)]))
    report = assemble([run], "test")
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    console.print(summary_table(report))
    for line in (*verdict_lines(report), *suspect_lines(report)):
        console.print(line)
    assert isinstance(console.file, io.StringIO)
    output = console.file.getvalue()
    assert "\x1b" in HOSTILE and "\x1b[31m" not in output
    assert "?[31m" in output


def test_no_name_is_a_formula_of_a_spreadsheet(make_run: MakeRun) -> None:
    run = make_run(rss=[5, 6], plan_changes={"variant": "=HYPERLINK(1)", "scenario": "plain"})
    first = next(csv.DictReader(io.StringIO(samples_csv(assemble([run], "test")).decode())))
    assert (first["variant"], first["scenario"]) == ("'=HYPERLINK(1)", "plain")


@pytest.mark.parametrize("rate", [10**400, "x", []])
def test_a_summary_with_an_impossible_rate_is_damaged(make_run: MakeRun, rate: Any) -> None:
    run = make_run(live_heap=[9000 * call for call in range(300)])
    document = json.loads(render_json(assemble([run], "test")))
    document["runs"][0]["trends"]["live_heap"]["rate"] = rate
    with pytest.raises(ValueError, match="damaged"):
        contents_of_report(json.dumps(document).encode())


def test_the_page_of_a_run_that_leaks_on_the_gpu_says_its_rate(make_run: MakeRun) -> None:
    cuda = make_run(
        live_heap=[5_000_000] * 300, cuda_allocated=[2 * MIB * call for call in range(300)]
    )
    report = assemble([cuda], "test")
    assert report.entries[0].verdict.status is Status.LEAK
    assert "<b>2.00 MiB/call</b>" in render(report).decode()
