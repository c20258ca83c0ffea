"""Runs that end when they know, for real: batches, looks and collections."""

from __future__ import annotations

import json
import re
from pathlib import Path

from conftest import Leakhunt, WriteScenario, only_run

from leakhunt.analysis.verdict import judge
from leakhunt.analysis.verdict.schedule import EARLIEST_CLEAN, MAX_SAMPLES
from leakhunt.analysis.verdict.series import INTERIM_CHECKS
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Ending, Purpose
from leakhunt.model.verdict import Status

TINY = "@variant\ndef tiny(state, item):\n    KEPT.append(object())\n"
NOTHING = "@variant\ndef nothing(state, item):\n    pass\n"
GARBAGE = """@variant
def garbage(state, item):
    time.sleep(0.001)
    a = [bytearray(20000)]
    a.append(a)
"""
SLOW_CACHE = """@variant
def cache(state, item):
    time.sleep(0.001)
    size = 4000000 * (1 - 2.718 ** (-item / 150))
    KEPT[:] = [bytearray(int(size))]
"""


def test_thirty_two_bytes_a_call_are_found_since_calls_are_taken_by_the_thousand(
    leakhunt: Leakhunt, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    done = leakhunt("run", write_scenario(TINY), "--format=json", "--out", "out")
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path / "out")
    verdict = judge(run)
    assert (verdict.status, verdict.kind) == (Status.LEAK, Kind.PYTHON_LEAK)
    assert run.calls_per_sample > 100
    assert run.samples_done - run.judged_from == INTERIM_CHECKS[1]
    assert run.calls_done == run.calls[-1] > 10_000
    assert "leak in Python" in done.stdout


def test_a_clean_run_ends_at_the_first_look_that_may_say_so(
    leakhunt: Leakhunt, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    leakhunt("run", write_scenario(NOTHING), "--format=json", "--out", "out")
    run = only_run(tmp_path / "out")
    assert run.outcome.ending is Ending.OK
    assert judge(run).kind is Kind.CLEAN
    assert run.samples_done - run.judged_from == EARLIEST_CLEAN
    assert {phase.purpose for phase in run.phases} == set(Purpose)
    assert sum(phase.samples for phase in run.phases) == run.samples_done


def test_garbage_that_matters_is_collected_before_each_reading_and_the_price_is_told(
    leakhunt: Leakhunt, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    leakhunt("run", write_scenario(GARBAGE), "--format=json,html", "--out", "out")
    run = only_run(tmp_path / "out")
    assert run.collects
    assert judge(run).kind is Kind.GARBAGE
    assert "gc.collect() before each reading" in (tmp_path / "out" / "report.html").read_text()
    assert json.loads((tmp_path / "out" / "report.json").read_text())["runs"][0]["phases"]


def test_a_number_of_calls_is_kept_to_in_batches(
    leakhunt: Leakhunt, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    leakhunt(
        *("run", write_scenario(TINY), "--calls", "20000", "--calls-per-sample", "100"),
        *("--format=md", "--out", "out"),
    )
    run = only_run(tmp_path / "out")
    assert (run.calls_done, run.samples_done, run.calls_per_sample) == (20_000, 200, 100)
    assert judge(run).status is Status.LEAK
    assert "--calls 20000 --warmup 5000 --calls-per-sample 100" in (
        tmp_path / "out" / "report.md"
    ).read_text().replace("\\", "")


def test_what_is_inconclusive_says_how_many_calls_more_and_resolving_takes_them(
    leakhunt: Leakhunt, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    file = write_scenario(SLOW_CACHE)
    words = ("--calls-per-sample", "1", "--collect", "never", "--format=json")
    short = leakhunt("run", file, *words, "--out", "short")
    run = only_run(tmp_path / "short")
    assert judge(run).status is Status.INCONCLUSIVE
    assert re.search(r"needs another [\d,]+ calls", " ".join(short.stdout.split()))
    leakhunt("run", file, *words, "--resolve", "--out", "long")
    longer = only_run(tmp_path / "long")
    assert judge(longer).status is Status.NO_LEAK
    assert run.samples_done < longer.samples_done < MAX_SAMPLES
