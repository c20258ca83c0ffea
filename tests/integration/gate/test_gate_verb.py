"""``leakhunt gate`` on scenarios of its own: answers, exit codes, and who is named where."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import write_run
from gate_projects import (
    LEAKING_LINE,
    QUICK,
    SCENARIO,
    body,
    command,
    commit,
    gate,
    in_one_line,
    project,
)
from page_parts import parsed

from leakhunt.storage import run_file

# A cache that is full after 120 calls: 200 calls cannot tell, 300 can.
FILLS = "KEPT.append(bytearray(4096)) if call < 150 else None"
ALL = "md,json,junit,sarif,codequality"


def test_a_planted_leak_fails_and_is_named_everywhere(tmp_path: Path) -> None:
    made = project(tmp_path / "a project, 項目", made=SCENARIO)
    commit(made)
    summary = tmp_path / "summary.md"
    done = gate(made, formats=ALL, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    assert done.code == 1
    assert done.answers == {"made:clean": "within_budget", "made:leaky": "over_budget"}
    named = f"made.py:{LEAKING_LINE}"
    assert named in done.output
    assert f"::error file=made.py,line={LEAKING_LINE},title=leakhunt%3A made%3Aleaky" in done.output
    assert named in (made / "out" / "gate.md").read_text() and named in summary.read_text()
    (run,) = json.loads((made / "out" / "gate.sarif").read_text())["runs"]
    (place,) = [each["locations"][0]["physicalLocation"] for each in run["results"]]
    assert place["artifactLocation"]["uri"] == "made.py"
    assert place["region"]["startLine"] == LEAKING_LINE
    (entry,) = json.loads((made / "out" / "gl-code-quality.json").read_text())
    assert entry["location"] == {"path": "made.py", "lines": {"begin": LEAKING_LINE}}
    assert 'failures="1"' in (made / "out" / "gate.junit.xml").read_text()
    assert list((made / "out" / "made").glob("*.run.jsonl"))


def test_a_clean_one_passes_and_says_what_it_would_have_seen(tmp_path: Path) -> None:
    done = gate(project(tmp_path), "--scenario", "made.py:clean")
    assert done.code == 0 and done.answers == {"made:clean": "within_budget"}
    assert "live_heap 0 B/call, budget 0; detection limit 256 B/call (95 % power)" in done.output


def test_what_could_not_be_measured_is_no_pass_and_says_why(tmp_path: Path) -> None:
    raising = body("pass", "    raise RuntimeError('no weights here')")
    lacking = body("pass").replace("KEPT = []", 'EXTRA = "soak"\nREQUIRES = ("no_such.module",)')
    on_gpu = SCENARIO.replace("@variant\ndef leaky", "@variant(devices=('cuda',))\ndef leaky")
    on_gpu = on_gpu.replace("KEPT = []", 'DEVICES = ("cpu", "cuda")\nKEPT = []')
    policy = QUICK.replace("[scenarios.'made.py']\ncalls = 200\n", "")
    policy += "".join(f"[scenarios.'{n}.py']\ncalls = 200\n" for n in ("raising", "lacking"))
    policy += "[scenarios.'gpu.py']\ncalls = 200\ndevice = 'cpu'\nvariants = ['clean', 'leaky']\n"
    policy += "[scenarios.'all.py']\ncalls = 200\ndevice = 'cpu'\n"
    made = project(tmp_path, policy, raising=raising, lacking=lacking, gpu=on_gpu, all=on_gpu)
    done = gate(made, formats="json,html")
    assert done.code == 4
    assert done.output.splitlines()[-2:] == ["out/gate.json", "out/gate.html"]
    page = parsed((made / "out" / "gate.html").read_text())
    # Of `lacking` nothing was started: it has no report to lead to.
    assert set(page.outer) == {f"{name}/report.html" for name in ("raising", "gpu", "all")}
    assert all((made / "out" / link).is_file() for link in page.outer)
    assert done.answers == {
        "raising:naive": "not_measured",
        "lacking:naive": "not_measured",
        "gpu:leaky": "not_measured",
        "gpu:clean": "within_budget",
        "all:clean": "within_budget",
    }
    assert "no weights here (raising.py:8)" in done.reasons
    assert "pip install 'leakhunt-ml[soak]'" in done.reasons
    assert "does not run on cpu" in done.reasons
    assert "all:leaky was skipped: it does not run on cpu" in done.output


def test_a_scenario_that_deletes_its_run_file_costs_the_others_nothing(tmp_path: Path) -> None:
    deletes = "[os.unlink(each) for each in glob.glob('out/made/clean*')] if call == 99 else None"
    text = SCENARIO.replace("    bytes(4096)", f"    import glob, os\n    {deletes}")
    done = gate(project(tmp_path, made=text))
    assert done.code == 1
    assert done.answers == {"made:clean": "not_measured", "made:leaky": "over_budget"}
    assert "clean.run.jsonl: No such file or directory" in done.reasons


def test_one_that_the_memory_limit_ends_is_no_pass(tmp_path: Path) -> None:
    gulp = body("KEPT.append(b'x' * (300 << 20)) if call == 130 else None")
    made = project(tmp_path, QUICK + "memory_limit = '200 MiB'\n", made=gulp)
    done = gate(made)
    assert done.code == 3 and done.answers == {"made:naive": "inconclusive"}
    assert "ended early: SIGKILL after call 130 of 200" in done.reasons


def test_what_fills_and_stops_is_measured_again_and_passes(tmp_path: Path) -> None:
    made = project(tmp_path, QUICK.replace("retries = 0", "retries = 2"), made=body(FILLS))
    done = gate(made)
    assert done.code == 0
    assert done.variant["attempts"] == 2
    assert "made:naive: measured 2 times, each run longer" in done.output
    folder = made / "out" / "made"
    assert [each.name for each in sorted(folder.glob("*.jsonl"))] == ["naive.longer-1.run.jsonl"]
    assert [each.name for each in (folder / "earlier").glob("*.jsonl")] == ["naive.run.jsonl"]


def test_two_at_a_time_set_aside_their_own_runs(tmp_path: Path) -> None:
    text = SCENARIO.replace("    bytes(4096)", f"    {FILLS}")
    text = text.replace("    KEPT.append(bytearray(4096))\n", f"    {FILLS}\n")
    made = project(tmp_path, QUICK.replace("retries = 0", "retries = 2"), made=text)
    done = gate(made, "--jobs", 2)
    assert done.code == 0
    assert {each["attempts"] for each in done.document["variants"]} == {2}
    aside = sorted(each.name for each in (made / "out" / "made" / "earlier").glob("*.jsonl"))
    assert aside == ["clean.run.jsonl", "leaky.run.jsonl"]


def test_a_retry_ends_at_the_most_calls(tmp_path: Path) -> None:
    made = project(tmp_path, QUICK.replace("retries = 0", "retries = 9\nmost_calls = 210"),
                   made=body(FILLS))  # fmt: skip
    done = gate(made)
    assert done.code == 3
    assert [each["calls_done"] for each in done.variant["runs"]] == [210]


def test_repeats_are_runs_of_their_own_and_one_scenario_may_be_asked_for(tmp_path: Path) -> None:
    made = project(tmp_path, QUICK + "repeats = 2\n")
    done = gate(made, "--scenario", "made:clean, clean", "--scenario", "made.py:clean")
    assert done.code == 0 and done.answers == {"made:clean": "within_budget"}
    assert len(done.variant["runs"]) == 2
    assert "(2 of 2 runs)" in done.reasons


@pytest.mark.parametrize(
    ("policy", "arguments", "code", "expected"),
    [
        (QUICK + "variants = ['fast-*']\n", [], 6, "leakhunt.toml:2: made.py has no variant"),
        (QUICK + "budgets = { live_heap = '2 KiB/week' }\n", [], 6, "leakhunt.toml:4: [scenarios"),
        ("retries = 0\n", [], 2, "leakhunt.toml: no scenario to measure"),
        (QUICK.replace("made.py", "gone.py"), [], 6, "leakhunt.toml:2: gone.py: scenario"),
        (QUICK, ["--scenario", "mada.py"], 2, "did you mean 'made.py'?"),
        (QUICK, ["--scenario", "made.py:"], 2, "missing variant after the colon"),
        (QUICK, ["--max-growth", "1 KiB/call"], 2, "--max-growth needs run files"),
        (
            QUICK,
            ["x", "--against", "main"],
            2,
            "--scenario and --against cannot be combined with run files",
        ),
        (QUICK, ["--against-python", "python3"], 2, "--against-python needs --against REVISION"),
        (
            QUICK,
            ["--against", "x", "--baselines", "y"],
            2,
            "--against replaces the baseline: remove --baselines",
        ),
        (QUICK, ["--policy", "gone.toml"], 2, "--policy gone.toml: file not found"),
        (QUICK, ["gone"], 2, "gone: run file or folder not found"),
        (
            QUICK,
            ["--max-growth", "1 KiB/call", "--policy", "leakhunt.toml", "x"],
            2,
            "it replaces the policy",
        ),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    tmp_path: Path, policy: str, arguments: list[str], code: int, expected: str
) -> None:
    done = gate(project(tmp_path, policy), *arguments)
    assert done.code == code
    assert expected in in_one_line(done)
    assert not (tmp_path / "out").exists()


def test_the_policy_is_found_above_and_its_own_file_goes_before_pyproject(tmp_path: Path) -> None:
    made = project(tmp_path, QUICK + "variants = ['clean']\n")
    (made / "pyproject.toml").write_text("[tool.leakhunt]\nscenarios = { 'gone.py' = {} }\n")
    below = made / "a" / "b"
    below.mkdir(parents=True)
    (below / "pyproject.toml").write_text("[project]\nname = 'without'\n")
    done = gate(below)
    assert done.code == 0 and done.document["policy"] == str(made / "leakhunt.toml")
    (made / "leakhunt.toml").unlink()
    assert "gone.py" in in_one_line(gate(below, out="again"))


def test_a_pyproject_that_is_damaged_is_told_and_no_other_taken(tmp_path: Path) -> None:
    below = project(tmp_path, QUICK) / "below"
    below.mkdir()
    (below / "pyproject.toml").write_text("[tool.leakhunt]\nretries = = 1\n")
    done = gate(below)
    assert done.code == 6 and "pyproject.toml:2" in in_one_line(done)


# ---- run files


@pytest.fixture
def run_files(tmp_path: Path) -> Path:
    """Run files of a clean and a leaking variant of ``made``, in ``runs``."""
    for name, rate in (("clean", 0), ("leaky", 4096)):
        (tmp_path / "runs").mkdir(exist_ok=True)
        rows = [(10**8 + rate * call, 1000) for call in range(300)]
        write_run(tmp_path / "runs" / f"{name}.run.jsonl", rows, variant=name)
    return tmp_path


def test_run_files_are_judged_by_the_policy_of_their_scenario(run_files: Path) -> None:
    project(run_files, "[scenarios.'made.py'.budgets]\nrss = '1 KiB/call'\n[scenarios.null]\n")
    done = gate(run_files, "runs")
    assert done.code == 1
    assert done.notes == ["null of the policy is not among these run files"]
    assert done.answers == {"made:clean": "within_budget", "made:leaky": "over_budget"}
    loose = gate(run_files, "runs", "--max-growth", "8 KiB/call", "--series", "rss", out="loose")
    assert loose.code == 0


def test_what_is_no_whole_run_never_passes(run_files: Path) -> None:
    project(run_files, "budgets = { rss = '1 KiB/call' }\n")
    whole = run_files / "runs" / "clean.run.jsonl"
    (run_files / "cut").mkdir()
    (run_files / "cut" / whole.name).write_bytes(whole.read_bytes()[:-300])
    cut = gate(run_files, "cut", out="1")
    assert cut.code == 3 and "ended early: no footer" in cut.reasons

    newer = run_files / "new" / whole.name
    newer.parent.mkdir()
    newer.write_text(whole.read_text().replace(f'"format":{run_file.FORMAT}', '"format":99', 1))
    named = gate(run_files, newer, out="2")
    assert named.code == 6 and "is newer than this leakhunt" in in_one_line(named)
    shutil.copy(whole, newer.with_name("old.run.jsonl"))
    beside = gate(run_files, "new", out="3", LEAKHUNT_LANG="zh")
    assert beside.code == 4 and "is newer than this leakhunt" in beside.reasons
    assert sorted(beside.answers.values()) == ["not_measured", "within_budget"]

    (run_files / "empty").mkdir()
    assert gate(run_files, "runs", "empty", out="4").code == 1
    (run_files / "whole").mkdir()
    (run_files / "runs").rename(run_files / "whole" / "made")
    whole = run_files / "whole" / "made" / whole.name
    assert gate(run_files, "whole", out="6").answers == {
        "made:clean": "within_budget",
        "made:leaky": "over_budget",
    }
    assert gate(run_files, whole, "empty", out="5").code == 4


def test_it_speaks_another_language_to_people_and_english_to_programs(tmp_path: Path) -> None:
    made = project(tmp_path, QUICK, made=body("pass", "    raise RuntimeError('no weights')"))
    done = gate(made, formats="md,json,junit,sarif,codequality,html", LEAKHUNT_LANG="zh")
    assert done.code == 4
    assert done.reasons.isascii()
    assert (made / "out" / "gate.junit.xml").read_text().isascii()
    assert '<html lang="zh-CN">' in (made / "out" / "gate.html").read_text()
    lacking = body("pass").replace("KEPT = []", 'REQUIRES = ("no_such_module",)')
    (made / "made.py").write_text(lacking)
    again = gate(made, out="again", LEAKHUNT_LANG="zh")
    assert again.code == 4 and again.reasons.isascii()
    assert not again.output.isascii()


def test_two_at_once_have_folders_of_their_own(tmp_path: Path) -> None:
    made = project(tmp_path, QUICK + "variants = ['clean']\n")
    words = [word for word in command(formats="json") if word not in ("--out", "out")]
    both = [subprocess.Popen(words, cwd=made, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [each.wait(120) for each in both] == [0, 0]
    assert len(list((made / "reports").glob("*-gate*/gate.json"))) == 2
