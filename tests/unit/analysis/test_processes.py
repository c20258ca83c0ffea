"""The processes of a service: which one grows, those that are replaced, and copies on write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_soaks import MIB, Made, MadeProcess, Numbers, soak, with_workers, write_soak

from leakhunt.analysis.report import assemble
from leakhunt.analysis.verdict import judge
from leakhunt.analysis.verdict.judge import judge_processes
from leakhunt.analysis.verdict.processes import copied_on_write
from leakhunt.analysis.verdict.resampling import resampled
from leakhunt.model.kinds import Kind
from leakhunt.model.verdict import Status
from leakhunt.reporting.run import html_page, json_file, markdown
from leakhunt.reporting.shared.processes import process_rows
from leakhunt.storage import run_file

LONG = Made(samples=507, per_sample=20)


def rising(rate: float) -> dict[str, object]:
    def height(calls: Numbers) -> Numbers:
        return 40 * MIB + rate * calls

    return {"live_heap": height, "anonymous": height, "rss": height}


def worker(rate: float = 0.0, life: int = 0, noise: int = 2000) -> MadeProcess:
    return MadeProcess(rising(rate), life, noise)  # type: ignore[arg-type]


def test_the_worker_that_grows_is_named_and_the_other_is_not() -> None:
    run = with_workers(soak(replace(LONG, retained=100)), worker(), worker(100.0))
    verdict = judge(run)
    assert verdict.status is Status.LEAK
    said = str(verdict.sentence)
    assert "In worker 2 (PID 1020) live heap grows by 100 B/request" in said, said
    assert "no growth in worker 1" in said
    main, one, two = judge_processes(run)
    assert [each.status for each in (main, one)] == [Status.NO_LEAK] * 2
    assert (two.status, two.share) == (Status.LEAK, 1.0)
    assert two.trends["live_heap"].rate == pytest.approx(100, rel=0.02)


def test_of_many_that_grow_the_largest_are_named() -> None:
    rates = [100.0 * number for number in range(1, 6)]
    run = with_workers(soak(replace(LONG, retained=round(sum(rates)))), *map(worker, rates))
    said = str(judge(run).sentence)
    assert said.index("worker 5 (PID") < said.index("worker 4 (PID"), said
    assert "worker 1 (PID" not in said
    assert "more processes" in said


def test_a_slope_that_the_sum_hides_is_found() -> None:
    noise = np.random.default_rng(5)
    loud = {"live_heap": lambda calls: noise.integers(0, 30 * MIB, len(calls)).astype(float)}
    whole = soak(replace(LONG, extra=loud))
    assert judge(whole).status is not Status.LEAK
    verdict = judge(with_workers(whole, worker(), worker(100.0)))
    assert (verdict.status, verdict.kind) == (Status.LEAK, Kind.NATIVE_LEAK)
    assert "The sum over all 3 processes does not show it" in str(verdict.sentence)


def test_a_worker_that_is_replaced_hides_no_slope() -> None:
    run = with_workers(soak(LONG), worker(), worker(100.0, life=50))
    verdict = judge(run)
    assert verdict.status is Status.LEAK
    said = "In worker 2 (PID 1031), replaced 11 times, between replacements live heap grows"
    assert said in str(verdict.sentence)
    growing = judge_processes(run)[2]
    assert growing.trends["live_heap"].rate == pytest.approx(100, rel=0.1)
    assert growing.replaced == 11


def test_workers_that_only_warm_up_in_each_life_do_not_grow() -> None:
    def warm_up(calls: Numbers) -> Numbers:
        return 40 * MIB - 4 * MIB * np.exp(-calls / 60)

    each = MadeProcess({"live_heap": warm_up, "anonymous": warm_up, "rss": warm_up}, 60, 2000)
    run = with_workers(soak(LONG), each, each)
    assert judge(run).status is not Status.LEAK
    assert not any(found.grows for found in judge_processes(run))


def test_clean_workers_change_no_verdict() -> None:
    for seed in range(8):
        whole = soak(replace(LONG, seed=seed))
        noise = 60_000 + seed
        parts = with_workers(whole, *(worker(noise=noise) for _ in range(4)))
        assert judge(parts).status is judge(whole).status is Status.NO_LEAK
        assert str(judge(parts).sentence) == str(judge(whole).sentence)


def test_seen_from_outside_the_process_that_grows_is_named_too() -> None:
    def height(calls: Numbers) -> Numbers:
        return 40 * MIB + 9000 * calls

    grows = MadeProcess({"anonymous": height, "rss": height}, 0, 2000)
    whole = soak(replace(LONG, inside=False, retained=9000))
    run = with_workers(whole, worker(), grows)
    for each in run.processes:  # no agent
        for name in ("live_heap", "python_blocks"):
            values = each.samples.samples[name]
            values[:] = [None] * len(values)  # type: ignore[index]
    verdict = judge(run)
    assert verdict.kind is Kind.OUTSIDE_GROWTH
    assert "worker 2 (PID 1020) anonymous memory grows by 8.79 KiB/request" in str(verdict.sentence)


def test_copies_of_the_parents_pages_are_no_leak() -> None:
    def copying(calls: Numbers) -> Numbers:
        return 4 * MIB + 50 * MIB * (1 - np.exp(-calls / 800))

    level = {"private_dirty": copying}
    run = with_workers(soak(LONG), MadeProcess(level), MadeProcess(level))
    copied = copied_on_write(run)
    assert copied is not None
    assert copied.workers == 2
    assert copied.size_bytes == pytest.approx(100 * MIB, rel=0.05)
    assert copied.most_bytes == 120 * MIB
    verdict = judge(run)
    assert (verdict.status, verdict.kind) == (Status.NO_LEAK, Kind.COPY_ON_WRITE)
    assert "gc.freeze() in the parent before it forks" in str(verdict.sentence)


def test_what_a_worker_takes_anew_is_no_copy() -> None:
    def height(calls: Numbers) -> Numbers:
        return 4 * MIB + 5000 * calls

    run = with_workers(soak(LONG), MadeProcess({"private_dirty": height, "anonymous": height}))
    assert copied_on_write(run) is None


def test_processes_are_read_back_from_the_run_file(tmp_path: Path) -> None:
    run = with_workers(soak(LONG), worker(), worker(100.0, life=50))
    again = run_file.load(write_soak(tmp_path / "a.run.jsonl", run))
    assert again.damaged_lines == 0
    assert [each.samples.process for each in again.processes] == [
        each.samples.process for each in run.processes
    ]
    assert str(judge(again).sentence) == str(judge(run).sentence)


def test_rows_that_make_no_sense_are_damage_and_nothing_else(tmp_path: Path) -> None:
    run = with_workers(soak(LONG), worker())
    file = write_soak(tmp_path / "a.run.jsonl", run)
    whole = file.read_text("utf-8")
    file.write_text(whole.replace('"processes":[[0,', '"processes":[[7,', 3), "utf-8")
    again = run_file.load(file)
    assert again.damaged_lines == 3
    assert len(again.processes[0].samples.places) == run.samples_done - 3


def test_a_long_soak_thins_its_processes_as_itself() -> None:
    run = with_workers(soak(replace(LONG, doublings=2)), worker(), worker(100.0))
    even = resampled(run)
    assert even.samples_done < run.samples_done
    for each in even.processes:
        assert list(each.samples.places) == list(range(even.samples_done))
    assert judge_processes(run)[2].trends["live_heap"].rate == pytest.approx(100, rel=0.02)


def test_every_format_has_a_row_for_each_process() -> None:
    run = with_workers(soak(replace(LONG, retained=100)), worker(), worker(100.0))
    report = assemble([run], "leakhunt")
    rows = process_rows(report)
    assert [row[1] for row in rows] == ["main process", "worker 1", "worker 2"]
    assert rows[2][4] == "100 B/request"
    for page in (html_page.render(report), markdown.render(report)):
        assert "worker 2" in page.decode()
        assert "share of growth" in page.decode()
    assert b'"worker": 2' in json_file.render(report)
