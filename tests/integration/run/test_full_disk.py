"""A full disk costs one clear line and no sample."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Leakhunt, WriteScenario, only_run

from leakhunt.model.run import Ending

PRINTS = "print('x' * 100, flush=True)"
RETURNS = "return 'x' * 3000"
SUMMARY = "def summarize(state, result):\n    return result\n\n"


@pytest.mark.parametrize("line", [RETURNS, PRINTS], ids=["run file", "log"])
def test_a_disk_that_fills_up_ends_the_run_with_one_line(
    write_scenario: WriteScenario, leakhunt: Leakhunt, small_disk: Path, line: str
) -> None:
    body = f"{SUMMARY}@variant\ndef naive(state, item):\n    {line}\n"
    done = leakhunt("run", write_scenario(body), "--calls", 20_000, "--out", small_disk / "out")
    assert done.returncode == 7
    (output,) = done.stderr.splitlines()
    assert output.startswith("leakhunt: the disk is full")
    run = only_run(small_disk / "out")
    assert run.outcome.ending is Ending.INTERRUPTED
    assert f"after call {run.calls_done} of 20000" in output
    assert run.calls_done > 100
    assert run.damaged_lines == 0
    again = leakhunt("report", small_disk / "out", "--out", "elsewhere")
    assert again.returncode == 0


def test_reports_that_find_no_room_leave_the_run_files_whole(
    write_scenario: WriteScenario, leakhunt: Leakhunt, small_disk: Path
) -> None:
    (small_disk / "filler").write_bytes(b"x" * 900_000)
    body = "@variant\ndef naive(state, item):\n    pass\n"
    done = leakhunt("run", write_scenario(body), "--calls", 300, "--out", small_disk / "out")
    assert done.returncode == 7
    (output,) = done.stderr.splitlines()
    assert "No space left on device. All samples are safe in the run files" in output
    assert only_run(small_disk / "out").outcome.ending is Ending.OK
    assert not list((small_disk / "out").glob(".*.new"))
