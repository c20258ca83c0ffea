"""A watch of days in compressed time: memory, file, restarts, alarms, and its own death."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import jsonschema
import pytest
import watched_worlds
from watched_worlds import HOUR, MIB, ToldClock, ToldSource, watched, wavy

from leakhunt.analysis.verdict.judge import judge
from leakhunt.model.kinds import Kind
from leakhunt.model.run import FREE_MEMORY, Ending, Run
from leakhunt.model.series import RSS
from leakhunt.model.verdict import Status
from leakhunt.service.watch import SAMPLES_A_PHASE, WatchEvent, grows
from leakhunt.service.watched_tree import ProcessBirth
from leakhunt.storage import run_file as store
from leakhunt.storage.schema_files import schema_text
from leakhunt.text.message import Text

START = 100_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "watch.run.jsonl"


def told_by(news: list[WatchEvent]) -> object:
    def told(each: WatchEvent) -> Text | None:
        news.append(each)
        return "told"

    return told


def kinds(run: Run) -> list[str]:
    return [str(note["kind"]) for note in run.notes]


@pytest.mark.parametrize("hours", [24, pytest.param(72, marks=pytest.mark.long)])
def test_days_take_constant_memory_and_a_file_that_is_bounded(file: Path, hours: int) -> None:
    # In a process of its own: threads that other tests have left allocate as well.
    command = [sys.executable, watched_worlds.__file__, str(file), str(hours), "traced"]
    taken = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    run = store.load(file)
    assert run.outcome.ending is Ending.OK
    assert len(taken) >= 8
    # numpy keeps small blocks of the sizes that it was asked for, ever fewer of them anew. A number
    # that each reading leaves would be five times as much.
    assert taken[-1] - taken[len(taken) // 2] < 4096
    assert hours * HOUR - 400 <= run.calls_done <= hours * HOUR
    assert run.samples_done <= 8 * SAMPLES_A_PHASE
    assert file.stat().st_size < 1 << 20
    assert judge(run).status is Status.NO_LEAK
    assert [phase.calls_per_sample for phase in run.phases] == [
        60 * 2**turn for turn in range(len(run.phases))
    ]


def test_every_line_is_as_the_schema_says(file: Path) -> None:
    clock = ToldClock()
    births = lambda second: ProcessBirth(1, second // (3 * HOUR))  # noqa: E731
    watched(
        file, clock, ToldSource(clock, lambda second: 300 * MIB + 4000 * (second - START), births),
        hours=12, limits={FREE_MEMORY: 400 * MIB},
    )  # fmt: skip
    schema = json.loads(schema_text("run-file"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    for line in file.read_text("utf-8").splitlines():
        validator.validate(json.loads(line))
    assert {"watching", "restarted", "verdict", "alarm", "alarm-raised"} >= set(
        kinds(store.load(file))
    )


def test_a_leak_raises_one_alarm(file: Path) -> None:
    clock, news = ToldClock(), list[WatchEvent]()
    source = ToldSource(clock, lambda second: wavy(second) + 2000 * (second - START))
    watched(file, clock, source, hours=24, on_alarm=told_by(news))  # type: ignore[arg-type]
    assert len(news) == 1
    assert news[0].verdict.kind is Kind.OUTSIDE_GROWTH
    assert news[0].verdict.trends[RSS].rate == pytest.approx(2000, rel=0.1)
    assert news[0].run.calls_done < 2 * HOUR
    assert kinds(store.load(file)).count("alarm-raised") == 1


def test_what_is_level_raises_none(file: Path) -> None:
    clock, news = ToldClock(), list[WatchEvent]()
    watched(file, clock, ToldSource(clock, wavy), hours=24, on_alarm=told_by(news))  # type: ignore[arg-type]
    assert news == []


def test_memory_that_gets_short_raises_an_alarm_before_any_verdict(file: Path) -> None:
    clock, news = ToldClock(), list[WatchEvent]()
    source = ToldSource(clock, lambda second: 300 * MIB + (second - START) * MIB // 2)
    limits = {FREE_MEMORY: 400 * MIB}
    watched(file, clock, source, hours=0.1, limits=limits, on_alarm=told_by(news))  # type: ignore[arg-type]
    assert len(news) == 1
    assert "memory is short" in str(news[0].text)
    assert news[0].reading.counted_bytes < 400 * MIB


def test_a_restart_is_marked_and_what_it_takes_back_hides_no_leak(file: Path) -> None:
    clock, news = ToldClock(), list[WatchEvent]()
    life = 5 * HOUR

    def memory(second: int) -> int:
        return 300 * MIB + 5000 * ((second - START) % life) + second * 7919 % 1009

    births = lambda second: ProcessBirth(4711, (second - START) // life)  # noqa: E731
    watched(file, clock, ToldSource(clock, memory, births), hours=24, on_alarm=told_by(news))  # type: ignore[arg-type]
    run = store.load(file)
    assert kinds(run).count("restarted") == 4
    assert [reading.step for reading in run.readings].count("restarted") == 4
    verdict = judge(run)
    assert verdict.kind is Kind.OUTSIDE_GROWTH
    assert verdict.trends[RSS].rate == pytest.approx(5000, rel=0.1)


def test_a_number_that_another_process_got_is_another_process(file: Path) -> None:
    clock = ToldClock()
    births = lambda second: ProcessBirth(4711, 1 if second < START + HOUR else 2)  # noqa: E731
    watched(file, clock, ToldSource(clock, wavy, births), hours=2)
    noted = [note for note in store.load(file).notes if note["kind"] == "watching"]
    assert [(note["pid"], note["ticks"]) for note in noted] == [(4711, 1), (4711, 2)]


def test_the_last_reading_of_a_process_that_ended_is_written(file: Path) -> None:
    clock = ToldClock()
    end = START + 6 * HOUR + 15

    def memory(second: int) -> int | None:
        return wavy(second) if second <= end else None

    outcome = watched(file, clock, ToldSource(clock, memory), hours=24, wait=300)
    run = store.load(file)
    assert outcome.ending is Ending.OK
    assert "none took its place" in str(outcome.reason)
    assert run.calls_done == 6 * HOUR + 10
    assert run.samples[RSS][-1] == wavy(START + 6 * HOUR + 10) + 10 * MIB


def test_a_command_of_ours_ends_the_watch_with_its_code(file: Path) -> None:
    clock = ToldClock()
    source = ToldSource(
        clock, lambda second: wavy(second) if second < START + 600 else None, code=3
    )
    outcome = watched(file, clock, source, hours=24)
    assert (outcome.ending, outcome.exit_code) == (Ending.CRASHED, 3)


def test_a_wall_clock_that_jumps_changes_nothing(file: Path) -> None:
    clock = ToldClock()

    def jump(clock: ToldClock) -> None:
        clock.offset -= 40 * HOUR

    clock.at[700] = jump
    watched(file, clock, ToldSource(clock, wavy), hours=4)
    run = store.load(file)
    assert {later - earlier for earlier, later in pairwise(run.calls)} <= {10, 20}
    assert run.calls_done == 4 * HOUR


def test_a_machine_that_slept_is_no_growth(file: Path) -> None:
    clock = ToldClock()

    def sleep(clock: ToldClock) -> None:
        clock.now += 10 * HOUR

    clock.at[700] = sleep
    watched(file, clock, ToldSource(clock, wavy), hours=16)
    verdict = judge(store.load(file))
    assert not grows(verdict)
    assert verdict.trends[RSS].rate == pytest.approx(0, abs=50)


def check_whole(file: Path, hours: float, kills: int) -> None:
    """Nothing that was written is lost, nothing is there twice, and every value is that of then."""
    run = store.load(file)
    assert run.outcome.ending is Ending.OK
    assert kinds(run).count("resumed") == kills
    assert list(run.calls) == sorted(set(run.calls))
    for call, value in zip(run.calls, run.samples[RSS], strict=True):
        assert value == wavy(START + call) + 10 * MIB
    each = run.phases[-1].calls_per_sample
    assert max(later - earlier for earlier, later in pairwise(run.calls)) <= 2 * each
    assert run.calls_done >= hours * HOUR - 2 * each
    assert run.samples_done <= 8 * SAMPLES_A_PHASE


def killed_again_and_again(file: Path, hours: float, kills: int, seed: int) -> None:
    source = random.Random(seed)
    command = [sys.executable, watched_worlds.__file__, str(file), str(hours)]
    for _ in range(kills):
        process = subprocess.Popen([*command, "0.0005"])
        deadline = time.monotonic() + 60
        while not file.exists() or not file.stat().st_size:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        before = file.stat().st_size
        while file.stat().st_size <= before:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(source.uniform(0.0, 0.15))
        assert process.poll() is None, "the watch was over before it was killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([*command, "0"], check=True)


def test_a_watch_that_is_killed_goes_on_and_loses_nothing(file: Path) -> None:
    killed_again_and_again(file, hours=72, kills=3, seed=1)
    check_whole(file, 72, 3)


@pytest.mark.long
def test_a_watch_that_is_killed_a_hundred_times_loses_nothing(file: Path) -> None:
    killed_again_and_again(file, hours=72, kills=100, seed=2)
    check_whole(file, 72, 100)


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_a_line_that_was_cut_off_is_left_behind(file: Path, cut: int) -> None:
    clock = ToldClock()
    watched(file, clock, ToldSource(clock, wavy), hours=1)
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-1])[:-cut])
    before = store.load(file).samples_done
    watched(file, clock, ToldSource(clock, wavy), hours=2)
    run = store.load(file)
    assert run.damaged_lines <= 1
    assert run.samples_done > before
    assert list(run.calls) == sorted(set(run.calls))


@pytest.mark.parametrize("lines", [0, 1, 2])
def test_a_watch_that_was_killed_as_it_began_begins_or_goes_on(file: Path, lines: int) -> None:
    clock = ToldClock()
    watched(file, clock, ToldSource(clock, wavy), hours=0.1)
    whole = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(whole[:lines]) or whole[0][:100])
    clock = ToldClock()
    watched(file, clock, ToldSource(clock, wavy), hours=1)
    run = store.load(file)
    assert run.damaged_lines == 0
    assert HOUR - 20 <= run.calls_done <= HOUR
    assert len(run.samples[RSS]) >= 350


def test_after_another_boot_the_watch_goes_on_with_another_process(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ToldClock()
    watched(file, clock, ToldSource(clock, wavy), hours=1)
    monkeypatch.setattr("leakhunt.service.watch.boot_id", lambda: "another")
    after = ToldClock(now=50.0, offset=time.time())
    watched(file, after, ToldSource(after, wavy), hours=2)
    run = store.load(file)
    assert [reading.step for reading in run.readings] == ["restarted"]
    assert run.calls_done >= 2 * HOUR - 20
    assert list(run.calls) == sorted(set(run.calls))
    assert max(later - earlier for earlier, later in pairwise(run.calls)) < 200
