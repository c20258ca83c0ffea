"""What one sample costs: our default probes against the usual ways, interleaved in one run.

    make bench            (or: python tests/bench/bench_sampling.py --objects 450000)

Times are of this machine at this moment; the ratios are what to compare. `--objects` fills the
process with tracked objects first, since some of the usual ways get slower with the heap.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from array import array
from collections.abc import Callable
from statistics import median

import memory_profiler
import psutil

from leakhunt.probes import choose

ROUNDS = 15


def default_probes() -> Callable[[], object]:
    """A sample of all default probes, as the worker takes it."""
    chosen = choose("cpu")
    into = array("q", [0]) * len(chosen.series)
    probes = []
    at = 0
    for kind in chosen.kinds:
        probes.append((kind(), at))
        at += len(kind.series)

    def sample() -> None:
        for probe, place in probes:
            probe.read(into, place)

    return sample


def snapshot() -> None:
    """One round of the tracemalloc loop: a snapshot (tracing is on while it is timed)."""
    tracemalloc.take_snapshot()


def memory_profiler_sample() -> object:
    """One reading by memory_profiler."""
    return memory_profiler.memory_usage(-1, interval=1e-6, max_iterations=1)


def workload() -> object:
    """Allocates small objects, as a request handler does."""
    return [{"key": str(number), "value": [number]} for number in range(300)]


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Seconds per call, over `repeats` calls."""
    started = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - started) / repeats


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=100_000)
    filler = [[number] for number in range(parser.parse_args().objects)]
    process = psutil.Process()
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "leakhunt, all default probes": (default_probes(), 200),
        "psutil memory_info (RSS alone)": (process.memory_info, 200),
        "psutil memory_full_info (USS)": (process.memory_full_info, 5),
        "memory_profiler memory_usage": (memory_profiler_sample, 5),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    times |= {"tracemalloc snapshot": [], "plain workload": [], "workload under tracemalloc": []}
    for _ in range(ROUNDS):
        for name, (call, repeats) in ways.items():
            times[name].append(seconds(call, repeats))
        times["plain workload"].append(seconds(workload, 20))
        tracemalloc.start()
        times["workload under tracemalloc"].append(seconds(workload, 20))
        blocks = workload()
        times["tracemalloc snapshot"].append(seconds(snapshot, 2))
        tracemalloc.stop()
        del blocks
    _show(times, len(filler))


def _show(times: dict[str, list[float]], objects: int) -> None:
    base = median(times["leakhunt, all default probes"])
    print(f"{objects} objects, {ROUNDS} interleaved rounds; median, lowest, ratio to leakhunt")
    for name, found in times.items():
        middle = median(found)
        print(f"{name:32} {middle * 1e6:12.1f} µs {min(found) * 1e6:12.1f} µs {middle / base:9.2f}")
    slower = median(times["workload under tracemalloc"]) / median(times["plain workload"])
    print(f"a workload that allocates runs {slower:.1f} times as long under tracemalloc")


if __name__ == "__main__":
    main()
