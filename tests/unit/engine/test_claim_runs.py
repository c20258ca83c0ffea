"""Which runs that claims need are whole, and where they can be made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import MakeRun

from leakhunt.engine.claim_runs import ClaimRunResult, NeededRun, is_whole, make, result_in
from leakhunt.engine.command_line import COMMAND_LINES
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.run import RunResult
from leakhunt.environment import sees_gpu
from leakhunt.errors import UsageError
from leakhunt.model.claims import Claim, ClaimRun, Claims
from leakhunt.model.plan import PlannedLoad
from leakhunt.reporting.registry import RunRenderer
from leakhunt.storage import run_file

CLAIM = Claim("A", "it grows", "report", (), not_measured="x")


def need(folder: Path, command: str, device: str = "", base: Path = Path()) -> NeededRun:
    run = ClaimRun("r", command, device)
    return NeededRun(Claims("made", (run,), (CLAIM,)), run, base, folder)


def test_a_run_is_whole_if_it_went_as_it_was_meant_to(make_run: MakeRun) -> None:
    done, empty = make_run(rss=[1, 2]), make_run()
    assert is_whole(0, ClaimRunResult((empty,)))
    assert is_whole(4, ClaimRunResult((done, done)))
    assert not is_whole(4, ClaimRunResult((done, empty)))
    assert not is_whole(4, ClaimRunResult())
    for code in (2, 5, 8, 130):
        assert not is_whole(code, ClaimRunResult((done,)))


def test_a_gpu_that_is_hidden_is_not_seen() -> None:
    for hidden in ("", "-1", " "):
        assert not sees_gpu({"CUDA_VISIBLE_DEVICES": hidden})


def test_a_run_that_needs_a_gpu_is_not_begun_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    left = make(need(tmp_path / "r", "run null", "cuda"))
    assert str(left.missing) == "needs a CUDA GPU"
    assert left.runs == ()
    assert not (tmp_path / "r").exists()


def test_what_ran_on_the_cpu_is_no_evidence_for_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_run: MakeRun
) -> None:
    (tmp_path / "a.run.jsonl").touch()
    run = make_run(rss=[1])
    monkeypatch.setattr(run_file, "load", lambda file: run)
    command = need(tmp_path, "run null", "cuda")
    assert str(result_in(command, "").missing) == "ran on cpu, not on a CUDA GPU"
    assert result_in(need(tmp_path, "run null"), "").runs == (run,)
    load = PlannedLoad("http://127.0.0.1", "pid 5", "upload", 1)
    run = make_run(rss=[1], plan_changes={"load": load})
    assert result_in(command, "").runs == (run,)


@pytest.mark.parametrize(
    ("command", "rest"),
    [
        ("run scenario.py --calls 5", ["{base}/scenario.py", "--calls", "5"]),
        ("run scenario.py:a,b", ["{base}/scenario.py:a,b"]),
        ("run other.py:a", ["other.py:a"]),
        ("run fsmn-vad:naive", ["fsmn-vad:naive"]),
        ("run x --audio clips/a", ["x", "--audio", "{base}/clips/a"]),
        (
            "soak --command 'python {folder}/serve.py --port {port}'",
            ["--command", "python {base}/serve.py --port {port}"],
        ),
    ],
)
def test_paths_are_those_beside_the_claims(tmp_path: Path, command: str, rest: list[str]) -> None:
    (tmp_path / "scenario.py").touch()
    (tmp_path / "clips" / "a").mkdir(parents=True)
    carried_out: list[tuple[Sequence[str], Path, list[str]]] = []

    def carry_out(
        words: Sequence[str], out: Path, renderers: Sequence[RunRenderer], events: Events
    ) -> RunResult:
        carried_out.append((words, out, [each.format for each in renderers]))
        raise UsageError("not now")

    verbs = dict.fromkeys(("run", "soak"), carry_out)
    left = make(need(tmp_path / "out", command, base=tmp_path), command_lines=verbs)
    assert left == ClaimRunResult(missing="not now")
    words = [word.replace("{base}", str(tmp_path)) for word in rest]
    assert carried_out == [(words, tmp_path / "out", ["json"])]


@pytest.mark.parametrize(
    ("verb", "words", "named"),
    [
        ("run", ["null", "--calls", "many"], "--calls"),
        ("run", ["null", "--call", "3"], "--call"),
        ("run", [], "target"),
        ("hunt", ["null", "--with", "magic"], "magic"),
        ("run", ["null", "--option", "clips"], "NAME=VALUE"),
        ("run", ["null", "--calls", "0"], "calls"),
        ("soak", ["--command", "a {port}", "--users", "0"], "users"),
        ("soak", ["--pid", "x"], "--pid"),
        ("soak", ["nosuch", "--option", "lengths=fixed"], "nosuch"),
    ],
)
def test_words_that_mean_nothing_are_wrong_usage_and_print_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str, words: list[str], named: str
) -> None:
    with pytest.raises(UsageError, match=named):
        COMMAND_LINES[verb](words, tmp_path / "out", (), SILENT)
    assert capsys.readouterr() == ("", "")
