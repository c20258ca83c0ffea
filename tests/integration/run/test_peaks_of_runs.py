"""Peaks of real processes: told by the size of the input, and the end of one that met its limit."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Leakhunt, WriteScenario, only_run

from leakhunt.analysis.report import assemble
from leakhunt.model.kinds import Kind
from leakhunt.probes.peaks import PeakRssProbe
from leakhunt.storage import run_file

pytestmark = pytest.mark.skipif(
    PeakRssProbe.unavailable() is not None, reason="the peak RSS cannot be reset here"
)
SIZES = """
INPUT_UNIT = "item"

def make_input(state, call):
    return 200 + 7919 * call % 9000

def input_size(state, item):
    return item

@variant
def objects(state, item):
    return len([bytes(1000) for _ in range(item)])
"""
GULP = """
def make_input(state, call):
    return 600_000_000 if call == 60 else 1_000

@variant
def gulps(state, item):
    block = bytearray(item)
    block[::4096] = b"x" * len(block[::4096])
"""


def test_the_peak_is_told_by_the_size_of_the_input(
    leakhunt: Leakhunt, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    done = leakhunt("run", write_scenario(SIZES), "--out", "out", "--format", "json")
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path / "out")
    assert {"peak_rss", "call_input"} <= set(run.samples)
    (entry,) = assemble([run], "test").entries
    assert entry.peak is not None and entry.peak.line is not None
    # An object of 1,033 bytes takes 1,040, and its place in a list 8 or a little more.
    assert 1040 <= entry.peak.line.per_unit_bytes <= 1100
    assert entry.recommended_limit is not None
    assert "per item" in done.stdout and "Recommended memory limit" in done.stdout


def test_one_call_that_meets_the_limit_is_a_spike(
    leakhunt: Leakhunt, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    words = ("--calls", "100", "--memory-limit", "400 MiB", "--out", "out", "--format", "json")
    leakhunt("run", write_scenario(GULP), *words)
    (entry,) = assemble([only_run(tmp_path / "out")], "test").entries
    assert entry.verdict.kind is Kind.SPIKE
    assert "the limit is 400.0 MiB" in str(entry.verdict.sentence)


def test_a_run_file_with_peaks_is_read_back(
    leakhunt: Leakhunt, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    words = ("--calls", "40", "--concurrency", "3", "--out", "out", "--format", "json")
    leakhunt("run", write_scenario(SIZES), *words)
    (file,) = (tmp_path / "out").glob(f"*{run_file.SUFFIX}")
    run = run_file.load(file)
    assert run.plan.concurrency == 3
    # So many calls were asked for, and none came after them.
    assert run.calls_done == 40 and not any(each.get("kind") == "peaks" for each in run.notes)
    (entry,) = assemble([run], "test").entries
    assert entry.recommended_limit is not None and entry.recommended_limit.concurrency == 3
