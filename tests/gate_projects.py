"""Projects of a scenario and a policy in a folder, for `leakhunt gate` to be tried on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import command_line

SCENARIO = '''"""Made for a test."""
from leakhunt import variant

KEPT = []


def setup(context):
    return context


@variant
def clean(state, call):
    """Keeps nothing."""
    bytes(4096)


@variant
def leaky(state, call):
    """Keeps four KiB a call."""
    KEPT.append(bytearray(4096))
'''
LEAK = "    KEPT.append(bytearray(4096))"
# The line of it in the file.
LEAKING_LINE = SCENARIO.splitlines().index(LEAK) + 1
# A run of so many calls tells a leak from none.
QUICK = "retries = 0\n[scenarios.'made.py']\ncalls = 200\n"
_GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "n", "GIT_AUTHOR_EMAIL": "n@localhost",
    "GIT_COMMITTER_NAME": "n", "GIT_COMMITTER_EMAIL": "n@localhost",
}  # fmt: skip


def body(code: str, setup: str = "    return context") -> str:
    """A scenario whose one variant `naive` does this, of the call `call`; `KEPT` is a list."""
    head, _, _ = SCENARIO.partition("@variant")
    head = head.replace("    return context", setup)
    return f"{head}@variant\ndef naive(state, call):\n    {code}\n"


def project(folder: Path, policy: str = QUICK, /, **scenarios: str) -> Path:
    """A folder with a policy and these scenarios by name; without any, the usual ``made.py``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "leakhunt.toml").write_text(policy)
    for name, text in (scenarios or {"made": SCENARIO}).items():
        (folder / f"{name}.py").write_text(text)
    return folder


def git(folder: Path, *words: str) -> str:
    """What git says in a folder, without anybody's own settings."""
    done = subprocess.run(
        ["git", *words], cwd=folder, env=os.environ | _GIT, capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    return done.stdout.strip()


def commit(folder: Path) -> None:
    """Commit all that is in a folder, which becomes a repository if it is none."""
    if not (folder / ".git").exists():
        git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "a change")


@dataclass(frozen=True)
class Gated:
    """How a gate ended, what it printed, and what its ``gate.json`` says (None: there is none)."""

    code: int
    output: str
    errors: str
    document: Any

    @property
    def answers(self) -> dict[str, str]:
        """The answers by variant."""
        return {f"{v['scenario']}:{v['variant']}": v["answer"] for v in self.document["variants"]}

    @property
    def variant(self) -> Any:
        """The one variant."""
        (found,) = self.document["variants"]
        return found

    @property
    def notes(self) -> list[str]:
        """Its further lines."""
        return [note["text"] for note in self.document["notes"]]

    @property
    def reasons(self) -> str:
        """All reasons, a line each."""
        reasons = [
            reason["text"]
            for each in self.document["variants"]
            for reason in (each["reason"], *(check["reason"] for check in each["checks"]))
        ]
        return "\n".join(reasons)


def command(*arguments: object, out: object = "out", formats: str = "json") -> list[str]:
    """The verb with a folder of its own; ``gate.json`` alone is written at once."""
    words = [*arguments, "--out", out, "--format", formats]
    return [sys.executable, "-m", "leakhunt", "gate", *map(str, words)]


def gate(
    folder: Path,
    *arguments: object,
    out: object = "out",
    formats: str = "json",
    **variables: str,
) -> Gated:
    """Gate in a folder, with these environment variables; nothing ends in a traceback."""
    _, _, _, *words = command(*arguments, out=out, formats=formats)
    done = command_line(words, folder, env=os.environ | variables)
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    file = folder / str(out) / "gate.json"
    document = json.loads(file.read_text()) if file.exists() else None
    if document is not None and done.returncode not in (7, 130):
        assert done.returncode == document["exit_code"]
    return Gated(done.returncode, done.stdout, done.stderr, document)


def in_one_line(done: Gated) -> str:
    """The one line of an error."""
    (line,) = done.errors.splitlines()
    assert line.startswith("leakhunt: ")
    return line
