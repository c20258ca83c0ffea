"""What ``hunt --retained`` costs in a process of 450,000 objects: seconds, and memory on top.

``python tests/bench/bench_dominators.py [OBJECTS]``. Figures are printed, nothing is asserted.
"""

from __future__ import annotations

import gc
import re
import sys
import time
from pathlib import Path
from typing import Any

from leakhunt.instruments.dominators import dominators

OBJECTS = 450_000


class Node:
    def __init__(self, number: int, before: Node | None) -> None:
        self.name = f"node {number}"
        self.items: list[Any] = [{"text": str(number) * 5, "numbers": [number]}]
        self.before = before


def kib(field: str) -> int:
    found = re.search(rf"{field}:\s*(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


def main(objects: int) -> None:
    cache: dict[int, Node] = {}
    before = None
    while len(cache) * 4 < objects:
        before = cache[len(cache)] = Node(len(cache), before)
    gc.collect()
    tracked, held = len(gc.get_objects()), kib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    wall, cpu = time.perf_counter(), time.process_time()
    tree = dominators(cache)
    sums = tree.sums(tree.own)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{tracked:,} tracked objects, {sums[0] / 2**20:,.1f} MiB retained")
    print(f"{wall:.1f} s ({cpu:.1f} s of CPU), {(kib('VmHWM') - held) / 1024:,.0f} MiB on top")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else OBJECTS)
