from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from conftest import MakeRun

from leakhunt.analysis.report import assemble
from leakhunt.model.report import Report
from leakhunt.model.run import Ending, Outcome, Reading
from leakhunt.reporting.charts.style import spread_out
from leakhunt.reporting.charts.thinning import MAX_POINTS, decimated
from leakhunt.reporting.registry import RENDERERS, RunRenderer
from leakhunt.reporting.run.html_page import bars
from leakhunt.reporting.run.tables import verdict_cell
from leakhunt.reporting.run.terminal import summary_table, verdict_lines
from leakhunt.reporting.shared.facts import first_facts

# The data, Plotly, and what draws with it.
OUR_SCRIPTS = 3
HOSTILE = "<script>alert(1)</script>|`[bold]$x$\"'&"
MIB = 1 << 20
CALLS = 200
MakeReport = Callable[[], Report]


def readings(growth: int) -> dict[str, dict[str, int]]:
    start = {"rss": 100 * MIB, "rss_file": 9 * MIB, "live_heap": 50 * MIB, "python_live": MIB,
             "python_arenas": 2 * MIB}  # fmt: skip
    end = start | {"rss": 140 * MIB, "live_heap": 50 * MIB + growth}
    trimmed = end | {"rss": 120 * MIB}
    return {"start": start, "end": end, "collected": end, "emptied": end, "trimmed": trimmed}


