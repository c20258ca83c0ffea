"""leakhunt from Python: functions of this process, and of modules in processes of their own."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

import leakhunt
from leakhunt.cli.main import cli
from leakhunt.errors import (
    CannotWrite,
    LeakhuntError,
    MissingRequirement,
    NothingMeasured,
    UsageError,
)
from leakhunt.model.run import Ending
from leakhunt.model.verdict import Status

KEPT: list[bytearray] = []
MODULE = '''
"""A service."""
KEPT = []


def handle(call):
    """Keep some."""
    KEPT.append(bytearray(4096))
'''


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    KEPT.clear()


def grow() -> None:
    """Keep some."""
    KEPT.append(bytearray(8192))


def test_a_callable_is_measured_in_this_process(capfd: pytest.CaptureFixture[str]) -> None:
    result = leakhunt.run(grow, calls=300, in_process=True, out="out", formats=None)
    assert len(KEPT) == 300
    assert (result.exit_code, result.interrupted) == (0, False)
    verdict = result.verdict("grow")
    assert verdict is result.report.verdict() and verdict.status is Status.LEAK
    assert verdict.trends["live_heap"].rate == pytest.approx(8192, rel=0.1)
    assert [path.name for path in result.folder.iterdir()] == ["grow.run.jsonl"]
    assert leakhunt.load(result.folder).verdict.status is Status.LEAK
    assert capfd.readouterr() == ("", "")
    with pytest.raises(FrozenInstanceError):
        result.exit_code = 1  # type: ignore[misc]


def test_the_folder_and_the_files_are_those_of_the_verb() -> None:
    result = leakhunt.run(grow, calls=20, in_process=True, formats="md,json")
    assert result.folder.parent == Path("reports")
    assert [path.name for path in result.files] == ["report.md", "report.json"]
    again = leakhunt.report(result.folder, out="again", formats="md")
    assert [str(path) for path in again.files] == ["again/report.md"]
    assert "grow" in again._repr_html_()


def test_an_interrupt_returns_what_was_measured() -> None:
    def handle(call: int) -> None:
        if call == 40:
            raise KeyboardInterrupt

    result = leakhunt.run(handle, calls=200, in_process=True, formats=None)
    assert result.interrupted and result.exit_code == 130
    assert [outcome.ending for outcome in result.outcomes] == [Ending.INTERRUPTED]
    assert result.report.entries[0].run.calls_done == 40


@pytest.mark.parametrize("error", [ValueError("no such key"), SystemExit(3)])
def test_what_the_function_raises_is_an_outcome(error: BaseException) -> None:
    def handle(call: int) -> None:
        if call == 5:
            raise error

    result = leakhunt.run(handle, calls=20, in_process=True, formats=None)
    (outcome,) = result.outcomes
    assert outcome.ending is Ending.CRASHED and type(error).__name__ in str(outcome.reason)
    assert result.exit_code == 8


def test_arguments_are_given_by_the_names_of_the_parameters() -> None:
    calls: list[int] = []

    class Handler:
        def __call__(self, call: int, retries: int = 3) -> None:
            calls.append(call + retries)

    leakhunt.run(Handler(), calls=4, in_process=True, formats=None, out="one")
    assert calls == [3, 4, 5, 6]

    async def handle() -> None:
        calls.append(-1)

    leakhunt.run(handle, calls=4, in_process=True, formats=None, out="two")
    assert calls[4:] == [-1] * 4
    with pytest.raises(UsageError, match="user"):
        leakhunt.run(lambda user, password: None, in_process=True, out="three")
    assert not Path("three").exists()


def test_what_makes_no_sense_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    for call in (
        lambda: leakhunt.run("null", in_process=True),
        lambda: leakhunt.run(grow, in_process=True, memory_limit="1 GiB"),
        lambda: leakhunt.run(grow, in_process=True, variants=["grow"]),
        lambda: leakhunt.run(lambda: None),
        lambda: leakhunt.run(print),
        lambda: leakhunt.run("null", variants=["none"]),
        lambda: leakhunt.run("null", calls=10, formats="docx"),
        lambda: leakhunt.run("nul"),
        lambda: leakhunt.hunt("null", instruments=["gdb"]),
        lambda: leakhunt.hunt("null", remedies=["?"]),
        leakhunt.report,
        lambda: leakhunt.compare("only"),
        lambda: leakhunt.schema("none"),
        lambda: leakhunt.evaluate("null"),
        lambda: leakhunt.evaluate(repeats=0),
    ):
        with pytest.raises(UsageError):
            call()
    Path("full").mkdir()
    Path("full/a").touch()
    with pytest.raises(CannotWrite):
        leakhunt.run("null", calls=10, out="full")
    with pytest.raises(NothingMeasured):
        leakhunt.report("full")
    assert issubclass(MissingRequirement, LeakhuntError)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


def test_a_function_of_a_module_is_measured_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made_service.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    handle: Any = importlib.import_module("made_service").handle
    result = leakhunt.run(handle, calls=120, out="out", formats=None)
    assert result.verdict("handle").trends["live_heap"].rate == pytest.approx(4096, rel=0.1)
    assert not importlib.import_module("made_service").KEPT
    found = leakhunt.hunt(
        "made_service.py:handle", calls=120, instruments=["tracemalloc"], formats=None, out="hunt"
    )
    (entry,) = found.report.entries
    assert entry.attribution is not None
    assert any("made_service.py" in line for line in map(str, entry.attribution.suspects))


def test_every_verb_has_a_function() -> None:
    other = {
        "list": "scenarios", "truth": "evaluate", "claims": "check_claims",
        "baseline": "save_baseline",
    }  # fmt: skip
    # The server and the shell's script are no measurements.
    missing = {"completion", "serve"}
    for verb in set(cli.list_commands(None)) - missing:  # type: ignore[arg-type]
        assert callable(getattr(leakhunt, other.get(verb, verb))), verb
    assert set(leakhunt.__all__) <= {*dir(leakhunt), *leakhunt.__all__}
    assert len(leakhunt.scenarios()) > 3
    assert '"$schema"' in leakhunt.schema("report")
    assert {field.name for field in fields(leakhunt.scenarios("null")[0])} >= {"variants"}


def test_importing_the_names_loads_nothing_heavy() -> None:
    code = "import sys, leakhunt; leakhunt.run; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "matplotlib", "pandas", "rich", "click"} & set(loaded)
