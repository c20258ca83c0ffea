"""The truth about the caches of the zoo: this writes ``reports/truth/cache_bounds.json``.

    python tests/truth/cache_bounds.py
    python tests/truth/cache_bounds.py leak-zoo-caches:statements-pruned     # writes nothing

Each workload is run five times as long as it takes to fill, in a process of its own and without
the plain work of its calls, and its live bytes are counted exactly: what malloc has handed out
(``mallinfo2``) and what pymalloc has (``sys._debugmallocstats``), after a collection. A cache is
level if no later reading is above those right after it was full; its twins that leak go on.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import re
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from leakhunt import __version__
from leakhunt.environment import describe_environment
from leakhunt.scenario import find
from leakhunt.scenario.contract import Context

DATA = Path(__file__).parents[2] / "reports" / "truth" / "cache_bounds.json"
CACHES = "leak-zoo-caches"
LEAKING = f"{CACHES}-leaking"
TIMES_FULL = 5
READINGS = 50
# Twins that leak run so long: past the bound of the cache that they look like.
LEAKING_CALLS = 5000
# What the readings after filling may differ by and the cache still be level, as a part of it.
SWING = 0.015
# A cache counts as full from this part of its ceiling on.
FULL = 0.95
# Declared and measured ceilings agree within this part.
AGREES = 0.1


@dataclass(frozen=True, slots=True)
class Bound:
    """The truth about a cache: entries, calls until it is full, and its live bytes then.

    `swing` is what the bytes go up and down by when it is full: entries of all sizes.
    """

    entries: int
    calls: int
    mib: float
    swing: float = SWING


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run past the bound found.

    `full_after`: calls until 95 % of the ceiling. `ceiling_bytes`: the highest reading after twice
    the time to fill, above the start. `rise_bytes`: what the last fifth of the run is above the
    second one, at their highest. `bytes_per_call`: the same by call.
    """

    workload: str
    calls: int
    full_after: int
    ceiling_bytes: int
    rise_bytes: int
    bytes_per_call: float


