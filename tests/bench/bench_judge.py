"""How long a verdict on one series takes, and how that grows with the number of values.

    make bench            (or: python tests/bench/bench_judge.py)

Times are of this machine at this moment; the last column is what to compare: time over that of a
tenth of the values, 10 for a rule that is linear.
"""

from __future__ import annotations

import time
from statistics import median

import numpy as np

from leakhunt.analysis.verdict.series import judge_series

SIZES = (1_000, 10_000, 100_000, 1_000_000)
ROUNDS = 7


def seconds(values: np.ndarray, power: bool) -> float:
    """The median time of a verdict."""
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        judge_series(values, unit="bytes", tolerance=0.05, power=power)
        taken.append(time.perf_counter() - started)
    return median(taken)


def main() -> None:
    """Print a row a size."""
    print(f"{'values':>10} {'leak':>10} {'clean':>10} {'clean, with power':>18} {'x a tenth':>10}")
    rng = np.random.default_rng(0)
    before = 0.0
    for size in SIZES:
        noise = rng.normal(size=size)
        leak = seconds(noise + 0.3 * np.arange(size), power=False)
        clean, powered = seconds(noise, power=False), seconds(noise, power=True)
        growth = f"{clean / before:10.1f}" if before else f"{'':>10}"
        print(f"{size:10,} {leak:9.4f}s {clean:9.4f}s {powered:17.4f}s {growth}")
        before = clean


if __name__ == "__main__":
    main()
