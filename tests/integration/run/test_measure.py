"""Measuring without the command line: what is left when `measure` returns."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import Leakhunt, WriteScenario, only_run, plan

from leakhunt.errors import CannotWrite
from leakhunt.model.run import Ending, Outcome, Run
from leakhunt.runner import memory_limit
from leakhunt.runner.supervisor import Progress, measure
from leakhunt.scenario.contract import Context
from leakhunt.storage import run_file
from leakhunt.storage.follow import Tail
from leakhunt.worker.protocol import Order

NAIVE = "@variant\ndef naive(state, item):\n    pass\n"
GROWS = "@variant\ndef naive(state, item):\n    KEPT.append(b'x' * (10 << 20))\n"
Measure = Callable[..., tuple[Outcome, Run]]


def no_progress(tail: Tail) -> None:
    """Shown to nobody."""


@pytest.fixture
def measured(tmp_path: Path) -> Measure:
    """Measure the first variant of a scenario file; its outcome and what the run file says."""

    def carry_out(
        file: Path,
        calls: int,
        limit: int | None = None,
        progress: Progress = no_progress,
        interpreter: str = "",
    ) -> tuple[Outcome, Run]:
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        context = Context("naive", calls, 0, 1, "cpu", {}, tmp_path, tmp_path)
        order = Order(
            prepare=False, supervisor=os.getpid(), scenario_file=str(file), function="naive",
            devices=("cpu",), run_file=out / f"naive{run_file.SUFFIX}",
            context=context, interpreter=interpreter,
        )  # fmt: skip
        made = plan(calls=calls, warmup=calls // 4, memory_limit_bytes=limit, timeout_seconds=60.0)
        outcome = measure(made, order, out / "naive.log", {"weights": "none"}, progress)
        return outcome, only_run(out)

    return carry_out


def test_the_header_says_what_the_worker_is_not_what_the_supervisor_is(
    measured: Measure, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    other = tmp_path / "other-python"
    other.write_text(
        f'#!/bin/sh\nexport MALLOC_ARENA_MAX=7 PYTHONMALLOC=malloc\nexec {sys.executable} "$@"\n'
    )
    other.chmod(0o755)
    outcome, run = measured(write_scenario(NAIVE), 20, interpreter=str(other))
    assert outcome.ending is Ending.OK
    assert run.environment["env MALLOC_ARENA_MAX"] == "7"
    assert "MALLOC_ARENA_MAX" not in os.environ
    assert "python_blocks" not in run.samples
    assert "python_blocks" in run.unavailable


def test_a_worker_that_cannot_start_leaves_a_run_file_that_says_so(
    measured: Measure, write_scenario: WriteScenario
) -> None:
    outcome, run = measured(write_scenario(NAIVE), 20, interpreter="/bin/false")
    assert outcome == run.outcome
    assert (outcome.ending, outcome.exit_code) == (Ending.CRASHED, 1)
    assert "live_heap" in run.samples
    assert run.calls_done == 0


def test_a_run_file_that_exists_is_kept_and_no_worker_starts(
    measured: Measure, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    taken = tmp_path / "out" / f"naive{run_file.SUFFIX}"
    taken.parent.mkdir()
    taken.write_text("mine")
    with pytest.raises(CannotWrite, match="already exists"):
        measured(write_scenario(NAIVE), 20)
    assert taken.read_text() == "mine"
    assert list(taken.parent.iterdir()) == [taken]


def test_a_finished_run_is_whole_and_leaves_nothing_beside_it(
    measured: Measure, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    outcome, run = measured(write_scenario(NAIVE), 20)
    assert outcome == run.outcome == Outcome(Ending.OK, exit_code=0)
    assert (run.calls_done, run.damaged_lines, run.facts["weights"]) == (20, 0, "none")
    steps = [reading.step for reading in run.readings]
    looks = ["look", "look_collected"] * 3
    assert steps == ["start", *looks, "end", "collected", "emptied", "trimmed"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "naive.log",
        "naive.run.jsonl",
    ]


def test_a_scenario_on_audio_has_its_audio_added_up_in_each_sample(
    leakhunt: Leakhunt, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    file = write_scenario(
        "from pathlib import Path\ndef audio_seconds(state, item):\n    return item / 4\n" + NAIVE
    )
    done = leakhunt(
        "run", str(file), "--calls", "6", "--calls-per-sample", "3", "--format=json", "--out", "out"
    )
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path / "out")
    assert list(run.samples["audio"]) == [750_000_000, 3_000_000_000]
    assert [series.name for series in run.series][-2:] == ["audio", "duration"]


def test_the_last_word_of_the_progress_is_the_last_sample(
    measured: Measure, write_scenario: WriteScenario
) -> None:
    progress: list[tuple[int, Mapping[str, int]]] = []
    _, run = measured(
        write_scenario(NAIVE), 20, progress=lambda tail: progress.append((tail.calls, tail.latest))
    )
    last = {name: values[-1] for name, values in run.samples.items()}
    assert progress[-1] == (20, last)


def test_a_run_without_a_cgroup_crashes_at_the_address_space_limit(
    measured: Measure, write_scenario: WriteScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_limit, "_own_cgroup", lambda controller: None)
    outcome, run = measured(write_scenario(GROWS), 100, limit=600 << 20)
    assert outcome.ending is Ending.CRASHED
    assert "MemoryError (made.py:12) after call" in str(outcome.reason)
    assert str(run.facts["memory limit"]).startswith("RLIMIT_AS 600.0 MiB")
    assert 0 < run.calls_done < 60


def test_a_worker_that_segfaults_crashed_by_that_signal(
    measured: Measure, write_scenario: WriteScenario
) -> None:
    body = "@variant\ndef naive(state, item):\n    item == 5 and os.kill(os.getpid(), 11)\n"
    outcome, run = measured(write_scenario(body), 20)
    assert (outcome.ending, outcome.signal) == (Ending.CRASHED, "SIGSEGV")
    assert outcome.exit_code == -signal.SIGSEGV
    assert run.calls_done == 5


def test_a_secret_in_the_environment_reaches_no_file(
    write_scenario: WriteScenario, leakhunt: Leakhunt, tmp_path: Path
) -> None:
    secret = "hunter2-" + "x" * 20
    environment = {**os.environ, "AWS_SECRET_ACCESS_KEY": secret, "MALLOC_ARENA_MAX": "2"}
    done = leakhunt("run", write_scenario(NAIVE), "--calls", 3, "--out", "out", env=environment)
    files = [path for path in (tmp_path / "out").iterdir() if path.is_file()]
    assert len(files) >= 5, done.stderr
    assert not [path.name for path in files if secret.encode() in path.read_bytes()]
    assert only_run(tmp_path / "out").environment["env MALLOC_ARENA_MAX"] == "2"
