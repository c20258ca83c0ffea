"""Leak detectors on a list of packages: what each is asked, and what comes of its answer."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from leakhunt.config.published_leaks import read_published
from leakhunt.engine import benchmark as benching
from leakhunt.engine.adapters.tools import TOOLS, workload_of
from leakhunt.engine.benchmark import BenchmarkRequest, benchmark
from leakhunt.engine.environments import PackageSet
from leakhunt.errors import BadFile, LeakhuntError
from leakhunt.model.benchmark import BenchmarkReport, ToolRow, score_of
from leakhunt.reporting.benchmark import html_page, json_file, markdown
from leakhunt.reporting.benchmark.tables import notebook_card
from leakhunt.reporting.benchmark.terminal import benchmark_parts
from leakhunt.storage.schema_files import schema_text
from leakhunt.text.language import speaking

LEAKING = "KEPT = []\n\n\ndef call():\n    KEPT.append(bytes(3000))\n"
CLEAN = "def call():\n    return bytes(3000)\n"
PACKAGE = """
[[package]]
name = "made"
leaking = "1.0"
fixed = "1.1"
kind = "leak in Python"
leak = "call: what it keeps"
found = "loses"
link = "https://example.com"
workload = '''
def call():
    pass
'''
"""
# Answers by the version in the folder's name.
ADAPTER = """
import json, os, sys
asked = json.loads(sys.stdin.readline())
assert os.path.exists(asked["workload"]) and asked["calls"] == 7
print("chatter")
leaks = "made-1.0" in asked["workload"]
print(json.dumps({"leak": leaks, "finding": "it loses <b>here</b>", "names": True}))
"""


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every package is installed already."""

    def interpreter_of(packages: PackageSet) -> str:
        return sys.executable

    monkeypatch.setattr(benching, "interpreter_of", interpreter_of)


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    file = tmp_path / "list.toml"
    file.write_text(PACKAGE, "utf-8")
    return file


def asked(tmp_path: Path, listed: Path, body: str, **more: Any) -> BenchmarkReport:
    script = tmp_path / "adapter.py"
    script.write_text(body, "utf-8")
    request = BenchmarkRequest(
        tools=("made",),
        adapters={"made": f"{{python}} {script}"},
        listed=listed,
        calls=7,
        **more,
    )
    return benchmark(request, (), out=tmp_path / "out").report


@pytest.mark.usefixtures("here")
def test_an_adapter_is_a_command_and_its_answer_a_row(tmp_path: Path, listed: Path) -> None:
    report = asked(tmp_path, listed, ADAPTER)
    assert [(row.version, row.says, row.names) for row in report.rows] == [
        ("1.0", True, True), ("1.1", False, False),
    ]  # fmt: skip
    (score,) = report.scores
    assert (score.found, score.false_alarms, score.named, score.failed) == (1, 0, 1, 0)
    # What is there is not asked again.
    again = asked(tmp_path, listed, "raise SystemExit(3)")
    assert again.rows == report.rows


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise SystemExit('no wheel')", "no wheel"),
        ("print('no JSON')", "exit code 0"),
        ("print('[1]')", "exit code 0"),
        ("import time; time.sleep(9)", "no answer in 0.5 s"),
    ],
)
def test_a_tool_that_says_nothing_is_a_row_with_the_reason(
    tmp_path: Path, listed: Path, body: str, reason: str
) -> None:
    report = asked(tmp_path, listed, body, timeout=0.5)
    assert {row.says for row in report.rows} == {None}
    assert {str(row.reason) for row in report.rows} == {reason}
    assert report.scores[0].failed == 2


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"packages": ("mad",)}, "package 'mad' is not in the list (did you mean 'made'?)"),
        ({"tools": ("memry",)}, "--tool memry: unknown tool (did you mean 'memray'?)"),
        ({"adapters": {"memray": "x"}}, "--adapter memray: expected a new NAME=COMMAND"),
        ({"adapters": {"a/b": "x"}}, "--adapter a/b: expected a new NAME=COMMAND"),
        ({"calls": 0}, "calls=0: expected 1 or more"),
    ],
)
def test_what_makes_no_sense_is_told_in_a_line(listed: Path, given: Any, told: str) -> None:
    fields = dict(given)
    with pytest.raises(LeakhuntError) as caught:
        benchmark(BenchmarkRequest(fields.pop("packages", ()), listed=listed, **fields))
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[[package]]", "[package]", "package: expected a list of tables"),
        ('fixed = "1.1"', "", "missing fixed"),
        ("leak in Python", "leak in Rust", "kind: unknown value 'leak in Rust'"),
        ('found = "loses"', 'found = "("', "found: invalid pattern"),
        (PACKAGE, "", "missing package"),
        (PACKAGE, PACKAGE * 2, "'made' is defined twice"),
    ],
)
def test_a_list_is_read_strictly(listed: Path, old: str, new: str, told: str) -> None:
    listed.write_text(PACKAGE.replace(old, new), "utf-8")
    with pytest.raises(BadFile) as caught:
        read_published(listed)
    assert told in str(caught.value)


