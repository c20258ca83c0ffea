"""The native zoo under each allocator: this writes ``reports/truth/allocators.json``.

    python tests/truth/allocator_zoo.py --repeats 3
    python tests/truth/allocator_zoo.py jemalloc            # no file

Every workload of ``leak-zoo-native`` is run as `leakhunt run` does by default, once for each seed,
with glibc and with every allocator that is installed preloaded; the same library serves the worker
and who judges. An allocator that does not tell what is in use has two right answers about a leak:
that there is one (where Python's own blocks show it), and that RSS grows and why no more is known.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from leakhunt import __version__
from leakhunt.environment import describe_environment, installed_allocators
from leakhunt.model.kinds import Kind
from leakhunt.scenario import find

ZOO = "leak-zoo-native"
DATA = Path(__file__).parents[2] / "reports" / "truth" / "allocators.json"
AS_IT_IS = "glibc"


@dataclass(frozen=True, slots=True)
class AllocatorTrial:
    """What was said of a workload under an allocator, and what is true.

    `allocator` is as the run recorded it; `heap_unread`: it does not tell what is in use. `rate` is
    what the live heap grows by, in bytes per call, `rss_rate` RSS.
    """

    variant: str
    seed: int
    preloaded: str
    allocator: str
    expect: tuple[str, ...]
    kind: str
    heap_unread: bool
    rate: float | None
    rss_rate: float | None

    @property
    def is_right(self) -> bool:
        """Whether the class is one that is expected."""
        return self.kind in self.expect

    @property
    def is_open(self) -> bool:
        """Whether a leak is left open, since nobody could tell what is in use."""
        leaks = any(kind.is_leak for kind in map(Kind, self.expect))
        return leaks and self.heap_unread and self.kind == Kind.INCONCLUSIVE


def trials(name: str, library: str, seed: int) -> Iterator[AllocatorTrial]:
    """The zoo under one allocator, run in a process that it is preloaded into."""
    expect = {each.name: each.expect for each in find.find(ZOO)[0].variants}
    with tempfile.TemporaryDirectory(prefix="leakhunt-") as scratch:
        out = Path(scratch) / "report"
        command = [sys.executable, "-m", "leakhunt", "run", ZOO, "--seed", str(seed)]
        command += ["--threads", "1", "--format", "json", "--out", str(out)]
        environment = {**os.environ, **({"LD_PRELOAD": library} if library else {})}
        ended = subprocess.run(
            command, check=False, env=environment, capture_output=True, text=True
        )
        if not (out / "report.json").exists():
            raise SystemExit(f"{name}: {ended.stderr or ended.stdout}")
        document = json.loads((out / "report.json").read_text("utf-8"))
    for run in document["runs"]:
        trends = run["trends"]
        yield AllocatorTrial(
            variant=run["variant"],
            seed=seed,
            preloaded=name if library else "",
            allocator=run["environment"]["allocator"],
            expect=tuple(map(str, expect[run["variant"]])),
            kind=run["kind"],
            heap_unread="live_heap" in run["unavailable"],
            rate=trends.get("live_heap", {}).get("rate"),
            rss_rate=trends.get("rss", {}).get("rate"),
        )


def summary(found: Sequence[AllocatorTrial]) -> Iterator[str]:
    """The table in Markdown: a line for each allocator."""
    yield "| allocator | runs | right | leak left open, with the reason | wrong |"
    yield "| --- | --- | --- | --- | --- |"
    for allocator in dict.fromkeys(each.allocator for each in found):
        own = [each for each in found if each.allocator == allocator]
        right = sum(each.is_right for each in own)
        left_open = sum(each.is_open for each in own)
        wrong = Counter(
            f"{each.variant}: {each.kind}" for each in own if not (each.is_right or each.is_open)
        )
        text = "; ".join(f"{what} ({count})" for what, count in wrong.items()) or "none"
        yield f"| {allocator} | {len(own)} | {right} | {left_open} | {text} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="allocators [default: all that are installed]")
    parser.add_argument("--repeats", type=int, default=1)
    chosen = parser.parse_args()
    libraries = {AS_IT_IS: "", **installed_allocators()}
    found: list[AllocatorTrial] = []
    for name in chosen.names or libraries:
        for seed in range(chosen.repeats):
            found += trials(name, libraries[name], seed)
            print(name, seed, file=sys.stderr, flush=True)
    print("\n".join(summary(found)))
    if not chosen.names:
        DATA.write_text(json.dumps(_document(found), indent=1) + "\n", encoding="utf-8")


def _document(found: Sequence[AllocatorTrial]) -> dict[str, Any]:
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "leakhunt": __version__,
        **describe_environment({}),
        "trials": [asdict(each) for each in found],
    }


if __name__ == "__main__":
    main()
