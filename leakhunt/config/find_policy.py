"""Finding the policy of a project: ``leakhunt.toml``, or ``[tool.leakhunt]`` of pyproject.toml."""

from __future__ import annotations

from pathlib import Path

from leakhunt.config.policy_file import has_policy, read_policy
from leakhunt.errors import BadFile, UsageError
from leakhunt.model.policy import Policy
from leakhunt.text.message import message
from leakhunt.text.system import system_text

OWN_FILE = "leakhunt.toml"
PROJECT_FILE = "pyproject.toml"


def find_policy(start: Path) -> Path | None:
    """The nearest file with a policy, in `start` or a folder above it; None: there is none."""
    for folder in (start, *start.parents):
        if (folder / OWN_FILE).is_file():
            return folder / OWN_FILE
        project = folder / PROJECT_FILE
        if project.is_file() and has_policy(read_file(project)):
            return project
    return None


def policy_file(named: Path | None) -> Path:
    """The file that is named, or found from here.

    Raises:
        UsageError: there is none.
    """
    found = named or find_policy(_here())
    if found is None:
        raise UsageError(
            message(
                "policy.none-found",
                "no policy found. Add budgets to [tool.leakhunt] in {project} or to {own},"
                " pass a file with --policy, or judge run files with --max-growth",
                project=PROJECT_FILE,
                own=OWN_FILE,
            )
        )
    return found


def example_table(file: str) -> str:
    """How a table of a scenario is headed in this file."""
    is_project = Path(file).name == PROJECT_FILE
    return "tool.leakhunt.scenarios.NAME" if is_project else "scenarios.NAME"


def load_policy(file: Path) -> Policy:
    """The policy in a file.

    Raises:
        UsageError: there is no such file.
        BadFile: something in it is not as it should be.
    """
    if not file.exists():
        raise UsageError(
            message(
                "policy.file-not-found",
                "--policy {file}: file not found. Check the path",
                file=file,
            )
        )
    return read_policy(read_file(file), shown(file))


def read_file(file: Path) -> bytes:
    """What is in a file.

    Raises:
        BadFile: it cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadFile(
            message(
                "file.cannot-read",
                "{file}: {strerror}. Check the path",
                file=file,
                strerror=system_text(error),
            )
        ) from error


def shown(file: Path) -> str:
    """A path as people name it: from here where it is below, else whole."""
    absolute = file.absolute()
    here = _here()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else file)


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError(
            message(
                "policy.working-directory",
                "working directory: {strerror}. Change to another directory",
                strerror=system_text(error),
            )
        ) from error
