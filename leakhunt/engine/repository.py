"""What git knows of the repository that is gated: which files it has."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from leakhunt.model.policy import Policy
from leakhunt.reporting.gate.source_lines import Repository


def repository_around(policy: Policy) -> Repository:
    """The repository that the policy's file, or else this folder, is in; its files by git's list.

    Where there is none, or no git, nothing can be pointed to, and answers have no lines.
    """
    file = Path(policy.file).absolute()
    start = file.parent if file.is_file() else Path.cwd()
    root = _git(start, "rev-parse", "--show-toplevel").strip()
    if not root:
        return Repository()
    listed = _git(Path(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    top = Path(root).resolve()
    inside = file.is_file() and file.resolve().is_relative_to(top)
    return Repository(
        files=tuple(name for name in listed.split("\0") if name),
        folder=top.name,
        policy=file.resolve().relative_to(top).as_posix() if inside else "",
        lines=dict(_lines(policy)),
    )


def _lines(policy: Policy) -> Iterator[tuple[str, int]]:
    for each in policy.scenarios:
        _, _, line = each.where.rpartition(":")
        for variant in each.variants if each.names_functions else ():
            yield f"{each.name}:{variant}", int(line)
        if not each.names_functions:
            yield each.name, int(line)


def _git(place: Path, *words: str) -> str:
    """What git says; nothing where there is no git, or no repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(place), *words],  # noqa: S607 - whichever git the user has
            capture_output=True,
            check=False,
        )
    except OSError:
        return ""
    return os.fsdecode(done.stdout) if done.returncode == 0 else ""
