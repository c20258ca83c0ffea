"""``--json`` on every verb, and the completion of a shell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
from click.shell_completion import BashComplete
from conftest import write_run

from leakhunt.cli.completion import PROGRAM, VARIABLE
from leakhunt.cli.json_option import answer_now, answering, without_option
from leakhunt.cli.main import cli, main
from leakhunt.storage.schema_files import schema_text

ROWS = [(10_000_000 + 4096 * call, 1_000) for call in range(200)]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    write_run(folder / "naive.run.jsonl", ROWS)
    return folder


def answered(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, Any, str]:
    """The exit code, the document on standard output, and what stands on standard error."""
    capsys.readouterr()
    code = main(list(map(str, words)))
    said = capsys.readouterr()
    return code, json.loads(said.out), said.err


@pytest.mark.parametrize(
    ("words", "schema"),
    [
        (["report", "RUNS", "--format", "json", "--json"], "report"),
        (["--json", "compare", "RUNS", "OTHER", "--out", "OUT"], "compare"),
        (["gate", "RUNS", "--max-growth", "1 KiB/call", "--series", "rss", "--json"], "gate"),
        (["gate", "--json", "RUNS", "--max-growth", "1/call", "--problems"], "gate"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_a_result_is_the_document_of_its_schema_and_alone_on_standard_output(
    capsys: pytest.CaptureFixture[str], runs: Path, tmp_path: Path, words: list[str], schema: str
) -> None:
    other = write_run(tmp_path / "other.run.jsonl", [*ROWS, (12_000_000, 1_000)])
    places = {"RUNS": runs, "OTHER": other, "OUT": tmp_path / "out"}
    code, document, error = answered(capsys, *(places.get(word, word) for word in words))
    jsonschema.validate(document, json.loads(schema_text(schema)))
    assert code == document.get("exit_code", 0)
    assert error


def test_verbs_without_a_file_have_a_document_too(capsys: pytest.CaptureFixture[str]) -> None:
    _, listed, error = answered(capsys, "list", "null", "--json")
    assert [each["name"] for each in listed["scenarios"]] == ["null"]
    assert listed["services"] == [] and "nothing" in error
    _, claims, _ = answered(capsys, "claims", "fsmn-vad", "--list", "--json")
    assert claims["claims"][0]["scenario"] == "fsmn-vad"
    _, schema, _ = answered(capsys, "schema", "gate", "--json")
    assert schema["title"] if "title" in schema else schema["$id"]
    _, script, _ = answered(capsys, "completion", "zsh", "--json")
    assert script["shell"] == "zsh" and VARIABLE in script["script"]


def test_baselines_are_saved_and_shown(
    capsys: pytest.CaptureFixture[str], runs: Path, tmp_path: Path
) -> None:
    code, saved, _ = answered(
        capsys, "baseline", "save", runs, "--into", tmp_path / "kept", "--despite-leak", "--json"
    )
    assert code == 0 and len(saved["files"]) == 1
    _, shown, _ = answered(capsys, "--json", "baseline", "show", tmp_path / "kept")
    assert shown["baselines"][0]["variants"][0]["variant"] == "naive"


def test_what_fails_is_a_document_with_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    code, document, error = answered(capsys, "report", "nowhere", "--json")
    assert code == document["exit_code"] == 2
    assert document["error"].startswith("nowhere: run file or folder not found")
    assert document["error"] in error
    code, document, _ = answered(capsys, "run", "--json", "--no-such-option")
    assert code == document["exit_code"] == 2 and "no-such-option" in document["error"]


def test_what_goes_on_until_it_is_ended_answers_at_once() -> None:
    written: list[bytes] = []
    with answering(written.append) as answer:
        answer_now({"url": "http://127.0.0.1:1"})
    assert answer.is_written and json.loads(written[0]) == {"url": "http://127.0.0.1:1"}
    answer_now({})  # nobody asked


def test_words_behind_two_dashes_are_left_as_they_are() -> None:
    assert without_option(["run", "--json", "a", "--", "--json"]) == (
        True,
        ["run", "a", "--", "--json"],
    )
    assert without_option(["run", "--", "--json"]) == (False, ["run", "--", "--json"])


def test_every_verb_says_so_in_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in cli.list_commands(click.Context(cli)):
        if verb != "baseline":
            main([verb, "--help"])
            assert "--json" in capsys.readouterr().out, verb


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["ga"], {"gate"}),
        (["gate", "--pro"], {"--problems"}),
        (["baseline", "s"], {"save", "show"}),
        (["completion", "f"], {"fish"}),
    ],
)
def test_a_shell_completes_verbs_and_options(words: list[str], found: set[str]) -> None:
    shell = BashComplete(cli, {}, PROGRAM, VARIABLE)
    assert {each.value for each in shell.get_completions(words[:-1], words[-1])} == found
