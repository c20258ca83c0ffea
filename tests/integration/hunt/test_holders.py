"""A holder of graphs of many types, from many lines, is one suspect, and the first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Leakhunt

SCENARIOS = Path(__file__).parent / "holders"


@pytest.mark.parametrize(
    ("name", "holder"),
    [
        ("request_graph", "request_graph.RECENT"),
        pytest.param("orm_session", "App.session", marks=pytest.mark.long),
        pytest.param("event_loop", "_UnixSelectorEventLoop._scheduled", marks=pytest.mark.long),
    ],
)
def test_one_holder_of_nearly_all_is_the_first_suspect(
    leakhunt: Leakhunt, tmp_path: Path, name: str, holder: str
) -> None:
    target = str(SCENARIOS / f"{name}.py")
    done = leakhunt("hunt", target, "--calls=400", "--format=json", "--out=found")
    assert done.returncode == 0, done.stderr
    (run,) = json.loads((tmp_path / "found" / "report.json").read_bytes())["runs"]
    first = run["attribution"]["suspects"][0]
    assert first["chain"][0].endswith(holder)
    assert first["share"] >= 0.8
    assert first["where"]["file"].endswith(f"{name}.py")
