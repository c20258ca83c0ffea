"""Other allocators, tried for real: a leak stays one, and the table says what each takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Leakhunt
from preloaded_allocators import preloaded

from leakhunt.environment import installed_allocators
from leakhunt.model.plan import Role
from leakhunt.storage import run_file


def report_in(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "report.json").read_text("utf-8"))
    return document


@pytest.mark.parametrize("name", ["jemalloc", pytest.param("tcmalloc", marks=pytest.mark.long)])
def test_a_leak_is_not_saved_by_another_allocator(
    leakhunt: Leakhunt, tmp_path: Path, name: str
) -> None:
    done = leakhunt(
        "hunt", "leak-zoo-native:malloc-lost", "--calls", "200", "--with", "resources", "--pairs",
        "2", "--try", f"LD_PRELOAD={preloaded(name)}", "--format=json", "--out", "found",
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    (trial,) = report_in(tmp_path / "found")["trials"]
    assert trial["before"] == pytest.approx(4112, abs=120)
    assert trial["after"] == pytest.approx(4096, abs=120), "read from the one that serves"
    assert trial["saved"]["low"] < trial["rounding"]
    assert ": saves" not in done.stdout
    served = {
        run.plan.role: run.environment["allocator"].partition(" ")[0]
        for run in map(run_file.load, sorted((tmp_path / "found").glob(f"*{run_file.SUFFIX}")))
        if run.plan.remedy
    }
    assert served[Role.AFTER] == name and served[Role.BEFORE] != name


def test_an_allocator_that_does_not_tell_gets_no_saving(leakhunt: Leakhunt, tmp_path: Path) -> None:
    done = leakhunt(
        "hunt", "leak-zoo-native:malloc-lost", "--calls", "200", "--with", "resources", "--pairs",
        "2", "--try", f"LD_PRELOAD={preloaded('mimalloc')}", "--format=json", "--out", "found",
    )  # fmt: skip
    (trial,) = report_in(tmp_path / "found")["trials"]
    assert trial["saved"] is None
    assert "live memory cannot be compared (malloc is served by mimalloc" in done.stdout


@pytest.mark.long
def test_all_allocators_are_tried_in_turns(leakhunt: Leakhunt, tmp_path: Path) -> None:
    done = leakhunt(
        "hunt", "leak-zoo-native:malloc-freed", "--calls", "60", "--pairs", "2",
        "--try", "allocators", "--format=json,html,md", "--out", "found",
    )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    document = report_in(tmp_path / "found")
    (board,) = document["allocators"]
    assert document["trials"] == []
    installed = installed_allocators()
    assert len(board["trials"]) == 3 + len(installed)
    served = [trial["allocator"].partition(" ")[0] for trial in board["trials"]]
    assert set(installed) <= set(served)
    assert all(trial["runs"] == 2 for trial in board["trials"])
    assert all(trial["rss_bytes"]["estimate"] > 1 << 20 for trial in board["trials"])
    first, *others = board["trials"]
    assert first["saved_rss_bytes"] is None
    assert all(trial["saved_rss_bytes"] is not None for trial in others)
    assert "one arena" in done.stdout
    assert "Allocators tried" in (tmp_path / "found" / "report.html").read_text("utf-8")
