"""Another revision of the user's repository, checked out beside it, and how workers import it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from leakhunt.errors import MissingRequirement, UsageError
from leakhunt.text.message import message

# Where packages stand in a repository, for those that are installed by an import hook.
_USUAL_PLACES = ("src", ".")
_SHA256_DIGITS = 64


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision that is checked out: `name` as it was asked for, `commit` whole, and `place`.

    `repository` is the top of the user's own working tree, which stays as it is.
    """

    name: str
    commit: str
    repository: Path
    place: Path

    def counterpart(self, path: Path) -> Path:
        """Where a file of the working tree is in this revision.

        Raises:
            UsageError: it is outside of the repository.
        """
        try:
            return self.place / path.resolve().relative_to(self.repository)
        except ValueError:
            raise UsageError(
                message(
                    "against.outside-repository",
                    "--against {name}: {path} is outside of the repository {repository}",
                    name=self.name,
                    path=path,
                    repository=self.repository,
                )
            ) from None

    def variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What makes a worker import this revision's packages before the installed ones."""
        given = [part for part in environment.get("PYTHONPATH", "").split(os.pathsep) if part]
        places = [*given, *sys.path, *(str(self.repository / each) for each in _USUAL_PLACES)]
        mapped = dict.fromkeys(str(each) for each in self._mapped(places))
        return {"PYTHONPATH": os.pathsep.join([*mapped, *given])}

    def _mapped(self, places: Iterable[str]) -> Iterator[Path]:
        """Those places that the revision has too: a virtual environment inside it is not."""
        for place in places:
            path = Path(place).resolve()
            if path.is_relative_to(self.repository):
                here = self.place / path.relative_to(self.repository)
                if here.is_dir():
                    yield here


@contextmanager
def checked_out(name: str, within: Path, folder: Path) -> Iterator[Revision]:
    """The revision `name` of the repository around `within`, in the new folder `folder`.

    A repository of its own that borrows the objects, not a work tree of git's: nothing of it is
    noted in the user's, where it would stay behind if this process were killed. Not a clone, which
    borrows nothing of a shallow repository, as CI checks them out.

    Raises:
        MissingRequirement: there is no git.
        UsageError: no repository, no such revision, or it cannot be checked out.
    """
    repository = Path(_git(within, name, "rev-parse", "--show-toplevel"))
    commit = _commit(name, repository)
    # Seen from there; absolute only if it is asked for, which a git of 2020 does not understand.
    common = repository / _git(repository, name, "rev-parse", "--git-common-dir")
    folder.mkdir(parents=True)
    # Two kinds of hashes do not go together; an older git does not know the option.
    kind = ["--object-format=sha256"] if len(commit) == _SHA256_DIGITS else []
    _git(folder, name, "init", "--quiet", *kind)
    borrowed = folder / ".git" / "objects" / "info" / "alternates"
    borrowed.write_bytes(os.fsencode(common.resolve() / "objects") + b"\n")
    if (common / "shallow").exists():
        shutil.copy(common / "shallow", folder / ".git" / "shallow")
    _git(folder, name, "checkout", "--quiet", "--detach", commit)
    yield Revision(name, commit, repository.resolve(), folder.resolve())


def _commit(name: str, repository: Path) -> str:
    """The commit that a branch, a tag or a hash names; a branch may be the remote's only."""
    for candidate in (name, f"origin/{name}"):
        done = _run(repository, "rev-parse", "--verify", "--quiet", f"{candidate}^{{commit}}", "--")
        # Of what a name excludes, as in ^main, git says it with that sign.
        if done.returncode == 0 and _text(done.stdout).isalnum():
            return _text(done.stdout)
    raise UsageError(
        message(
            "against.no-such-revision",
            "--against {name}: revision not found. In CI, fetch it first (git fetch --depth=1"
            " origin {name}:{name})",
            name=" ".join(name.split()),
        )
    )


def _git(place: Path, name: str, *words: str) -> str:
    done = _run(place, *words)
    if done.returncode != 0:
        output = (_text(done.stderr) or _text(done.stdout)).splitlines()
        raise UsageError(
            message(
                "against.git-failed",
                "--against {name}: {told}",
                name=name,
                told=output[-1].strip() if output else words[0],
            )
        )
    return _text(done.stdout)


def _text(output: bytes) -> str:
    """What git says, of which a path may be in no encoding at all."""
    return os.fsdecode(output).strip()


def _run(place: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    # A hook of git's own sets these, and they would win over the place.
    variables = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        return subprocess.run(
            ["git", "-C", str(place), *words],  # noqa: S607 - whichever git the user has
            capture_output=True,
            check=False,
            env=variables,
        )
    except OSError:
        raise MissingRequirement(
            message("against.no-git", "--against needs git. Install git")
        ) from None
