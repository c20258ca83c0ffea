"""A matrix on this machine: carried out, ended in the middle, and gone on with."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from subprocess import Popen

import pytest
from conftest import Leakhunt, wait_until

from leakhunt.engine.cells import is_done
from leakhunt.runner.memory_limit import NoLimit, memory_limit

SERVICE = """
import time

KEPT = []


def leaks(call):
    KEPT.append(bytes(4096))


def clean(call):
    return sum(range(100))


def slow(call):
    time.sleep(0.02)


def huge(call):
    KEPT.append(b"x" * 30_000_000)
"""


@pytest.fixture
def service(tmp_path: Path) -> Path:
    file = tmp_path / "service.py"
    file.write_text(SERVICE, "utf-8")
    return file


def cells_of(folder: Path) -> dict[str, dict[str, object]]:
    document = json.loads((folder / "matrix.json").read_bytes())
    return {each["name"]: each for each in document["cells"]}


def test_every_cell_has_its_verdict_and_goes_on_with_nothing(
    leakhunt: Leakhunt, service: Path, tmp_path: Path
) -> None:
    words = ("matrix", service, "--vary", "variant=leaks,clean", "--vary", "MALLOC_ARENA_MAX=,1",
             "--calls", "250", "--out", "out", "--no-hunt")  # fmt: skip
    done = leakhunt(*words)
    assert done.returncode == 0, done.stderr
    assert "variant decides: leak with leaks; no leak with clean" in done.stdout
    cells = cells_of(tmp_path / "out")
    assert [each["status"] for each in cells.values()] == ["leak"] * 2 + ["no_leak"] * 2
    header = next(iter((tmp_path / "out" / "cells").glob("002*/*.jsonl"))).read_text("utf-8")
    assert json.loads(header.partition("\n")[0])["plan"]["environment"] == {"MALLOC_ARENA_MAX": "1"}
    before = {f: f.stat().st_mtime_ns for f in (tmp_path / "out" / "cells").rglob("*.jsonl")}
    again = leakhunt("matrix", "out")
    assert again.returncode == 0 and "4 done, 0 left" in again.stdout
    assert before == {
        f: f.stat().st_mtime_ns for f in (tmp_path / "out" / "cells").rglob("*.jsonl")
    }
    other = leakhunt(*words, "--repeats", "2")
    assert other.returncode == 7 and "holds another matrix" in other.stderr
    shown = json.loads(leakhunt("matrix", "out", "--json").stdout)
    assert len(shown["cells"]) == 4


@pytest.mark.parametrize(
    "how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.long)]
)
def test_an_ended_matrix_goes_on_without_running_anything_twice(
    started: Callable[..., Popen[str]],
    leakhunt: Leakhunt,
    service: Path,
    tmp_path: Path,
    how: signal.Signals,
) -> None:
    words = ("matrix", str(service), "--vary", "variant=slow", "--vary", "calls=20,21,400,22",
             "--jobs", "1", "--out", "out", "--no-hunt")  # fmt: skip
    process = started(*words)
    out = tmp_path / "out" / "cells"
    half = out / "003-slow-400" / "slow.run.jsonl"
    wait_until(lambda: half.exists() and half.stat().st_size > 2_000)
    second = leakhunt(*words)
    assert second.returncode == 7 and "another matrix is running in it" in second.stderr
    os.kill(process.pid, how)
    code = process.wait(60)
    assert code == (130 if how is signal.SIGINT else -9)
    done = {each.name for each in out.iterdir() if is_done(each)}
    assert done == {"001-slow-20", "002-slow-21"}
    stamps = {name: (out / name / "slow.run.jsonl").stat().st_mtime_ns for name in done}
    resumed = leakhunt("matrix", "out")
    assert resumed.returncode == 0, resumed.stderr
    assert "2 done, 2 left" in resumed.stdout
    assert stamps == {n: (out / n / "slow.run.jsonl").stat().st_mtime_ns for n in done}
    assert {each["end"] for each in cells_of(tmp_path / "out").values()} == {"measured"}
    aside = tmp_path / "out" / "aside" / "003-slow-400-1" / "slow.run.jsonl"
    assert aside.exists()  # the evidence of what was only begun


def _has_cgroup() -> bool:
    limit = memory_limit(1 << 30)
    limit.remove()
    return not isinstance(limit, NoLimit) and limit.group is not None


def test_a_cell_that_is_killed_for_memory_and_one_that_cannot_be_installed_are_accounted_for(
    leakhunt: Leakhunt, service: Path, tmp_path: Path
) -> None:
    pytest.importorskip("uv", reason="needs the extra matrix")
    done = leakhunt("matrix", service, "--vary", "variant=clean,huge", "--calls", "60", "--vary",
                    "package.no-such-package-of-leakhunt=1.0,installed", "--memory-limit",
                    "300 MiB", "--out", "out", "--no-hunt",
                    env={**os.environ, "LEAKHUNT_CACHE": str(tmp_path / "c")})  # fmt: skip
    assert done.returncode == 0, done.stderr
    ends = [each["end"] for each in cells_of(tmp_path / "out").values()]
    killed = "killed" if _has_cgroup() else "failed"
    assert ends == ["not installed", "measured", "not installed", killed]
    assert "2 not installed" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("service.py:clean", "--vary", "thread=1"), 2, "axis 'thread' not found"),
        (("service.py:clean", "--on", "mars"), 2, "--on mars: expected local, ray"),
        (("empty.toml",), 6, "empty.toml:1: the file: missing scenario"),
        (("nowhere.toml",), 6, "nowhere.toml: "),
        (("nowhere",), 2, "scenario 'nowhere' not found"),
        (("service.py:clean", "--format", "pdf"), 2, "unknown format 'pdf'"),
        (("service.py:clean", "--vary", "python=2.7", "--calls", "20"), 4, ""),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(
    leakhunt: Leakhunt, service: Path, tmp_path: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    (tmp_path / "empty.toml").write_text("", "utf-8")
    if code == 4 and find_spec("uv") is None:
        pytest.skip("needs the extra matrix")
    done = leakhunt("matrix", *words)
    assert done.returncode == code, done.stderr
    assert told in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.count("\n") <= 1
