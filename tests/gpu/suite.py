"""The steps of ``tests/gpu/run.sh``: each in its own process and time, all in one JSON file.

The file is written after every step, so that what ends the suite leaves what was measured. A step
that fails does not stop the others. What was not run has no result.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from leakhunt import __version__
from leakhunt.cli.main import cli
from leakhunt.environment import sees_gpu
from leakhunt.errors import LeakhuntError
from leakhunt.scenario import find

ROOT = Path(__file__).parents[2]
READINGS = "tests/gpu/device_memory.py"
TABLE = ROOT / "tests" / "truth" / "gpu_table.py"
# All steps together; the rest of ten minutes is for what is installed before.
SECONDS = 540.0
# A step that was interrupted writes its report within this.
_GRACE_SECONDS = 10.0
_NO_GPU = 5
_PACKAGES = ("torch", "funasr", "modelscope", "memray", "numpy")


@dataclass(frozen=True, slots=True)
class Step:
    """A command of leakhunt, or of a script; `result` is the file that it leaves in its folder.

    Without `result` it prints JSON.
    """

    name: str
    seconds: float
    command: tuple[str, ...]
    result: str = ""

    def arguments(self, folder: Path) -> list[str]:
        """The command line, its files in `folder`."""
        own = [sys.executable, *(() if self.is_script else ("-m", "leakhunt")), *self.command]
        if not self.result:
            return own
        is_file = self.command[0] == "truth"
        return [*own, "--out", str(folder / self.result if is_file else folder / "out")]

    @property
    def is_script(self) -> bool:
        """Whether it is a script of the tests, not a verb."""
        return self.command[0].endswith(".py")

    def found(self, folder: Path) -> Path:
        """Where its result lies."""
        return folder / self.result if self.command[0] == "truth" else folder / "out" / self.result


def _verb(name: str, seconds: float, command: str, result: str) -> Step:
    return Step(name, seconds, tuple(command.split()), result)


STEPS = (
    Step("devices", 25, (READINGS, "devices")),
    Step("fragmentation", 20, (READINGS, "fragmentation")),
    Step("pinned", 20, (READINGS, "pinned")),
    _verb("zoo", 80, "truth leak-zoo-cuda --repeats 2 --clean-repeats 2 --jobs 4", "zoo.json"),
    _verb(
        "hunt",
        80,
        "hunt leak-zoo-cuda:tensors-kept,small-results-kept --device cuda --with cuda --budget 10"
        " --format json",
        "report.json",
    ),
    _verb(
        "fsmn-vad",
        90,
        "run fsmn-vad:naive,cleaned,kept-cuda-cache --device cuda --budget 10 --no-hunt"
        " --format json",
        "report.json",
    ),
    _verb(
        "split",
        75,
        "hunt fsmn-vad:kept-cuda-cache --device cuda --calls 100 --pairs 2"
        " --try PYTORCH_CUDA_ALLOC_CONF=max_split_size_mb:128 --format json",
        "report.json",
    ),
    _verb(
        "claims-fsmn-vad",
        75,
        "claims fsmn-vad --id A2,A2-kept,A3-cuda,B5 --format json",
        "claims.json",
    ),
    _verb(
        "claims-image-recognition",
        75,
        "claims image-recognition --id D2a-gpu,D2b,D2c-gpu --format json",
        "claims.json",
    ),
)


def faults(step: Step) -> Iterator[str]:
    """What is wrong with its command, found without running it."""
    if step.is_script:
        script = [sys.executable, *step.command, "--help"]
        if subprocess.run(script, cwd=ROOT, check=False, capture_output=True).returncode:
            yield f"{step.command[0]} --help fails"
        return
    verb, *given = step.arguments(Path("x"))[3:]
    context = click.Context(cli, info_name="leakhunt")
    command = cli.get_command(context, verb)
    if command is None:
        yield f"no verb {verb}"
        return
    try:
        command.make_context(verb, given, parent=context)
    except click.ClickException as error:
        yield f"{verb}: {error.format_message()}"
        return
    if verb != "claims":
        target = step.command[1]
        try:
            find.find(target)
        except LeakhuntError as error:
            yield f"{target}: {error}"


def carried_out(step: Step, seconds: float, folder: Path) -> dict[str, Any]:
    """Exit code, seconds and what it found; after `seconds` it is interrupted, then killed."""
    begun = time.monotonic()
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(
            step.arguments(folder), cwd=ROOT, stdout=out, stderr=err, start_new_session=True
        )
        in_time = _waited(process, seconds)
    done: dict[str, Any] = {
        "name": step.name,
        "command": " ".join(("python" if step.is_script else "leakhunt", *step.command)),
        "exit_code": process.returncode,
        "timed_out": not in_time,
        "seconds": round(time.monotonic() - begun, 1),
    }
    result = step.found(folder) if step.result else folder / "stdout"
    try:
        done["result"] = _short(json.loads(result.read_text("utf-8")))
    except (OSError, ValueError):
        last = (folder / "stderr").read_text("utf-8", "replace").strip().splitlines()
        done["result"], done["error"] = None, last[-1] if last else ""
    return done


def _waited(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether it ended in time; else it has been ended, with all that it started."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return False
    return True


def _short(document: dict[str, Any]) -> dict[str, Any]:
    """What the table needs of a file of leakhunt's; a reading as it is."""
    if "runs" in document:
        return {"runs": [_run(each) for each in document["runs"]], "tried": _tried(document)}
    if "scenarios" in document:
        claims = [each for scenario in document["scenarios"] for each in scenario["claims"]]
        return {
            "claims": [
                {"id": each["claim"]["id"], "claim": each["claim"]["claim"]}
                | {"verdict": each["verdict"]}
                for each in claims
            ]
        }
    if "trials" in document:
        names = ("variant", "seed", "expect", "kind", "calls", "rate", "found_rate", "status")
        return {"trials": [{name: each[name] for name in names} for each in document["trials"]]}
    return document