def test_the_built_in_list_is_whole() -> None:
    found = read_published()
    assert len(found) >= 40 and len({each.name for each in found}) == len(found)
    for each in found:
        assert "def call(" in each.workload and each.link.startswith("https://")
        compile(each.workload, each.name, "exec")


_ASK = """
import json, sys
from leakhunt.engine.adapters.tools import TOOLS, workload_of

print(json.dumps(dict(TOOLS[sys.argv[1]].ask(workload_of(sys.argv[2]), 400))))
"""


def asked_elsewhere(tool: str, file: Path) -> Any:
    """What a tool says in a process of its own: in this one, growth may fit into what is free."""
    words = [sys.executable, "-c", _ASK, tool, str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300)
    return json.loads(done.stdout)


@pytest.mark.parametrize("tool", ["tracemalloc", "memray", "mprof"])
def test_an_adapter_tells_a_leak_from_none(tmp_path: Path, tool: str) -> None:
    pytest.importorskip(TOOLS[tool].module)
    answers = []
    for name, text in (("leaking_workload", LEAKING), ("clean_workload", CLEAN)):
        file = tmp_path / f"{name}.py"
        file.write_text(text, "utf-8")
        answers.append(asked_elsewhere(tool, file))
    assert [each["leak"] for each in answers] == [True, False]
    assert ("call" in answers[0]["finding"]) is (tool != "mprof")


WITH_INPUT = "KEPT = []\n\n\ndef make_input(state, call):\n    return bytes(3000 + call % 2)\n\n\n"


@pytest.mark.parametrize("tool", ["tracemalloc", "pytest-memray"])
@pytest.mark.parametrize("leaks", [True, False])
def test_a_workload_may_take_an_input(tmp_path: Path, tool: str, leaks: bool) -> None:
    pytest.importorskip(TOOLS[tool].module)
    file = tmp_path / f"with_input_{leaks}.py"
    body = "KEPT.append(bytearray(body))" if leaks else "len(body)"
    file.write_text(f"{WITH_INPUT}def call(body):\n    {body}\n", "utf-8")
    assert TOOLS[tool].ask(workload_of(str(file)), 300)["leak"] is leaks


def test_a_test_that_fails_for_another_reason_is_no_leak(tmp_path: Path) -> None:
    pytest.importorskip(TOOLS["pytest-memray"].module)
    file = tmp_path / "that_leaks_nothing.py"
    file.write_text("def call():\n    raise ValueError('a leak of another kind')\n", "utf-8")
    with pytest.raises(RuntimeError, match="test_leaks"):
        TOOLS["pytest-memray"].ask(workload_of(str(file)), 300)


def test_every_workload_of_the_list_can_be_called_by_adapters() -> None:
    """Each takes nothing, or has what makes its argument."""
    for each in read_published():
        takes = re.search(r"^def call\((.*)\)", each.workload, flags=re.MULTILINE)
        assert takes is not None, each.name
        assert bool(takes[1]) is ("def make_input(" in each.workload), each.name


def test_a_score_counts_what_was_said() -> None:
    rows = (
        ToolRow("a", "p", "1", True, True, True, seconds=1.0),
        ToolRow("a", "p", "2", False, True, False, seconds=3.0),
        ToolRow("a", "q", "1", True, None, seconds=2.0),
        ToolRow("b", "p", "1", True, False, seconds=9.0),
    )
    score = score_of("a", rows)
    assert (score.leaking, score.found, score.named) == (2, 1, 1)
    assert (score.fixed, score.false_alarms, score.failed, score.median_seconds) == (1, 1, 1, 2.0)
    assert score_of("b", rows).named is None


@pytest.mark.usefixtures("here")
def test_every_format_says_the_same_and_escapes_what_is_not_ours(
    tmp_path: Path, listed: Path
) -> None:
    report = asked(tmp_path, listed, ADAPTER)
    document = json.loads(json_file.render(report))
    jsonschema.validate(document, json.loads(schema_text("benchmark")))
    page, text = html_page.render(report).decode(), markdown.render(report).decode()
    assert "1/1" in page and "1/1" in text and "1/1" in notebook_card(report)
    assert "<b>here" not in page
    assert list(benchmark_parts(report))
    with speaking("zh"):
        assert "误报" in html_page.render(report).decode()
