"""Following a run file: only whole lines count, however they arrive."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from conftest import TWO_SERIES, plan

from leakhunt.storage import run_file as store
from leakhunt.storage import run_writer
from leakhunt.storage.follow import Tail


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    file = tmp_path / f"naive{store.SUFFIX}"
    run_writer.create(file, {"plan": asdict(plan(calls=9)), "series": TWO_SERIES})
    return file


def add(file: Path, data: bytes) -> None:
    with open(file, "ab") as stream:
        stream.write(data)


def sample(call: int) -> bytes:
    return run_writer.encode({"record": "sample", "call": call, "values": [100 + call, 7]})


def test_a_header_is_news_without_a_call(run_file: Path) -> None:
    with Tail(run_file) as tail:
        assert tail.follow()
        assert (tail.planned, tail.calls, tail.latest, tail.pauses) == (9, 0, {}, 0)


def test_a_worker_pauses_after_its_start_and_after_each_look_and_settles_at_last(
    run_file: Path,
) -> None:
    for step in ("start", "look", "look_collected", "look", "look_collected"):
        add(run_file, run_writer.encode({"record": "settle", "step": step, "values": {}}))
    with Tail(run_file) as tail:
        tail.follow()
        assert (tail.pauses, tail.settled) == (3, False)
        add(run_file, run_writer.encode({"record": "settle", "step": "trimmed", "values": {}}))
        tail.follow()
        assert (tail.pauses, tail.settled) == (3, True)


def test_a_sample_counts_once_its_line_is_whole(run_file: Path) -> None:
    with Tail(run_file) as tail:
        tail.follow()
        line = sample(0)
        add(run_file, line[:-9])
        assert not tail.follow()
        assert tail.calls == 0
        add(run_file, line[-9:])
        assert tail.follow()
        assert (tail.calls, tail.latest) == (1, {"rss": 100, "duration": 7})


def test_the_time_of_a_batch_is_told_per_call(run_file: Path) -> None:
    line = {"record": "sample", "call": 9, "values": [100, 70]}
    add(run_file, sample(4) + run_writer.encode(line))
    with Tail(run_file) as tail:
        tail.follow()
        assert (tail.calls, tail.latest) == (10, {"rss": 100, "duration": 14})


def test_nothing_new_is_no_news(run_file: Path) -> None:
    with Tail(run_file) as tail:
        tail.follow()
        assert not tail.follow()


def test_many_lines_at_once_are_all_counted_and_the_last_is_the_latest(run_file: Path) -> None:
    add(run_file, b"".join(map(sample, range(7))))
    with Tail(run_file) as tail:
        tail.follow()
        assert (tail.calls, tail.latest["rss"]) == (7, 106)


def test_notes_are_kept_by_kind_and_other_records_are_news_only(run_file: Path) -> None:
    add(run_file, run_writer.encode({"record": "note", "kind": "error", "text": "KeyError"}))
    add(run_file, run_writer.encode({"record": "note", "kind": "stopped"}))
    add(run_file, run_writer.encode({"record": "hologram"}))
    with Tail(run_file) as tail:
        assert tail.follow()
        assert (tail.notes, tail.calls) == ({"error": "KeyError", "stopped": ""}, 0)