def _run(run: dict[str, Any]) -> dict[str, Any]:
    suspects = (run.get("attribution") or {}).get("suspects", ())
    return {
        "variant": run["variant"],
        "kind": run["kind"],
        "sentence": run["sentence"]["text"],
        "calls": run["calls_done"],
        "rates": {
            name: trend["rate"]
            for name, trend in run["trends"].items()
            if name.startswith("cuda_") or name in ("rss", "live_heap")
        },
        "first_suspect": suspects[0]["title"]["text"] if suspects else "",
        "share": suspects[0]["share"] if suspects else None,
    }


def _tried(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"remedy": each.get("remedy"), "result": (each.get("sentence") or {}).get("text", "")}
        for each in document.get("trials", ())
    ]


def facts() -> dict[str, Any]:
    """Date, cards, driver and versions, as the machine has them."""
    versions: dict[str, str | None] = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        output = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=20
        ).stdout
    except (OSError, subprocess.SubprocessError):
        output = ""
    cards = [line.split(", ") for line in output.splitlines() if ", " in line]
    code = "import torch; print(torch.version.cuda or '')"
    cuda = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    ).stdout.strip()
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "cards": [name for name, *_ in cards],
        "driver": cards[0][1] if cards else None,
        "cuda": cuda or None,
        "python": platform.python_version(),
        "leakhunt": __version__,
        **versions,
    }


def suite(steps: Sequence[Step], out: Path, seconds: float = SECONDS) -> dict[str, Any]:
    """All steps one after the other, `out` written anew after each."""
    values: dict[str, Any] = {"facts": facts(), "steps": []}
    ends = time.monotonic() + seconds
    out.parent.mkdir(parents=True, exist_ok=True)
    for step in steps:
        left = ends - time.monotonic()
        if left < 1:
            skipped = {"name": step.name, "command": " ".join(step.command), "exit_code": None}
            values["steps"].append(skipped | {"result": None, "error": "not run: no time left"})
        else:
            with tempfile.TemporaryDirectory(prefix="leakhunt-gpu-") as folder:
                done = carried_out(step, min(step.seconds, left), Path(folder))
            values["steps"].append(done)
            print(f"{step.name}: exit code {done['exit_code']}, {done['seconds']} s", flush=True)
        out.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return values


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="the JSON file")
    parser.add_argument("--dry-run", action="store_true", help="check the commands, run nothing")
    chosen = parser.parse_args()
    if chosen.dry_run:
        wrong = 0
        for step in STEPS:
            found = list(faults(step))
            wrong += len(found)
            print(f"{step.name} (at most {step.seconds:.0f} s): {' '.join(step.command)}")
            print(*(f"  invalid: {fault}" for fault in found), sep="\n", end="\n" if found else "")
        print(f"GPU: {'yes' if sees_gpu(os.environ) else 'none'}; nothing was run")
        return int(bool(wrong))
    if not sees_gpu(os.environ):
        print("no GPU of NVIDIA's on this machine: nothing was run or written", file=sys.stderr)
        return _NO_GPU
    result = suite(STEPS, chosen.out)
    subprocess.run([sys.executable, str(TABLE), str(chosen.out)], check=True)
    return int(any(step["exit_code"] != 0 for step in result["steps"]))


if __name__ == "__main__":
    sys.exit(main())
