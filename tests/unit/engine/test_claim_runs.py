"""Which runs that claims need are whole, and where they can be made."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import MakeRun
from rich.console import Console

from leakhunt.engine import claims
from leakhunt.engine.claims import Left, Need, is_whole, left_in, make
from leakhunt.environment import sees_gpu
from leakhunt.model.claims import Claim, ClaimRun, Claims
from leakhunt.model.plan import Load
from leakhunt.storage import run_file

CLAIM = Claim("A", "it grows", "report", (), not_measured="x")


def need(folder: Path, command: str, device: str = "", base: Path = Path()) -> Need:
    run = ClaimRun("r", command, device)
    return Need(Claims("made", (run,), (CLAIM,)), run, base, folder)


def test_a_run_is_whole_if_it_went_as_it_was_meant_to(make_run: MakeRun) -> None:
    done, empty = make_run(rss=[1, 2]), make_run()
    assert is_whole(0, Left((empty,)))
    assert is_whole(4, Left((done, done)))
    assert not is_whole(4, Left((done, empty)))
    assert not is_whole(4, Left())
    for code in (2, 5, 8, 130):
        assert not is_whole(code, Left((done,)))


def test_a_gpu_that_is_hidden_is_not_seen() -> None:
    for hidden in ("", "-1", " "):
        assert not sees_gpu({"CUDA_VISIBLE_DEVICES": hidden})


def test_a_run_that_needs_a_gpu_is_not_begun_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    left = make(need(tmp_path / "r", "run null", "cuda"), Console())
    assert left.runs == () and str(left.missing) == "it needs a machine with a CUDA GPU"
    assert not (tmp_path / "r").exists()


def test_what_ran_on_the_cpu_is_no_evidence_for_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_run: MakeRun
) -> None:
    (tmp_path / "a.run.jsonl").touch()
    run = make_run(rss=[1])
    monkeypatch.setattr(run_file, "load", lambda file: run)
    asked = need(tmp_path, "run null", "cuda")
    assert str(left_in(asked, "").missing) == "it ran on cpu, and not on a CUDA GPU"
    assert left_in(need(tmp_path, "run null"), "").runs == (run,)
    load = Load("http://127.0.0.1", "pid 5", "upload", 1)
    run = make_run(rss=[1], plan_changes={"load": load})
    assert left_in(asked, "").runs == (run,)


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
    words = claims._words(need(tmp_path / "out", command, base=tmp_path))
    verb = command.split(maxsplit=1)[0]
    assert words[:5] == [verb, "--out", str(tmp_path / "out"), "--format", "json"]
    assert words[5:] == [word.replace("{base}", str(tmp_path)) for word in rest]
