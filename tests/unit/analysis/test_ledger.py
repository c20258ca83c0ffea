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


def test_what_is_freed_and_pinned_is_resident_memory_of_malloc_that_is_not_in_use(
    make_run: MakeRun,
) -> None:
    start = {
        "rss": 100 * MIB, "live_heap": 50 * MIB, "malloc_mapped": 10 * MIB,
        "malloc_resident": 41 * MIB, "malloc_free": 2 * MIB, "thread_stacks": MIB,
    }  # fmt: skip
    end = {
        "rss": 130 * MIB, "live_heap": 62 * MIB, "malloc_mapped": 12 * MIB,
        "malloc_resident": 60 * MIB, "malloc_free": 30 * MIB, "thread_stacks": 3 * MIB,
        "library_pools": 4 * MIB, "generated_code": 3 * MIB,
    }  # fmt: skip
    readings = {"start": start, **dict.fromkeys(STEPS[1:], end)}
    sizes = sizes_of(make_run, readings)
    assert sizes["live_native"] == 12
    assert sizes["pinned"] == 9, "60 less 50 in use, and 1 at the start"
    assert (sizes["thread_stacks"], sizes["library_pools"]) == (2, 4)
    assert sizes["generated_code"] == 3
    assert sizes["unexplained"] == 30 - 12 - 9 - 2 - 4 - 3
    few = {**end, "malloc_free": 7 * MIB}
    readings = {"start": start, **dict.fromkeys(STEPS[1:], few)}
    assert sizes_of(make_run, readings)["pinned"] == 6, "not more than malloc says is free"


def test_what_an_allocator_holds_that_does_not_tell_is_neither_live_nor_retained(
    make_run: MakeRun,
) -> None:
    start = {"rss": 100 * MIB, "malloc_resident": 40 * MIB}
    end = {"rss": 130 * MIB, "malloc_resident": 65 * MIB}
    sizes = sizes_of(make_run, {"start": start, **dict.fromkeys(STEPS[1:], end)})
    assert sizes["held_unread"] == 25
    assert "pinned" not in sizes
    assert sizes["unexplained"] == 5


def sizes_of(make_run: MakeRun, readings: dict[str, dict[str, int]]) -> dict[str, float]:
    """The lines of the ledger, in MiB."""
    made = ledger(make_run(readings=readings, rss=[130 * MIB]))
    assert made is not None
    return {line.name: line.size_bytes / MIB for line in made.lines}
