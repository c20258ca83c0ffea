"""Which scenarios of a policy the work tree's changes since HEAD may affect.

A scenario is affected where its file changed, a file of its own folder, or a module of the
repository that it imports, over as many imports as there are. Imports are read, not executed: what
a scenario imports by a computed name is not seen. Where the policy itself changed, all are.
"""

from __future__ import annotations

import ast
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from leakhunt.engine.gate_plan import Job, jobs_of
from leakhunt.errors import MissingRequirement, UsageError
from leakhunt.model.policy import Policy
from leakhunt.text.message import message

_SCENARIO_FILE = "scenario.py"
# Where a repository has its packages.
_SOURCES = ("", "src")


def changed_scenarios(policy: Policy, wanted: Sequence[str]) -> tuple[str, ...]:
    """Those of the scenarios that are `wanted` (none: all) which the changes may affect.

    Raises:
        LeakhuntError: there is no git or no repository, or the policy names what is not there.
    """
    base = Path(policy.file).absolute().parent
    root = _root(base)
    changed = frozenset(_changed_files(root))
    jobs = jobs_of(policy, wanted, base)
    if Path(policy.file).resolve() in changed:
        return tuple(_word(job) for job in jobs)
    return tuple(_word(job) for job in jobs if _is_affected(job, changed, root))


def _word(job: Job) -> str:
    """What names the scenario and its variants, as ``--scenario`` has it."""
    own = job.policy
    variants = () if own.names_functions else own.variants
    return f"{own.target}:{','.join(variants)}" if variants else own.target


def _is_affected(job: Job, changed: frozenset[Path], root: Path) -> bool:
    file = Path(job.settings.scenario.file).resolve()
    if file.name == _SCENARIO_FILE and any(each.is_relative_to(file.parent) for each in changed):
        return True
    return not changed.isdisjoint(_with_imports(file, root))


def _with_imports(file: Path, root: Path) -> set[Path]:
    """A file, and all of the repository that it imports."""
    found: set[Path] = set()
    open_still = [file]
    while open_still:
        each = open_still.pop()
        if each in found:
            continue
        found.add(each)
        open_still += _imports(each, root)
    return found


def _imports(file: Path, root: Path) -> Iterator[Path]:
    """The files of the repository that a file imports itself."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files_of(alias.name.split("."), _places(file, root))
        elif isinstance(node, ast.ImportFrom):
            parts = node.module.split(".") if node.module else []
            places = [file.parents[node.level - 1]] if node.level else _places(file, root)
            for alias in node.names:
                yield from _files_of([*parts, alias.name], places)


def _places(file: Path, root: Path) -> list[Path]:
    return [file.parent, *(root / source for source in _SOURCES)]


def _files_of(parts: Sequence[str], places: Sequence[Path]) -> Iterator[Path]:
    """The files of a module and of the packages that it is in; the last part may be no module."""
    for place in places:
        here = place
        for part in parts:
            here = here / part
            for file in (here.with_name(f"{part}.py"), here / "__init__.py"):
                if file.is_file():
                    yield file.resolve()


def _root(base: Path) -> Path:
    """The repository's folder.

    Raises:
        UsageError: there is none around.
    """
    named = _git(base, "rev-parse", "--show-toplevel")
    if named is None:
        raise UsageError(
            message(
                "gate.changed-needs-git",
                "--changed: {folder} is not in a git repository. Remove --changed",
                folder=str(base),
            )
        )
    return Path(named.strip()).resolve()


def _changed_files(root: Path) -> Iterator[Path]:
    """What differs from HEAD, staged or not, and what git does not know yet."""
    names = _git(root, "diff", "--name-only", "-z", "--no-renames", "HEAD", "--")
    if names is None:  # nothing is committed yet
        names = _git(root, "ls-files", "-z", "--cached")
    new = _git(root, "ls-files", "-z", "--others", "--exclude-standard")
    for name in f"{names or ''}{new or ''}".split("\0"):
        if name:
            yield (root / name).resolve()


def _git(place: Path, *words: str) -> str | None:
    """What git says; None: it refuses.

    Raises:
        MissingRequirement: there is no git.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(place), *words],  # noqa: S607 - whichever git the user has
            capture_output=True,
            check=False,
        )
    except OSError:
        raise MissingRequirement(
            message("gate.changed-without-git", "--changed needs git, which is not installed")
        ) from None
    return os.fsdecode(done.stdout) if done.returncode == 0 else None
