"""Allocators in turns: the one that ends at least RSS is best, if no call is slower for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from conftest import MakeRun
from rich.console import Console

from leakhunt.analysis.attribution.allocator_board import allocator_boards, tried_environments
from leakhunt.analysis.attribution.remedy import remedy_trials
from leakhunt.analysis.report import assemble
from leakhunt.engine.interleave import in_turns, interleaved
from leakhunt.model.plan import Role
from leakhunt.model.run import Reading, Run
from leakhunt.reporting.run import html_page, json_file, markdown
from leakhunt.reporting.run.terminal import allocator_tables

MIB = 1 << 20
MS = 1_000_000
ROUNDS = 3
CALLS = 40
PRELOADED = {"jemalloc": "libjemalloc.so.2", "mimalloc": "libmimalloc.so.2"}


def run_with(
    make_run: MakeRun,
    turn: int,
    environment: Mapping[str, str],
    allocator: str,
    rss_mib: float,
    ms: float,
    result: int = 7,
) -> Run:
    """One run of a round; the role is that of the first where nothing is set."""
    rss = round(rss_mib * MIB) + turn * 4096
    live = {"live_heap": 5 * MIB, "python_live": MIB}
    unread = allocator.startswith("mimalloc")
    values = {"rss": rss, **({} if unread else live)}
    samples = {"rss": [rss] * CALLS, "duration": [round(ms * MS) + turn] * CALLS}
    if not unread:
        samples["live_heap"] = [5 * MIB] * CALLS
    run = make_run(
        **samples,
        readings=[Reading("start", values, 0), Reading("end", values, CALLS)],
        results=dict.fromkeys(range(CALLS), result),
        plan_changes={
            "role": Role.AFTER if environment else Role.BEFORE,
            "remedy": "allocators",
            "round": turn,
            "environment": {"MODE": "x", **environment},
        },
    )
    started = f"{turn}{sorted(environment.items())}"
    return replace(run, environment={"allocator": allocator}, started_at=started)


def rounds(make_run: MakeRun, *settings: tuple[Mapping[str, str], str, float, float]) -> list[Run]:
    return [run_with(make_run, turn, *each) for turn in range(1, ROUNDS + 1) for each in settings]


AS_IT_IS: tuple[Mapping[str, str], str, float, float] = ({}, "glibc 2.36 (C library)", 100, 10)
ONE_ARENA = ({"MALLOC_ARENA_MAX": "1"}, "glibc 2.36 (C library)", 80, 10.2)
JEMALLOC = ({"LD_PRELOAD": "libjemalloc.so.2"}, "jemalloc 5.3.0 (preloaded)", 60, 12)
MIMALLOC = ({"LD_PRELOAD": "libmimalloc.so.2"}, "mimalloc 2.0.9 (preloaded)", 110, 9)


def test_the_board_says_what_each_comes_to(make_run: MakeRun) -> None:
    (board,) = allocator_boards(rounds(make_run, AS_IT_IS, ONE_ARENA, JEMALLOC, MIMALLOC))
    assert board.variant == "naive"
    names = [str(trial.name) for trial in board.trials]
    assert names == [
        "glibc 2.36, as it is",
        "jemalloc 5.3.0",
        "mimalloc 2.0.9",
        "glibc, one arena",
    ]
    first, jemalloc, mimalloc, arena = board.trials
    assert first.saved_rss_bytes is None and first.time_ratio is None
    assert first.live_bytes == 6 * MIB
    assert mimalloc.live_bytes is None, "what it does not tell is not guessed"
    assert jemalloc.saved_rss_bytes is not None and jemalloc.time_ratio is not None
    assert jemalloc.saved_rss_bytes.estimate == pytest.approx(40 * MIB)
    assert jemalloc.time_ratio.estimate == pytest.approx(1.2, rel=1e-3)
    assert arena.environment == {"MALLOC_ARENA_MAX": "1"}
    assert (arena.compared, arena.differing) == (CALLS * ROUNDS, 0)


def test_the_best_that_is_not_slower_is_recommended(make_run: MakeRun) -> None:
    (board,) = allocator_boards(rounds(make_run, AS_IT_IS, ONE_ARENA, JEMALLOC, MIMALLOC))
    assert board.recommended is not None
    assert str(board.trials[board.recommended].name) == "glibc, one arena", (
        "jemalloc takes 20 % more"
    )
    sentence = str(board.sentence)
    assert "ends at 80.0 MiB of RSS, 20.0 MiB less than glibc 2.36, as it is" in sentence
    assert sentence.endswith("1.02 × the time per call. Set MALLOC_ARENA_MAX=1")


def test_without_a_saving_it_stays_as_it_is(make_run: MakeRun) -> None:
    (board,) = allocator_boards(rounds(make_run, AS_IT_IS, JEMALLOC, MIMALLOC))
    assert board.recommended is None
    assert str(board.sentence).startswith("naive: stay with glibc 2.36, as it is.")


def test_one_that_changes_the_results_is_not_recommended(make_run: MakeRun) -> None:
    runs = rounds(make_run, AS_IT_IS)
    runs += [run_with(make_run, turn, *ONE_ARENA, result=8) for turn in range(1, ROUNDS + 1)]
    (board,) = allocator_boards(runs)
    assert board.trials[1].differing == CALLS * ROUNDS
    assert board.recommended is None


def test_these_runs_are_no_trial_of_one_remedy(make_run: MakeRun) -> None:
    assert remedy_trials(rounds(make_run, AS_IT_IS, ONE_ARENA)) == ()


def test_a_single_round_tells_no_spread(make_run: MakeRun) -> None:
    once = [run_with(make_run, 1, *each) for each in (AS_IT_IS, ONE_ARENA)]
    assert allocator_boards(once) == ()


def test_glibcs_settings_are_tried_where_glibc_serves(make_run: MakeRun) -> None:
    own = replace(make_run(rss=[1]), environment={"allocator": "glibc 2.36 (C library)"})
    assert tried_environments(own, PRELOADED) == [
        {"MALLOC_ARENA_MAX": "1"},
        {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"},
        {"LD_PRELOAD": "libjemalloc.so.2"},
        {"LD_PRELOAD": "libmimalloc.so.2"},
    ]
    other = replace(own, environment={"allocator": "jemalloc 5.3.0 (preloaded)"})
    assert tried_environments(other, PRELOADED) == [
        {"LD_PRELOAD": ""},
        {"LD_PRELOAD": "libmimalloc.so.2"},
    ]


def test_any_number_of_sides_goes_there_and_back() -> None:
    assert list(in_turns("abc", 2)) == [(1, "a"), (1, "b"), (1, "c"), (2, "c"), (2, "b"), (2, "a")]
    assert list(interleaved("a", "b", 2)) == list(in_turns("ab", 2))


def test_every_format_shows_the_board(make_run: MakeRun) -> None:
    measured = make_run(rss=[100 * MIB] * CALLS, live_heap=[MIB] * CALLS)
    tried = rounds(make_run, AS_IT_IS, ONE_ARENA, JEMALLOC, MIMALLOC)
    report = assemble([measured, *tried], "test")
    console = Console(width=80, record=True, force_terminal=False)
    for part in allocator_tables(report):
        console.print(part)
    shown = console.export_text()
    assert "* glibc, one arena" in shown and "…" not in shown
    for text in (shown, markdown.render(report).decode(), html_page.render(report).decode()):
        assert "jemalloc 5.3.0" in text
        assert "80.0 MiB" in text
        assert "not measured" in text
    (board,) = json.loads(json_file.render(report))["allocators"]
    assert board["recommended"] == 3
    assert board["trials"][1]["environment"] == {"LD_PRELOAD": "libjemalloc.so.2"}
    assert "--try=allocators" in report.command
