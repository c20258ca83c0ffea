"""Suspects, lines and tried remedies in every format, escaped."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO

import pytest
from conftest import MakeRun
from rich.console import Console

from leakhunt.analysis.attribution.known_causes import catalogue
from leakhunt.analysis.report import assemble
from leakhunt.model.attribution import (
    Attribution,
    Frame,
    Instrument,
    Interval,
    LineGrowth,
    Origin,
    RemedyTrial,
    Suspect,
)
from leakhunt.model.report import Report
from leakhunt.reporting.run import html_page, json_file, markdown
from leakhunt.reporting.run.terminal import suspect_lines
from leakhunt.reporting.shared.suspects import cards, trial_row

HOSTILE = '<script>alert("x")</script> | [bold]'
OWN = Frame("made.py", 7, "naive", HOSTILE, Origin.YOURS)
CAUSES = {cause.id: cause for cause in catalogue()}

SUSPECT = Suspect(
    fingerprint="0123456789ab",
    title=f"oneDNN primitive cache: {HOSTILE}",
    origin=Origin.LIBRARY,
    per_call=3,
    exact=True,
    bytes_per_call=34_000.0,
    share=0.59,
    where=OWN,
    holder=Frame("", 0, "dnnl::lru_cache_t<int>::add(int)", "", Origin.LIBRARY),
    chain=("State.kept", HOSTILE),
    stack=(OWN,),
    cause=CAUSES["onednn-primitive-cache"],
    ceiling_bytes=13.0 * (1 << 20),
    ceiling_calls=383,
    evidence=("memray: exactly 3 more blocks",),
    instruments=(Instrument.MEMRAY,),
)
TOLD = Attribution(
    suspects=(SUSPECT,),
    growth=58_000.0,
    explained=34_000.0,
    bounded=False,
    ceiling_bytes=None,
    ceiling_calls=None,
    sentence="First suspect: it.",
    retained=(CAUSES["transparent-huge-pages"],),
    blind_spots=("memray does not see everything",),
    instruments=(Instrument.MEMRAY,),
    lines=(LineGrowth(OWN, 3000.0, 1.0),),
)
TRIAL = RemedyTrial(
    variant="naive",
    remedy=HOSTILE,
    pairs=3,
    before=4096.0,
    after=0.0,
    saved=Interval(4000.0, 3900.0, 4100.0),
    saved_rss_bytes=Interval(1e6, -1e6, 3e6),
    time_ratio=Interval(1.5, 1.25, 1.75),
    compared=300,
    differing=0,
    sentence="naive with it: saves.",
)


@pytest.fixture
def report(make_run: MakeRun) -> Report:
    made = assemble([make_run(live_heap=[4096 * call for call in range(300)])], "test")
    entry = replace(made.entries[0], attribution=TOLD)
    return replace(made, entries=(entry,), trials=(TRIAL,))


def test_the_page_shows_the_suspect_its_chain_and_its_remedy_escaped(report: Report) -> None:
    page = html_page.render(report).decode()
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert") >= 5
    assert '<ol class="chain"' in page
    assert "State.kept" in page
    assert "full at about 13.0 MiB after 383 calls" in page
    assert "dnnl::lru_cache_t::add" in page
    assert "leakhunt hunt made:naive --try onednn-primitive-cache" in page
    assert "Blind spot: memray does not see everything" in page
    assert "Retained but not growing: transparent huge pages" in page
    assert "1.50 × (1.25 to 1.75)" in page
    assert "width: 59.0%" in page


def test_markdown_folds_the_suspects_and_keeps_its_tables(report: Report) -> None:
    text = markdown.render(report).decode()
    assert "<script>" not in text.replace("`", "").split("reference chain")[0]
    assert "Leak suspects: naive" in text
    assert "\\| \\[bold\\]" in text
    widths = {row.count("|") - row.count("\\|") for row in text.splitlines() if "1.50 ×" in row}
    assert widths == {7}


def test_json_has_everything_in_bytes(report: Report) -> None:
    document = json.loads(json_file.render(report))
    assert document["format"] == 7
    (run,) = document["runs"]
    (suspect,) = run["attribution"]["suspects"]
    assert suspect["bytes_per_call"] == 34_000.0
    assert suspect["cause"]["id"] == "onednn-primitive-cache"
    assert suspect["holder"]["function"] == "dnnl::lru_cache_t<int>::add(int)"
    assert run["attribution"]["lines"][0]["bytes_per_call"] == 3000.0
    assert document["trials"][0]["saved"]["low"] == 3900.0


def test_the_terminal_reads_nothing_as_markup(report: Report) -> None:
    console = Console(file=StringIO(), width=300)
    for line in suspect_lines(report):
        console.print(line)
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert f"reference chain: State.kept -> {HOSTILE}" in text
    assert "naive with it: saves." in text
    assert "2.93 KiB/call" in text


def test_where_nobody_looked_nothing_is_said(make_run: MakeRun) -> None:
    plain = assemble([make_run(live_heap=[1] * 300)], "test")
    assert cards(plain.entries[0]) == []
    assert list(suspect_lines(plain)) == []
    assert "Leak suspects" not in html_page.render(plain).decode()


@pytest.mark.parametrize(
    ("changes", "cells"),
    [
        ({}, ("3.91 KiB/call (3.81 to 4.00 KiB/call)", "no significant difference")),
        ({"saved": Interval(1, -9, 11)}, ("not significant", "no significant difference")),
        ({"saved_rss_bytes": Interval(1 << 20, 1, 2 << 20)}, ("3.91 KiB/call", "1.00 MiB less")),
    ],
)
def test_a_trial_says_what_it_saves_and_no_more(
    changes: dict[str, Interval], cells: tuple[str, str]
) -> None:
    row = trial_row(replace(TRIAL, **changes))  # type: ignore[arg-type]
    assert row[1].startswith(cells[0])
    assert row[3] == cells[1]
