"""The table of interpreters keeps what was measured before."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "pythons" / "run_pythons.py"


@pytest.fixture
def pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_pythons", SCRIPT)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "run_pythons", made)
    spec.loader.exec_module(made)
    monkeypatch.setattr(made, "RESULTS", tmp_path / "pythons.json")
    return made


def row(version: str, **steps: Any) -> dict[str, Any]:
    return {"facts": {"python": f"CPython {version}", "malloc": "glibc 2.41"}, **steps}


def test_a_step_alone_takes_no_other_away(pythons: ModuleType) -> None:
    pythons.keep(row("3.13.5", null={"calls": 1}, verbs={"attach": {"is_right": True}}))
    pythons.keep(row("3.12.1", null={"calls": 2}))
    pythons.keep(row("3.13.5", unit={"failed": 0}, verbs={"watch": {"is_right": True}}))
    older, newer = json.loads(pythons.RESULTS.read_text())["pythons"]
    assert older == row("3.12.1", null={"calls": 2})
    assert newer["null"] == {"calls": 1} and newer["unit"] == {"failed": 0}
    assert set(newer["verbs"]) == {"attach", "watch"}


def test_another_version_takes_the_place_of_all(pythons: ModuleType) -> None:
    pythons.keep(row("3.13.5", null={"calls": 1}))
    pythons.keep(row("3.13.6", unit={"failed": 0}))
    assert json.loads(pythons.RESULTS.read_text())["pythons"] == [row("3.13.6", unit={"failed": 0})]
