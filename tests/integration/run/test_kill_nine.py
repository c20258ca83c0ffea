"""kill -9 at any moment costs no sample that was written."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import WriteScenario, is_alive, only_run, wait_until

from leakhunt.analysis.report import assemble
from leakhunt.model.run import Ending
from leakhunt.reporting.registry import RENDERERS
from leakhunt.storage import run_file as store

Start = Callable[..., subprocess.Popen[str]]
CALLS = 400
# The scenario tells its process by a file of its own variant, written at the first call.
BODY = """
def work(state, item):
    if item == 0:
        with open(f"pid-{state.variant}", "w") as stream:
            stream.write(str(os.getpid()) + "\\n")
    KEPT.append(bytearray(100))
    time.sleep(0.001)

"""


def samples_in(file: Path) -> int:
    return sum(line.startswith(b'{"record":"sample"') for line in file.read_bytes().splitlines(True)
               if line.endswith(b"\n"))  # fmt: skip


def is_written(pid_file: Path) -> bool:
    return pid_file.exists() and pid_file.read_text().endswith("\n")


def kill_at(folder: Path, variant: str, moment: int, supervisor: subprocess.Popen[str]) -> int:
    """Kill the worker once `moment` samples are in its file; how many are in it just after."""
    pid_file = folder / f"pid-{variant}"
    run_file = folder / "out" / f"{variant}{store.SUFFIX}"
    wait_until(lambda: is_written(pid_file), supervisor)
    wait_until(lambda: samples_in(run_file) >= moment, supervisor)
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    return samples_in(run_file)


@pytest.mark.parametrize("moments", [4, pytest.param(100, marks=pytest.mark.long)])
def test_a_worker_killed_at_random_moments_loses_no_flushed_sample(
    write_scenario: WriteScenario, started: Start, tmp_path: Path, moments: int
) -> None:
    variants = "".join(
        f"@variant\ndef v{number}(state, item):\n    work(state, item)\n\n"
        for number in range(moments)
    )
    supervisor = started("run", write_scenario(BODY + variants), "--calls", CALLS, "--out", "out")
    source = random.Random(20261120)
    flushed = {
        f"v{number}": kill_at(tmp_path, f"v{number}", source.randrange(CALLS - 50), supervisor)
        for number in range(moments)
    }
    _, errors = supervisor.communicate(timeout=120)
    assert (supervisor.returncode, errors) == (0, "")
    runs = [store.load(file) for file in store.find_run_files([str(tmp_path / "out")])]
    assert len(runs) == moments
    for run in runs:
        assert run.outcome.ending is Ending.KILLED
        assert run.outcome.signal == "SIGKILL"
        assert run.calls_done >= flushed[run.plan.variant]
        for renderer in RENDERERS:
            if renderer.format not in ("png", "svg"):
                assert renderer.render(assemble([run], "test"))
    assert len({run.calls_done for run in runs}) > moments // 3
    assert (tmp_path / "out" / "curves.png").stat().st_size > 10_000


def test_a_worker_ends_with_its_supervisor_and_the_run_file_stays_readable(
    write_scenario: WriteScenario, started: Start, tmp_path: Path
) -> None:
    body = BODY + "@variant\ndef naive(state, item):\n    work(state, item)\n"
    supervisor = started("run", write_scenario(body), "--calls", 1_000_000, "--out", "out")
    pid_file = tmp_path / "pid-naive"
    run_file = tmp_path / "out" / f"naive{store.SUFFIX}"
    wait_until(lambda: is_written(pid_file), supervisor)
    wait_until(lambda: samples_in(run_file) >= 20, supervisor)
    worker = int(pid_file.read_text())
    supervisor.kill()
    supervisor.wait()
    wait_until(lambda: not is_alive(worker))
    run = only_run(tmp_path / "out")
    assert run.calls_done >= 20
    assert run.outcome.ending is Ending.INTERRUPTED
    assert "no footer" in str(run.outcome.reason)
