"""Checks leakhunt on the interpreter that runs this, and writes what was measured.

``PYTHON check_python.py --out FILE [--only unit,null,zoo,soak,verbs] [--strict]``: the unit tests,
the null run, the leak zoo with its hunts, a soak of a service that leaks and of one that does not,
and the other verbs (`verbs.py`; one alone: ``--only attach``). Each step is a process of its own;
what it finds is written as soon as it is known. A step that needs what is not installed says so in
its place.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import shlex
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import verbs

from leakhunt import __version__
from leakhunt.analysis.evaluation import score
from leakhunt.probes.allocator import python_allocator, serving
from leakhunt.reporting.evaluation.tables import from_json

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "tests" / "integration" / "soak" / "small_service.py"
FAMILIES = ("bounded", "native", "python-heap", "resources", "services")
MORE_FAMILIES = {
    "services-tasks": "cachetools",
    "services-web": "cachetools",
    "torch-cpu": "torch",
}
REQUESTS = 3000
VERBS = "verbs"
LEAKHUNT = (sys.executable, "-m", "leakhunt")


def main() -> int:
    """Take the steps that are asked for, and keep what the others found before.

    1 with ``--strict``: something of it is not as it must be.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default=",".join((*STEPS, VERBS)), help="steps [default: all]")
    parser.add_argument("--jobs", default="1", help="workloads of the zoo side by side")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a step is not right")
    given = parser.parse_args()
    found: dict[str, Any] = json.loads(given.out.read_text()) if given.out.is_file() else {}
    found["facts"] = facts()
    wrong = []
    for name in named(given.only):
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="leakhunt-pythons-") as folder:
            if name in verbs.CHECKS:
                result = verbs.checked(name, Path(folder) / "check")
                found.setdefault(VERBS, {})[name] = result
            else:
                result = found[name] = STEPS[name](Path(folder), given.jobs)
        result["seconds"] = round(time.monotonic() - started)
        given.out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        print(name, result, flush=True)
        if not is_right(name, result):
            wrong.append(name)
    if wrong:
        print(f"not right: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong and given.strict else 0


def named(steps: str) -> list[str]:
    """The steps of a list; ``verbs`` are all of those."""
    found: list[str] = []
    for name in steps.split(","):
        found += verbs.CHECKS if name == VERBS else [name]
    return found


def is_right(name: str, found: dict[str, Any]) -> bool:
    """Whether a step found what it must: nothing fails, every leak is found, nothing else."""
    if "not_run" in found:
        return False
    if name in verbs.CHECKS:
        return bool(found["is_right"])
    if name == "unit":
        return bool(found["failed"] == 0)
    if name == "null":
        return bool(found["bytes_per_call"] in (0, None))
    if name == "zoo":
        missed = (found["leaks"] - found["found"]) + (found["hunts"] - found["named"])
        return int(missed + found["false_alarms"]) == 0
    return bool(found["keeps"]["status"] == "leak" and found["answers"]["status"] == "no_leak")


def facts() -> dict[str, str]:
    """What was checked: the interpreter, its allocators, the C library."""
    nogil = " free-threaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    system = platform.freedesktop_os_release()["PRETTY_NAME"] if sys.platform == "linux" else ""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}{nogil}",
        "leakhunt": __version__,
        "system": system or platform.platform(),
        "machine": platform.machine(),
        "malloc": str(serving()),
        "python_memory": python_allocator(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def unit(folder: Path, jobs: str) -> dict[str, Any]:
    """The unit tests: passed, failed, skipped."""
    result = folder / "unit.xml"
    words = ["-q", "-p", "no:cacheprovider", "-m", "not long", f"--junitxml={result}"]
    workers = ["-n", jobs] if jobs != "1" else []
    ended = ran(sys.executable, "-m", "pytest", *words, *workers, "tests/unit", folder=ROOT)
    if not result.is_file():
        return {"not_run": ended.stderr.strip()[-300:] or ended.stdout.strip()[-300:]}
    (suite,) = ElementTree.parse(result).getroot().iter("testsuite")  # noqa: S314 - our own
    numbers = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    failed = numbers["failures"] + numbers["errors"]
    return {
        "passed": numbers["tests"] - failed - numbers["skipped"],
        "failed": failed,
        "skipped": numbers["skipped"],
        "failures": [
            f"{case.get('classname')}::{case.get('name')}"[:200]
            for case in suite.iter("testcase")
            if case.find("failure") is not None or case.find("error") is not None
        ],
    }


def null(folder: Path, jobs: str) -> dict[str, Any]:
    """What an empty call retains: bytes of the live heap and blocks of Python's, a call."""
    ended = ran(*LEAKHUNT, "run", "null", "--format", "json", "--out", "out", folder=folder)
    if ended.returncode:
        return {"not_run": ended.stderr.strip()[-300:]}
    (run,) = json.loads((folder / "out" / "report.json").read_text())["runs"]
    trends = run["trends"]
    return {
        "status": run["status"],
        "calls": run["calls_done"],
        "bytes_per_call": trends["live_heap"]["rate"] if "live_heap" in trends else None,
        "blocks_per_call": trends["python_blocks"]["rate"] if "python_blocks" in trends else None,
    }


def zoo(folder: Path, jobs: str) -> dict[str, Any]:
    """The leak zoo with its hunts: what was found, what was right, and what was not."""
    missing = sorted({needs for needs in MORE_FAMILIES.values() if not is_there(needs)})
    more = [family for family, needs in MORE_FAMILIES.items() if needs not in missing]
    names = [f"leak-zoo-{family}" for family in (*FAMILIES, *more)]
    out = folder / "zoo.json"
    words = ("truth", *names, "--hunt", "--jobs", jobs, "--out", str(out))
    ended = ran(*LEAKHUNT, *words, folder=folder)
    if not out.is_file():
        return {"not_run": ended.stderr.strip()[-300:]}
    trials = from_json(out.read_bytes())
    total = score(trials)
    hunted = [each for each in trials if each.hunted is not None and each.leaks]
    named = [each for each in hunted if each.hunted is not None and each.hunted.is_right]
    lines = (line for line in ended.stdout.splitlines() if line.startswith("wrong: "))
    return {
        "leaks": total.leaking_runs,
        "found": total.found,
        "clean": total.clean_runs,
        "false_alarms": total.false_alarms,
        "hunts": len(hunted),
        "named": len(named),
        "missing": missing,
        "failures": [line.removeprefix("wrong: ")[:300] for line in lines],
    }


def soak(folder: Path, jobs: str) -> dict[str, Any]:
    """A service that keeps 100 kB a request, and one that keeps nothing: the verdicts."""
    if not is_there("locust"):
        return {"not_run": "locust is not installed"}
    recordings = folder / "recordings"
    recordings.mkdir()
    for name in ("a", "b"):
        (recordings / f"{name}.wav").write_bytes(os.urandom(2000))
    verdicts = {}
    for mode in ("keeps", "answers"):
        command = shlex.join([sys.executable, str(SERVICE), "{port}", mode])
        load = ("--audio", str(recordings), "--post", "/x", "--expect", "segments")
        length = ("--requests", str(REQUESTS), "--timeout", "60")
        words = ("soak", "--command", command, *load, *length, "--format", "json", "--out", mode)
        ended = ran(*LEAKHUNT, *words, folder=folder)
        report = folder / mode / "report.json"
        if not report.is_file():
            return {"not_run": (ended.stdout + ended.stderr).strip()[-300:]}
        (run,) = json.loads(report.read_text())["runs"]
        heap = run["trends"].get("live_heap", {})
        verdicts[mode] = {"status": run["status"], "bytes_per_request": heap.get("rate")}
    return verdicts


STEPS: dict[str, Callable[[Path, str], dict[str, Any]]] = {
    "unit": unit,
    "null": null,
    "zoo": zoo,
    "soak": soak,
}


def ran(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command that has ended, in English."""
    environment = {**os.environ, "LEAKHUNT_LANG": "en", "LANG": "C.UTF-8", "COLUMNS": "200"}
    return subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def is_there(package: str) -> bool:
    """Whether it can be imported here."""
    return importlib.util.find_spec(package) is not None


if __name__ == "__main__":
    sys.exit(main())
