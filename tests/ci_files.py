"""Running the steps of ``action.yml`` and the job of ``.ci/gitlab.yml`` as a runner would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
_EXPRESSION = re.compile(r"\$\{\{\s*inputs\.([a-z-]+)\s*\}\}")
_PATIENCE_SECONDS = 280


def action() -> Any:
    """The composite action, parsed."""
    return yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))


def gitlab_job() -> Any:
    """The job of the GitLab template, parsed."""
    return yaml.safe_load((ROOT / ".ci" / "gitlab.yml").read_text("utf-8"))[".leakhunt-gate"]


def step(name: str) -> Any:
    """The action's step of that name."""
    (found,) = [each for each in action()["runs"]["steps"] if each["name"] == name]
    return found


@dataclass(frozen=True, slots=True)
class Ran:
    """What a step left: its exit code, its output, and what it told the runner."""

    code: int
    output: str
    outputs: Mapping[str, str]
    summary: str


def run_step(name: str, folder: Path, inputs: Mapping[str, str], path: str = "") -> Ran:
    """Run a step of the action with these inputs, as GitHub's runner does (``shell: bash``).

    `path` goes before the folder in which this Python and its leakhunt are.
    """
    defaults = {key: each["default"] for key, each in action()["inputs"].items()}
    values = {**defaults, **inputs}
    found = step(name)
    sentence = {
        variable: _EXPRESSION.sub(lambda match: values[match[1]], text)
        for variable, text in found["env"].items()
    }
    output, summary = folder.parent / "github-output", folder.parent / "github-summary"
    output.write_text("")
    summary.write_text("")
    script = folder.parent / "step.sh"
    script.write_text(found["run"])
    runner = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_WORKSPACE": str(folder),
    }
    ran = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
        cwd=folder / values["working-directory"],
        env=environment(path) | runner | sentence,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )
    outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
    return Ran(ran.returncode, ran.stdout + ran.stderr, outputs, summary.read_text())


def run_job(folder: Path, variables: Mapping[str, str], path: str = "") -> Ran:
    """Run the GitLab job with these variables, as its runner does: all in one shell."""
    job = gitlab_job()
    script = folder.parent / "job.sh"
    script.write_text("\n".join(["set -eo pipefail", *job["before_script"], *job["script"]]))
    ran = subprocess.run(
        ["bash", str(script)],
        cwd=folder,
        env={**environment(path), **job["variables"], "GITLAB_CI": "true", **variables},
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )
    return Ran(ran.returncode, ran.stdout + ran.stderr, {}, "")


def environment(path: str = "") -> dict[str, str]:
    """This process's, with its own leakhunt and Python first on PATH."""
    folders = [path, str(Path(sys.executable).parent), os.environ["PATH"]]
    return dict(os.environ) | {"PATH": os.pathsep.join(filter(None, folders))}


def recorder(folder: Path, name: str, code: int = 0) -> str:
    """A folder with a command that writes down its arguments, one a line, to ``arguments``."""
    made = folder / name
    made.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{folder}/arguments"\nexit {code}\n')
    made.chmod(0o755)
    return str(folder)
