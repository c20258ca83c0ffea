"""The test suites of published packages, each test repeated: ``reports/truth/suites.json``.

    python tests/truth/suites.py
    python tests/truth/suites.py mmh3 ujson      # these anew, the others as they were

The packages and their versions are in ``suites.toml``. The tests are those of the version's sdist,
as they are; the package is installed from its wheel, into a folder of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import leakhunt
from leakhunt.environment import describe_environment
from leakhunt.model.suite import SuiteStatus

PACKAGES = Path(__file__).with_suffix(".toml")
DATA = Path(__file__).parents[2] / "reports" / "truth" / "suites.json"
BUDGET = "10s"
TIMEOUT_SECONDS = 3 * 3600


@dataclass(frozen=True, slots=True)
class SuitePackage:
    """A package: `tests` are folders of its sdist, `files` what pytest is given of them.

    `leaks_still` fits the tests of the fixed version that leak for another reason.
    """

    name: str
    leaking: str
    fixed: str
    found: str
    link: str
    tests: tuple[str, ...]
    files: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    leaks_still: str = ""


@dataclass(frozen=True, slots=True)
class SuiteRow:
    """What repeating the tests of a version came to.

    `leaks` has a row for each test that leaks: the test, the series, the rate, the suspect.
    `below` are those that grow below the tolerance, `other` those that could not be repeated.
    """

    package: str
    version: str
    leaks_known: bool
    tests: int = 0
    clean: int = 0
    leaks: tuple[dict[str, Any], ...] = ()
    inconclusive: tuple[dict[str, Any], ...] = ()
    other: tuple[dict[str, Any], ...] = ()
    below: tuple[dict[str, Any], ...] = ()
    failed: int = 0
    seconds: float = 0.0
    why: str = field(default="")


def packages() -> list[SuitePackage]:
    """The list."""
    told = tomllib.loads(PACKAGES.read_text(encoding="utf-8"))["package"]
    lists = ("tests", "files", "also")
    return [
        SuitePackage(**each | {name: tuple(each.get(name, ())) for name in lists}) for each in told
    ]


def repeated(package: SuitePackage, version: str) -> SuiteRow:
    """Install a version and repeat its tests; what failed is a row as well."""
    row = SuiteRow(package.name, version, version == package.leaking)
    with tempfile.TemporaryDirectory(prefix="leakhunt-suites-") as name:
        folder = Path(name)
        try:
            wanted = (f"{package.name}=={version}", *package.also)
            _run([*_INSTALL, "--target", str(folder / "installed"), *wanted], folder)
            _tests_of(package, version, folder)
            begun = time.monotonic()
            words = [*_PYTEST, *(package.files or package.tests)]
            done = _run(words, folder / "suite", is_checked=False)
            seconds = round(time.monotonic() - begun, 1)
            suite = json.loads((folder / "suite" / "out.json").read_bytes())
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            output = getattr(error, "stderr", "") or ""
            return replace(row, why=(str(output).splitlines() or [str(error)])[-1])
    if not suite["tests"]:
        return replace(row, why=(done.splitlines() or ["no test was run"])[-1])
    failed = sum(" FAILED" in line or line.startswith("FAILED") for line in done.splitlines())
    made = row_of(row, suite["tests"])
    return replace(made, seconds=seconds, failed=failed - len(made.leaks))


def row_of(row: SuiteRow, tests: Sequence[dict[str, Any]]) -> SuiteRow:
    """The row with what is in the suite's JSON file."""

    def having(status: SuiteStatus) -> list[dict[str, Any]]:
        return [each for each in tests if each["status"] == status.value]

    def reasons(status: SuiteStatus) -> tuple[dict[str, Any], ...]:
        return tuple(
            {"test": each["test"], "reason": _text(each["reason"])} for each in having(status)
        )

    return replace(
        row,
        tests=len(tests),
        clean=len(having(SuiteStatus.NO_LEAK)),
        leaks=tuple(
            {
                "test": each["test"],
                "series": each["series"],
                "rate": each["rate"],
                "suspect": _text(each["suspect"]),
                "seconds": round(each["seconds"], 1),
            }
            for each in having(SuiteStatus.LEAK)
        ),
        inconclusive=reasons(SuiteStatus.INCONCLUSIVE),
        other=reasons(SuiteStatus.NOT_REPEATED),
        below=tuple(
            {"test": each["test"], "rate": each["rate"]}
            for each in having(SuiteStatus.BELOW_TOLERANCE)
        ),
    )