BOUNDS = {
    "leak-zoo-caches:schemas-by-object": Bound(1024, 1024, 6.5),
    "leak-zoo-caches:builders-by-frame": Bound(1024, 1024, 21.7),
    "leak-zoo-caches:statements-pruned": Bound(750, 750, 10.4),
    "leak-zoo-caches:glyphs-at-random": Bound(1500, 3700, 4.6),
    "leak-zoo-caches:words-by-frequency": Bound(300, 1700, 4.6),
    "leak-zoo-caches:method-with-known-products": Bound(700, 700, 2.5),
    "leak-zoo-caches:half-is-dropped": Bound(800, 800, 2.9),
    "leak-zoo-caches:ordered-dict-as-lru": Bound(900, 1100, 4.5),
    "leak-zoo-caches:last-requests": Bound(1200, 1200, 2.8),
    "leak-zoo-caches:random-victim": Bound(700, 700, 4.1),
    "leak-zoo-caches:two-generations": Bound(800, 800, 5.6),
    "leak-zoo-caches:lru-of-all-sizes": Bound(600, 600, 14.8, 0.06),
    "leak-zoo-caches:lru-by-bytes": Bound(820, 850, 8.2),
    "leak-zoo-caches:expire-after-calls": Bound(1050, 1050, 3.3),
    "leak-zoo-caches:weak-values": Bound(500, 1400, 1.6),
    "leak-zoo-caches:buffers-by-shape": Bound(900, 900, 4.4),
    "leak-zoo-caches:ring-of-batches": Bound(256, 256, 15.7),
    "leak-zoo-caches:vocabulary-interned": Bound(1800, 1800, 1.1),
    "leak-zoo-caches:longest-so-far": Bound(1, 900, 0.5),
    "leak-zoo-caches:buffers-of-threads": Bound(48, 384, 9.4),
    "leak-zoo-caches-standard-library:patterns-compiled": Bound(512, 700, 0.47),
    "leak-zoo-caches-standard-library:globs-compiled": Bound(1500, 1500, 1.3),
    "leak-zoo-caches-standard-library:urls-split": Bound(128, 190, 0.32),
    "leak-zoo-caches-standard-library:sqlite-statements": Bound(600, 600, 1.55),
    "leak-zoo-caches-standard-library:sqlite-pages": Bound(1500, 2100, 6.2),
    "leak-zoo-caches-standard-library:loggers-of-tenants": Bound(800, 800, 0.9),
    "leak-zoo-caches-standard-library:tags-interned-by-expat": Bound(4000, 2000, 0.95),
    "leak-zoo-caches-standard-library:sources-of-templates": Bound(300, 300, 5.1),
    "leak-zoo-caches-standard-library:plugins-imported": Bound(150, 300, 1.9),
    "leak-zoo-caches-standard-library:small-arrays": Bound(7161, 1023, 3.5),
    "leak-zoo-caches-libraries:cachetools-lru": Bound(1000, 1000, 3.1),
    "leak-zoo-caches-libraries:cachetools-ttl": Bound(800, 800, 4.2),
    "leak-zoo-caches-libraries:cachetools-lfu": Bound(600, 720, 3.65),
    "leak-zoo-caches-libraries:cachetools-by-size": Bound(970, 1000, 6.4),
    "leak-zoo-caches-libraries:jinja-lru": Bound(1500, 1500, 3.4),
    "leak-zoo-caches-libraries:jinja-templates": Bound(200, 220, 1.1, 0.03),
    "leak-zoo-caches-libraries:texts-measured": Bound(4096, 2048, 4.1),
    "leak-zoo-caches-libraries:glyphs-drawn": Bound(1000, 3000, 1.6),
    "leak-zoo-caches-libraries:fonts-found": Bound(1024, 1024, 1.9),
    "leak-zoo-caches-libraries:colours-parsed": Bound(1024, 1450, 0.49),
    "leak-zoo-caches-libraries:lexers-loaded": Bound(580, 2350, 32),
    "leak-zoo-caches-libraries:locales-loaded": Bound(40, 200, 20.7),
    "leak-zoo-caches-models:convolutions-by-length": Bound(2048, 2100, 36),
    "leak-zoo-caches-models:convolutions-of-some-lengths": Bound(800, 2100, 22),
    "leak-zoo-caches-models:positions-by-length": Bound(500, 500, 7.9),
    "leak-zoo-caches-models:windows-by-rate": Bound(120, 120, 4.7),
    "leak-zoo-caches-models:attention-with-a-window": Bound(500, 500, 2.2),
    "leak-zoo-caches-models:words-tokenized": Bound(10000, 500, 5.8),
    "leak-zoo-caches-models:expressions-simplified": Bound(1000, 1000, 4.8),
    "leak-zoo-caches-web:pools-by-host": Bound(300, 300, 1.5),
    "leak-zoo-caches-web:sessions-by-tenant": Bound(250, 250, 1.7),
    "leak-zoo-caches-web:connections-to-a-server": Bound(40, 400, 1.2, 0.03),
    "leak-zoo-caches-web:strings-of-json": Bound(16384, 450, 1.5),
    "leak-zoo-caches-web:keys-of-json": Bound(2048, 550, 0.17, 0.05),
    "leak-zoo-caches-web:validators-by-type": Bound(128, 130, 4),
    "leak-zoo-caches-web:routes-by-path": Bound(900, 900, 1.45),
    "leak-zoo-caches-web:addresses-taken-apart": Bound(1500, 1500, 3.6),
    "leak-zoo-caches-leaking:handles-freed": Bound(200, 200, 1.6),
}


class _Mallinfo2(ctypes.Structure):
    _fields_: ClassVar[list[tuple[str, type]]] = [
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks")),
        *((name, ctypes.c_size_t) for name in ("hblkhd", "usmblks", "fsmblks", "uordblks")),
        *((name, ctypes.c_size_t) for name in ("fordblks", "keepcost")),
    ]


def live_bytes() -> int:
    """The bytes that are handed out, by malloc and by pymalloc, after a collection."""
    gc.collect()
    return _malloc_bytes() + _pymalloc_bytes()


def _malloc_bytes() -> int:
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = _Mallinfo2
    info = libc.mallinfo2()
    return int(info.uordblks + info.hblkhd)


def _pymalloc_bytes() -> int:
    with tempfile.TemporaryFile() as output:
        duplicate = os.dup(2)
        os.dup2(output.fileno(), 2)
        try:
            sys._debugmallocstats()
        finally:
            os.dup2(duplicate, 2)
            os.close(duplicate)
        output.seek(0)
        found = re.search(rb"# bytes in allocated blocks\s+=\s+([\d,]+)", output.read())
    assert found, "this Python tells nothing about pymalloc"
    return int(found[1].replace(b",", b""))


