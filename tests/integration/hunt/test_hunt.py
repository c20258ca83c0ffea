"""``leakhunt hunt`` for real: suspects, remedies tried, and whatever may go wrong on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Leakhunt, WriteScenario, is_alive, wait_until

from leakhunt.storage import run_file

# A user's file of ten lines: matplotlib keeps every colormap that is registered.
LIBRARY_LEAK = '''"""A service that registers a colour map for every request."""
from leakhunt import variant
import matplotlib

def setup(context):
    return None

@variant
def draw(state, item):
    colours = matplotlib.colors.ListedColormap([(0.1, 0.2, 0.3)] * 50, name=f"request-{item}")
    matplotlib.colormaps.register(colours)
'''

LEAK = """
def work():
    return len(bytearray(8 << 20))

@variant
def naive(state, item):
    work()
    if os.environ.get("MADE_KEEPS", "1") == "1":
        KEPT.append(bytearray(3000))
    return item

@variant
def fixed(state, item):
    return item if item % 2 else -1

def summarize(state, result):
    return result
"""

Started = Callable[..., subprocess.Popen[str]]


def report_in(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "report.json").read_bytes())
    return document


def first_suspect(folder: Path) -> dict[str, Any]:
    suspect: dict[str, Any] = report_in(folder)["runs"][0]["attribution"]["suspects"][0]
    return suspect


def test_a_librarys_leak_is_found_from_ten_lines(leakhunt: Leakhunt, tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(LIBRARY_LEAK)
    done = leakhunt("hunt", "service.py", "--out", "found")
    assert done.returncode == 0, done.stderr
    suspect = first_suspect(tmp_path / "found")
    assert suspect["chain"][0] == "matplotlib.cm._colormaps._cmaps"
    assert suspect["chain"][1:] == ["dict", "matplotlib.colors.ListedColormap"]
    assert suspect["where"]["function"] == "draw"
    assert (suspect["per_call"], suspect["exact"]) == (1, True)
    assert "matplotlib.cm._colormaps._cmaps" in done.stdout
    for name in ("report.html", "report.md"):
        text = (tmp_path / "found" / name).read_text()
        assert "ListedColormap" in text
        assert "reach malloc by its address" in text.replace("\\", "")


@pytest.fixture
def leaking(write_scenario: WriteScenario) -> Path:
    return write_scenario(LEAK)


def test_a_hunt_leaves_what_report_needs_to_say_the_same(
    leakhunt: Leakhunt, leaking: Path, tmp_path: Path
) -> None:
    assert leakhunt("hunt", f"{leaking}:naive", "--format=json", "--out", "one").returncode == 0
    assert leakhunt("report", "one", "--format=json", "--out", "two").returncode == 0
    assert report_in(tmp_path / "one")["runs"] == report_in(tmp_path / "two")["runs"]
    suspect = first_suspect(tmp_path / "one")
    assert suspect["chain"][0] == "made.KEPT"
    assert suspect["where"]["file"].endswith("/made.py")
    holder, *_ = report_in(tmp_path / "one")["runs"][0]["peak"]["holders"]
    assert holder["place"]["source"] == "return len(bytearray(8 << 20))"
    assert 0 <= holder["size_bytes"] - (8 << 20) < 4096 and holder["caller"] is None
    assert str(tmp_path) not in (tmp_path / "one" / "naive.under-memray.run.jsonl").read_text()
    gated = leakhunt("gate", "one", "--max-growth", "1 KiB/call")
    assert gated.returncode == 1
    assert gated.stdout.lstrip().startswith("over budget made:naive")


def test_what_does_not_grow_has_no_suspect_whatever_watches(
    leakhunt: Leakhunt, leaking: Path, tmp_path: Path
) -> None:
    done = leakhunt(
        "hunt",
        f"{leaking}:fixed",
        "--with",
        "objgraph,lines,resources",
        "--format=json",
        "--out",
        "found",
    )
    assert done.returncode == 0, done.stderr
    (run,) = report_in(tmp_path / "found")["runs"]
    assert run["attribution"]["suspects"] == []
    assert run["attribution"]["instruments"] == ["objgraph", "lines", "resources"]
    (line,) = run["attribution"]["lines"]
    assert line["place"]["source"] == "return item if item % 2 else -1"
    assert line["runs_per_call"] == 1
    assert "No suspects: no growth." in done.stdout


def test_a_remedy_is_tried_before_against_after(
    leakhunt: Leakhunt, leaking: Path, tmp_path: Path
) -> None:
    done = leakhunt(
        "hunt", f"{leaking}:naive", "--calls", "150", "--try", "MADE_KEEPS=0", "--try",
        "variant:fixed", "--pairs", "2", "--format=json", "--out", "found",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    environment, variant = report_in(tmp_path / "found")["trials"]
    assert environment["remedy"] == "MADE_KEEPS=0"
    assert environment["saved"]["low"] > 2500
    assert environment["before"] > 3000
    assert abs(environment["after"]) < 300
    assert (environment["compared"], environment["differing"]) == (300, 0)
    assert variant["saved"]["low"] > 2500
    assert variant["differing"] == 150
    assert "all 300 results are identical" in done.stdout
    assert "150 of 300 results differ" in done.stdout
    assert (
        "--try=MADE_KEEPS=0 --try=variant:fixed --pairs=2"
        in report_in(tmp_path / "found")["command"]
    )
    # The runs of a trial are not judged as runs of the scenario.
    assert [run["variant"] for run in report_in(tmp_path / "found")["runs"]] == ["naive"]


def test_a_remedy_that_changes_what_can_be_read_is_tried(
    leakhunt: Leakhunt, leaking: Path, tmp_path: Path
) -> None:
    """Without pymalloc there are no blocks to count: only the worker knows that."""
    done = leakhunt(
        "hunt", f"{leaking}:fixed", "--calls", "60", "--try", "PYTHONMALLOC=malloc",
        "--pairs", "2", "--format=json", "--out", "found",
    )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    files = sorted((tmp_path / "found").glob(f"*{run_file.SUFFIX}"))
    runs = [run_file.load(file) for file in files]
    tried = [run for run in runs if run.plan.environment]
    assert len(tried) == 2
    for run in runs:
        has_blocks = not run.plan.environment
        assert ("python_blocks" in run.samples) == has_blocks
        assert ("python_blocks" in run.unavailable) == (not has_blocks)
        assert all(("python_blocks" in each.values) == has_blocks for each in run.readings)
        assert run.environment.get("env PYTHONMALLOC") == (None if has_blocks else "malloc")
    assert report_in(tmp_path / "found")["trials"][0]["remedy"] == "PYTHONMALLOC=malloc"


def test_every_variant_is_tried_against_the_one_that_is_named(
    leakhunt: Leakhunt, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    other = LEAK.replace("def naive", "def other").partition("@variant\ndef fixed")[0]
    done = leakhunt(
        "hunt", write_scenario(other + LEAK), "--calls", "60", "--try", "variant:fixed",
        "--pairs", "2", "--format=json", "--out", "found",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    trials = report_in(tmp_path / "found")["trials"]
    assert [trial["variant"] for trial in trials] == ["other", "naive"]
    assert all(trial["saved"]["low"] > 2500 for trial in trials)


@pytest.mark.long
def test_a_remedy_that_does_nothing_saves_nothing(
    leakhunt: Leakhunt, leaking: Path, tmp_path: Path
) -> None:
    done = leakhunt(
        "hunt", f"{leaking}:naive", "--calls", "150", "--try", "MADE_UP=0", "--pairs", "2",
        "--format=json", "--out", "found",
    )  # fmt: skip
    assert "no significant saving" in done.stdout
    (trial,) = report_in(tmp_path / "found")["trials"]
    assert trial["saved"]["low"] <= 0 or abs(trial["saved"]["estimate"]) < 30


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--with", "magic"], "--with magic: unknown instrument. Use tracemalloc"),
        (["--with", "cuda"], "runs on cpu"),
        (["--try", "be careful"], "expected NAME=VALUE"),
        (["--try", "tensors-kept"], "this fix changes the code"),
        (["--try", "gc:often"], "expected gc:freeze, gc:off, or thresholds"),
        (["--try", "variant:none"], "none"),
        (["--try", "option:none=1"], "none"),
        (["--try", "option:none"], "expected option:NAME=VALUE"),
        (["--try", "variant:"], "variant not found"),
        (["--try", "variant:naive,fixed"], "variant not found"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    leakhunt: Leakhunt, leaking: Path, tmp_path: Path, words: list[str], expected: str
) -> None:
    done = leakhunt("hunt", leaking, *words, "--out", "found")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert expected in done.stderr
    assert not (tmp_path / "found").exists()


SLOW = """
@variant
def naive(state, item):
    KEPT.append(bytearray(3000))
    time.sleep(0.005)
"""


def under_way(folder: Path) -> Path | None:
    """The run file under the instrument, once calls are in it."""
    file = folder / "naive.under-memray.run.jsonl"
    return file if file.exists() and b'"sample"' in file.read_bytes() else None


def test_an_interrupted_hunt_reports_what_was_measured(
    started: Started, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    process = started("hunt", write_scenario(SLOW), "--calls=250", "--out", "found")
    wait_until(lambda: under_way(tmp_path / "found"), process)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "leak in Python" in out
    assert run_file.load(tmp_path / "found" / "naive.run.jsonl").outcome.ending == "ok"
    assert (tmp_path / "found" / "report.html").exists()


def test_a_hunt_survives_the_death_of_an_instrumented_worker(
    started: Started, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    process = started(
        "hunt", write_scenario(SLOW), "--calls=250", "--format=json", "--out", "found"
    )
    wait_until(lambda: under_way(tmp_path / "found"), process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in map(int, children):
        os.kill(child, signal.SIGKILL)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    killed = run_file.load(tmp_path / "found" / "naive.under-memray.run.jsonl")
    assert killed.outcome.ending == "killed"
    assert "leak in Python" in out
    assert not any(map(is_alive, map(int, children)))
