"""What `run` says of bounded caches: this writes ``reports/truth/cache_runs.json``.

    python tests/truth/cache_runs.py --repeats 10 --jobs 2
    python tests/truth/cache_runs.py --repeats 1 leak-zoo-caches:schemas-by-object    # no file

Every cache of the zoo and every twin that leaks is run as `leakhunt run` does by default, each time
with another seed, in a process of its own. The truth about them is in ``cache_bounds.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from cache_bounds import DATA as BOUNDS_DATA
from cache_bounds import workloads

import leakhunt
from leakhunt.environment import describe_environment
from leakhunt.model.report import JudgedRun
from leakhunt.model.verdict import Status

DATA = BOUNDS_DATA.with_name("cache_runs.json")
TIMEOUT_SECONDS = 900
NO_VERDICT = "no verdict"


@dataclass(frozen=True, slots=True)
class CacheRun:
    """One run: the verdict, the calls and the seconds of the whole verb, and what it says.

    `ceiling_bytes`: where it says that the growth ends, None where it says nothing of it;
    `verified`: a run went past that. `suspect` and `cause` are those of the first suspect.
    """

    workload: str
    seed: int
    leaks: bool
    status: str
    kind: str
    also: tuple[str, ...] = ()
    calls: int = 0
    seconds: float = 0.0
    ceiling_bytes: int | None = None
    ceiling_calls: int | None = None
    verified: bool = False
    suspect: str = ""
    cause: str = ""
    sentence: str = ""

    @property
    def is_false_alarm(self) -> bool:
        """What is bounded was called a leak."""
        return not self.leaks and self.status == Status.LEAK.value

    @property
    def is_right(self) -> bool:
        """A leak was called one, and what is bounded no leak."""
        wanted = Status.LEAK if self.leaks else Status.NO_LEAK
        return self.status == wanted.value


def row_of(entry: JudgedRun, workload: str, seed: int, leaks: bool, seconds: float) -> CacheRun:
    """The row of a run that was judged."""
    run = CacheRun(
        workload,
        seed,
        leaks,
        status=entry.verdict.status.value,
        kind=entry.verdict.kind.value,
        also=tuple(each.value for each in entry.verdict.also),
        calls=entry.run.calls_done,
        seconds=round(seconds, 1),
        sentence=str(entry.verdict.sentence),
    )
    if entry.attribution is not None:
        first = next(iter(entry.attribution.suspects), None)
        found = entry.attribution.ceiling_bytes
        run = replace(
            run,
            ceiling_bytes=None if found is None else round(found),
            ceiling_calls=entry.attribution.ceiling_calls,
            suspect="" if first is None else str(first.title),
            cause="" if first is None or first.cause is None else first.cause.id,
        )
    if entry.ceiling is not None:
        found = entry.ceiling.found_bytes
        run = replace(run, ceiling_bytes=found, verified=entry.ceiling.is_level)
    return run


def run_here(workload: str, seed: int) -> CacheRun:
    """Run it by default, with another seed, and without a report."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="leakhunt-") as folder:
        result = leakhunt.run(workload, seed=seed, formats=None, out=Path(folder) / "run")
        (entry,) = result.report.entries
        seconds = time.monotonic() - begun
        return row_of(entry, workload, seed, dict(workloads())[workload] > 0, seconds)


def in_a_process(workload: str, seed: int) -> CacheRun:
    """The same in a process of its own; what failed is a row as well, and no right one."""
    words = [sys.executable, __file__, "--one", workload, "--seed", str(seed)]
    leaks = dict(workloads())[workload] > 0
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        error = f"no answer in {TIMEOUT_SECONDS} s"
        return CacheRun(workload, seed, leaks, NO_VERDICT, NO_VERDICT, sentence=error)
    if done.returncode:
        error = (done.stderr.splitlines() or [f"exit code {done.returncode}"])[-1]
        return CacheRun(workload, seed, leaks, NO_VERDICT, NO_VERDICT, sentence=error)
    return _row(json.loads(done.stdout.splitlines()[-1]))


def stored(table: Path) -> list[CacheRun]:
    """The rows of a table that was written before."""
    return [_row(each) for each in json.loads(table.read_bytes())["runs"]]


