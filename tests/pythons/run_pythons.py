"""Checks leakhunt on every interpreter that is here: ``make pythons``.

Interpreters are found by name (``python3.11`` to ``python3.15``, ``python3.13t`` ...), or in the
roots of `debian_root.sh` (``--root``). Each gets an environment of its own in ``build/pythons``,
with what the tests need, and `check_python.py` runs in it. What was measured is written to
``reports/truth/pythons.json``; ``python tests/truth/tables.py`` makes the table of it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "reports" / "truth" / "pythons.json"
FOLDER = ROOT / "build" / "pythons"
VERSIONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
NAMES = tuple(f"python{version}{build}" for version in VERSIONS for build in ("", "t"))
EXTRAS = "soak,frames,dev"
# The services of the leak zoo, and the notebook.
MORE = ("fastapi", "uvicorn", "python-multipart", "websockets", "ipython")
# pip asks the index alone: a folder of wheels is for the interpreter that it was made for.
LEFT_OUT = ("PIP_FIND_LINKS", "PIP_CONSTRAINT", "PYTHONPATH", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Interpreter:
    """A Python, by its name; in a root of another release, or here."""

    name: str
    root: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where its environment and its results are, as it is seen from here."""
        return (self.root / "check" if self.root else FOLDER) / self.name

    @property
    def sources(self) -> Path:
        """The project as the interpreter gets it, as it is seen from here."""
        return self.folder / "src"

    def seen(self, path: Path) -> str:
        """A path as the interpreter sees it."""
        return f"/{path.relative_to(self.root)}" if self.root else str(path)

    def run(self, *words: str) -> int:
        """Run a command of its environment in the project's sources; the exit code."""
        if self.root is None:
            return subprocess.run(
                words, cwd=self.sources, env=_environment(), check=False
            ).returncode
        within = 'cd "$0" && exec "$@"'
        command = ("chroot", str(self.root), "/bin/sh", "-c", within, self.seen(self.sources))
        home = _environment() | {"HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        return subprocess.run((*command, *words), env=home, check=False).returncode


def main() -> int:
    """Check what is there, one after the other; 1: something could not be installed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--python", action="append", help="name or path [default: all that are here]"
    )
    parser.add_argument("--root", action="append", type=Path, help="root made by debian_root.sh")
    parser.add_argument("--only", default="unit,null,zoo,soak,verbs", help="steps [default: all]")
    parser.add_argument("--jobs", default="1", help="tests and workloads side by side [default: 1]")
    given = parser.parse_args()
    failed = []
    for each in found(given.python, given.root or ()):
        print(f"== {each.name}" + (f" in {each.root}" if each.root else ""), flush=True)
        if not checked(each, given.only, given.jobs):
            failed.append(each.name)
    if failed:
        print(f"not checked: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def found(names: Sequence[str] | None, roots: Sequence[Path]) -> Iterator[Interpreter]:
    """Those that are asked for: by default all of the roots, else all that are here."""
    for root in roots:
        whole = root.resolve()
        yield from (
            Interpreter(name, whole)
            for name in names or NAMES
            if (whole / "usr" / "bin" / name).exists()
        )
    if not roots:
        yield from (Interpreter(name) for name in names or NAMES if _answers(name))


def _answers(name: str) -> bool:
    """Whether there is such an interpreter: a version manager may only have its name."""
    file = shutil.which(name)
    words = (name, "-c", "import sys")
    return (
        file is not None and subprocess.run(words, capture_output=True, check=False).returncode == 0
    )


def checked(interpreter: Interpreter, steps: str, jobs: str) -> bool:
    """Install, check, and keep the results; False: there are none."""
    copy_sources(interpreter.sources)
    python = interpreter.folder / "bin" / "python"
    if not python.exists() and interpreter.run(
        interpreter.name, "-m", "venv", interpreter.seen(interpreter.folder)
    ):
        return False
    seen = interpreter.seen(python)
    install = (seen, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    if interpreter.run(*install, "--editable", f".[{EXTRAS}]", *MORE):
        return False
    results = interpreter.folder / "results.json"
    words = ("--out", interpreter.seen(results), "--only", steps, "--jobs", jobs)
    interpreter.run(seen, "tests/pythons/check_python.py", *words)
    if not results.is_file():
        return False
    keep(json.loads(results.read_text()))
    return True


def copy_sources(folder: Path) -> None:
    """The files of the project as they are now, with what git does not know yet."""
    listed = subprocess.run(
        ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"),
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryFile() as whole:
        with tarfile.open(fileobj=whole, mode="w") as packed:
            for name in filter(None, listed):
                if (ROOT / name).exists():
                    packed.add(ROOT / name, name, recursive=False)
        whole.seek(0)
        with tarfile.open(fileobj=whole) as packed:
            packed.extractall(folder, filter="data")


def keep(result: dict[str, Any]) -> None:
    """Put the result in place of the former one of the same interpreter.

    Of the same version of it, steps that were not taken now stay.
    """
    known = json.loads(RESULTS.read_text())["pythons"] if RESULTS.is_file() else []
    others = [each for each in known if _identity(each) != _identity(result)]
    for former in known:
        if _identity(former) == _identity(result) and _version(former) == _version(result):
            checks = {**former.get("verbs", {}), **result.get("verbs", {})}
            result = {**former, **result} | ({"verbs": checks} if checks else {})
    every = sorted((*others, result), key=_identity)
    RESULTS.write_text(
        json.dumps({"format": 1, "pythons": every}, indent=1, ensure_ascii=False) + "\n"
    )


def _version(result: dict[str, Any]) -> str:
    return str(result["facts"]["python"])


def _identity(result: dict[str, Any]) -> tuple[tuple[int, ...], str, str]:
    """Version, build, and the C library: the same interpreter elsewhere is another row."""
    _, version, *build = result["facts"]["python"].split(" ")
    numbers = tuple(int(part) for part in version.split(".")[:2])
    return numbers, " ".join(build), result["facts"]["malloc"]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in LEFT_OUT}


if __name__ == "__main__":
    sys.exit(main())
