"""A release, from a clean clone: ``make release`` (``python tests/release.py [--tag]``).

1. The version of ``leakhunt/__init__.py`` has a dated heading in CHANGELOG.md, and no tag yet.
2. The sdist is built from the clone and the wheel from the sdist; their metadata is checked.
3. In a bare environment the wheel alone is installed: its version, a null run with its HTML report,
   and the files that must be in it.
4. The sdist is unpacked, installed with what its tests need, and passes its own unit tests.
5. ``--tag``: the commit gets an annotated tag with the section of the changelog. To push it
   publishes the release (``.github/workflows/release.yml``): ``git push origin vVERSION``.

What was built is in ``dist/``.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
NEEDED = (
    "leakhunt/py.typed",
    "leakhunt/reporting/templates/report.html.j2",
    "leakhunt/reporting/templates/third_party/plotly-basic.min.js",
    "leakhunt/locale/zh_CN/LC_MESSAGES/leakhunt.mo",
    "leakhunt/storage/schemas/report.schema.json",
    "leakhunt/scenarios/null/scenario.py",
)


def main() -> int:
    """Build and check; tag where that is asked for. 1: something is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tag", action="store_true", help="tag the commit in the end")
    parser.add_argument("--skip-tests", action="store_true", help="do not run the sdist's tests")
    given = parser.parse_args()
    try:
        version = release_version()
        notes = changes_of((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version)
        if given.tag:
            commit_is_ready(version)
        with tempfile.TemporaryDirectory(prefix="leakhunt-release-") as name:
            folder = Path(name)
            wheel, sdist = built(folder)
            checked_wheel(wheel, version, folder / "bare")
            if not given.skip_tests:
                tested_sdist(sdist, folder / "sdist")
    except (NotReady, subprocess.CalledProcessError) as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    if given.tag:
        ran("git", "tag", "--annotate", f"v{version}", "--message", f"{version}\n\n{notes}")
        print(f"tagged v{version}; publish it with: git push origin v{version}")
    print(f"{wheel.name} and {sdist.name} are in {DIST}")
    return 0


class NotReady(Exception):
    """What keeps this from being a release."""


def release_version() -> str:
    """The version that the package says."""
    text = (ROOT / "leakhunt" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if found is None:
        raise NotReady("leakhunt/__init__.py: __version__ is missing")
    return found[1]


def changes_of(changelog: str, version: str) -> str:
    """The section of a version in the changelog, which has a date.

    Raises:
        NotReady: there is no such section, or it has no date.
    """
    head = rf"^## {re.escape(version)} \((?P<when>[^)\n]+)\)\n(?P<text>.*?)(?=^## |\Z)"
    found = re.search(head, changelog, re.MULTILINE | re.DOTALL)
    if found is None:
        raise NotReady(f"CHANGELOG.md: no section '## {version} (YYYY-MM-DD)'")
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", found["when"]) is None:
        raise NotReady(f"CHANGELOG.md: {version} has no date (got '{found['when']}')")
    return found["text"].strip()


def commit_is_ready(version: str) -> None:
    """Nothing uncommitted, and no such tag.

    Raises:
        NotReady: otherwise.
    """
    if ran("git", "status", "--porcelain"):
        raise NotReady("commit your changes first")
    if ran("git", "tag", "--list", f"v{version}"):
        raise NotReady(f"the tag v{version} exists")


def built(folder: Path) -> tuple[Path, Path]:
    """Wheel and sdist, with metadata that the index accepts."""
    tools = environment(folder / "tools", "build", "twine")
    shutil.rmtree(DIST, ignore_errors=True)
    ran(tools, "-m", "build", "--outdir", DIST, ROOT)
    files = sorted(DIST.iterdir())
    ran(tools, "-m", "twine", "check", "--strict", *files)
    (wheel,) = (file for file in files if file.suffix == ".whl")
    (sdist,) = (file for file in files if file.suffix == ".gz")
    return wheel, sdist


def checked_wheel(wheel: Path, version: str, folder: Path) -> None:
    """Install the wheel and nothing else, measure with it, and look at what it holds.

    Raises:
        NotReady: it says another version, lacks a file, or makes no report.
    """
    with zipfile.ZipFile(wheel) as packed:
        missing = [name for name in NEEDED if name not in packed.namelist()]
    if missing:
        raise NotReady(f"{wheel.name} lacks {', '.join(missing)}")
    python = environment(folder, wheel)
    command = folder / python.parent.name / "leakhunt"
    if version not in (told := ran(command, "--version", within=folder)):
        raise NotReady(f"{wheel.name} says {told!r}, not {version}")
    ran(command, "run", "null", "--out", "out", within=folder)
    if b"plotly" not in (folder / "out" / "report.html").read_bytes():
        raise NotReady("the HTML report has no curves")


def tested_sdist(sdist: Path, folder: Path) -> None:
    """Unpack the sdist, install it with what its tests need, and run its unit tests."""
    with tarfile.open(sdist) as packed:
        packed.extractall(folder, filter="data")
    (sources,) = folder.iterdir()
    python = environment(folder / "environment", f"{sources}[soak,frames,dev]")
    words = ("-m", "pytest", "-q", "-m", "not long", "-p", "no:cacheprovider")
    ran(python, *words, "tests/unit", "tests/test_architecture.py", within=sources)


def environment(folder: Path, *requirements: object) -> Path:
    """The Python of a fresh environment with these requirements."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    ran(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements)
    return python


def ran(*words: object, within: Path = ROOT) -> str:
    """What a command prints; it is shown when it fails.

    Raises:
        CalledProcessError: it fails.
    """
    ended = subprocess.run(
        list(map(str, words)), cwd=within, stdout=subprocess.PIPE, text=True, check=False
    )
    if ended.returncode:
        print(ended.stdout[-4000:], file=sys.stderr)
        ended.check_returncode()
    return ended.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
