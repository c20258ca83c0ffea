"""Plain functions in a policy, by ``FILE:FUNCTION`` and ``MODULE:FUNCTION``."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import command_line
from gate_projects import commit, gate, git, in_one_line, project

POLICY = """
retries = 0
baselines = "kept"
[scenarios."app.py:grow"]
calls = 200
budgets = { live_heap = "8 KiB/call" }
[scenarios."app.py:clean"]
calls = 200
[scenarios."package.module:grow"]
calls = 200
"""
FUNCTIONS = "KEPT = []\n\ndef grow():\n    KEPT.append(bytearray(%d))\n\ndef clean():\n    pass\n"


def made(folder: Path, in_file: int = 2048, in_package: int = 2048) -> Path:
    (folder / "package").mkdir(exist_ok=True)
    (folder / "package" / "__init__.py").write_text("")
    (folder / "package" / "module.py").write_text(FUNCTIONS % in_package)
    return project(folder, POLICY, app=FUNCTIONS % in_file)


def test_each_function_has_its_budget_and_its_baseline(tmp_path: Path) -> None:
    first = gate(made(tmp_path), "--no-baseline")
    assert first.code == 1
    assert first.answers == {
        "app:grow": "within_budget",
        "app:clean": "within_budget",
        "package.module:grow": "over_budget",
    }
    folders = {file.parent.name for file in (tmp_path / "out").glob("*/*.run.jsonl")}
    assert folders == {"app.grow", "app.clean", "package.module"}
    # Run files are held to the same.
    places = sorted(f"out/{name}" for name in folders)
    again = gate(tmp_path, *places, "--no-baseline", out="again")
    assert again.answers == first.answers
    places = sorted(f"out/{name}" for name in folders)
    saved = command_line(
        ["baseline", "save", *places, "--into", "kept", "--despite-leak"], tmp_path
    )
    assert saved.returncode == 0, saved.stderr
    same = gate(tmp_path, out="same")
    assert (same.code, same.document["against"]) == (0, "kept"), same.reasons
    one = gate(tmp_path, "--scenario", "app.py:grow", out="one")
    assert one.answers == {"app:grow": "within_budget"}
    both = gate(tmp_path, "--scenario", "app", out="both")
    assert set(both.answers) == {"app:grow", "app:clean"}
    changed = made(tmp_path, in_package=8192)
    worse = gate(changed, "--scenario", "package.module:grow", out="worse")
    assert worse.code == 1
    assert worse.answers == {"package.module:grow": "over_budget"}


@pytest.mark.long
def test_functions_are_compared_with_another_revision(tmp_path: Path) -> None:
    commit(made(tmp_path))
    git(tmp_path, "checkout", "-q", "-b", "change")
    same = gate(tmp_path, "--against", "main", "--pairs", "1")
    assert same.code == 0, same.reasons
    made(tmp_path, in_file=16384, in_package=8192)
    worse = gate(tmp_path, "--against", "main", "--pairs", "1", out="worse")
    assert worse.answers == {
        "app:grow": "over_budget",
        "app:clean": "within_budget",
        "package.module:grow": "over_budget",
    }


@pytest.mark.parametrize(
    ("policy", "words", "expected"),
    [
        ("[scenarios.'app.py:gone']\n", (), "leakhunt.toml:1: app.py: function 'gone' not found"),
        ("[scenarios.'none.none:grow']\n", (), "'none.none': module or scenario not found"),
        (POLICY, ("--scenario", "app.py:gone"), "has no scenario 'app.py:gone'"),
        (POLICY, ("--scenario", "app.py:grow,gone"), "has no scenario 'app.py:gone'"),
    ],
)
def test_a_function_that_is_not_there_is_one_line(
    tmp_path: Path, policy: str, words: tuple[str, ...], expected: str
) -> None:
    (made(tmp_path) / "leakhunt.toml").write_text(policy)
    assert expected in in_one_line(gate(tmp_path, *words)).replace(f"{tmp_path}/", "")
