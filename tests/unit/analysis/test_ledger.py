from __future__ import annotations

import random

import pytest
from conftest import MakeRun

from leakhunt.analysis.verdict import ledger
from leakhunt.model.run import Ending, Outcome

MIB = 1 << 20
NAMES = ("rss", "rss_file", "rss_shared", "live_heap", "python_live", "python_arenas")
STEPS = ("start", "end", "collected", "emptied", "trimmed")


@pytest.mark.parametrize("seed", range(20))
def test_the_lines_add_up_to_the_growth_whatever_was_read(make_run: MakeRun, seed: int) -> None:
    source = random.Random(seed)
    readings = {step: {name: source.randrange(10**9) for name in NAMES} for step in STEPS}
    made = ledger(make_run(readings=readings, rss=[1, 2, 3]))
    assert made is not None
    assert sum(line.size_bytes for line in made.lines) == made.growth_bytes
    assert made.growth_bytes == readings["end"]["rss"] - readings["start"]["rss"]
    assert made.lines[-1].name == "unexplained"


def test_each_kind_of_memory_is_told_by_what_let_it_go(make_run: MakeRun) -> None:
    start = {
        "rss": 100 * MIB, "rss_file": 20 * MIB, "live_heap": 50 * MIB,
        "python_live": 10 * MIB, "python_arenas": 12 * MIB,
    }  # fmt: skip
    end = {
        "rss": 130 * MIB, "rss_file": 21 * MIB, "live_heap": 60 * MIB,
        "python_live": 14 * MIB, "python_arenas": 17 * MIB,
    }  # fmt: skip
    collected = end | {"rss": 128 * MIB, "live_heap": 58 * MIB, "python_live": 13 * MIB}
    trimmed = collected | {"rss": 118 * MIB}
    made = ledger(
        make_run(
            readings={
                "start": start, "end": end, "collected": collected,
                "emptied": collected, "trimmed": trimmed,
            },
            rss=[130 * MIB],
        )
    )  # fmt: skip
    assert made is not None and made.complete
    sizes = {line.name: line.size_bytes / MIB for line in made.lines}
    assert sizes == {
        "live_python": 3,
        "live_native": 8,
        "garbage": 3,
        "kept_by_malloc": 10,
        "kept_by_python": 1,
        "file_backed": 1,
        "unexplained": 4,
    }


def test_a_killed_worker_leaves_an_incomplete_ledger(make_run: MakeRun) -> None:
    made = ledger(
        make_run(
            readings={"start": {"rss": 10 * MIB, "live_heap": MIB}},
            outcome=Outcome(Ending.KILLED, "SIGKILL"),
            rss=[11 * MIB, 15 * MIB],
            live_heap=[2 * MIB, 4 * MIB],
        )
    )
    assert made is not None and not made.complete
    assert [(line.name, line.size_bytes) for line in made.lines] == [
        ("live_or_garbage", 3 * MIB),
        ("unexplained", 2 * MIB),
    ]


def test_there_is_no_ledger_without_samples(make_run: MakeRun) -> None:
    assert ledger(make_run(readings={"start": {"rss": 1}})) is None
