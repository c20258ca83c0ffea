"""Words from outside steer neither the terminal of an error nor that of a progress line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from leakhunt.cli.display import Bars
from leakhunt.cli.main import main
from leakhunt.engine.events import RunStart
from leakhunt.model.run import Ending, Outcome
from leakhunt.reporting.formats.markdown_escape import code, escaped, inside_html

GOLDEN = Path(__file__).parents[1] / "data" / "format-5.run.jsonl"
HOSTILE = "x\x1b[31m\x1b]0;t\x07\r\x9b2J\u202ey"


def assert_tame(text: str) -> None:
    assert "x?[31m?]0;t?" in text
    assert not set(text) & set("\x1b\x07\r\x9b\u202e")


def test_an_error_with_a_hostile_path(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["report", f"{HOSTILE}\nz"]) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1
    assert_tame(err)


def test_an_error_with_a_hostile_name_in_a_run_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first, rest = GOLDEN.read_text(encoding="utf-8").split("\n", 1)
    header = json.loads(first)
    header["plan"]["scenario"] = HOSTILE
    file = tmp_path / "a.run.jsonl"
    file.write_text(f"{json.dumps(header)}\n{rest}", encoding="utf-8")
    assert main(["compare", str(file), str(GOLDEN)]) == 4
    assert_tame(capfd.readouterr().err)


def test_a_run_that_ended_for_a_hostile_reason() -> None:
    stream = io.StringIO()
    with Bars(Console(file=stream, width=200)) as bars:
        bars.started(RunStart(HOSTILE))
        bars.ended(HOSTILE, Outcome(Ending.CRASHED, f"RuntimeError: {HOSTILE}"))
    assert_tame(stream.getvalue())


@pytest.mark.parametrize("write", [escaped, inside_html, code])
def test_markdown_steers_no_terminal(write: type[str]) -> None:
    assert_tame(write(HOSTILE).replace("\\", ""))


def test_a_damaged_file_is_refused_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.run.jsonl").touch()
    monkeypatch.chdir(tmp_path)
    for name in ("a.run.jsonl", "./a.run.jsonl", str(tmp_path / "a.run.jsonl")):
        assert main(["report", name]) == 6
        assert "not a leakhunt run file" in capfd.readouterr().err


def test_an_error_of_several_lines_is_told_in_one(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 2
    assert capfd.readouterr().err.endswith(
        "Choose from: report, claims, compare, retained, attach, analyze, suite, matrix,"
        " bisect, benchmark, gate, run-file, policy\n"
    )
