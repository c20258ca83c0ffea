"""Environments for versions of packages: built with uv, kept, and keyed by what is in them.

What is named is installed into an environment of its own. With `isolated`, all it needs is as well;
else it is laid over the packages that are here, so that nothing but what is named is another. An
environment is built beside its place and renamed: half of one is never used.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import leakhunt
from leakhunt.errors import CannotWrite, MissingRequirement
from leakhunt.text.message import message
from leakhunt.text.system import system_text

# Where environments are kept; and what to use instead of the user's own cache.
CACHE_VARIABLE = "LEAKHUNT_CACHE"
# An environment is built in less than this, or not at all.
_SECONDS = 1800
_LONGEST_REASON = 300
_DISTRIBUTION = "leakhunt-ml"
# Requirements of what is laid over may need others: so many rounds until none is missing.
_MAX_ROUNDS = 4


class NotInstalled(MissingRequirement):
    """Some packages cannot be installed together, or not on this Python."""


@dataclass(frozen=True, slots=True)
class PackageSet:
    """What an environment has: `requirements` as pip writes them, on `python` (empty: this one)."""

    requirements: tuple[str, ...] = ()
    python: str = ""
    isolated: bool = False
    extra: str = ""

    @property
    def is_here(self) -> bool:
        """Whether it is what is installed here."""
        return not (self.requirements or self.python or self.isolated)

    @property
    def is_alone(self) -> bool:
        """Whether nothing of what is installed here can be used."""
        return self.isolated or bool(self.python)

    @property
    def key(self) -> str:
        """Its name in the cache."""
        facts = [
            sorted(self.requirements),
            self.python or sys.version,
            "" if self.is_alone else sys.prefix,
            self.extra if self.is_alone else "",
            str(Path(leakhunt.__file__).parent),
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:20]


HERE = PackageSet()


def cache_folder() -> Path:
    """Where environments are kept."""
    own = os.environ.get(CACHE_VARIABLE)
    base = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (base if own else base / "leakhunt") / "environments"


def is_built(packages: PackageSet) -> bool:
    """Whether it is in the cache."""
    return packages.is_here or _python_of(cache_folder() / packages.key).exists()


def interpreter_of(packages: PackageSet) -> str:
    """The Python of an environment with these packages; it is built where it is not there yet.

    Raises:
        NotInstalled: they cannot be installed; the reason is uv's.
        MissingRequirement: there is no uv.
        CannotWrite: the disk does not take it.
    """
    if packages.is_here:
        return sys.executable
    place = cache_folder() / packages.key
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with _alone(place):
            if not _python_of(place).exists():
                _build_beside(place, packages)
    except OSError as error:
        raise CannotWrite(
            message(
                "environment.cannot-write",
                "{place}: {strerror}. Choose another place with {variable}",
                place=place,
                strerror=system_text(error),
                variable=CACHE_VARIABLE,
            )
        ) from error
    return str(_python_of(place))


def uv_command() -> list[str]:
    """How uv is called.

    Raises:
        MissingRequirement: it is not installed.
    """
    beside = Path(sysconfig.get_path("scripts")) / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise MissingRequirement(
            message(
                "environment.no-uv",
                "versions of packages need uv. Install with: pip install 'leakhunt-ml[matrix]'",
            )
        )
    return [found]


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """One process at a time builds an environment; a killed one leaves no lock."""
    with place.with_suffix(".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _python_of(place: Path) -> Path:
    return place / "bin" / "python"


def _build_beside(place: Path, packages: PackageSet) -> None:
    shutil.rmtree(place, ignore_errors=True)
    # A virtual environment knows its own place, which is that of its interpreter's link only.
    fresh = Path(tempfile.mkdtemp(prefix=f".{packages.key}-", dir=place.parent))
    try:
        _build(fresh / "e", packages)
        (fresh / "e").rename(place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _build(folder: Path, packages: PackageSet) -> None:
    uv = uv_command()
    python = packages.python or sys.executable
    _run([*uv, "venv", "--no-python-downloads", "--relocatable", "--python", python, str(folder)])
    (site,) = (folder / "lib").glob("python*/site-packages")
    install = [*uv, "pip", "install", "--python", str(_python_of(folder))]
    if packages.is_alone:
        _run([*install, *packages.requirements, *_own_requirements(packages.extra)])
    else:
        if packages.requirements:
            _run([*install, "--no-deps", *packages.requirements])
        _add_what_is_missing(install, site)
    _show_leakhunt(site, [] if packages.is_alone else _places_here())


def _show_leakhunt(site: Path, places: Sequence[str]) -> None:
    """Let the environment import what is in `places`, and then this leakhunt."""
    package = Path(leakhunt.__file__).resolve().parent
    own = package.parent
    if not places and str(own) in _places_here():  # nothing else of what is there
        own = site.parent / "leakhunt-link"
        own.mkdir()
        (own / "leakhunt").symlink_to(package)
    lines = [*(f"import site; site.addsitedir({each!r})" for each in places), str(own)]
    (site / "leakhunt-base.pth").write_text("\n".join(lines) + "\n", "utf-8")


def _places_here() -> list[str]:
    """Where the packages of this interpreter are."""
    paths = (sysconfig.get_path(name) for name in ("purelib", "platlib"))
    return list(dict.fromkeys(path for path in paths if path))


def _add_what_is_missing(install: Sequence[str], site: Path) -> None:
    """Install what the packages that are laid over need and neither they nor this Python have."""
    for _ in range(_MAX_ROUNDS):
        wanted = sorted(_unmet(site))
        if not wanted:
            return
        _run([*install, "--no-deps", *wanted])


def _unmet(site: Path) -> Iterator[str]:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    here = {
        canonicalize_name(each.metadata["Name"]): each.version
        for place in (*_places_here(), str(site))
        for each in metadata.distributions(path=[place])
        if each.metadata["Name"]
    }
    for each in metadata.distributions(path=[str(site)]):
        for line in each.requires or ():
            try:
                wanted = Requirement(line)
            except InvalidRequirement:
                continue
            if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
                continue
            version = here.get(canonicalize_name(wanted.name))
            if version is None or not wanted.specifier.contains(version, prereleases=True):
                yield f"{wanted.name}{wanted.specifier}"


def _own_requirements(extra: str) -> list[str]:
    """What leakhunt needs, and what the scenario's extra does, in an environment of its own."""
    from packaging.requirements import Requirement

    try:
        lines = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        lines = []
    wanted = []
    for line in lines:
        each = Requirement(line)
        marker = each.marker
        if marker is None or any(marker.evaluate({"extra": name}) for name in {"", extra}):
            each.marker = None
            wanted.append(str(each))
    return wanted


def _run(words: Sequence[str]) -> None:
    """Run uv.

    Raises:
        NotInstalled: it fails.
    """
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=_SECONDS, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(
            message(
                "environment.too-long",
                "not installed within {seconds} s",
                seconds=_SECONDS,
            )
        ) from error
    if done.returncode:
        raise NotInstalled(reason_in(done.stderr))


def reason_in(output: str) -> str:
    """What went wrong, in a line, from what uv printed."""
    lines = [" ".join(line.split()) for line in output.splitlines() if line.strip()]
    causes = [line for line in lines if line.lower().startswith(("cause:", "error:"))]
    named = [line.partition(":")[2].strip() for line in causes]
    reason = named[-1] if named else (lines[-1] if lines else "no reason given")
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[: _LONGEST_REASON - 3]}..."
