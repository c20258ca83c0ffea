"""``leakhunt claims`` on real runs: each verdict, going on after Ctrl-C, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Leakhunt, wait_until

from leakhunt.cli.main import main

SCENARIO = '''"""Keeps what it answers, in one variant."""
import os, time
from leakhunt import variant
KEPT = []
def setup(context):
    return None
def summarize(state, result):
    return result
@variant
def naive(state, item):
    KEPT.append(bytearray(2000))
    return 1
@variant
def fixed(state, item):
    bytearray(2000)
    return 1
@variant
def broken(state, item):
    raise ValueError("no")
@variant
def slow(state, item):
    time.sleep(0.05)
@variant
def killed(state, item):
    KEPT.append(1)
    if len(KEPT) > 30:
        os.kill(os.getpid(), 9)
'''
CLAIMS = """
[[run]]
name = "both"
command = "run scenario.py:naive,fixed --calls 300"
[[run]]
name = "hunt"
command = "hunt scenario.py:naive --calls 300"
[[run]]
name = "broken"
command = "run {folder}/scenario.py:broken,fixed --calls 60"
[[run]]
name = "killed"
command = "run scenario.py:killed --calls 60"
[[run]]
name = "gone"
command = "run gone.py --calls 60"
[[run]]
name = "gpu"
command = "run scenario.py:naive"
device = "cuda"
"""


def claim(name: str, *checks: str) -> str:
    head = f'[[claim]]\nid = "{name}"\nclaim = "claim {name}"\nsource = "a report"\n'
    return head + "".join(f"[[claim.check]]\n{check}\n" for check in checks)


GROWS = 'run = "both"\nmeasure = "growth"\nvariant = "naive"\nat_least = "1.9 KB/call"'
SUSPECT = 'run = "hunt"\nmeasure = "suspect"\nnames = "{}"\nat_least = "50 %"\nabout = "cause"'
ALL = CLAIMS + "".join(
    [
        claim("HOLDS", GROWS, SUSPECT.format("KEPT")),
        claim("FAILS", GROWS.replace("1.9 KB", "62 MB")),
        claim("OTHER", GROWS, SUSPECT.format("CACHE")),
        claim("OPEN", 'run = "killed"\nmeasure = "growth"\nat_least = "1 B/call"'),
        claim("ENDED", 'run = "killed"\nmeasure = "ending"\nis = ["killed"]'),
        claim(
            "BROKEN", 'run = "broken"\nmeasure = "growth"\nvariant = "broken"\nat_most = "0 B/call"'
        ),
        claim("BESIDE", 'run = "broken"\nmeasure = "calls_done"\nvariant = "fixed"\nat_least = 60'),
        claim("GONE", 'run = "gone"\nmeasure = "growth"\nat_most = "0 B/call"'),
        claim("GPU", 'run = "gpu"\nmeasure = "growth"\nat_most = "0 B/call"'),
        claim("NEVER") + 'not_measured = "72 hours are long"\n',
    ]
)


def write(folder: Path, claims: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "scenario.py").write_text(SCENARIO)
    (folder / "claims.toml").write_text(claims)
    return folder


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    return write(tmp_path / "demo", ALL)


def verdicts(folder: Path) -> dict[str, str]:
    document = json.loads((folder / "claims.json").read_text("utf-8"))
    return {
        each["claim"]["id"]: each["verdict"]
        for scenario in document["scenarios"]
        for each in scenario["claims"]
    }


def reasons(folder: Path) -> dict[str, str]:
    document: Any = json.loads((folder / "claims.json").read_text("utf-8"))
    return {
        each["claim"]["id"]: check["reason"]["text"]
        for scenario in document["scenarios"]
        for each in scenario["claims"]
        for check in each["checks"]
    }


def test_every_verdict_from_real_runs(leakhunt: Leakhunt, demo: Path, tmp_path: Path) -> None:
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = leakhunt("claims", demo, "--out", "out", env=hidden)
    out = tmp_path / "out"
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert verdicts(out) == {
        "HOLDS": "reproduced", "FAILS": "not reproduced", "OTHER": "reproduced, other cause",
        "OPEN": "inconclusive", "ENDED": "reproduced", "BROKEN": "not measured",
        "BESIDE": "reproduced", "GONE": "not measured", "GPU": "not measured",
        "NEVER": "not measured",
    }  # fmt: skip
    found = reasons(out)
    assert found["BROKEN"].startswith("broken: crashed after 0 calls. ValueError: no")
    assert found["GONE"] == "gone.py: scenario file not found. Check the path"
    assert found["GPU"] == "needs a CUDA GPU"
    assert "needs 50" in found["OPEN"]
    assert "[1/6] demo, both: leakhunt run scenario.py:naive,fixed --calls 300" in done.stdout
    assert "Reproduced: HOLDS, ENDED, BESIDE." in done.stdout
    assert done.stdout.splitlines()[-1] == "out/claims.html"
    page = (out / "claims.html").read_text("utf-8")
    assert 'href="demo-both/report.html"' in page and (out / "demo-both/report.html").is_file()
    assert str(tmp_path) not in page + (out / "claims.json").read_text("utf-8")
    of_run = json.loads((out / "demo-hunt" / "report.json").read_text("utf-8"))
    assert [each["claim"]["id"] for each in of_run["claims"]] == ["HOLDS", "OTHER"]

    again = leakhunt("claims", demo, "--out", "out", "--id", "HOLDS,ENDED", env=hidden)
    assert again.returncode == 0
    assert again.stdout.count("exists already, not repeated") == 3
    assert verdicts(out) == {"HOLDS": "reproduced", "ENDED": "reproduced"}


def test_after_ctrl_c_the_same_command_goes_on(
    started: Callable[..., subprocess.Popen[str]], leakhunt: Leakhunt, tmp_path: Path
) -> None:
    runs = """
