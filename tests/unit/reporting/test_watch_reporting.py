"""Reports on what was only looked on: without times of calls, results, or figures of nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from rich.console import Console
from watched_worlds import ToldClock, ToldSource, watched, wavy

from leakhunt.cli.display import figures
from leakhunt.engine.report import report_of, write_files
from leakhunt.model.plan import Work
from leakhunt.model.report import Report
from leakhunt.model.series import DURATION, RSS
from leakhunt.reporting.index.page import contents_of_headers, contents_of_report
from leakhunt.reporting.registry import RENDERERS
from leakhunt.reporting.run.terminal import summary_table
from leakhunt.server.catalog import ReportNotFound, Shelf
from leakhunt.storage import run_file as store

EMPTY = {
    "ledger.png", "ledger.svg", "remedies.png", "remedies.svg",
    "flame.html", "flame.speedscope.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("watches") / "watch"
    folder.mkdir()
    clock = ToldClock()
    leaking = ToldSource(clock, lambda second: wavy(second) + 4096 * (second - 100_000))
    watched(folder / "watch.run.jsonl", clock, leaking, hours=2)
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return report_of([store.load(folder / "watch.run.jsonl")], "watch")


def test_a_watch_has_no_files_that_say_nothing(report: Report, tmp_path: Path) -> None:
    files = {file.name for file in write_files(report, tmp_path, RENDERERS)}
    assert files == {each.file_name for each in RENDERERS} - EMPTY
    assert files == {file.name for file in tmp_path.iterdir()}


def test_the_page_and_tables_of_a_watch_have_no_time_of_a_call_and_no_results(
    report: Report, tmp_path: Path
) -> None:
    page, markdown, document = (
        next(each for each in RENDERERS if each.file_name == f"report.{name}")
        .render(report)
        .decode()
        for name in ("html", "md", "json")
    )
    assert [*re.findall(r"<th scope=\"col\">([^<]*)</th>", page.split("All variants")[1])][:5] == [
        "variant", "verdict", "anonymous memory per second", "RSS per second", "ended",
    ]  # fmt: skip
    assert markdown.splitlines()[4] == "| variant | verdict | memory | rate |"
    for text in (page.split("<script type")[0], markdown):
        assert not re.search(r"time per|the reference|\bseed\b|No RSS breakdown|An agent", text)
    assert 'id="ledger"' not in page
    plots = json.loads(re.findall(r'id="plot-data">(.*?)</script>', page)[0])
    assert DURATION not in plots["variants"][0]["curves"]
    assert [*plots["variants"][0]["along"]] == ["call"]
    assert json.loads(document)["runs"][0]["cost"] is None


def test_the_terminal_tells_no_time_of_a_second(report: Report) -> None:
    console = Console(width=100, record=True)
    with console.capture() as capture:
        console.print(summary_table(report))
    assert capture.get().split("\n")[1].split() == ["variant", "verdict", "private/s"]
    latest = {RSS: 1 << 20, DURATION: 10**9}
    assert figures(latest, Work.SECOND) == "RSS 1.00 MiB"
    assert figures(latest, Work.CALL) == "RSS 1.00 MiB  1 s/call"


def test_the_listing_of_a_server_tells_rates_per_second_and_offers_no_figure_of_nothing(
    folder: Path, report: Report
) -> None:
    document = next(each for each in RENDERERS if each.format == "json").render(report)
    contents = contents_of_report(document)
    assert contents.variants[0].rate.endswith("/s") and not contents.is_timed
    header = json.loads((folder / "watch.run.jsonl").read_text("utf-8").splitlines()[0])
    assert not contents_of_headers([header]).is_timed
    header["plan"]["watch"] = None
    assert contents_of_headers([header]).is_timed

    shelf = Shelf(folder.parent)
    (listed,) = shelf.listing()
    assert listed.files == ("report.html", "curves.png", "report.md", "report.json")
    assert shelf.read(listed.place, "curves.png").startswith(b"\x89PNG")
    with pytest.raises(ReportNotFound):
        shelf.read(listed.place, "ledger.png")


def test_the_time_of_a_soaks_last_sample_is_said_to_be_the_latest() -> None:
    latest = {"duration": 1_990_000}
    assert figures(latest, Work.REQUEST) == "latest 1.99 ms/request"
    assert figures(latest, Work.CALL) == "1.99 ms/call"