def _text(value: Any) -> str:
    return str(value["text"] if isinstance(value, dict) else value)


def _tests_of(package: SuitePackage, version: str, folder: Path) -> None:
    """The tests of the sdist alone: its sources would be imported in place of what is installed."""
    _run([*_DOWNLOAD, "--dest", str(folder), f"{package.name}=={version}"], folder)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder / "sdist", filter="data")
    (root,) = (folder / "sdist").iterdir()
    for each in package.tests:
        shutil.copytree(root / each, folder / "suite" / each)
    (folder / "suite" / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")


_PIP = (sys.executable, "-m", "pip")
_QUIET = ("--quiet", "--disable-pip-version-check")
_INSTALL = (*_PIP, "install", *_QUIET, "--only-binary", ":all:")
_DOWNLOAD = (*_PIP, "download", *_QUIET, "--no-deps", "--no-binary", ":all:")
_PYTEST = (
    *(sys.executable, "-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider"),
    *(f"--leakhunt-all={BUDGET}", "--leakhunt-json=out.json"),
)


def _run(words: Sequence[str], folder: Path, is_checked: bool = True) -> str:
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder.parent / "installed")},
        capture_output=True,
        text=True,
        check=is_checked,
        timeout=TIMEOUT_SECONDS,
    )
    return done.stdout


def figures(rows: Sequence[SuiteRow]) -> dict[str, Any]:
    """What it comes to: a test of the fixed version that leaks is a false alarm, unless known."""
    still = {each.name: each.leaks_still for each in packages()}
    leaking = [each for each in rows if each.leaks_known]
    fixed = [each for each in rows if not each.leaks_known]
    return {
        "leaking": len(leaking),
        "found": sum(bool(each.leaks) for each in leaking),
        "found_below_tolerance": sum(not each.leaks and bool(each.below) for each in leaking),
        "below_tolerance_of_fixed": sum(len(each.below) for each in fixed),
        "fixed": len(fixed),
        "tests_of_fixed": sum(each.tests for each in fixed),
        "leaks_still": sum(
            _known(still[each.package], leak) for each in fixed for leak in each.leaks
        ),
        "false_alarms": sum(
            not _known(still[each.package], leak) for each in fixed for leak in each.leaks
        ),
        "tests": sum(each.tests for each in rows),
        "not_repeated": sum(len(each.other) for each in rows),
        "inconclusive": sum(len(each.inconclusive) for each in rows),
        "seconds": round(sum(each.seconds for each in rows), 1),
    }


def _known(pattern: str, leak: dict[str, Any]) -> bool:
    return bool(pattern) and re.search(pattern, leak["test"]) is not None


def before() -> list[SuiteRow]:
    """The rows of the data as it is."""
    told = json.loads(DATA.read_bytes())["suites"] if DATA.exists() else []
    lists = ("leaks", "inconclusive", "other", "below")
    return [SuiteRow(**row | {name: tuple(row.get(name, ())) for name in lists}) for row in told]


def written(new: Sequence[SuiteRow]) -> dict[str, Any]:
    """Write the data with these rows in it, and tell what it comes to."""
    rows = {(row.package, row.version): row for row in (*before(), *new)}
    listed = [(each.name, version) for each in packages() for version in (each.leaking, each.fixed)]
    kept = [rows[key] for key in listed if key in rows]
    facts = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "leakhunt": leakhunt.__version__,
        "budget": BUDGET,
        **describe_environment(os.environ),
    }
    body = ",\n".join(json.dumps(asdict(each), ensure_ascii=False) for each in kept)
    head = f'"facts": {json.dumps(facts)}, "figures": {json.dumps(figures(kept))}'
    DATA.write_text(f'{{{head}, "suites": [\n{body}\n]}}\n', encoding="utf-8")
    return figures(kept)


def main() -> int:
    """Repeat the tests of all of them, or of those named, and write the data after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", help="names; default: all")
    names = parser.parse_args().packages
    new: list[SuiteRow] = []
    for package in packages():
        if names and package.name not in names:
            continue
        for version in (package.leaking, package.fixed):
            new.append(repeated(package, version))
            print(json.dumps(asdict(new[-1]), ensure_ascii=False), flush=True)
            print(written(new), flush=True)
    return int(any(each.why for each in new))


if __name__ == "__main__":
    sys.exit(main())
