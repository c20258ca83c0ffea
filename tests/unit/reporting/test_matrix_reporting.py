"""A matrix in every format: the same words, and nothing from outside becomes markup."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import jsonschema
import pytest
from conftest import MakeRun

from leakhunt.analysis.matrix.report import CellEvidence, cell_sentence, matrix_report
from leakhunt.model.matrix import (
    Axis,
    AxisKind,
    CellEnd,
    CellRecord,
    MatrixPlan,
    MatrixReport,
)
from leakhunt.model.run import Run
from leakhunt.reporting.matrix import cells_table, html_page, json_file, markdown
from leakhunt.reporting.matrix.curves import MAX_COLUMNS, heat_map_figure
from leakhunt.reporting.matrix.tables import grid, heading, notebook_card, row, summary
from leakhunt.reporting.matrix.terminal import matrix_parts
from leakhunt.reporting.registry import MATRIX_RENDERERS
from leakhunt.storage.schema_files import schema_text
from leakhunt.text.language import speaking
from leakhunt.text.message import message

HOSTILE = "<script>alert(1)</script> | \x1b[31m"


def growing(make_run: MakeRun, rate: int) -> Run:
    heap = [20_000_000 + rate * call for call in range(300)]
    return make_run(
        live_heap=heap, rss=[size + 30_000_000 for size in heap], duration=[2_000_000] * 300
    )


@pytest.fixture
def report(make_run: MakeRun) -> MatrixReport:
    plan = MatrixPlan(
        "made",
        (
            Axis(AxisKind.PACKAGE, ("1.0", "1.1", "9.9"), "lib"),
            Axis(AxisKind.OPTION, ("fixed", HOSTILE), "lengths"),
        ),
    )
    lost = CellRecord(CellEnd.MEASURED, seconds=2.5, attempts=2, node="ab12")
    evidence = []
    for cell in plan.cells:
        version = cell.values["package.lib"]
        if version == "9.9":
            reason = message("x", "no version {v}", v=HOSTILE)
            evidence.append(CellEvidence(cell, CellRecord(CellEnd.NOT_INSTALLED, reason)))
        else:
            run = growing(make_run, 4096 if version == "1.0" else 0)
            evidence.append(CellEvidence(cell, lost, (run,), f"cells/{cell.name}/a.run.jsonl"))
    return matrix_report(plan, evidence, "leakhunt 1", jobs=2, seconds=12.0)


def test_json_is_what_its_schema_says(report: MatrixReport) -> None:
    document = json.loads(json_file.render(report))
    jsonschema.validate(document, json.loads(schema_text("matrix")))
    assert [each["status"] for each in document["cells"]] == [
        "leak", "leak", "no_leak", "no_leak", None, None,
    ]  # fmt: skip
    assert document["cells"][0]["rate"] == 4096
    assert document["cells"][0]["attempts"] == 2
    assert document["explanation"][0]["message"] == "matrix.decided-by"


def test_every_cell_has_a_square_and_a_row(report: MatrixReport) -> None:
    made = grid(report)
    assert made.columns == ("1.0", "1.1", "9.9")
    lines = [cell.lines for cell in made.rows[0][1]]
    assert lines == [
        ("▲ Leak", "4.00 KiB/call", "2 ms"),
        ("● No leak", "2 ms"),
        ("× not installed",),
    ]
    assert row(report.results[0])[:4] == (
        report.results[0].cell.name, "▲ Leak", "4.00 KiB/call", "4.00 KiB to 4.00 KiB",
    )  # fmt: skip
    assert str(cell_sentence(report.results[0])).endswith("4.00 KiB/call (2.5 s)")


def test_repeats_that_disagree_are_inconclusive(report: MatrixReport) -> None:
    plan = replace(report.plan, axes=report.plan.axes[:1])
    axes = [each for each in report.results if each.cell.values["lengths"] == "fixed"]
    clean = replace(axes[0], status=axes[1].status)
    made = grid(replace(report, plan=plan, results=(axes[0], clean)))
    assert made.rows[0][1][0].lines[0] == "? Inconclusive"
    assert made.rows[0][1][1].lines == ("excluded",)


def test_one_is_told_as_one(report: MatrixReport) -> None:
    alone = replace(report, results=report.results[:1], withdrawn=1)
    assert heading(alone) == "Matrix of made: 1 cell"
    told = list(summary(alone))
    assert any(each.startswith("1 cell called a leak alone does not") for each in told)
    assert told[-1] == "1 attempt was lost with a node and repeated"


def test_every_format_says_the_same_and_escapes_what_is_not_ours(report: MatrixReport) -> None:
    page = html_page.render(report).decode()
    text = markdown.render(report).decode()
    told = list(summary(report))
    assert told[:2] == [
        "2 Leak, 2 No leak, 2 Not measured (2 not installed)",
        "package.lib decides: leak with 1.0; no leak with 1.1",
    ]
    assert told[-1] == "4 attempts were lost with a node and repeated"
    for each in told:
        assert each in page
    assert "4.00 KiB/call" in text and "package.lib decides" in text.replace("\\", "")
    assert "<script>alert" not in page and "<script>alert" not in text
    lines = "".join(str(part) for part in matrix_parts(report))
    assert "\x1b" not in page + text + lines
    assert "<script>alert" not in notebook_card(report)


def test_every_renderer_makes_its_file_in_both_languages(report: MatrixReport) -> None:
    pytest.importorskip("pyarrow")
    for language in ("en", "zh"):
        with speaking(language):
            made = {each.file_name: each.render(report) for each in MATRIX_RENDERERS}
        assert made["matrix.png"][:4] == made["curves.png"][:4] == b"\x89PNG"
        assert ("热力图" in made["matrix.html"].decode()) is (language == "zh")


def test_the_table_has_a_row_for_each_cell(report: MatrixReport) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(io.BytesIO(cells_table.render(report)))
    rows = table.to_pylist()
    assert len(rows) == 6
    assert rows[0]["axis_package.lib"] == "1.0" and rows[0]["status"] == "leak"
    assert rows[5]["end"] == "not installed" and rows[5]["status"] is None
    assert str(table.schema.field("rate").type) == "double"


def test_a_cell_that_was_killed_is_in_the_first_line(report: MatrixReport) -> None:
    killed = replace(report.results[2], record=CellRecord(CellEnd.KILLED, "SIGKILL"))
    first = next(summary(replace(report, results=(report.results[0], killed))))
    assert first == "1 Leak, 1 No leak (1 killed)"


def test_nothing_measured_is_a_report_too(report: MatrixReport) -> None:
    evidence = [
        CellEvidence(each.cell, CellRecord(CellEnd.NOT_RUN, "interrupted"))
        for each in report.results
    ]
    empty = matrix_report(report.plan, evidence, "leakhunt 1")
    pytest.importorskip("pyarrow")
    assert all(each.render(empty) for each in MATRIX_RENDERERS)
    assert next(iter(summary(empty))) == "6 Not measured (6 not run)"


def test_a_picture_of_many_cells_shows_the_first_and_says_so(report: MatrixReport) -> None:
    values = tuple(map(str, range(1, 200)))
    plan = MatrixPlan("made", (Axis(AxisKind.CALLS, values),))
    evidence = [CellEvidence(cell, CellRecord(CellEnd.NOT_RUN)) for cell in plan.cells]
    figure = heat_map_figure(matrix_report(plan, evidence, "leakhunt 1"))
    (axes,) = figure.axes
    assert axes.get_xlim() == (0, MAX_COLUMNS)
    assert f"the first {MAX_COLUMNS} columns" in axes.get_xlabel()
