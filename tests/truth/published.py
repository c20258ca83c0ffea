"""Leaks of published packages, hunted unaided: this writes ``reports/truth/published.json``.

    python tests/truth/published.py
    python tests/truth/published.py multidict cbor2      # these anew, the others as they were

The packages, their versions and workloads are in ``leakhunt/config/published_leaks.toml``, which is
the list of ``leakhunt benchmark`` too. Each version is installed into a folder of its own, outside
the repository, and its workload is hunted as `leakhunt hunt` does by default.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
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
from leakhunt.model.attribution import Origin
from leakhunt.model.verdict import Status

PACKAGES = Path(leakhunt.__file__).parent / "config" / "published_leaks.toml"
DATA = Path(__file__).parents[2] / "reports" / "truth" / "published.json"
TIMEOUT_SECONDS = 600
NO_VERDICT = "no verdict"
# What a first suspect may be.
RESULTS = {
    "named": "the function",
    "package": "the package",
    "in_stack": "the caller, the function in its stack",
    "caller": "the caller",
    "unnamed": "nothing",
    "nobody": "no suspect",
    "missed": "no leak found",
}
_FILE, _FUNCTION = "workload.py", "call"


@dataclass(frozen=True, slots=True)
class Package:
    """A package: `leak` is where the leaking version leaks, by `link`; `found` names it."""

    name: str
    leaking: str
    fixed: str
    leak: str
    found: str
    link: str
    workload: str
    also: tuple[str, ...] = ()
    kind: str = ""


@dataclass(frozen=True, slots=True)
class HuntOfPackage:
    """What a hunt of one version says. `whose` is the first suspect's distribution or origin.

    `share` is that of the first suspect, `named` whether it is the function that loses it or
    allocates what is lost, and `in_stack` whether that stands in its stack.
    """

    package: str
    version: str
    leaks: bool
    status: str
    kind: str
    suspects: int = 0
    first: str = ""
    whose: str = ""
    share: float | None = None
    named: bool = False
    in_stack: bool = False
    seconds: float = 0.0
    why: str = ""
    instruments: tuple[str, ...] = field(default=())

    @property
    def is_right(self) -> bool:
        """The leak is found, and the version without it has none and no suspect."""
        if self.leaks:
            return self.status == Status.LEAK.value and self.suspects > 0
        return self.status != Status.LEAK.value and not self.suspects


def packages() -> list[Package]:
    """The list."""
    told = tomllib.loads(PACKAGES.read_text(encoding="utf-8"))["package"]
    return [Package(**{**each, "also": tuple(each.get("also", ()))}) for each in told]


def row_of(report: dict[str, Any], package: Package, version: str, seconds: float) -> HuntOfPackage:
    """The row of a report."""
    (run,) = (each for each in report["runs"] if each["plan"]["role"] == "measure")
    suspects = (run["attribution"] or {"suspects": []})["suspects"]
    row = HuntOfPackage(
        package.name,
        version,
        leaks=version == package.leaking,
        status=run["status"],
        kind=run["kind"],
        suspects=len(suspects),
        seconds=round(seconds, 1),
    )
    return replace(row, **_first(suspects[0], package)) if suspects else row


def _first(suspect: dict[str, Any], package: Package) -> dict[str, Any]:
    title = suspect["title"]["text"]
    owner = suspect["distribution"]
    functions = "\n".join(f"{each['function']} {each['file']}" for each in suspect["stack"])
    return {
        "first": title,
        "whose": f"{owner['name']} {owner['version']}" if owner else suspect["origin"],
        "share": suspect["share"],
        "named": re.search(package.found, title) is not None,
        "in_stack": re.search(package.found, functions) is not None,
        "instruments": tuple(suspect["instruments"]),
    }


def hunted(package: Package, version: str) -> HuntOfPackage:
    """Install a version and hunt its workload; what failed is a row as well, and no right one."""
    leaks = version == package.leaking
    failed = HuntOfPackage(package.name, version, leaks, NO_VERDICT, NO_VERDICT)
    with tempfile.TemporaryDirectory(prefix="leakhunt-published-") as name:
        folder = Path(name)
        (folder / _FILE).write_text(package.workload.lstrip(), encoding="utf-8")
        try:
            wanted = (f"{package.name}=={version}", *package.also)
            _run([*_PIP, "--target", str(folder / "installed"), *wanted], folder)
            begun = time.monotonic()
            _run([*_HUNT, f"{_FILE}:{_FUNCTION}", "--out", "out"], folder)
        except (OSError, subprocess.SubprocessError) as error:
            output = getattr(error, "stderr", "") or ""
            return replace(failed, why=(str(output).splitlines() or [str(error)])[-1])
        seconds = time.monotonic() - begun
        report = json.loads((folder / "out" / "report.json").read_bytes())
        return row_of(report, package, version, seconds)


_PIP = (
    *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
    *("--no-deps", "--only-binary", ":all:"),
)
_HUNT = (sys.executable, "-m", "leakhunt", "hunt", "--format", "json")


def _run(words: Sequence[str], folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(folder / "installed")}
    subprocess.run(
        words,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT_SECONDS,
    )


def figures(rows: Sequence[HuntOfPackage]) -> dict[str, Any]:
    """What the hunts come to."""
    leaking = [each for each in rows if each.leaks]
    fixed = [each for each in rows if not each.leaks]
    return {
        "leaking": len(leaking),
        "found": sum(each.is_right for each in leaking),
        "named": sum(each.is_right and each.named for each in leaking),
        "of_the_package": sum(
            each.is_right and is_of(each.whose, each.package, each.version) for each in leaking
        ),
        "fixed": len(fixed),
        "without_suspect": sum(each.is_right for each in fixed),
    }


def is_of(whose: str, package: str, version: str) -> bool:
    """Whether an owner is this version, however it spells its name: ``Pillow``, ``a_b``."""
    name, _, of_version = whose.partition(" ")
    return re.sub(r"[-_.]+", "-", name).lower() == package and of_version == version


def result_of(row: dict[str, Any]) -> str:
    """How near the first suspect of a leaking version comes: a key of `RESULTS`."""
    if row["status"] != Status.LEAK.value or not row["suspects"]:
        return "nobody" if row["status"] == Status.LEAK.value else "missed"
    if row["named"]:
        return "named"
    if is_of(row["whose"], row["package"], row["version"]):
        return "package"
    if row["whose"] != Origin.YOURS.value:
        return "unnamed"
    return "in_stack" if row["in_stack"] else "caller"


def hunts(package: Package) -> list[HuntOfPackage]:
    """Both versions of a package, one after the other; each is shown as it ends."""
    rows = [hunted(package, version) for version in (package.leaking, package.fixed)]
    for row in rows:
        mark = "" if row.is_right else "?"
        print(f"{mark:2}{json.dumps(asdict(row), ensure_ascii=False)}", flush=True)
    return rows


def before() -> list[HuntOfPackage]:
    """The rows of the data as it is."""
    told = json.loads(DATA.read_bytes())["hunts"] if DATA.exists() else []
    return [HuntOfPackage(**{**row, "instruments": tuple(row["instruments"])}) for row in told]


def written(new: Sequence[HuntOfPackage]) -> dict[str, Any]:
    """Write the data with these rows in it, and tell what it comes to."""
    rows = {(row.package, row.version): row for row in (*before(), *new)}
    listed = [(each.name, version) for each in packages() for version in (each.leaking, each.fixed)]
    kept = [rows[key] for key in listed if key in rows]
    came_to = figures(kept)
    facts = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "leakhunt": leakhunt.__version__,
        **describe_environment(os.environ),
    }
    body = ",\n".join(json.dumps(asdict(each), ensure_ascii=False) for each in kept)
    head = f'"facts": {json.dumps(facts)}, "figures": {json.dumps(came_to)}'
    DATA.write_text(f'{{{head}, "hunts": [\n{body}\n]}}\n', encoding="utf-8")
    return came_to


def main() -> int:
    """Hunt all of them, or those that are named, and write the data after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", help="names; default: all")
    names = parser.parse_args().packages
    new: list[HuntOfPackage] = []
    for package in packages():
        if not names or package.name in names:
            new += hunts(package)
            print(written(new), flush=True)
    return int(any(not each.is_right for each in new))


if __name__ == "__main__":
    sys.exit(main())