def _row(fields: dict[str, Any]) -> CacheRun:
    return CacheRun(**{**fields, "also": tuple(fields["also"])})


def figures(runs: Sequence[CacheRun], ceilings: dict[str, int]) -> dict[str, Any]:
    """What the runs come to; `ceilings` are the true ones, in bytes by workload."""
    clean = [each for each in runs if not each.leaks]
    leaking = [each for each in runs if each.leaks]
    found = [each for each in leaking if each.status == Status.LEAK.value]
    with_ceiling = [each for each in clean if each.ceiling_bytes is not None]
    parts = [(each.ceiling_bytes or 0) / ceilings[each.workload] for each in with_ceiling]
    alarms = sum(each.is_false_alarm for each in clean)
    return {
        "clean_runs": len(clean),
        "false_alarms": alarms,
        "false_alarms_per_100": round(100 * alarms / len(clean), 2) if clean else None,
        "certified": sum(each.is_right for each in clean),
        "leaking_runs": len(leaking),
        "found": len(found),
        "median_calls_to_leak": _median([each.calls for each in found]),
        "median_seconds_to_leak": _median([each.seconds for each in found]),
        "median_calls_to_pass": _median([each.calls for each in clean if each.is_right]),
        "median_seconds_to_pass": _median([each.seconds for each in clean if each.is_right]),
        "ceilings_said": len(with_ceiling),
        "ceilings_verified": sum(each.verified for each in with_ceiling),
        "ceilings_within_a_quarter": sum(abs(part - 1) <= 0.25 for part in parts),
        "median_ceiling_of_truth": round(median(parts), 3) if parts else None,
    }


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def true_ceilings() -> dict[str, int]:
    """Live bytes above the start, by cache: counted in a run far past its bound."""
    rows = json.loads(BOUNDS_DATA.read_bytes())["workloads"]
    return {row["workload"]: row["ceiling_bytes"] for row in rows if not row["leaks"]}


def carried_out(jobs: Sequence[tuple[str, int]], at_a_time: int) -> list[CacheRun]:
    """The runs, in the order of `jobs`; each is shown as it ends."""
    done: dict[tuple[str, int], CacheRun] = {}
    with ThreadPoolExecutor(at_a_time) as pool:
        running = {pool.submit(in_a_process, *job): job for job in jobs}
        for future in as_completed(running):
            each = done[running[future]] = future.result()
            mark = " " if each.is_right else "LEAK?" if each.is_false_alarm else "?"
            print(
                f"{mark:5} {each.workload} {each.seed}: {each.kind}, {each.calls} calls,"
                f" {each.seconds} s. {each.sentence}",
                flush=True,
            )
    return [done[job] for job in jobs]


def main() -> int:
    """Run all of them and write the table, or those that are named and write nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*", help="all, or: NAME:VARIANT, or NAME for all of it")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write there; default: only where all are run")
    parser.add_argument("--seed", type=int, default=0, help="the first seed; default: 0")
    parser.add_argument("--add", action="store_true", help="to the rows of the table that is there")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(asdict(run_here(args.workloads[0], args.seed))), flush=True)
        return 0
    wanted = [
        name
        for name, _ in workloads()
        if not args.workloads or {name, name.partition(":")[0]} & set(args.workloads)
    ]
    seeds = range(args.seed, args.seed + args.repeats)
    jobs = [(name, seed) for seed in seeds for name in wanted]
    out = args.out or (None if args.workloads else DATA)
    before = stored(DATA) if args.add else []
    runs = [each for each in before if (each.workload, each.seed) not in jobs]
    runs += carried_out(jobs, args.jobs)
    came_to = figures(runs, true_ceilings())
    print(json.dumps(came_to, indent=1))
    if out is not None:
        facts = {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "leakhunt": leakhunt.__version__,
            **describe_environment(os.environ),
        }
        rows = ",\n".join(json.dumps(asdict(each), ensure_ascii=False) for each in runs)
        head = f'"facts": {json.dumps(facts)}, "figures": {json.dumps(came_to)}'
        out.write_text(f'{{{head}, "runs": [\n{rows}\n]}}\n', encoding="utf-8")
    return int(any(not each.is_right for each in runs))


if __name__ == "__main__":
    sys.exit(main())
