"""What each instrument costs: a scenario's own calls again under each, against the measured run.

    make bench            (or: python tests/bench/bench_instruments.py TARGET --calls 120)

The default target, the real FSMN-VAD pipeline, is a process with torch loaded and some 450,000
tracked objects. Times are of this machine at this moment; the ratios are what to compare. "whole"
is the whole process: starting, all calls, marks, and telling what was found.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from statistics import median

from leakhunt.amounts import format_bytes
from leakhunt.model.attribution import Instrument
from leakhunt.model.run import Run
from leakhunt.storage import run_file

INSTRUMENTS = [each for each in Instrument if each is not Instrument.CUDA]


def main() -> None:
    """Hunt with every instrument and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", default="fsmn-vad:naive")
    parser.add_argument("--calls", type=int, default=120)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "hunt"
        subprocess.run(
            [
                sys.executable, "-m", "leakhunt", "hunt", args.target, "--with",
                ",".join(INSTRUMENTS), "--calls", str(args.calls), "--out", str(out),
            ],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        runs = {
            run.plan.instrument: run
            for run in map(run_file.load, run_file.find_run_files([str(out)]))
        }
        print(f"{args.target}, {args.calls} calls")
        heads = ("time/call", "whole", "RSS", "findings", "kept")
        print(f"{'instrument':<14}" + "".join(f"{head:>12}" for head in heads))
        base = runs[None]
        for instrument in (None, *INSTRUMENTS):
            print(_row(instrument or "(measured)", runs[instrument], base, out))


def _row(name: str, run: Run, base: Run, out: Path) -> str:
    first = run.plan.warmup or 0
    time = _seconds_per_call(run, first) / _seconds_per_call(base, first)
    whole = _whole_seconds(run) / _whole_seconds(base)
    more = max(run.samples["rss"]) - max(base.samples["rss"])
    stem = Path(run.file).name.removesuffix(run_file.SUFFIX)
    files = [out / f"{stem}{run_file.SUFFIX}"]
    files += out.glob("*.memray.bin") if name == Instrument.MEMRAY else []
    size = sum(file.stat().st_size for file in files)
    return (
        f"{name:<14}{time:>10.2f} x{whole:>10.1f} x{'+' + format_bytes(max(more, 0)):>12}"
        f"{len(run.findings):>12}{format_bytes(size):>12}"
    )


def _seconds_per_call(run: Run, first: int) -> float:
    return median(run.samples["duration"][first:]) / 1e9


def _whole_seconds(run: Run) -> float:
    """From the start until its file was written for the last time."""
    started = datetime.fromisoformat(run.started_at).timestamp()
    return Path(run.file).stat().st_mtime - started


if __name__ == "__main__":
    main()
