"""``leakhunt baseline`` on run files, in a folder of its own and in a repository with branches."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import Leakhunt, write_run

from leakhunt.model.run import Ending, Outcome
from leakhunt.storage import run_file, run_writer

EXAMPLES = Path(__file__).parents[3] / "reports" / "examples" / "fsmn-vad-cpu"
PLACE = "leakhunt-baselines"
MIB = 1 << 20


def made_run(
    file: Path, seed: int = 0, calls: int = 300, rss_rate: int = 0, **plan: object
) -> Path:
    """A clean run file of RSS and time, or one whose RSS grows."""
    rng = np.random.default_rng([3, seed])
    rss = 90 * MIB + rss_rate * np.arange(calls) + rng.normal(0, 20_000, calls)
    time = 1e7 * np.exp(rng.normal(0, 0.03, calls))
    rows = np.stack([rss, time], axis=1).astype(int).tolist()
    file.parent.mkdir(parents=True, exist_ok=True)
    return write_run(file, rows, **plan)


def kept_files(place: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(place.glob(f"{PLACE}/*/*"))}


def git(repository: Path, *words: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_AUTHOR_NAME": "n", "GIT_AUTHOR_EMAIL": "n@localhost",
        "GIT_COMMITTER_NAME": "n", "GIT_COMMITTER_EMAIL": "n@localhost",
    }  # fmt: skip
    return subprocess.run(
        ["git", *words], cwd=repository, env=os.environ | settings,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def commit(repository: Path, message: str) -> None:
    for words in (("add", PLACE), ("commit", "-qm", message)):
        done = git(repository, *words)
        assert done.returncode == 0, done.stdout + done.stderr


def test_runs_are_kept_shown_and_renewed(leakhunt: Leakhunt, tmp_path: Path) -> None:
    made_run(tmp_path / "old" / "naive.run.jsonl")
    made_run(tmp_path / "old" / "fixed.run.jsonl", seed=1, variant="fixed")
    saved = leakhunt("baseline", "save", "old")
    assert saved.returncode == 0, saved.stderr
    before = kept_files(tmp_path)
    assert list(before) == ["made.fixed.toml", "made.naive.toml"]
    for name in before:
        assert any(line.endswith(name) for line in saved.stdout.splitlines())

    shown = leakhunt("baseline", "show")
    assert shown.returncode == 0, shown.stderr
    for word in ("made:naive", "made:fixed", "1 run of 300 calls", "2026-11-21", "CPython 3.11"):
        assert word in shown.stdout

    made_run(tmp_path / "new" / "naive.run.jsonl", seed=2, rss_rate=20_000)
    updated = leakhunt("baseline", "update", "new")
    assert updated.returncode == 0, updated.stderr
    assert "made:naive" in updated.stdout and "grows more" in updated.stdout
    assert "made:fixed" not in updated.stdout
    after = kept_files(tmp_path)
    assert after["made.fixed.toml"] == before["made.fixed.toml"]
    assert after["made.naive.toml"] != before["made.naive.toml"]
    changed = {
        line.split(b" ")[0]
        for line in set(after["made.naive.toml"].splitlines())
        - set(before["made.naive.toml"].splitlines())
    }
    assert changed - {b"verdict"} == {b"rss", b"time", b"checksum"}


def test_repeats_of_a_variant_are_kept_in_one_file(leakhunt: Leakhunt, tmp_path: Path) -> None:
    for seed in range(3):
        made_run(tmp_path / "runs" / f"naive-{seed}.run.jsonl", seed=seed)
    assert leakhunt("baseline", "save", "runs").returncode == 0
    (text,) = kept_files(tmp_path).values()
    (rss,) = (line for line in text.splitlines() if line.startswith(b"rss ="))
    assert rss.count(b",") == 2 and b"rates = [" in rss
    assert "3 runs of 300 calls" in leakhunt("baseline", "show").stdout


def test_save_leaves_what_is_there_and_update_what_is_not(
    leakhunt: Leakhunt, tmp_path: Path
) -> None:
    made_run(tmp_path / "runs" / "naive.run.jsonl")
    early = leakhunt("baseline", "update", "runs")
    assert early.returncode == 2
    assert "no baseline. Create one with 'leakhunt baseline save RUN_FOLDER'" in early.stderr
    assert not (tmp_path / PLACE).exists()
    leakhunt("baseline", "save", "runs")
    before = kept_files(tmp_path)
    made_run(tmp_path / "runs" / "fixed.run.jsonl", seed=5, variant="fixed")
    again = leakhunt("baseline", "save", "runs")
    assert again.returncode == 2
    assert "made.naive.toml: already saved, nothing was written" in again.stderr
    assert "'leakhunt baseline update'" in again.stderr
    assert kept_files(tmp_path) == before
    added = leakhunt("baseline", "update", "runs")
    assert added.returncode == 0
    assert "made:fixed: new, not in the baseline" in added.stdout
    assert list(kept_files(tmp_path)) == ["made.fixed.toml", "made.naive.toml"]


def test_another_environment_is_not_renewed_but_named(leakhunt: Leakhunt, tmp_path: Path) -> None:
    made_run(tmp_path / "runs" / "naive.run.jsonl")
    leakhunt("baseline", "save", "runs")
    other = made_run(tmp_path / "other" / "naive.run.jsonl", seed=1)
    other.write_text(other.read_text().replace("CPython 3.11", "CPython 3.13"))
    refused = leakhunt("baseline", "update", "other")
    assert refused.returncode == 2
    assert "differs in python: CPython 3.11 and CPython 3.13" in refused.stderr
    assert leakhunt("baseline", "save", "other").returncode == 0
    assert len(list((tmp_path / PLACE).iterdir())) == 2


def test_a_leak_is_kept_only_when_asked_and_loudly(leakhunt: Leakhunt, tmp_path: Path) -> None:
    refused = leakhunt("baseline", "save", EXAMPLES)
    assert refused.returncode == 2
    assert "fsmn-vad:naive: leak in native code" in refused.stderr
    assert "--despite-leak" in refused.stderr
    assert not (tmp_path / PLACE).exists()
    saved = leakhunt("baseline", "save", EXAMPLES, "--despite-leak")
    assert saved.returncode == 0, saved.stderr
    assert (
        "warning: fsmn-vad:naive leaks; this baseline lets later runs leak as much" in saved.stdout
    )
    assert "fsmn-vad:fixed-shape leaks" not in saved.stdout
    text = kept_files(tmp_path)["fsmn-vad.naive.toml"]
    assert b"# IT ACCEPTS A LEAK" in text
    again = leakhunt("baseline", "update", EXAMPLES / "naive.run.jsonl")
    assert again.returncode == 2 and "--despite-leak" in again.stderr


@pytest.mark.parametrize("ending", [Ending.KILLED, Ending.CRASHED, Ending.INTERRUPTED])
def test_a_run_that_did_not_end_by_itself_keeps_nothing(
    leakhunt: Leakhunt, tmp_path: Path, ending: Ending
) -> None:
    made_run(tmp_path / "runs" / "naive.run.jsonl")
    made_run(tmp_path / "runs" / "fixed.run.jsonl", seed=1, variant="fixed")
    run_writer.finish(tmp_path / "runs" / "fixed.run.jsonl", Outcome(ending, "for a reason"), 1.0)
    refused = leakhunt("baseline", "save", "runs")
    assert refused.returncode == 4
    assert (
        f"fixed.run.jsonl: the run was {ending} (for a reason): not saved as a baseline"
        in refused.stderr
    )
    assert not (tmp_path / PLACE).exists()


def test_what_is_no_baseline_is_told_in_a_line(leakhunt: Leakhunt, tmp_path: Path) -> None:
    made_run(tmp_path / "short.run.jsonl", calls=60)
    whole = made_run(tmp_path / "whole.run.jsonl")
    shutil.copy(whole, tmp_path / "copy.run.jsonl")
    (tmp_path / "broken.run.jsonl").write_text("nothing\n")
    (tmp_path / "newer.run.jsonl").write_text(
        whole.read_text().replace(f'"format":{run_file.FORMAT}', '"format":99', 1)
    )
    (tmp_path / "empty").mkdir()
    for words, code, expected in (
        (("save", "short.run.jsonl"), 4, "45 measured samples; needs 50"),
        (("save", "whole.run.jsonl", "copy.run.jsonl"), 2, "are the same run"),
        (("save", "broken.run.jsonl"), 6, "not a leakhunt run file"),
        (("save", "newer.run.jsonl"), 6, "format 99"),
        (("save", "empty"), 4, "no measured run found"),
        (("save", "nowhere"), 2, "nowhere: run file or folder not found"),
        (("show", "nowhere"), 2, "nowhere: not found"),
        (("show", "empty"), 4, "no baseline found"),
    ):
        done = leakhunt("baseline", *words)
        assert (done.returncode, expected in done.stderr) == (code, True), (words, done.stderr)
        assert done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / PLACE).exists()


def test_a_damaged_file_is_named_and_nothing_is_written_over_it(
    leakhunt: Leakhunt, tmp_path: Path
) -> None:
    made_run(tmp_path / "runs" / "naive.run.jsonl")
    leakhunt("baseline", "save", "runs")
    (file,) = (tmp_path / PLACE).glob("*/*.toml")
    whole = file.read_bytes()
    for damaged, expected in (
        (
            whole.replace(b"verdict", b"<<<<<<< HEAD\nverdict", 1),
            ":7: invalid TOML (<<<<<<<: unresolved",
        ),
        (whole[: len(whole) // 2], ".toml:"),
        (whole.replace(b"format = 1", b"format = 9"), "baseline format 9"),
    ):
        file.write_bytes(damaged)
        for words in (("show",), ("show", file), ("update", "runs")):
            done = leakhunt("baseline", *words)
            assert (done.returncode, expected in done.stderr) == (6, True), done.stderr
            assert done.stderr.count("\n") == 1
            assert file.read_bytes() == damaged
    file.write_bytes(whole)
    moved = file.rename(file.with_name("made.other.toml"))
    assert "belongs in" in leakhunt("baseline", "show").stderr
    assert leakhunt("baseline", "show", moved).returncode == 0


def test_a_place_that_takes_no_file_is_told(leakhunt: Leakhunt, tmp_path: Path) -> None:
    made_run(tmp_path / "runs" / "naive.run.jsonl")
    (tmp_path / "taken").write_text("a file")
    done = leakhunt("baseline", "save", "runs", "--into", "taken/below")
    assert done.returncode == 7
    assert "Not a directory" in done.stderr and "--into" in done.stderr


@pytest.fixture
def repository(tmp_path: Path, leakhunt: Leakhunt) -> Path:
    """A repository with a baseline of ``a`` and ``m``, on the branch ``main``."""
    for seed, variant in enumerate(("a", "m")):
        made_run(tmp_path / "runs" / f"{variant}.run.jsonl", seed=seed, variant=variant)
    assert leakhunt("baseline", "save", "runs").returncode == 0
    assert git(tmp_path, "init", "-q", "-b", "main").returncode == 0
    commit(tmp_path, "main")
    return tmp_path


def branch(repository: Path, name: str) -> None:
    assert git(repository, "checkout", "-q", "main").returncode == 0
    assert git(repository, "checkout", "-q", "-b", name).returncode == 0


def test_branches_that_add_variants_next_to_each_other_merge(
    leakhunt: Leakhunt, repository: Path
) -> None:
    for seed, variant in enumerate(("b", "c"), 5):
        branch(repository, f"adds-{variant}")
        made_run(repository / f"new-{variant}.run.jsonl", seed=seed, variant=variant)
        assert leakhunt("baseline", "update", f"new-{variant}.run.jsonl").returncode == 0
        commit(repository, variant)
    merged = git(repository, "merge", "--no-edit", "adds-b")
    assert merged.returncode == 0, merged.stdout
    assert list(kept_files(repository)) == [f"made.{name}.toml" for name in "abcm"]
    assert leakhunt("baseline", "show").returncode == 0


def test_branches_that_both_begin_a_baseline_merge(leakhunt: Leakhunt, tmp_path: Path) -> None:
    assert git(tmp_path, "init", "-q", "-b", "main").returncode == 0
    assert git(tmp_path, "commit", "-q", "--allow-empty", "-m", "empty").returncode == 0
    for seed, variant in enumerate(("b", "c")):
        branch(tmp_path, f"begins-{variant}")
        made_run(tmp_path / f"{variant}.run.jsonl", seed=seed, variant=variant)
        assert leakhunt("baseline", "save", f"{variant}.run.jsonl").returncode == 0
        commit(tmp_path, variant)
    assert git(tmp_path, "merge", "--no-edit", "begins-b").returncode == 0
    assert list(kept_files(tmp_path)) == ["made.b.toml", "made.c.toml"]


def test_branches_that_renew_one_variant_conflict_and_the_marks_are_named(
    leakhunt: Leakhunt, repository: Path
) -> None:
    for seed in (5, 6):
        branch(repository, f"renews-{seed}")
        made_run(repository / f"new-{seed}.run.jsonl", seed=seed, variant="a")
        assert leakhunt("baseline", "update", f"new-{seed}.run.jsonl").returncode == 0
        commit(repository, str(seed))
    assert git(repository, "merge", "--no-edit", "renews-5").returncode == 1
    shown = leakhunt("baseline", "show")
    assert shown.returncode == 6
    assert "made.a.toml:" in shown.stderr
    assert "<<<<<<<: unresolved merge conflict" in shown.stderr
    # The figures of both branches in one file are no measurement, whatever git thinks of them.
    (file,) = (repository / PLACE).glob("*/made.a.toml")
    lines = [
        line for line in file.read_text().splitlines()
        if not line.startswith(("<<<<<<<", "=======", ">>>>>>>"))
    ]  # fmt: skip
    by_key = {line.partition(" = ")[0]: line for line in lines if " = " in line}
    file.write_text("\n".join(by_key.values()) + "\n")
    mixed = leakhunt("baseline", "show")
    assert mixed.returncode == 6
    assert "checksum mismatch" in mixed.stderr
