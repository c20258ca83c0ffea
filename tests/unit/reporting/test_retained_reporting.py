"""What a settled process retains, told: table, page, treemap, JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from conftest import plan

from leakhunt.analysis.retained import retained_heap, retained_report
from leakhunt.model.allocators import FREE_THREADED, PYTHON_ALLOCATOR
from leakhunt.model.attribution import Finding, FindingKind, Instrument, Origin
from leakhunt.model.retained import HolderKind, RetainedReport
from leakhunt.model.run import Ending, Outcome, Reading, Run
from leakhunt.reporting.registry import RETAINED_RENDERERS
from leakhunt.reporting.retained.squarify import Tile, squarified
from leakhunt.reporting.retained.tables import rows, sentences
from leakhunt.reporting.retained.terminal import retained_lines, retained_tables
from leakhunt.storage.schema_files import schema_text

MIB = 1 << 20


def found(what: str, size: int, objects: int, path: str = "", **facts: Any) -> Finding:
    return Finding(
        Instrument.RETAINED, FindingKind.HOLDER, what, (20,), (objects,), (size,),
        chain=(path,) if path else (), facts=facts,
    )  # fmt: skip


def run(*findings: Finding, **values: int) -> Run:
    return Run(
        plan=plan(instrument=Instrument.RETAINED, calls=20),
        outcome=Outcome(Ending.OK),
        series=(),
        samples={},
        calls=tuple(range(1, 21)),
        readings=(Reading("look_collected", values),) if values else (),
        findings=findings,
    )


@pytest.fixture
def settled() -> Run:
    part = {"path": "made.CACHE['<b>']", "type": "dict", "objects": 70, "bytes": 30 * MIB}
    return run(
        found("all objects", 100 * MIB, 5000),
        found("package", 20 * MIB, 900, "torch", native_bytes=0),
        found(
            "dict", 60 * MIB, 4000, "made.CACHE", held_by="yours", native_bytes=MIB, parts=[part]
        ),
        live_heap=110 * MIB,
        python_live=10 * MIB,
        rss=300 * MIB,
    )


@pytest.fixture
def report(settled: Run) -> RetainedReport:
    return retained_report([settled], "leakhunt test")


def rendered(report: RetainedReport, name: str) -> bytes:
    return next(each for each in RETAINED_RENDERERS if each.file_name == name).render(report)


def test_holders_come_by_what_they_retain_with_their_shares(settled: Run) -> None:
    heap = retained_heap(settled)
    assert (heap.live_bytes, heap.rss_bytes, heap.objects) == (120 * MIB, 300 * MIB, 5000)
    first, second = heap.holders
    assert (first.path, first.kind, first.origin) == ("made.CACHE", HolderKind.OBJECT, Origin.YOURS)
    assert (first.share_of_live, first.share_of_rss) == (0.5, 0.2)
    assert first.parts[0].retained_bytes == 30 * MIB
    assert (second.path, second.kind) == ("torch", HolderKind.PACKAGE)


def test_shares_of_unknown_memory_are_not_made_up() -> None:
    heap = retained_heap(run(found("dict", MIB, 5, "made.CACHE"), rss=4 * MIB))
    assert heap.live_bytes is None
    assert heap.holders[0].share_of_live is None
    assert next(rows(heap))[4:] == ("\N{EN DASH}", "25.0%")


def test_live_memory_of_a_free_threaded_build_is_not_known(settled: Run) -> None:
    """Its own mimalloc, which serves Python, does not report memory in use."""
    heap = retained_heap(replace(settled, environment={PYTHON_ALLOCATOR: FREE_THREADED}))
    assert heap.live_bytes is None
    assert [each.share_of_live for each in heap.holders] == [None, None]


def test_a_process_that_ended_early_is_not_measured() -> None:
    report = retained_report([run()], "leakhunt test")
    assert "Not measured" in "".join(sentences(report.heaps[0]))
    assert b"Not measured" in rendered(report, "retained.html")
    assert rendered(report, "retained.png").startswith(b"\x89PNG")


def test_the_page_has_the_table_the_treemap_and_the_parts_escaped(report: RetainedReport) -> None:
    page = rendered(report, "retained.html").decode()
    assert "<svg" in page
    assert '<th scope="row" class="path">made.CACHE</th>' in page
    assert "[&#39;&lt;b&gt;&#39;]" in page and "<b>" not in page
    assert "60.0 MiB" in page and "50.0%" in page
    assert "src=" not in page and "default-src 'none'" in page and "<script" not in page


def test_json_is_what_its_schema_says(report: RetainedReport) -> None:
    document = json.loads(rendered(report, "retained.json"))
    jsonschema.validate(document, json.loads(schema_text("retained")))
    assert document["heaps"][0]["holders"][0]["retained_bytes"] == 60 * MIB


def test_the_terminal_has_a_table_of_each_variant(report: RetainedReport) -> None:
    twice = replace(report, heaps=report.heaps * 2)
    assert len(list(retained_tables(twice))) == 2
    lines = [line.plain for line in retained_lines(report)]
    assert any("5,000 tracked objects retain 100.0 MiB after 20 calls" in line for line in lines)


def test_tiles_fill_the_whole_in_proportion_and_none_is_thin() -> None:
    sizes = [60.0, 40.0, 20.0, 10.0, 5.0, 5.0, 1.0]
    whole = Tile(1.0, 2.0, 8.0, 4.0)
    tiles = squarified(sizes, whole)
    unit = whole.width * whole.height / sum(sizes)
    for size, tile in zip(sizes, tiles, strict=True):
        assert tile.width * tile.height == pytest.approx(size * unit)
        assert max(tile.width / tile.height, tile.height / tile.width) < 6
        assert whole.x - 1e-9 <= tile.x and tile.x + tile.width <= whole.x + whole.width + 1e-9
        assert whole.y - 1e-9 <= tile.y and tile.y + tile.height <= whole.y + whole.height + 1e-9
    assert squarified([1.0], Tile(0.0, 0.0, 0.0, 1.0)) == [Tile(0.0, 0.0, 0.0, 0.0)]