def readings(workload: str, calls: int) -> list[tuple[int, int]]:
    """Live bytes above the start after so many calls, at fifty places of the run."""
    name, _, variant = workload.partition(":")
    (found,) = (each for each in find.builtin() if each.name == name)
    function = next(each.function for each in found.variants if each.name == variant)
    module: Any = find.load(found.file)
    module.work = lambda: 0
    with tempfile.TemporaryDirectory() as folder:
        context = Context(variant, None, 0, 1, "cpu", {}, Path(folder), Path(folder))
        state = module.setup(context)
        call = getattr(module, function)
        places = [round(calls * (place + 1) / READINGS) for place in range(READINGS)]
        sizes = array("q", bytes(8 * READINGS))  # made before the start: it would be counted too
        live_bytes()
        start, place = live_bytes(), 0
        for number in range(calls):
            call(state, number)
            if number + 1 == places[place]:
                sizes[place] = live_bytes() - start
                place += 1
        if hasattr(module, "teardown"):
            module.teardown(state)
    return list(zip(places, sizes, strict=True))


def measured(workload: str, calls: int, taken: Sequence[tuple[int, int]]) -> Measured:
    """What the readings come to; they were `taken` over a run of so many `calls`."""
    fifth = calls / TIMES_FULL
    second = max(size for number, size in taken if fifth < number <= 2 * fifth)
    last = max(size for number, size in taken if number > calls - fifth)
    ceiling = max(size for number, size in taken if number > fifth)
    full = next(number for number, size in taken if size >= FULL * ceiling)
    rise = last - second
    return Measured(workload, calls, full, ceiling, rise, rise / (3 * fifth))


def workloads() -> Iterator[tuple[str, float]]:
    """Every workload of the caches by name, and the bytes per call that it leaks (0: none)."""
    for found in find.builtin():
        if found.name.startswith(CACHES):
            for variant in found.variants:
                yield f"{found.name}:{variant.name}", variant.rate


def calls_of(workload: str) -> int:
    """How long it is run."""
    return BOUNDS[workload].calls * TIMES_FULL if workload in BOUNDS else LEAKING_CALLS


def in_a_process(workload: str) -> Measured:
    """The same, measured in a process of its own."""
    words = [sys.executable, __file__, "--one", workload]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{workload}: {done.stderr}"
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def wrong(each: Measured, rate: float) -> str:
    """What is not as the zoo says; empty where all is."""
    if rate:
        agrees = abs(each.bytes_per_call - rate) <= AGREES * rate
        return "" if agrees else f"grows by {each.bytes_per_call:.0f} a call, said {rate:.0f}"
    bound = BOUNDS[each.workload]
    bound_bytes = bound.mib * 2**20
    if each.rise_bytes > bound.swing * each.ceiling_bytes:
        return f"is not level: {each.rise_bytes} more"
    if abs(each.ceiling_bytes - bound_bytes) > max(AGREES, bound.swing) * bound_bytes:
        return f"ends at {each.ceiling_bytes / 2**20:.3g} MiB, said {bound.mib}"
    if each.full_after > 1.1 * bound.calls + calls_of(each.workload) / READINGS:
        return f"is full after {each.full_after} calls, said {bound.calls}"
    return ""


def main() -> int:
    """Measure all of them and write the table, or those that are named and write nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--one", action="store_true", help="in this process, told as JSON")
    args = parser.parse_args()
    if args.one:
        (workload,) = args.workloads
        calls = calls_of(workload)
        values = json.dumps(asdict(measured(workload, calls, readings(workload, calls))))
        print(values, flush=True)
        os._exit(0)  # threads of a workload would keep the process
    rates = dict(workloads())
    table, failed = [], 0
    with ThreadPoolExecutor(args.jobs) as pool:
        for each in pool.map(in_a_process, args.workloads or rates):
            fault = wrong(each, rates[each.workload])
            failed += bool(fault)
            print(
                f"{each.workload}: {each.ceiling_bytes / 2**20:.3g} MiB after {each.full_after}"
                f" calls, then {each.bytes_per_call:+.2f} B/call {fault}",
                flush=True,
            )
            table.append({**asdict(each), "leaks": bool(rates[each.workload])})
    if not args.workloads:
        facts = {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "leakhunt": __version__,
            **describe_environment(os.environ),
        }
        rows = ",\n".join(json.dumps(row) for row in table)
        facts_told = json.dumps(facts)
        DATA.write_text(f'{{"facts": {facts_told}, "workloads": [\n{rows}\n]}}\n', encoding="utf-8")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