def leak(rate: int, calls: int = CALLS) -> dict[str, Any]:
    heap = [50 * MIB + rate * call for call in range(calls)]
    return {
        "live_heap": heap,
        "rss": [100 * MIB + 9000 * (call // 10) for call in range(calls)],
        "python_blocks": [5000] * calls,
        "duration": [20_000_000 + call for call in range(calls)],
    }


@pytest.fixture(scope="module")
def reports(make_run: MakeRun) -> dict[str, Report]:
    """Reports of every sort that a renderer may meet."""

    def of(name: str, planned: int = CALLS, **arguments: Any) -> Any:
        changes = {"variant": name, "calls": planned, "warmup": planned // 4}
        return make_run(plan_changes=changes, **arguments)

    naive = of("naive", readings=readings(12 * MIB), results={0: 1, 1: 2}, **leak(64 << 10))
    fixed = of("fixed-shape", readings=readings(0), results={0: 1, 1: 3}, **leak(0))
    killed = of(
        "killed",
        readings={"start": readings(0)["start"]},
        outcome=Outcome(Ending.KILLED, "SIGKILL after call 3 of 200", "SIGKILL"),
        **leak(MIB, calls=3),
    )
    cuda = of("naive", cuda_allocated=[5] * CALLS, cuda_reserved=[9] * CALLS, **leak(0))
    hostile = replace(
        naive,
        plan=replace(naive.plan, scenario=HOSTILE, variant=HOSTILE, options={HOSTILE: HOSTILE}),
        series=tuple(replace(series, title=HOSTILE, blind_to=HOSTILE) for series in naive.series),
        outcome=Outcome(Ending.CRASHED, HOSTILE, HOSTILE, HOSTILE, 1),
        facts={"weights": HOSTILE, HOSTILE: HOSTILE},
        environment={HOSTILE: HOSTILE},
        unavailable={HOSTILE: HOSTILE},
        notes=({"record": "note", "kind": "types", "growth": [[HOSTILE, 300]]},),
        started_at=HOSTILE,
        damaged_lines=2,
    )
    made = {
        "usual": [naive, fixed, killed],
        "one sample": [of("naive", planned=1, **leak(0, calls=1))],
        "no sample": [of("naive")],
        "no reference": [fixed],
        "on cuda": [cuda],
        "hostile": [hostile],
        "eight variants": [naive] + [of(f"other-{number}", **leak(number)) for number in range(7)],
    }
    return {name: assemble(runs, "leakhunt test") for name, runs in made.items()}


KINDS = (
    "usual", "one sample", "no sample", "no reference", "on cuda", "hostile", "eight variants",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("renderer", RENDERERS, ids=lambda renderer: renderer.file_name)
def test_every_format_takes_every_report_and_is_the_same_twice(
    reports: dict[str, Report], renderer: RunRenderer, kind: str
) -> None:
    first = renderer.render(reports[kind])
    assert first
    assert renderer.render(reports[kind]) == first


def text_of(name: str, report: Report) -> str:
    (renderer,) = (renderer for renderer in RENDERERS if renderer.file_name == name)
    return renderer.render(report).decode()


class Tags(HTMLParser):
    """Collects the tags of a page and where they point."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names[tag] += 1
        self.targets += [value or "" for name, value in attrs if name in ("src", "href", "data")]


def test_texts_from_outside_cannot_become_markup(reports: dict[str, Report]) -> None:
    page = text_of("report.html", reports["hostile"])
    tags = Tags()
    tags.feed(page)
    assert tags.names["script"] == OUR_SCRIPTS
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    markdown = text_of("report.md", reports["hostile"])
    above_the_code = markdown.rpartition("Repeat it")[0]
    assert re.search(r"(?<!\\)<(?!/?details|/?summary)", above_the_code) is None


def test_the_page_asks_for_nothing_from_anywhere(reports: dict[str, Report]) -> None:
    page = text_of("report.html", reports["usual"])
    tags = Tags()
    tags.feed(page)
    assert all(target.startswith("#") for target in tags.targets)
    assert tags.names["script"] == OUR_SCRIPTS
    assert not {"link", "img", "iframe"} & tags.names.keys()
    assert "@import" not in page


def test_the_page_shows_verdict_ledger_and_price(reports: dict[str, Report]) -> None:
    page = text_of("report.html", reports["usual"])
    for shown in (
        "naive: leak in native code",
        "fixed-shape: inconclusive",
        "64.0 [64.0, 64.0] KiB",
        "64.0 KiB/call of live heap, 100 %",
        "differ in 1 of 2 calls",
        "freed memory retained by malloc",
        "unexplained",
        "Incomplete: the process ended before the final readings (killed)",
        "killed after 3 of 200",
    ):
        assert shown in page, shown


def test_the_page_of_six_long_runs_is_below_six_megabytes_and_keeps_a_spike(
    make_run: MakeRun,
) -> None:
    samples, spike = 10_000, 77_777_777
    generator = random.Random(5)
    runs = []
    for number in range(6):
        heap = [50 * MIB + generator.randrange(10**6) for _ in range(samples)]
        heap[4321] += spike
        changes = {"variant": f"v{number}", "calls": samples, "warmup": 2500}
        series = dict.fromkeys(("live_heap", "rss", "cuda_allocated", "cuda_reserved"), heap)
        runs.append(make_run(plan_changes=changes, duration=heap, python_blocks=heap, **series))
    page = text_of("report.html", assemble(runs, "test"))
    assert len(page.encode()) < 6_000_000
    data = json.loads(page.partition('id="plot-data">')[2].partition("</script>")[0])
    for variant, run in zip(data["variants"], runs, strict=True):
        curve = variant["curves"]["live_heap"]
        assert run.samples["live_heap"][4321] in curve["value"]
        assert curve["call"][curve["value"].index(run.samples["live_heap"][4321])] == 4322


def test_the_waterfall_starts_at_zero_and_ends_at_the_growth(reports: dict[str, Report]) -> None:
    made = reports["usual"].entries[0].ledger
    assert made is not None
    drawn = bars(made)
    assert len(drawn) == len(made.lines) + 1
    last, total = drawn[-2], drawn[-1]
    ends = {round(last.left, 6), round(last.left + last.width, 6)}
    assert round(total.left + total.width, 6) in ends
    assert all(0 <= bar.left <= 100 and bar.left + bar.width <= 100.000001 for bar in drawn)


def test_types_that_grow_with_the_calls_are_shown_and_others_are_not(make_run: MakeRun) -> None:
    notes = {"kind": "types", "growth": [["their.Segment", 300], ["our.Reading", 1]]}
    run = replace(make_run(**leak(0)), notes=(notes,))
    page = text_of("report.html", assemble([run], "test"))
    assert "their.Segment" in page and "<td>2</td>" in page
    assert "our.Reading" not in page


def test_every_row_of_the_markdown_table_has_as_many_cells_as_its_head(
    reports: dict[str, Report],
) -> None:
    for kind in KINDS:
        widths: list[int] = []
        for line in text_of("report.md", reports[kind]).splitlines():
            if not line.startswith("|"):
                widths = []
                continue
            widths.append(len(re.findall(r"(?<!\\)\|", line)))
            assert widths[-1] == widths[0], line


def test_the_json_report_carries_the_figures(reports: dict[str, Report]) -> None:
    document = json.loads(text_of("report.json", reports["usual"]))
    naive = document["runs"][0]
    assert document["format"] == 7
    assert naive["trends"]["live_heap"]["rate"] == 64 << 10
    assert sum(line["size_bytes"] for line in naive["ledger"]["lines"]) == 40 * MIB


def test_the_terminal_reads_no_markup_from_outside(reports: dict[str, Report]) -> None:
    table = summary_table(reports["hostile"])
    assert table.row_count == 1
    assert "[bold]" in verdict_lines(reports["hostile"])[0].plain


def test_thinning_a_curve_keeps_its_spikes_and_steps() -> None:
    heights = [0.0] * 100_000
    heights[54_321] = 9.0
    heights[77_777] = -4.0
    places, shown = decimated(heights)
    assert len(shown) <= 2 * MAX_POINTS
    assert (max(shown), min(shown)) == (9.0, -4.0)
    assert places == sorted(places)
    assert places[shown.index(9.0)] == 54_321


def test_labels_are_pushed_apart_around_where_they_belong() -> None:
    placed = spread_out([0.5, 0.5, 0.5, 0.9], 0.1)
    assert placed == pytest.approx([0.4, 0.5, 0.6, 0.9])
    crowded = spread_out([1.0, 1.0, 1.0], 0.1)
    assert crowded == pytest.approx([0.8, 0.9, 1.0])
    too_many = spread_out([0.5] * 101, 0.1)
    assert too_many == pytest.approx([number / 100 for number in range(101)])


def test_a_run_that_measured_nothing_is_not_called_inconclusive(make_run: MakeRun) -> None:
    crashed = make_run(outcome=Outcome(Ending.CRASHED, "ValueError: 1", exit_code=1))
    report = assemble([crashed], "leakhunt run")
    assert verdict_cell(report.entries[0]) == "? not measured"
    assert str(report.entries[0].verdict.sentence).startswith("Not measured")
    few = assemble([make_run(live_heap=[0] * 5)], "leakhunt run")
    assert verdict_cell(few.entries[0]) == "? inconclusive"


@pytest.mark.parametrize(("limit", "is_said"), [("none", False), ("RLIMIT_AS 600.0 MiB", True)])
def test_a_memory_limit_is_said_where_there_is_one(
    make_run: MakeRun, limit: str, is_said: bool
) -> None:
    run = replace(make_run(**leak(4096)), facts={"weights": "real", "memory limit": limit})
    names = [name for name, _ in first_facts(assemble([run], "leakhunt run"))]
    assert names == ["weights", *(["memory limit"] if is_said else [])]


def test_a_leak_of_small_objects_is_told_in_bytes_everywhere(make_run: MakeRun) -> None:
    """They are no part of the live heap, whose column shows them where they leak."""
    looks = range(100, 500, 100)
    readings = [Reading("look_collected", {"python_live": 864 * at}, at) for at in looks]
    growing = {"live_heap": [1 << 20] * 400, "python_blocks": [16 * call for call in range(400)]}
    report = assemble([make_run(readings=readings, **growing)], "leakhunt test")
    (entry,) = report.entries
    assert entry.verdict.trends["python_blocks"].rate_in_bytes == pytest.approx(864)
    assert "grow by 16 blocks/call, 864 B/call (16 to 16 blocks)" in str(entry.verdict.sentence)
    columns = summary_table(report).columns
    assert "864 B" in {str(cell) for column in columns for cell in column.cells}
    page = text_of("report.md", report)
    assert "Python blocks: 16 blocks/call, 864 B/call" in page
    assert r"16 \[16, 16\], 864 B" in page
    steady = {"live_heap": [1 << 20] * 400, "python_blocks": [16] * 400}
    clean = assemble([make_run(readings=readings[:1], **steady)], "leakhunt test")
    assert "864 B" not in text_of("report.md", clean)


def test_the_page_plots_the_series_that_leaks(make_run: MakeRun) -> None:
    level = {"live_heap": [1 << 20] * 400, "rss": [2 << 20] * 400}
    blocks = make_run(**level, python_blocks=[16 * call for call in range(400)])
    page = text_of("report.html", assemble([blocks], "leakhunt test"))
    assert '<option value="python_blocks" selected>' in page
    clean = make_run(**level, python_blocks=[16] * 400)
    assert '<option value="live_heap" selected>' in text_of(
        "report.html", assemble([clean], "leakhunt test")
    )