[[run]]
name = "first"
command = "run scenario.py:fixed --calls 20"
[[run]]
name = "second"
command = "run scenario.py:slow --calls 100"
"""
    counted = 'run = "{}"\nmeasure = "calls_done"\nat_least = 10'
    demo = write(
        tmp_path / "demo",
        runs + claim("A", counted.format("first")) + claim("B", counted.format("second")),
    )
    process = started("claims", demo, "--out", "out", "--format", "md")
    out = tmp_path / "out"
    slow = out / "demo-second" / "slow.run.jsonl"
    wait_until(lambda: slow.exists() and b'"sample"' in slow.read_bytes(), process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"interrupted. Resume with: leakhunt claims {demo} --out out --format md\n" in output
    assert verdicts(out) == {"A": "reproduced", "B": "not measured"}
    assert "Interrupted: claims without runs are not measured." in (out / "claims.md").read_text(
        "utf-8"
    )
    assert not (out / "claims.html").exists()

    content = slow.read_bytes()
    done = leakhunt("claims", demo, "--out", "out", "--format", "md")
    assert done.returncode == 0, done.stderr
    assert verdicts(out) == {"A": "reproduced", "B": "reproduced"}
    assert done.stdout.count("exists already, not repeated") == 1
    assert "moved to demo-second.aside-1" in done.stdout
    assert (out / "demo-second.aside-1" / "slow.run.jsonl").read_bytes() == content


def test_another_command_under_the_same_name_is_run_anew(
    leakhunt: Leakhunt, tmp_path: Path
) -> None:
    run = '[[run]]\nname = "r"\ncommand = "run scenario.py:fixed --calls {}"\n'
    check = claim("A", 'run = "r"\nmeasure = "calls_done"\nat_least = 30')
    demo = write(tmp_path / "demo", run.format(20) + check)
    assert leakhunt("claims", demo, "--out", "out", "--format", "json").returncode == 0
    assert verdicts(tmp_path / "out") == {"A": "not reproduced"}
    write(demo, run.format(30) + check)
    assert leakhunt("claims", demo, "--out", "out", "--format", "json").returncode == 0
    assert verdicts(tmp_path / "out") == {"A": "reproduced"}
    assert (tmp_path / "out" / "demo-r.aside-1").is_dir()


def test_where_nothing_could_be_measured_the_exit_code_says_so(
    leakhunt: Leakhunt, tmp_path: Path
) -> None:
    demo = write(tmp_path / "demo", CLAIMS + claim("NEVER") + 'not_measured = "long"\n')
    done = leakhunt("claims", demo, "--out", "out")
    assert done.returncode == 4
    assert "Not measured: NEVER." in done.stdout


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = main(["claims", *map(str, arguments)])
    output = capsys.readouterr()
    assert output.err.count("\n") == 1
    return code, output.err


def test_what_cannot_be_is_told_in_one_line(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(capsys, "fsmn") == (
        2, "leakhunt: 'fsmn': no such scenario or claims file. List them with"
        " 'leakhunt claims --list'\n",
    )  # fmt: skip
    code, error = refused(capsys, "null")
    assert (code, error) == (
        2,
        "leakhunt: null: claims.toml not found. Choose a scenario with claims\n",
    )
    code, error = refused(capsys, demo, "--id", "HOLD")
    assert code == 2 and "did you mean 'HOLDS'?" in error
    code, error = refused(capsys, demo, demo / "claims.toml")
    assert code == 2 and "two scenarios are named demo" in error
    (tmp_path / "file").write_text("")
    code, error = refused(capsys, demo, "--out", "file")
    assert code == 7 and "file: File exists" in error
    (tmp_path / "claims.md").write_text("mine")
    code, error = refused(capsys, demo, "--out", ".")
    assert code == 7 and "claims.md was not written by 'leakhunt claims'" in error
    assert (tmp_path / "claims.md").read_text() == "mine"
    (demo / "claims.toml").write_text(ALL.replace('"growth"', '"grow"'))
    code, error = refused(capsys, demo)
    wrong = "claim HOLDS, check 1: measure: unknown value 'grow' (did you mean 'growth'?)"
    assert code == 6 and wrong in error
    (demo / "claims.toml").unlink()
    code, error = refused(capsys, demo)
    assert code == 2 and "claims.toml not found" in error


def test_the_list_runs_nothing(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["claims", "--list", str(demo / "claims.toml")]) == 0
    output = capsys.readouterr().out
    assert "HOLDS  claim HOLDS (a report)" in output
    assert "gpu: leakhunt run scenario.py:naive (needs a GPU)" in output
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_a_full_disk_is_told_and_loses_no_run(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".claims.json.new").symlink_to("/dev/full")
    check = ("claims", str(demo), "--out", "out", "--id", "ENDED", "--format", "json")
    assert main(check) == 7
    assert "claims.json: No space left on device" in capsys.readouterr().err
    assert (tmp_path / "out" / "demo-killed" / "killed.run.jsonl").is_file()
    assert main(check) == 0
    assert "exists already, not repeated" in capsys.readouterr().out


def test_a_damaged_run_file_makes_no_verdict(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check = ("claims", str(demo), "--out", "out", "--id", "ENDED", "--format", "json")
    assert main(check) == 0
    (tmp_path / "out" / "demo-killed" / "killed.run.jsonl").write_text("no run\n")
    assert main(check) == 4
    assert "not a leakhunt run file" in reasons(tmp_path / "out")["ENDED"]


def test_the_parent_loads_no_framework(demo: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from leakhunt.cli.main import main;"
        f"main(['claims', {str(demo)!r}, '--id', 'FAILS', '--out', 'out', '--format', 'json']);"
        "print('LOADED', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    loaded = done.stdout.partition("LOADED")[2].split()
    assert loaded
    assert not {"torch", "matplotlib", "jinja2", "plotly", "pandas"} & set(loaded)
