"""The instrument must not show up in its own readings."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Leakhunt, only_run

CALLS = 10_000


@pytest.mark.parametrize(
    "series", ["live_heap", "python_blocks", "threads", "descriptors", "children"]
)
def test_doing_nothing_ten_thousand_times_grows_by_nothing(null_run: Path, series: str) -> None:
    run = only_run(null_run)
    assert run.calls_done == CALLS
    judged = run.samples[series][run.judged_from :]
    assert judged[-1] - judged[0] == 0
    assert max(judged) == min(judged)


def test_doing_nothing_passes_the_gate_at_nothing(null_run: Path, leakhunt: Leakhunt) -> None:
    for series in ("live_heap", "python_blocks"):
        done = leakhunt("gate", null_run, "--max-growth", "0/call", "--series", series)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def null_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one run of the null scenario, default probes and calls."""
    import subprocess
    import sys

    out = tmp_path_factory.mktemp("null") / "out"
    words = [sys.executable, "-m", "leakhunt", "run", "null", "--out", str(out)]
    subprocess.run(words, check=True, capture_output=True, timeout=300)
    return out
