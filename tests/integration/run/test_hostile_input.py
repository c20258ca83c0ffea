"""What nobody would do on purpose, and somebody does: told in one line, or done all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CONTROLS, Leakhunt, WriteScenario, only_run, steering_in

from leakhunt.model.gate import GateAnswer
from leakhunt.model.run import Ending

NAIVE = "@variant\ndef naive(state, item):\n    pass\n"


def one_line(done: subprocess.CompletedProcess[str], exit_code: int) -> None:
    assert done.stderr.startswith("leakhunt: ")
    assert len(done.stderr.splitlines()) == 1
    assert done.returncode == exit_code


def test_a_reader_that_went_away_does_not_make_a_good_run_fail(
    write_scenario: WriteScenario, leakhunt: Leakhunt, tmp_path: Path
) -> None:
    leakhunt("run", write_scenario(NAIVE), "--calls", 200, "--format=json", "--out", "good")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "leakhunt", "gate", "good", "--max-growth", "4 KiB/call"]
    done = subprocess.run(command, stdout=writing, cwd=tmp_path, timeout=60, check=False)
    os.close(writing)
    assert done.returncode == GateAnswer.WITHIN_BUDGET


@pytest.mark.parametrize("seconds", ["inf", "nan"])
def test_a_timeout_that_is_no_number_of_seconds_is_refused_in_one_line(
    leakhunt: Leakhunt, seconds: str
) -> None:
    one_line(leakhunt("run", "null", "--calls", 3, "--timeout", seconds), 2)


def test_a_variant_named_twice_is_refused_before_it_is_measured(
    leakhunt: Leakhunt, tmp_path: Path
) -> None:
    one_line(leakhunt("run", "null:nothing,nothing", "--calls", 3, "--out", "out"), 2)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["a" * 5000, "/proc/self/mem"], ids=["long", "unreadable"])
def test_a_place_that_cannot_be_read_is_told_in_one_line(leakhunt: Leakhunt, place: str) -> None:
    done = leakhunt("run", place)
    assert "Traceback" not in done.stderr
    assert done.returncode in (2, 6)


@pytest.mark.parametrize(
    ("body", "exit_code"),
    [
        ("@variant\ndef naive(state, item):\n    raise ValueError('\\udcff')\n", 8),
        (
            'RESULT = "intervals"\ndef summarize(state, result):\n    return 5\n'
            + NAIVE
            + NAIVE.replace("naive", "other"),
            8,
        ),
    ],
    ids=["a lone surrogate in the reason", "results that are no intervals"],
)
def test_whatever_the_scenario_does_the_report_is_written(
    write_scenario: WriteScenario, leakhunt: Leakhunt, tmp_path: Path, body: str, exit_code: int
) -> None:
    file = write_scenario(body)
    done = leakhunt("run", file, "--calls", 3, "--out", "out", errors="backslashreplace")
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 4, exit_code)
    assert (tmp_path / "out" / "report.html").exists()


def test_a_scenario_whose_name_is_no_utf8_is_measured(
    write_scenario: WriteScenario, leakhunt: Leakhunt, tmp_path: Path
) -> None:
    file = write_scenario(NAIVE)
    named = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.py"))
    file.rename(named)
    done = leakhunt("run", named, "--calls", 3, "--out", "out", errors="backslashreplace")
    assert "Traceback" not in done.stderr


def test_an_error_inside_the_standard_library_is_told_with_the_scenarios_line(
    write_scenario: WriteScenario, leakhunt: Leakhunt, tmp_path: Path
) -> None:
    body = "import json\n@variant\ndef naive(state, item):\n    json.loads('x')\n"
    leakhunt("run", write_scenario(body), "--calls", 3, "--format=json", "--out", "out")
    assert "(made.py:13)" in str(only_run(tmp_path / "out").outcome.reason)


@pytest.mark.parametrize("line", ["os.close(2)", "sys.stderr = None"])
def test_a_scenario_without_an_error_stream_is_measured(
    write_scenario: WriteScenario, leakhunt: Leakhunt, tmp_path: Path, line: str
) -> None:
    body = f"@variant\ndef naive(state, item):\n    if item == 1:\n        {line}\n"
    leakhunt("run", write_scenario(body), "--calls", 3, "--format=json", "--out", "out")
    assert only_run(tmp_path / "out").outcome.ending is Ending.OK


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_output_is_told_in_one_line_and_is_no_answer_of_the_gate(
    write_scenario: WriteScenario, leakhunt: Leakhunt, tmp_path: Path
) -> None:
    leakhunt("run", write_scenario(NAIVE), "--calls", 200, "--format=json", "--out", "good")
    command = [sys.executable, "-m", "leakhunt", "gate", "good", "--max-growth", "4 KiB/call"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False
        )
    one_line(done, 7)


@pytest.mark.parametrize("size", ["0", "99999999999999 TiB"])
def test_a_memory_limit_that_is_none_is_refused_in_one_line(leakhunt: Leakhunt, size: str) -> None:
    one_line(leakhunt("run", "null", "--calls", 3, "--memory-limit", size), 2)


def test_no_text_of_a_scenario_steers_the_terminal_or_a_file(
    write_scenario: WriteScenario, leakhunt: Leakhunt, tmp_path: Path
) -> None:
    """In its output, its options, its results, and in what it raises."""
    body = f"""
