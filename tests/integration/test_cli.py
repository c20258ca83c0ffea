"""Wrong input: one clear line on the error stream, an exit code, no traceback, nothing lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Leakhunt, WriteScenario

NAIVE = "@variant\ndef naive(state, item):\n    pass\n"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "expected"),
    [
        (["run", "fsmn-vat"], 2, "did you mean 'fsmn-vad'"),
        (["run", "null:nothin"], 2, "did you mean 'nothing'"),
        (["run", "nowhere.py"], 2, "nowhere.py: scenario file not found"),
        (["run", "null", "--option", "a"], 2, "NAME=VALUE"),
        (["run", "null", "--lengths", "fixed"], 2, "no option 'lengths'; it has no options"),
        (["run", "null", "--calls", "0"], 2, "--calls"),
        (["run", "null", "--calls", "9", "--warmup", "9"], 2, "leaves no measured call of 9"),
        (["run", "broken.py", "--warmup", "9"], 6, "invalid Python"),
        (["run", "null", "--calls", "9", "--calls-per-sample", "2"], 2, "is not a multiple of"),
        (
            ["run", "null", "--calls", "9", "--resolve"],
            2,
            "--resolve cannot be combined with --calls",
        ),
        (["run", "leak-zoo-bounded", "--warmup", "9"], 2, "--warmup needs --calls"),
        (["run", "null", "--collect", "often"], 2, "--collect"),
        (["run", "null", "--device", "cuda"], 2, "runs on cpu, not on cuda"),
        (["run", "null", "--memory-limit", "lots"], 2, "invalid size 'lots'"),
        (["run", "broken.py"], 6, "broken.py:1: invalid Python"),
        (["run", "null", "--out", "used"], 7, "nothing is overwritten"),
        (["run", "null", "--out", "broken.py"], 7, "broken.py"),
        (["run"], 2, "Missing argument"),
        (["sing"], 2, "No such command 'sing'."),
        (["rum"], 2, "No such command 'rum'. Did you mean 'run'?"),
        (["report", ""], 2, "empty path: expected a run file or folder"),
        (["report", "nowhere"], 2, "nowhere: run file or folder not found"),
        (["report", "empty"], 4, "no run file (*.run.jsonl) found"),
        (["report", "used/file"], 6, "not a leakhunt run file"),
        (["gate", "nowhere", "--max-growth", "1/call"], 2, "nowhere: run file or folder not found"),
        (
            ["gate", "empty", "--max-growth", "4 KiB"],
            2,
            "invalid value '4 KiB'. Examples: '2 KiB/call'",
        ),
        (
            ["gate", "empty", "--max-growth", "4/call", "--series", "x"],
            2,
            "Known series: live_heap",
        ),
        (["gate", "used/file", "--max-growth", "4/call"], 6, "not a leakhunt run file"),
    ],
)
def test_wrong_input_is_told_in_one_line(
    leakhunt: Leakhunt, tmp_path: Path, arguments: list[str], exit_code: int, expected: str
) -> None:
    (tmp_path / "broken.py").write_text("def :\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").write_text("mine")
    done = leakhunt(*arguments)
    assert (done.returncode, done.stdout) == (exit_code, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("leakhunt: ")
    assert expected in line
    assert (tmp_path / "used" / "file").read_text() == "mine"
    assert not (tmp_path / "reports").exists() or not any((tmp_path / "reports").iterdir())


def test_an_empty_folder_never_passes_the_gate(leakhunt: Leakhunt, tmp_path: Path) -> None:
    done = leakhunt("gate", tmp_path, "--max-growth", "1 GiB/call")
    assert done.returncode == 4
    assert "not measured: 1 not measured" in done.stdout


def test_a_scenario_whose_modules_are_missing_names_the_extra(
    write_scenario: WriteScenario, leakhunt: Leakhunt
) -> None:
    file = write_scenario('EXTRA = "big"\nREQUIRES = ("no_such_module",)\n' + NAIVE)
    done = leakhunt("run", file)
    assert done.returncode == 5
    assert "needs no_such_module; install with: pip install 'leakhunt-ml[big]'" in done.stderr


def test_run_report_and_gate_work_one_after_the_other(
    write_scenario: WriteScenario, leakhunt: Leakhunt, tmp_path: Path
) -> None:
    leaky = "@variant\ndef leaky(state, item):\n    KEPT.append(bytearray(5000))\n"
    file = write_scenario(NAIVE + leaky)
    run = leakhunt("run", file)
    assert run.returncode == 0, run.stderr
    (folder,) = (tmp_path / "reports").iterdir()
    assert run.stdout.splitlines()[-1].endswith(f"{folder.name}/report.html")
    names = {path.name for path in folder.iterdir()}
    assert {"report.html", "curves.png", "report.md", "report.json"} <= names
    assert not {name for name in names if name.startswith(".")}
    before = (folder / "report.html").read_bytes()
    assert leakhunt("report", folder).returncode == 0
    assert (folder / "report.html").read_bytes() == before
    gate = leakhunt("gate", folder, "--max-growth", "4 KiB/call")
    assert gate.returncode == 1
    assert "over budget made:leaky  live_heap" in gate.stdout
    assert "within budget made:naive  live_heap" in gate.stdout
    assert "leakhunt run made.py:naive,leaky --seed 0" in (folder / "report.html").read_text()
    passing = leakhunt("gate", folder / "naive.run.jsonl", "--max-growth", "4 KiB/call")
    assert passing.returncode == 0
    (tmp_path / "empty").mkdir()
    beside = leakhunt("gate", folder / "naive.run.jsonl", "empty", "--max-growth", "4 KiB/call")
    assert beside.returncode == 4


def test_the_list_names_scenarios_variants_and_options(leakhunt: Leakhunt) -> None:
    done = leakhunt("list")
    assert done.returncode == 0
    for word in ("fsmn-vad", ":fixed-shape", "--option lengths=", "null"):
        assert word in done.stdout


def test_no_path_of_this_machine_gets_into_a_run_file(
    write_scenario: WriteScenario, leakhunt: Leakhunt, tmp_path: Path
) -> None:
    leakhunt("run", write_scenario(NAIVE), "--calls", 3, "--format=json", "--out", "out")
    text = (tmp_path / "out" / "naive.run.jsonl").read_text()
    assert str(tmp_path) not in text
    assert str(Path.home()) not in text
