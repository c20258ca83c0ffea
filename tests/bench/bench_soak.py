"""What a soak costs the service: requests a second with and without leakhunt, in turn, one process.

The load is the same Locust in both; beside it, leakhunt reads as it does by default. Run alone on
the machine: ``python tests/bench/bench_soak.py [--rounds 5] [--seconds 12]``. Another service than
the small one: ``--pid N --url http://... --locustfile load.py``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from leakhunt.model.plan import Plan, PlannedLoad
from leakhunt.runner.memory_limit import NoLimit
from leakhunt.service.load_generator import (
    AUDIO,
    UPLOAD,
    UPLOAD_FIELD,
    UPLOAD_PATH,
    LoadProcess,
    RequestedLoad,
)
from leakhunt.service.loop import Subject, soak
from leakhunt.service.service import attach, free_port, wait_until_ready
from leakhunt.storage import run_file as store

SERVICE = Path(__file__).parents[1] / "integration" / "soak" / "small_service.py"
USERS = 4


def main() -> None:
    """Print the ratio of every round, and their median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--pid", type=int)
    parser.add_argument("--url")
    parser.add_argument("--locustfile", type=Path, default=UPLOAD)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, _service(given.pid, given.url) as (pid, url):
        demand = RequestedLoad(given.locustfile, url, USERS, _upload_of(Path(scratch)))
        ratios = []
        for count in range(given.rounds):
            folder = Path(scratch, str(count))
            folder.mkdir()
            without = _alone(demand, folder, given.seconds)
            beside = _soaked(demand, folder, pid, given.seconds)
            ratios.append(beside / without)
            print(
                f"round {count + 1}: {without:,.1f} requests/s alone, {beside:,.1f} soaked,"
                f" ratio {ratios[-1]:.3f}"
            )
    print(f"median ratio {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


@contextmanager
def _service(pid: int | None, url: str | None) -> Iterator[tuple[int, str]]:
    if pid is not None and url is not None:
        yield pid, url
        return
    port = free_port()
    process = subprocess.Popen([sys.executable, str(SERVICE), str(port), "answers"])
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(attach(process.pid), address, "", 30.0, NoLimit())
        yield process.pid, address
    finally:
        process.kill()
        process.wait()


def _upload_of(folder: Path) -> dict[str, str]:
    recordings = folder / "recordings"
    recordings.mkdir()
    (recordings / "a.wav").write_bytes(os.urandom(160_000))
    return {AUDIO: str(recordings), UPLOAD_PATH: "/x", UPLOAD_FIELD: "file"}


def _alone(demand: RequestedLoad, folder: Path, seconds: float) -> float:
    """Requests a second under the load alone."""
    with LoadProcess(demand, folder, folder / "load.log") as load:
        load.wait_until_it_runs()
        time.sleep(2.0)  # until all users are there
        done, started = load.counters.done, time.monotonic()
        time.sleep(seconds)
        return (load.counters.done - done) / (time.monotonic() - started)


def _soaked(demand: RequestedLoad, folder: Path, pid: int, seconds: float) -> float:
    """Requests a second of the time that leakhunt watched, without its pauses for looks."""
    run_file = folder / f"soak{store.SUFFIX}"
    plan = Plan(
        scenario="bench",
        variant="soaked",
        calls=None,
        warmup=None,
        seed=0,
        threads=1,
        device="cpu",
        options={},
        result_kind="equal",
        reference="soaked",
        timeout_seconds=60.0,
        load=PlannedLoad(demand.target, "bench", "upload", USERS, seconds + 2.0),
    )
    with LoadProcess(demand, folder, folder / "load.log") as load:
        soak(Subject(plan, attach(pid), load, run_file, NoLimit(), {}), lambda tail: None)
    run = store.load(run_file)
    first = next(at for at in range(len(run.calls)) if sum(run.samples["elapsed"][:at]) > 2e9)
    requests = run.calls[-1] - run.calls[first]
    return requests / (sum(run.samples["elapsed"][first + 1 :]) / 1e9)


if __name__ == "__main__":
    main()
