"""Flame graphs: what stays per call, by stack, as the report, the page and speedscope have it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from conftest import HOSTILE
from made_findings import CALLS, KIB, MALLOC, MINE, THEIRS, finding, place, watched

from leakhunt.analysis.attribution.flame import flames
from leakhunt.analysis.report import assemble
from leakhunt.model.attribution import Finding, FindingKind, Frame, Instrument, Origin
from leakhunt.model.report import Report
from leakhunt.model.run import Run
from leakhunt.reporting.run import flame_page, speedscope

MEMRAY, TRACEMALLOC = Instrument.MEMRAY, Instrument.TRACEMALLOC
OUTER = Frame("made.py", 3, "handle", "naive(item)", Origin.YOURS)
STRIPPED = place("native.so:<stripped>:")


def stays(size: int, *innermost_first: Frame, **more: Any) -> Finding:
    more = {"instrument": MEMRAY, "key": str(size), **more}
    return finding(size=size, stack=innermost_first, **more)


def report_on(run: Run, *findings: Finding) -> Report:
    """A report on a run of `CALLS` calls, and on what an instrument found in it."""
    under = replace(
        watched(*findings),
        plan=replace(run.plan, instrument=findings[0].instrument),
        file="/out/naive.under-memray.run.jsonl",
    )
    return assemble([run, under], "leakhunt test")


FOUND = (
    stays(3 * KIB, MALLOC, THEIRS, MINE, OUTER),
    stays(KIB, THEIRS, MINE, OUTER),
    stays(100, STRIPPED, STRIPPED, STRIPPED, OUTER),
)


def test_a_flame_is_what_stays_the_largest_stack_first(leaking: Run) -> None:
    (flame,) = report_on(leaking, *FOUND).entries[0].flames
    assert flame.instrument is MEMRAY
    assert [stack.bytes_per_call for stack in flame.stacks] == [3 * KIB, KIB, 100]
    assert flame.stacks[0].frames == (OUTER, MINE, THEIRS, MALLOC)
    assert flame.bytes_per_call == 4 * KIB + 100
    assert flame.capture == "naive.2.memray.bin"


def test_what_comes_and_goes_is_no_part_of_it() -> None:
    late = replace(stays(KIB, THEIRS, MINE), counts=(0, 0, 0, 9), sizes=(0, 0, 0, 9 * KIB))
    mapping = stays(2 * KIB, THEIRS, MINE, what="mapping")
    holder = stays(9, THEIRS, MINE, sort=FindingKind.CONTAINER)
    (flame,) = flames([watched(stays(100, MINE), late, mapping, holder)])
    assert [stack.bytes_per_call for stack in flame.stacks] == [100]
    assert flames([watched(late, mapping)]) == ()


def test_memray_is_shown_before_tracemalloc_and_a_gpu_beside_them() -> None:
    traced = watched(stays(100, MINE, instrument=TRACEMALLOC))
    cuda = watched(stays(500, MINE, instrument=Instrument.CUDA, what="CUDA"))
    found = flames([traced, watched(stays(90, MINE)), cuda])
    assert [each.instrument for each in found] == [MEMRAY, Instrument.CUDA]
    assert [each.instrument for each in flames([traced])] == [TRACEMALLOC]
    assert flames([traced])[0].capture == ""


def test_speedscope_gets_stacks_and_weights(leaking: Run) -> None:
    """As https://www.speedscope.app/file-format-schema.json says of a sampled profile."""
    made = json.loads(speedscope.render(report_on(leaking, *FOUND)))
    assert made["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    assert made["exporter"] == "leakhunt test" and made["activeProfileIndex"] == 0
    (profile,) = made["profiles"]
    assert (profile["type"], profile["unit"], profile["startValue"]) == ("sampled", "bytes", 0)
    assert profile["endValue"] == sum(profile["weights"]) == 4 * KIB + 100
    assert len(profile["samples"]) == len(profile["weights"]) == 3
    frames = made["shared"]["frames"]
    assert all(set(each) <= {"name", "file", "line", "col"} and each["name"] for each in frames)
    assert all(0 <= at < len(frames) for stack in profile["samples"] for at in stack)
    first = [frames[at]["name"] for at in profile["samples"][0]]
    assert first == ["handle", "naive", "made", "operator new(unsigned long)"]
    assert frames[profile["samples"][0][1]] == {"name": "naive", "file": "made.py", "line": 7}


def boxes(page: str) -> list[dict[str, str]]:
    found = re.findall(r'<div class="box[^>]*>', page)
    return [dict(re.findall(r'([\w-]+)="([^"]*)"', each)) for each in found]


def test_a_frame_stands_below_its_caller_and_within_it(leaking: Run) -> None:
    drawn = boxes(flame_page.render(report_on(leaking, *FOUND)).decode())
    names = [each["aria-label"].partition(":")[0].split(" (")[0] for each in drawn]
    assert names[0] == "every call" and {"handle", "naive", "made"} <= set(names)
    for box in drawn[1:]:
        caller = drawn[int(box["data-parent"])]
        left, width = float(box["data-left"]), float(box["data-width"])
        assert int(box["aria-level"]) == int(caller["aria-level"]) + 1
        assert float(caller["data-left"]) <= left + 0.001
        within = float(caller["data-left"]) + float(caller["data-width"])
        assert left + width <= within + 0.001
    widths = {name: float(each["data-width"]) for name, each in zip(names, drawn, strict=True)}
    assert widths["handle"] == 100 and widths["naive"] == pytest.approx(97.6, abs=0.1)
    assert [each["tabindex"] for each in drawn] == ["0", *["-1"] * (len(drawn) - 1)]


def test_frames_that_look_the_same_are_one(leaking: Run) -> None:
    page = flame_page.render(report_on(leaking, *FOUND)).decode()
    assert page.count("native.so (stripped) ×3</div>") == 1


def test_a_page_needs_no_script_and_escapes_all(leaking: Run) -> None:
    hostile = replace(MINE, function=HOSTILE, file=HOSTILE)
    page = flame_page.render(report_on(leaking, stays(4 * KIB, hostile, OUTER))).decode()
    assert "<script>window" not in page and page.count("<script>") == 1
    assert "<table>" in page and "100%" in page
    assert "memray flamegraph --leaks naive.2.memray.bin" in page


def test_where_nothing_stays_there_is_no_graph(make_run: Any) -> None:
    report = assemble([make_run(live_heap=[5000] * CALLS)], "leakhunt test")
    assert report.entries[0].flames == ()
    assert "No graph for naive: no instrument found retained memory" in (
        flame_page.render(report).decode()
    )
    assert json.loads(speedscope.render(report))["profiles"] == []


def test_what_a_graph_does_not_have_is_said(leaking: Run) -> None:
    page = flame_page.render(report_on(leaking, stays(KIB, THEIRS, MINE, OUTER))).decode()
    assert "Not in this graph: 3.00 KiB/call of 4.00 KiB/call growth (75%)" in page
    whole = flame_page.render(report_on(leaking, *FOUND)).decode()
    assert "Not in this graph" not in whole
