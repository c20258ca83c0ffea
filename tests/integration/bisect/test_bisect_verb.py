"""The commit that introduced a leak, found in a real repository with real runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from conftest import Leakhunt

CLEAN = '''"""A service, version {number}."""

KEPT = []


def handle(call):
    return sum(range(50))
'''
LEAKING = CLEAN.replace("    return", "    KEPT.append(bytes(4096))\n    return")


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_the_commit_that_introduced_a_leak_is_found(leakhunt: Leakhunt, tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    repo.mkdir()
    git(repo, "init", "-q")
    commits = []
    for number in range(6):
        text = LEAKING if number >= 4 else CLEAN if number != 2 else "raise ValueError('broken')\n"
        (repo / "service.py").write_text(text.replace("{number}", str(number)), "utf-8")
        git(repo, "add", "service.py")
        git(repo, "commit", "-qm", f"version {number}")
        commits.append(git(repo, "rev-parse", "HEAD"))
    done = leakhunt("bisect", repo / "service.py:handle", "--repo", repo, "--good", commits[0],
                    "--bad", "HEAD", "--calls", "250", "--out", "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (
        f"{commits[4][:12]} introduced the growth; {commits[3][:12]} does not leak" in done.stdout
    )
    document = json.loads((tmp_path / "out" / "bisect.json").read_bytes())
    assert (document["first"], document["last"]) == (commits[4], commits[3])
    assert "service.KEPT" in document["suspect"]["text"]
    assert document["confidence"] > 0.98
    assert git(repo, "status", "--porcelain") == "" and git(repo, "rev-parse", "HEAD") == commits[5]


def test_bad_input_is_one_line_and_an_exit_code(leakhunt: Leakhunt, tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(CLEAN, "utf-8")
    for words, told in (
        (("--package", "no-such-package-of-leakhunt"), "the index lists no version"),
        (("--repo", "."), "no such revision in ."),
        ((), "expected either --package NAME or --repo PATH"),
    ):
        done = leakhunt("bisect", "service.py:handle", "--good", "1", "--bad", "2", *words)
        assert done.returncode == 2 and told in done.stderr
        assert "Traceback" not in done.stderr and done.stderr.count("\n") == 1
