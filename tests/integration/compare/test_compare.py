"""``leakhunt compare`` on real runs: what it says, refuses, and leaves alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import Leakhunt, command_line

SERVICE = """
from leakhunt import variant
KEPT = []
def setup(context):
    return None
def summarize(state, result):
    return result
@variant
def call(state, item):
    KEPT.append(bytearray({size})) if {size} else None
    return 7
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders ``leaks``, ``fixed`` and ``seeded`` (fixed, from another seed)."""
    place = tmp_path_factory.mktemp("runs")
    for name, size, more in (
        ("leaks", 2048, ()),
        ("fixed", 0, ()),
        ("seeded", 0, ("--seed", "3")),
    ):
        folder = place / f"version-{name}"
        folder.mkdir()
        (folder / "service.py").write_text(SERVICE.format(size=size))
        words = ["run", folder / "service.py", "--calls", 300]
        words += ["--format=json", "--out", place / name, *more]
        command_line(words, place).check_returncode()
    return place


def test_two_versions_are_compared_in_every_format(
    leakhunt: Leakhunt, runs: Path, tmp_path: Path
) -> None:
    done = leakhunt("compare", runs / "leaks", runs / "fixed", "--label", "old", "--label", "new")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "call: growth in new, live heap: 2.0" in done.stdout
    assert "less than old (99 %: " in done.stdout
    (folder,) = (tmp_path / "reports").iterdir()
    assert folder.name.endswith("-compare")
    assert done.stdout.splitlines()[-1].endswith(f"{folder.name}/compare.html")
    assert {path.name for path in folder.iterdir()} == {
        "compare.html", "compare.png", "compare.md", "compare.json",
    }  # fmt: skip
    (pair,) = json.loads((folder / "compare.json").read_text())["pairs"]
    heap = next(line for line in pair["lines"] if line["name"] == "live_heap")
    assert heap["conclusion"] == "decrease"
    assert heap["difference"]["low"] <= -2048 - 32 <= heap["difference"]["high"] + 64
    assert (pair["results"]["compared"], pair["results"]["differing"]) == (300, 0)
    assert str(tmp_path) not in (folder / "compare.html").read_text()


def test_another_seed_is_refused_unless_asked_for(leakhunt: Leakhunt, runs: Path) -> None:
    command = ("compare", runs / "leaks", runs / "seeded")
    refused = leakhunt(*command, "--out", "refused")
    assert refused.returncode == 9
    assert "call: not comparable, the runs differ in: seed: 0 and 3." in refused.stdout
    assert "--despite-differences" in refused.stdout
    despite = leakhunt(*command, "--out", "despite", "--despite-differences")
    assert despite.returncode == 0
    assert "call (despite differences): growth in seeded, live heap" in despite.stdout


def test_several_runs_of_a_variant_are_repeats(
    leakhunt: Leakhunt, runs: Path, tmp_path: Path
) -> None:
    shutil.copytree(runs / "fixed", tmp_path / "both")
    again = leakhunt(
        "run",
        runs / "version-fixed" / "service.py",
        "--calls",
        300,
        "--format=json",
        "--out",
        "again",
    )
    assert again.returncode == 0
    shutil.copy(tmp_path / "again" / "call.run.jsonl", tmp_path / "both" / "again.run.jsonl")
    done = leakhunt("compare", runs / "leaks", "both", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "1 run of leaks and 2 runs of both" in (tmp_path / "out" / "compare.md").read_text()


def test_a_run_that_was_cut_off_is_compared_as_far_as_it_goes(
    leakhunt: Leakhunt, runs: Path, tmp_path: Path
) -> None:
    whole = (runs / "leaks" / "call.run.jsonl").read_bytes()
    (tmp_path / "cut.run.jsonl").write_bytes(whole[: len(whole) // 2])
    done = leakhunt("compare", runs / "fixed", "cut.run.jsonl", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "cut was interrupted after" in done.stdout


def test_a_damaged_file_in_a_folder_is_left_out_and_told(
    leakhunt: Leakhunt, runs: Path, tmp_path: Path
) -> None:
    shutil.copytree(runs / "fixed", tmp_path / "fixed")
    (tmp_path / "fixed" / "bad.run.jsonl").write_text("mine")
    done = leakhunt("compare", runs / "leaks", "fixed", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "skipped: bad.run.jsonl: not a leakhunt run file" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code", "expected"),
    [
        (["leaks"], 2, "compare needs two or more paths: the baseline first"),
        (["leaks", "nowhere"], 2, "nowhere: run file or folder not found"),
        (["leaks", "note.txt"], 6, "note.txt: not a leakhunt run file"),
        (["leaks", "empty"], 4, "empty: no measured run found"),
        (["leaks", "leaks"], 2, "are the same run (call)"),
        (["leaks", "copied"], 2, "are the same run (call)"),
        (["leaks", "leaks/call.run.jsonl"], 2, "are the same run (call)"),
        (["leaks", "other"], 4, "other has other:call"),
        (["leaks", "fixed", "--label", "a"], 2, "--label: expected one per path (2), got 1"),
        (
            ["leaks", "fixed", "--label", "a", "--label", "a "],
            2,
            "--label: labels must be different and not empty",
        ),
        (
            ["leaks", "fixed", "--label", "a", "--label", " "],
            2,
            "--label: labels must be different and not empty",
        ),
        (["leaks", "fixed", "--out", "used"], 7, "nothing is overwritten"),
        (["leaks", "fixed", "--out", "note.txt"], 7, "note.txt"),
        (["leaks", "fixed", "--out", "/dev/full"], 7, "/dev/full"),
        (["leaks", "fixed", "--out", "/proc/nowhere"], 7, "/proc/nowhere"),
    ],
)
def test_wrong_input_is_told_in_one_line(
    leakhunt: Leakhunt,
    runs: Path,
    tmp_path: Path,
    arguments: list[str],
    exit_code: int,
    expected: str,
) -> None:
    for name in ("leaks", "fixed"):
        shutil.copytree(runs / name, tmp_path / name)
    shutil.copytree(runs / "leaks", tmp_path / "copied")
    shutil.copytree(runs / "fixed", tmp_path / "other")
    file = tmp_path / "other" / "call.run.jsonl"
    file.write_text(file.read_text().replace('"scenario":"service"', '"scenario":"other"', 1))
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("mine")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").write_text("mine")
    done = leakhunt("compare", *arguments)
    assert (done.returncode, done.stdout) == (exit_code, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("leakhunt: ")
    assert expected in line
    assert (tmp_path / "note.txt").read_text() == "mine"
    assert not (tmp_path / "reports").exists()


def test_labels_are_the_names_and_as_many_folders_as_tell_them_apart(
    leakhunt: Leakhunt, runs: Path, tmp_path: Path
) -> None:
    for name in ("leaks", "fixed"):
        shutil.copytree(runs / name, tmp_path / name / "run")
    done = leakhunt("compare", "leaks/run", "fixed/run", "--out", "out")
    assert done.returncode == 0, done.stderr
    sides = json.loads((tmp_path / "out" / "compare.json").read_text())["sides"]
    assert [side["label"] for side in sides] == ["leaks/run", "fixed/run"]
