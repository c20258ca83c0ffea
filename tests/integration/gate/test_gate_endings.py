"""Whatever ends a gate: what was measured is told, files are whole, and nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import wait_until
from gate_projects import QUICK, SCENARIO, body, command, commit, gate, git, in_one_line, project

from leakhunt.storage import run_file

POLICY = QUICK + "[scenarios.'slow.py']\ncalls = 100000\n[scenarios.'last.py']\n"
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a gate in a folder, with a folder of its own for temporary files."""
    running: list[subprocess.Popen[str]] = []
    (tmp_path / "temporary").mkdir()

    def begin(folder: Path, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command(*arguments), cwd=folder, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=os.environ | {"TMPDIR": str(tmp_path / "temporary")},
        )  # fmt: skip
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def slow_project(folder: Path) -> Path:
    slow = body("__import__('time').sleep(0.01)")
    return project(folder, POLICY, made=SCENARIO, slow=slow, last=SCENARIO)


def samples_in(file: Path) -> int:
    return file.read_bytes().count(b'{"record":"sample"') if file.exists() else 0


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    output, errors = process.communicate(timeout=120)
    assert "Traceback" not in output + errors, errors
    return output, errors


@pytest.mark.parametrize(
    ("number", "jobs"),
    [(signal.SIGINT, 1), pytest.param(signal.SIGTERM, 2, marks=pytest.mark.long)],
)
def test_an_interrupt_tells_what_was_measured_and_passes_nothing_else(
    start: Start, tmp_path: Path, number: int, jobs: int
) -> None:
    made = slow_project(tmp_path / "made")
    process = start(made, "--jobs", jobs)
    running = made / "out" / "slow" / f"naive{run_file.SUFFIX}"
    wait_until(lambda: samples_in(running) > 5, process)
    process.send_signal(number)
    output, errors = ended(process)
    assert (process.returncode, errors) == (130, "")
    document = json.loads((made / "out" / "gate.json").read_text())
    answers = {f"{v['scenario']}:{v['variant']}": v["answer"] for v in document["variants"]}
    assert answers == {
        "made:clean": "within_budget",
        "made:leaky": "over_budget",
        "slow:naive": "not_measured",
        "last:clean": "not_measured",
        "last:leaky": "not_measured",
    }
    assert "not measured last:clean  interrupted before it was measured" in output
    assert run_file.load(running).calls_done > 5
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.long
def test_an_interrupt_of_two_at_a_time_keeps_what_came_later(start: Start, tmp_path: Path) -> None:
    """The first never ends; the one after it did."""
    text = SCENARIO.replace("    bytes(4096)", "    __import__('time').sleep(0.5)")
    made = project(tmp_path / "made", QUICK, made=text)
    process = start(made, "--jobs", 2)
    watched = made / "out" / "made" / f"leaky.under-memray{run_file.SUFFIX}"
    wait_until(lambda: watched.exists() and b'"footer"' in watched.read_bytes(), process)
    process.send_signal(signal.SIGINT)
    ended(process)
    assert process.returncode == 130
    document = json.loads((made / "out" / "gate.json").read_text())
    answers = {v["variant"]: v["answer"] for v in document["variants"]}
    assert answers == {"clean": "not_measured", "leaky": "over_budget"}


def test_an_interrupt_of_the_hunt_leaves_the_answer(start: Start, tmp_path: Path) -> None:
    traced = "'memray' in __import__('sys').modules and __import__('time').sleep(0.5)"
    text = body(f"KEPT.append(bytearray(4096)); {traced}")
    made = project(tmp_path / "made", QUICK, made=text)
    process = start(made)
    watched = made / "out" / "made" / f"naive.under-memray{run_file.SUFFIX}"
    wait_until(lambda: samples_in(watched) > 1, process)
    process.send_signal(signal.SIGINT)
    ended(process)
    assert process.returncode == 130
    (variant,) = json.loads((made / "out" / "gate.json").read_text())["variants"]
    assert (variant["answer"], variant["suspects"]) == ("over_budget", [])


def test_kill_nine_leaves_nothing_in_the_users_repository(start: Start, tmp_path: Path) -> None:
    made = project(tmp_path / "made", QUICK, made=body("__import__('time').sleep(0.01)"))
    (made / ".gitignore").write_text("out\n__pycache__\n")
    commit(made)
    process = start(made, "--against", "main")
    running = made / "out" / "made" / f"naive.round-1{run_file.SUFFIX}"
    wait_until(lambda: samples_in(running) > 5, process)
    process.kill()
    process.wait()
    assert git(made, "status", "--porcelain") == ""
    assert len(git(made, "worktree", "list").splitlines()) == 1
    assert git(made, "branch", "--list", "--all").split() == ["*", "main"]
    assert run_file.load(running).calls_done > 5


def test_nothing_is_left_in_the_temporary_folder(start: Start, tmp_path: Path) -> None:
    made = project(tmp_path / "made", QUICK)
    commit(made)
    process = start(made, "--against", "main", "--pairs", 1)
    ended(process)
    assert process.returncode == 0
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_disk_that_fills_up_is_one_line_and_no_answer(
    tmp_path: Path, small_disk: Path, jobs: int
) -> None:
    text = SCENARIO + "\n\ndef summarize(state, result):\n    return 'x' * 8000\n"
    done = gate(project(tmp_path, QUICK, made=text), "--jobs", jobs, out=small_disk / "out")
    assert done.code == 7
    assert "All samples so far are in" in in_one_line(done)
    assert done.document is None
    assert sum(samples_in(file) for file in (small_disk / "out" / "made").glob("*.jsonl")) > 50


def test_a_disk_without_room_for_the_answers_is_one_line(tmp_path: Path, small_disk: Path) -> None:
    made = project(tmp_path, QUICK + "variants = ['clean']\n")
    first = gate(made)
    assert first.code == 0
    size = sum(file.stat().st_size for file in (made / "out" / "made").glob("*"))
    (small_disk / "filler").write_bytes(b"x" * ((1 << 20) - size - (56 << 10)))
    done = gate(made, formats="md,json,junit,sarif,html", out=small_disk / "out")
    assert done.code == 7
    assert "No space left on device" in in_one_line(done)
    assert not list(small_disk.rglob("*.new"))


def test_places_that_take_nothing_are_one_line(tmp_path: Path) -> None:
    made = project(tmp_path, QUICK + "variants = ['clean']\n")
    in_file = gate(made, out="leakhunt.toml/out")
    assert in_file.code == 7 and "leakhunt.toml/out" in in_one_line(in_file)
    used = gate(made, out=".")
    assert used.code == 7 and "nothing is overwritten" in in_one_line(used)
    proc = gate(made, out="/proc/out")
    assert proc.code == 7 and "/proc/out" in in_one_line(proc)
    summary = gate(made, GITHUB_STEP_SUMMARY="gone/summary.md")
    assert summary.code == 7 and summary.answers == {"made:clean": "within_budget"}
    assert "GITHUB_STEP_SUMMARY=gone/summary.md" in in_one_line(summary)
    assert "within budget made:clean" in summary.output


def test_a_working_directory_that_is_gone_is_one_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", str(gone), *command()],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert (
        line
        == "leakhunt: working directory: No such file or directory. Change to another directory"
    )


def test_a_temporary_folder_that_is_gone_is_no_traceback(tmp_path: Path) -> None:
    made = project(tmp_path, QUICK + "variants = ['clean']\n")
    assert gate(made, TMPDIR=str(tmp_path / "gone")).code == 0
    assert Path(tempfile.gettempdir()).is_dir()
