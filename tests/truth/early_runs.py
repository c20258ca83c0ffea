"""What `run` says where calls are dear: this writes ``reports/truth/early_runs.json``.

    python tests/truth/early_runs.py --jobs 3
    python tests/truth/early_runs.py leak-zoo-native:malloc-lost      # writes nothing

Workloads of the zoo, each call of which sleeps for half a second first, are run as `leakhunt run`
does by default: few calls, and few more that are counted exactly. By default that is so from calls
of 1.1 s on; half a second is as dear to a budget of 25 s.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import leakhunt
from leakhunt.environment import describe_environment
from leakhunt.model.kinds import Kind
from leakhunt.model.scenario import Scenario, Variant
from leakhunt.model.verdict import Status
from leakhunt.scenario import find
from leakhunt.storage.run_file import find_run_files, load

DATA = Path(__file__).parents[2] / "reports" / "truth" / "early_runs.json"
SECONDS = 0.5
BUDGET_SECONDS = 25.0
TIMEOUT_SECONDS = 400
NO_VERDICT = "no verdict"
_SLOWED = '''

@variant
def slowed(state, item):
    """{function}, half a second later."""
    import time

    time.sleep({seconds})
    return {function}(state, item)
'''

LEAKING = {
    "leak-zoo-python-heap": (
        "list-append", "tiny-object", "sixty-four-bytes", "one-megabyte", "dict-of-new-keys",
        "closures-kept", "cycles-kept", "finalized-cycles-kept", "beneath-a-sawtooth",
        "cache-without-bound", "class-registry", "weakref-callbacks", "exceptions-with-tracebacks",
        "generators-not-closed", "logging-handlers", "modules-under-new-names",
        "bound-methods-subscribed",
    ),
    "leak-zoo-native": (
        "malloc-lost", "small-malloc-lost", "large-malloc-lost", "mmap-kept", "mmap-lost",
        "reference-leaked-in-c", "views-that-pin",
    ),
    "leak-zoo-resources": (
        "files-left-open", "sockets-kept", "temporary-files-kept", "threads-that-never-end",
        "children-not-waited-for", "thread-locals-kept", "tasks-never-finished",
    ),
    "leak-zoo-services": (
        "tokens-never-reset", "logger-for-each-request", "cache-on-a-method",
        "rate-limits-never-expire", "metric-for-each-path", "contexts-of-requests-kept",
        "default-shared-by-all-contexts", "registered-at-exit", "finalizers-of-the-model",
        "signal-handlers-chained", "database-connections-kept", "warnings-with-the-request",
    ),
}  # fmt: skip
CLEAN = {
    "leak-zoo-python-heap": (
        "list-cleared", "one-megabyte-freed", "dict-of-known-keys", "closures-dropped",
        "cycles-dropped", "finalized-cycles-dropped", "classes-dropped", "weakrefs-dropped",
        "exceptions-as-text", "generators-closed", "logging-handlers-removed",
        "modules-under-one-name", "bound-methods-unsubscribed",
    ),
    "leak-zoo-native": (
        "malloc-freed", "mmap-closed", "mmap-unmapped", "reference-returned-in-c", "views-copied",
        "arrays-of-any-length",
    ),
    "leak-zoo-resources": (
        "files-closed", "sockets-closed", "temporary-files-closed", "threads-joined",
        "executors-shut-down", "children-waited-for", "thread-locals-replaced", "tasks-finished",
    ),
    "leak-zoo-services": (
        "tokens-reset", "logger-of-the-service", "cached-property", "value-of-each-context",
        "metric-for-each-route", "contexts-of-requests-dropped", "tidied-up-at-once",
        "finalizers-of-the-request", "signal-handlers-restored", "database-connections-closed",
        "warnings-of-one-text", "log-handler-removed",
    ),
    "leak-zoo-bounded": (
        "one-late-step", "high-water-mark", "json-re-numpy", "sawtooth-by-hand", "cyclic-trees",
        "native-scratch", "fragmentation", "transient-of-200-megabytes",
    ),
}  # fmt: skip
# They leak in a tenth and a fifth of the calls: more seldom than so few calls can certify.
RARE = {"leak-zoo-python-heap": ("one-call-in-ten", "random-calls")}
# They fill after 40 calls and more, which is more than are made here, and until then they grow as a
# leak does.
FILLING = {
    "leak-zoo-services": ("rate-limits-expire",),
    "leak-zoo-bounded": ("shape-cache", "bounded-queue", "lru-cache-of-many"),
    "leak-zoo-caches": ("schemas-by-object", "last-requests", "ordered-dict-as-lru"),
}
# The rule was tuned while it was tried on the others. These were run only after it was final.
HELD_OUT = {
    "leak-zoo-services": (
        "metric-for-each-path", "contexts-of-requests-kept", "default-shared-by-all-contexts",
        "registered-at-exit", "finalizers-of-the-model", "signal-handlers-chained",
        "database-connections-kept", "warnings-with-the-request", "metric-for-each-route",
        "contexts-of-requests-dropped", "tidied-up-at-once", "finalizers-of-the-request",
        "signal-handlers-restored", "database-connections-closed", "warnings-of-one-text",
        "log-handler-removed",
    ),
}  # fmt: skip
SORTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "leaking": LEAKING,
    "rare": RARE,
    "clean": CLEAN,
    "filling": FILLING,
}


@dataclass(frozen=True, slots=True)
class EarlyRun:
    """One run: the verdict, the calls and the seconds of the whole verb, and what it says.

    `sort` is one of `SORTS`; `expected` the classes that are right; `suspect` the first, `named`:
    it tells what the truth calls the culprit. `cause` is its known cause, `wanted_cause` the one
    that is right ("": none is known).
    """

    workload: str
    sort: str
    expected: tuple[str, ...]
    status: str
    kind: str
    calls: int = 0
    seconds: float = 0.0
    suspect: str = ""
    named: bool = False
    cause: str = ""
    wanted_cause: str = ""
    sentence: str = ""

    @property
    def is_right(self) -> bool:
        """A leak was called one, and what is none was not."""
        wanted = Status.LEAK if self.leaks else Status.NO_LEAK
        return self.status == wanted.value

    @property
    def leaks(self) -> bool:
        """Whether it does, however seldom."""
        return self.sort in ("leaking", "rare")

    @property
    def is_false_alarm(self) -> bool:
        """What does not leak was called a leak."""
        return not self.leaks and self.status == Status.LEAK.value


def workloads() -> dict[str, str]:
    """Those that are run, each with its sort."""
    return {
        f"{name}:{variant}": sort
        for sort, named in SORTS.items()
        for name, variants in named.items()
        for variant in variants
    }


def slowed(scenario: Scenario, variant: Variant, folder: Path, seconds: float) -> Path:
    """The scenario again in that folder, with a variant that sleeps first."""
    origin = Path(scenario.file)
    shutil.copytree(origin.parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / origin.name
    text = file.read_text(encoding="utf-8")
    more = _SLOWED.format(function=variant.function, seconds=seconds)
    file.write_text(text + more, encoding="utf-8")
    return file


def run_here(workload: str, each: float = SECONDS, budget: float = BUDGET_SECONDS) -> EarlyRun:
    """Run it as by default, each call slowed, and without a report."""
    scenario, (variant,) = find.find(workload)
    with tempfile.TemporaryDirectory(prefix="leakhunt-") as folder:
        name = Path(scenario.file).parent.name
        file = slowed(scenario, variant, Path(folder) / name, each)
        begun = time.monotonic()
        out = Path(folder) / "run"
        result = leakhunt.run(f"{file}:slowed", budget=budget, formats=None, out=out)
        seconds = time.monotonic() - begun
        files = find_run_files([str(out)])
        calls = sum(load(each).calls_done for each in files)
    (entry,) = result.report.entries
    first = next(iter(entry.attribution.suspects if entry.attribution else ()), None)
    told = "" if first is None else " ".join([str(first.title), *first.chain, *_lines(first.stack)])
    return EarlyRun(
        workload,
        workloads()[workload],
        tuple(each.value for each in variant.expect),
        status=entry.verdict.status.value,
        kind=entry.verdict.kind.value,
        calls=calls,
        seconds=round(seconds, 1),
        suspect="" if first is None else str(first.title),
        named=bool(variant.culprit) and variant.culprit in told,
        cause="" if first is None or first.cause is None else first.cause.id,
        wanted_cause=variant.cause or "",
        sentence=str(entry.verdict.sentence),
    )


def _lines(stack: Sequence[Any]) -> list[str]:
    return [each.source for each in stack]


def in_a_process(workload: str, more: Sequence[str] = ()) -> EarlyRun:
    """The same in a process of its own; what failed is a row as well, and no right one."""
    words = [sys.executable, __file__, "--one", workload, *more]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS
        )
        said = (done.stderr.splitlines() or [f"exit code {done.returncode}"])[-1]
    except subprocess.TimeoutExpired:
        done, said = None, f"no answer in {TIMEOUT_SECONDS} s"
    if done is None or done.returncode:
        return EarlyRun(workload, workloads()[workload], (), NO_VERDICT, NO_VERDICT, sentence=said)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return EarlyRun(**{**row, "expected": tuple(row["expected"])})


def figures(runs: Sequence[EarlyRun]) -> dict[str, Any]:
    """What the runs come to."""
    by_sort = {sort: [each for each in runs if each.sort == sort] for sort in SORTS}
    held_out = {f"{name}:{each}" for name, variants in HELD_OUT.items() for each in variants}
    unseen = [each for each in runs if each.workload in held_out]
    found = [each for each in by_sort["leaking"] if each.is_right]
    passed = [each for each in by_sort["clean"] if each.is_right]
    return {
        "leaking_runs": len(by_sort["leaking"]),
        "found": len(found),
        "called_no_leak": _called_clean(by_sort["leaking"]),
        "right_class": sum(each.kind in each.expected for each in found),
        "named": sum(each.named for each in found),
        "causes_known": sum(bool(each.wanted_cause) for each in by_sort["leaking"]),
        "causes_found": sum(
            bool(each.wanted_cause) and each.cause == each.wanted_cause for each in found
        ),
        "rare_runs": len(by_sort["rare"]),
        "rare_found": sum(each.is_right for each in by_sort["rare"]),
        "rare_called_no_leak": _called_clean(by_sort["rare"]),
        "clean_runs": len(by_sort["clean"]),
        "false_alarms": sum(each.is_false_alarm for each in by_sort["clean"]),
        "certified": len(passed),
        "filling_runs": len(by_sort["filling"]),
        "filling_called_leaks": sum(each.is_false_alarm for each in by_sort["filling"]),
        "filling_told": sum(each.kind == Kind.BOUNDED_CACHE.value for each in by_sort["filling"]),
        "held_out_runs": len(unseen),
        "held_out_right": sum(each.is_right for each in unseen),
        "held_out_wrong": sum(
            each.is_false_alarm or (each.leaks and each.status == Status.NO_LEAK.value)
            for each in unseen
        ),
        "most_calls": max((each.calls for each in runs), default=0),
        "median_seconds_to_leak": median([each.seconds for each in found]) if found else None,
        "median_seconds_to_pass": median([each.seconds for each in passed]) if passed else None,
    }


def _called_clean(runs: Sequence[EarlyRun]) -> int:
    return sum(each.status == Status.NO_LEAK.value for each in runs)


def carried_out(names: Sequence[str], at_a_time: int, more: Sequence[str] = ()) -> list[EarlyRun]:
    """The runs, in the order of `names`; each is shown as it ends."""
    done: dict[str, EarlyRun] = {}
    with ThreadPoolExecutor(at_a_time) as pool:
        running = {pool.submit(in_a_process, name, more): name for name in names}
        for future in as_completed(running):
            each = done[running[future]] = future.result()
            mark = " " if each.is_right else "LEAK?" if each.is_false_alarm else "?"
            print(
                f"{mark:5} {each.workload}: {each.kind}, {each.calls} calls, {each.seconds} s,"
                f" {'named' if each.named else 'not named'}. {each.sentence}",
                flush=True,
            )
    return [done[name] for name in names]


def main() -> int:
    """Run all of them and write the table, or those that are named and write nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*", help="all, or: NAME:VARIANT, or NAME for all of it")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write there; default: only where all are run")
    parser.add_argument("--call", type=float, default=SECONDS, help="seconds that a call sleeps")
    parser.add_argument("--budget", type=float, default=BUDGET_SECONDS, help="as that of run")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(
            json.dumps(asdict(run_here(asked.workloads[0], asked.call, asked.budget))), flush=True
        )
        return 0
    wanted = [
        name
        for name in workloads()
        if not asked.workloads or {name, name.partition(":")[0]} & set(asked.workloads)
    ]
    more = [f"--call={asked.call}", f"--budget={asked.budget}"]
    runs = carried_out(wanted, asked.jobs, more)
    came_to = figures(runs)
    print(json.dumps(came_to, indent=1))
    out = asked.out or (None if asked.workloads else DATA)
    if out is not None:
        facts = {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "leakhunt": leakhunt.__version__,
            **describe_environment(os.environ),
        }
        rows = ",\n".join(json.dumps(asdict(each), ensure_ascii=False) for each in runs)
        head = f'"facts": {json.dumps(facts)}, "figures": {json.dumps(came_to)}'
        out.write_text(f'{{{head}, "runs": [\n{rows}\n]}}\n', encoding="utf-8")
    return int(bool(came_to["false_alarms"] or came_to["called_no_leak"]))


if __name__ == "__main__":
    sys.exit(main())