OPTIONS = {{"word": ("x", (), "A word.")}}
TEXT = {CONTROLS!r}

def prepare(context):
    return {{"fact" + TEXT: TEXT}}

@variant
def naive(state, item):
    "Summary \\x1b[31m."
    os.write(1, TEXT.encode("utf-8", "surrogatepass"))
    os.write(2, TEXT.encode("utf-8", "surrogatepass"))
    if item == 5:
        raise ValueError("ended" + TEXT)
    return TEXT

def summarize(state, result):
    return result
"""
    words = ("--option", f"word={CONTROLS.replace(chr(0), '').encode(errors='ignore').decode()}")
    formats = ("--format", "html,md,json,svg,junit,csv")
    made = write_scenario(body)
    done = leakhunt(
        "run", made, *words, *formats, "--calls", 20, "--out", "out", errors="surrogateescape"
    )
    assert done.returncode == 8, done.stderr
    assert "ended" in done.stdout
    output: list[str] = [done.stdout, done.stderr]
    output += [leakhunt("list", made).stdout, leakhunt("report", "out").stdout]
    files = [file for file in (tmp_path / "out").iterdir() if file.suffix not in (".log", ".png")]
    assert {file.suffix for file in files} >= {".jsonl", ".html", ".md", ".csv", ".xml", ".svg"}
    output += [file.read_text(encoding="utf-8") for file in files if file.suffix != ".csv"]
    assert not any(map(steering_in, output))
    assert steering_in((tmp_path / "out" / "samples.csv").read_bytes()) <= {"\r"}


def test_one_damaged_run_file_does_not_cost_the_report_of_the_others(
    write_scenario: WriteScenario, leakhunt: Leakhunt, tmp_path: Path
) -> None:
    leakhunt("run", write_scenario(NAIVE), "--calls", 120, "--format=json", "--out", "good")
    (tmp_path / "good" / "cut.run.jsonl").write_text('{"record":"hea')
    done = leakhunt("report", "good")
    assert done.returncode == 0
    assert "skipped: good/cut.run.jsonl" in done.stderr and len(done.stderr.splitlines()) == 1
    assert leakhunt("report", "good/cut.run.jsonl").returncode == 6


def test_a_thread_that_a_scenario_leaves_does_not_keep_the_run_from_ending(
    write_scenario: WriteScenario, leakhunt: Leakhunt, tmp_path: Path
) -> None:
    body = (
        "import threading\n@variant\ndef naive(state, item):\n"
        "    if item == 1:\n        threading.Thread(target=time.sleep, args=(600,)).start()\n"
    )
    leakhunt(
        "run", write_scenario(body), "--calls", 3, "--timeout", 20, "--format=json", "--out", "out"
    )
    assert only_run(tmp_path / "out").outcome.ending is Ending.OK
