"""What comes from outside steers nothing that shows a file of ours, whatever its format."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from conftest import CONTROLS, HOSTILE, MakeRun, hostile_run, steering_in
from made_gates import REPOSITORY, made_gates

from leakhunt.analysis.report import assemble
from leakhunt.reporting.index.page import render_message
from leakhunt.reporting.registry import GATE_RENDERERS, RENDERERS, GateDocument, Renderer
from leakhunt.text.controls import json_text_bytes, text_bytes, written_out

TEXTS = ("html", "md", "json", "svg", "flame", "speedscope", "junit", "csv")


@pytest.mark.parametrize("made", [each for each in RENDERERS if each.format in TEXTS],
                         ids=lambda made: made.file_name)  # fmt: skip
def test_a_report_on_hostile_runs_steers_nothing(make_run: MakeRun, made: Renderer[Any]) -> None:
    runs = [
        hostile_run(make_run(live_heap=[9000 * call for call in range(300)], rss=range(300))),
        make_run(live_heap=[9000 * call for call in range(300)], rss=range(300)),
    ]
    content = made.render(assemble(runs, HOSTILE))
    carriage_returns = {"\r"} if made.format == "csv" else set()
    assert steering_in(content) <= carriage_returns
    if made.format in ("svg", "junit"):
        ElementTree.fromstring(content)  # noqa: S314 - ours
    if made.format == "json":
        assert HOSTILE in {run["plan"]["variant"] for run in json.loads(content)["runs"]}


@pytest.mark.parametrize("made", GATE_RENDERERS, ids=lambda made: made.file_name)
def test_a_gate_of_hostile_runs_steers_nothing(make_run: MakeRun, made: Renderer[Any]) -> None:
    content = made.render(GateDocument(made_gates(make_run)["hostile"], REPOSITORY))
    assert not steering_in(content)
    if made.format == "junit":
        ElementTree.fromstring(content)  # noqa: S314 - ours


def test_a_page_of_the_server_steers_nothing() -> None:
    assert not steering_in(render_message(HOSTILE, HOSTILE))


def test_they_are_written_out() -> None:
    assert written_out("a\x00\x1b[2J\x7f\x9b\u202e\ud800\tb\n") == (
        r"a\x00\x1b[2J\x7f\x9b\u202e\ud800" + "\tb\n"
    )
    assert json.loads(json_text_bytes(json.dumps(CONTROLS, ensure_ascii=False))) == CONTROLS
    assert text_bytes("内存泄漏 \x1b") == "内存泄漏 \\x1b".encode()
