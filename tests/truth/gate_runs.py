"""How often the gate is right on the real pipeline: this writes ``reports/truth/gate.json``.

    python tests/truth/gate_runs.py --clean 50 --planted 5 --jobs 2
    python tests/truth/gate_runs.py --clean 0 --planted 1 --check       # writes nothing

The FSMN-VAD scenario with clips of one length is gated so many times as it is, each time with
another seed, and so many times as a copy in which `naive` keeps a kilobyte a call. Every gate is
the verb itself in a process of its own, with no budgets but its default: that nothing live leaks.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from leakhunt import __version__
from leakhunt.environment import describe_environment

ROOT = Path(__file__).parents[2]
OUT = ROOT / "reports" / "truth" / "gate.json"
# What the copy keeps more, and where in the scenario's file it goes.
PLANTED_BYTES = 1024
PLANT = f"    KEPT.append(bytearray({PLANTED_BYTES}))\n"
NAIVE = '    """A path in, segments out, as the field report does it."""\n'
POLICY = """\
[scenarios."{target}"]
variants = ["naive"]
options = {{ lengths = "fixed", weights = "stand-in" }}
threads = 1
seed = {seed}
"""


def plant(folder: Path) -> Path:
    """A copy of the scenario in which `naive` leaks; its file."""
    copy = folder / "fsmn_vad"
    shutil.copytree(ROOT / "scenarios" / "fsmn_vad", copy)
    file = copy / "scenario.py"
    text = file.read_text(encoding="utf-8")
    head, found, tail = text.partition(NAIVE)
    assert found, "the scenario's naive variant has another first line"
    line = "\n@variant\ndef naive("
    assert head.count(line) == 1
    head = head.replace(line, "\nKEPT: list[bytearray] = []\n\n" + line)
    file.write_text(head + NAIVE + PLANT + tail, encoding="utf-8")
    return file


def gate(folder: Path, target: str, seed: int) -> dict[str, Any]:
    """One gate: its exit code, the answers, the suspects with their lines, and its power."""
    place = folder / f"gate-{Path(target).parent.name}-{seed}"
    place.mkdir()
    policy = place / "leakhunt.toml"
    policy.write_text(POLICY.format(target=target, seed=seed), encoding="utf-8")
    command = [sys.executable, "-m", "leakhunt", "gate", "--policy", str(policy)]
    command += ["--out", str(place / "out"), "--format", "json"]
    variables = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    document = json.loads((place / "out" / "gate.json").read_text(encoding="utf-8"))
    (variant,) = document["variants"]
    shutil.rmtree(place)
    return {
        "seed": seed,
        "exit_code": done.returncode,
        "attempts": variant["attempts"],
        "calls": max(run["calls_done"] for run in variant["runs"]),
        "answers": {check["budget"]["series"]: check["answer"] for check in variant["checks"]},
        "would_have_seen": {
            check["budget"]["series"]: check["detection_limit"] for check in variant["checks"]
        },
        "suspects": [
            f"{where['file']}:{where['line']}"
            if (where := suspect["where"])
            else suspect["title"]["text"]
            for suspect in variant["suspects"]
        ],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clean", type=int, default=50)
    parser.add_argument("--planted", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if one is wrong")
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="leakhunt-") as scratch,
        ThreadPoolExecutor(args.jobs) as pool,
    ):
        folder = Path(scratch)
        planted_file = plant(folder)
        named = planted_line(planted_file)
        clean = list(pool.map(partial(gate, folder, "fsmn-vad"), range(args.clean)))
        planted = list(pool.map(partial(gate, folder, str(planted_file)), range(args.planted)))
    wrong = [each for each in clean if each["exit_code"] != 0]
    wrong += [each for each in planted if (each["exit_code"], *each["suspects"][:1]) != (1, named)]
    for name, gates in (("clean", clean), ("planted", planted)):
        codes = [each["exit_code"] for each in gates]
        print(name, {code: codes.count(code) for code in sorted(set(codes))}, end="; ")
    print(f"{len(wrong)} wrong", *wrong)
    if args.check:
        return int(bool(wrong))
    facts = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "leakhunt": __version__,
        **describe_environment(os.environ),
    }
    values = {"facts": facts, "planted_bytes": PLANTED_BYTES, "clean": clean, "planted": planted}
    OUT.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    return 0


def planted_line(file: Path) -> str:
    """The line that was planted, as a suspect is told: it must be the first one."""
    line = file.read_text(encoding="utf-8").splitlines(keepends=True).index(PLANT) + 1
    return f"{file.parent.name}/{file.name}:{line}"


if __name__ == "__main__":
    raise SystemExit(main())
