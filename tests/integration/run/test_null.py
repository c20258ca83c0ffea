"""The instrument must not show up in its own readings."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Leakhunt, command_line, only_run

from leakhunt.analysis.verdict.after_gc import remains

CALLS = 10_000


@pytest.mark.parametrize("series", ["python_blocks", "threads", "descriptors", "children"])
def test_doing_nothing_ten_thousand_times_grows_by_nothing(null_run: Path, series: str) -> None:
    run = only_run(null_run)
    assert run.calls_done == CALLS
    judged = run.samples[series][run.judged_from :]
    assert judged[-1] - judged[0] == 0
    assert max(judged) == min(judged)


def test_doing_nothing_ten_thousand_times_keeps_no_heap(null_run: Path) -> None:
    """In one run of many malloc hands the same block of a kilobyte out and back, to and fro."""
    run = only_run(null_run)
    judged = run.samples["live_heap"][run.judged_from :]
    assert max(judged) - min(judged) <= 4096
    half = len(judged) // 2
    assert abs(min(judged[half:]) - min(judged[:half])) <= 2048


@pytest.mark.parametrize(("series", "most"), [("live_heap", 4096), ("python_blocks", 8)])
def test_what_is_done_at_a_pause_does_not_show_in_the_readings_at_the_next(
    null_run: Path, series: str, most: int
) -> None:
    left = remains(only_run(null_run), series)
    assert left is not None
    # A block or two of the interpreter's own between two pauses (one that malloc gave may be a
    # kilobyte); what a pause's inventory left was 3,200 blocks.
    grown = [rate * calls for rate, calls in zip(left.pieces, left.spans, strict=True)]
    assert max(map(abs, grown)) <= most


def test_doing_nothing_passes_the_gate_at_nothing(null_run: Path, leakhunt: Leakhunt) -> None:
    for series in ("live_heap", "python_blocks"):
        done = leakhunt("gate", null_run, "--max-growth", "0/call", "--series", series)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def null_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one run of the null scenario, default probes and calls."""
    out = tmp_path_factory.mktemp("null") / "out"
    command_line(["run", "null", "--format=json", "--out", out], out.parent).check_returncode()
    return out
