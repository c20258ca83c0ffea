"""What ``tests/gpu/run.sh`` runs is valid here, and its figures make a table: no GPU is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import device_memory
import pytest
from suite import ROOT, SECONDS, STEPS, Step, faults, suite

PRINTS = "import json; print(json.dumps({'devices': []}))"


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_each_command_is_valid(step: Step) -> None:
    assert list(faults(step)) == []


@pytest.mark.parametrize(
    "command", ["hunt leak-zoo-cuda --no-such-option", "run no-such-scenario", "fly"]
)
def test_a_command_that_is_not_valid_is_found(command: str) -> None:
    assert list(faults(Step("wrong", 1, tuple(command.split()), "report.json")))


def test_all_steps_fit_into_the_time() -> None:
    assert sum(step.seconds for step in STEPS) <= SECONDS <= 600


def test_a_dry_run_runs_nothing() -> None:
    out = ROOT / "no-such-folder" / "gpu.json"
    command = [sys.executable, "tests/gpu/suite.py", "--dry-run", "--out", str(out)]
    ended = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "nothing was run" in ended.stdout
    assert not out.parent.exists()


def test_a_step_that_fails_or_hangs_does_not_stop_the_others(tmp_path: Path) -> None:
    scripts = {"fails": "raise SystemExit(3)", "hangs": "import time; time.sleep(60)"}
    scripts["works"] = PRINTS
    steps = []
    for name, code in scripts.items():
        (tmp_path / f"{name}.py").write_text(code)
        steps.append(Step(name, 10 if name != "hangs" else 0.5, (str(tmp_path / f"{name}.py"),)))
    result = suite(steps, tmp_path / "gpu.json")
    assert result == json.loads((tmp_path / "gpu.json").read_text("utf-8"))
    fails, hangs, works = result["steps"]
    assert (fails["exit_code"], fails["result"]) == (3, None)
    assert hangs["timed_out"]
    assert hangs["result"] is None
    assert (works["exit_code"], works["result"]) == (0, {"devices": []})


def test_what_had_no_time_is_not_run(tmp_path: Path) -> None:
    result = suite(STEPS[:1], tmp_path / "gpu.json", seconds=0)
    assert result["steps"][0]["exit_code"] is None
    assert "not run" in result["steps"][0]["error"]


def test_figures_make_a_table(tmp_path: Path) -> None:
    """A made result: the words in it are no measurement."""
    steps: list[dict[str, Any]] = [
        {"name": "zoo", "command": "leakhunt truth", "exit_code": 0, "seconds": 9.0}
        | {"result": {"trials": [_TRIAL]}},
        {"name": "hunt", "command": "leakhunt hunt", "exit_code": 0, "seconds": 9.0}
        | {"result": {"runs": [_RUN], "tried": []}},
        {"name": "devices", "command": "python x", "exit_code": 0, "seconds": 9.0}
        | {"result": {"devices": [{"device": 1, "context_bytes": 512 << 20}]}},
        {"name": "claims", "command": "leakhunt claims", "exit_code": None}
        | {"result": None, "error": "not run: no time left"},
    ]
    facts = {"date": "2000-01-01", "cards": ["Made"], "driver": "1", "cuda": "2", "torch": "3"}
    file = tmp_path / "gpu.json"
    file.write_text(json.dumps({"facts": facts | {"python": "3.11"}, "steps": steps}))
    command = [sys.executable, "tests/truth/gpu_table.py", str(file)]
    page = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "2000-01-01: Made, driver 1, CUDA 2, torch 3" in page
    assert "| kept | 0 | leak in CUDA | leak in CUDA | 300 |" in page
    assert "| kept | leak in CUDA | 300 | 1.00 MiB | – | State.kept |" in page
    assert "context bytes 512.0 MiB" in page
    assert "| claims | `leakhunt claims` | not run | – |" in page
    assert "**claims**" not in page


_TRIAL = {"variant": "kept", "seed": 0, "expect": ["leak in CUDA"], "kind": "leak in CUDA"}
_TRIAL |= {"calls": 300}
_RUN = {"variant": "kept", "kind": "leak in CUDA", "calls": 300, "first_suspect": "State.kept"}
_RUN |= {"rates": {"cuda_allocated": 1 << 20}}


def test_the_context_is_what_the_driver_counts_beyond_what_is_reserved() -> None:
    statistics = {"reserved_bytes.all.current": 66 << 20, "allocated_bytes.all.current": 64 << 20}
    cuda = SimpleNamespace(
        device_count=lambda: 2,
        synchronize=lambda index: None,
        mem_get_info=lambda index: (100, 300),
        memory_stats=lambda index: statistics,
        get_device_name=lambda index: f"Made {index}",
    )
    torch = SimpleNamespace(cuda=cuda, ones=lambda *_, **__: object(), uint8=None)
    driver = iter([[1 << 20, 0], [567 << 20, 0], [567 << 20, 466 << 20]])
    devices = device_memory.devices(torch, lambda: next(driver))["devices"]
    assert [each["context_bytes"] >> 20 for each in devices] == [500, 400]
    assert [each["used_bytes"] for each in devices] == [200, 200]
