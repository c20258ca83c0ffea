"""What editors, hooks, images and notebooks get: it fits to what the program prints and takes."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
import yaml
from conftest import MakeRun, steering_in
from made_gates import KINDS, REPOSITORY, made_gates

import leakhunt
from leakhunt.api.notebook import measured
from leakhunt.cli.main import cli
from leakhunt.engine.run import RunResult
from leakhunt.errors import UsageError
from leakhunt.model.gate import GateResult
from leakhunt.model.verdict import Status
from leakhunt.reporting.gate.problems import problem_lines
from leakhunt.reporting.gate.source_lines import Repository

ROOT = Path(leakhunt.__file__).parents[1]
PAGE = ROOT / "docs" / "how-to" / "editors.md"


def block(language: str) -> str:
    """The first block in that language of the page."""
    match = re.search(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.M)
    assert match is not None
    return match[1]


@pytest.fixture(scope="module")
def gates(make_run: MakeRun) -> Mapping[str, GateResult]:
    return made_gates(make_run)


@pytest.fixture(scope="module")
def pattern() -> Mapping[str, Any]:
    (task,) = json.loads(block("json"))["tasks"]
    found: Mapping[str, Any] = task["problemMatcher"]["pattern"]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_documented_problem_matcher_reads_every_line(
    gates: Mapping[str, GateResult], pattern: Mapping[str, Any], kind: str
) -> None:
    lines = list(problem_lines(gates[kind], REPOSITORY))
    assert lines
    for line in lines:
        assert not steering_in(line) and "\n" not in line
        match = re.match(pattern["regexp"], line)
        assert match is not None, line
        assert match[pattern["file"]] in REPOSITORY.files
        assert int(match[pattern["line"]]) >= 1 == int(match[pattern["column"]])
        severity, text = match[pattern["severity"]], match[pattern["message"]]
        assert (severity == "error") == (": over budget: " in text)
        assert (severity == "info") == (": within budget: " in text)


def test_the_lines_that_the_page_shows_are_such_lines(pattern: Mapping[str, Any]) -> None:
    for line in block("text").splitlines():
        assert re.match(pattern["regexp"], line)


def test_without_a_repository_a_line_has_no_place(gates: Mapping[str, GateResult]) -> None:
    (line, *_) = problem_lines(gates["usual"], Repository())
    assert re.match(r"(error|warning): leakhunt: ", line)


def options_of(words: list[str]) -> None:
    """That a command of ours has these words.

    Raises:
        click.UsageError: it has not.
    """
    assert words[0] == "leakhunt"
    command = cli.get_command(click.Context(cli), words[1])
    assert command is not None
    command.make_context(words[1], words[2:])


def test_hooks_call_commands_that_there_are() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    by_id = {each["id"]: each for each in hooks}
    assert set(by_id) == {"leakhunt-gate", "leakhunt-tests"}
    for each in hooks:
        assert each["language"] == "system" and each["name"] and each["description"]
    options_of(shlex.split(by_id["leakhunt-gate"]["entry"]))
    assert shlex.split(by_id["leakhunt-tests"]["entry"])[:4] == [
        "python", "-m", "pytest", "--leakhunt",
    ]  # fmt: skip
    shown = yaml.safe_load(block("yaml"))["repos"][0]["hooks"]
    assert {each["id"] for each in shown} == set(by_id)


def instructions() -> list[tuple[str, str]]:
    """Those of the Dockerfile, with lines that go on joined."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_is_built_by_commands_that_a_shell_takes() -> None:
    steps = instructions()
    known = {"ARG", "FROM", "COPY", "RUN", "WORKDIR", "ENTRYPOINT", "CMD"}
    assert {name for name, _ in steps} == known
    for name, rest in steps:
        if name == "RUN":
            subprocess.run(["bash", "-n", "-c", rest], check=True)
    last = dict(steps)
    words = [*json.loads(last["ENTRYPOINT"]), *json.loads(last["CMD"])]
    assert words == ["leakhunt", "--help"]


def test_the_image_has_all_that_the_wheel_is_made_of() -> None:
    kept = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    }
    named = re.findall(r'"(README[^"]*|LICENSE)"', (ROOT / "pyproject.toml").read_text("utf-8"))
    assert {"leakhunt", "scenarios", "pyproject.toml", *named} <= kept
    assert all((ROOT / each).exists() for each in kept)


def magic() -> tuple[Callable[[str, str], RunResult], dict[str, Any]]:
    """The magic as IPython has it after ``%load_ext leakhunt``, and the notebook's names."""
    registered: dict[str, Any] = {}

    def register(func: Any, magic_kind: str, magic_name: str) -> None:
        registered[f"{magic_kind} {magic_name}"] = func

    names: dict[str, Any] = {"KEPT": []}
    leakhunt.load_ipython_extension(
        SimpleNamespace(user_ns=names, register_magic_function=register)
    )
    return registered["cell leakhunt"], names


def test_a_cell_is_measured_with_the_names_of_the_notebook(tmp_path: Path) -> None:
    carried_out, names = magic()
    out = tmp_path / "runs"
    result = carried_out(f"--calls 200 --out {out}", "KEPT.append(bytearray(1000))\n")
    assert result.verdict().status is Status.LEAK
    assert len(names["KEPT"]) >= 200
    assert "live heap" in result._repr_html_()
    said: list[str] = []
    result._repr_pretty_(SimpleNamespace(text=said.append), False)
    assert said[0].startswith("cell: Leak")
    assert [each.name for each in out.iterdir()] == ["cell.run.jsonl"]


def test_a_line_or_a_cell_of_nonsense_is_refused_without_ending_the_notebook() -> None:
    with pytest.raises(UsageError, match=r"%%leakhunt: .*--cals"):
        measured("--cals 3", "1", {})
    with pytest.raises(UsageError, match="%%leakhunt: No closing quotation"):
        measured("--out 'folder", "1", {})
    with pytest.raises(UsageError, match="invalid duration"):
        measured("--budget soon", "1", {})
    with pytest.raises(SyntaxError):
        measured("", "x = (", {})
