"""`leakhunt.gate` from Python: the verb's answers, without a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import write_run
from gate_projects import QUICK, project

from leakhunt.engine.events import RunStart, Silent
from leakhunt.engine.gate import GateRequest, gate
from leakhunt.errors import BadFile, CannotWrite, NothingMeasured, UsageError
from leakhunt.model.gate import GateAnswer
from leakhunt.model.run import Ending, Outcome
from leakhunt.storage.follow import Tail

GROWING = [(1000 + 4096 * call, 5_000_000) for call in range(200)]
LEVEL = [(1000, 5_000_000) for _ in range(200)]
Capture = pytest.CaptureFixture[str]


class Recorded(Silent):
    """The runs that began and ended; ends the gate at the first sample of the run `until`."""

    def __init__(self, until: str = "") -> None:
        self.began: list[str] = []
        self.endings: list[Ending] = []
        self._until = until

    def started(self, run: RunStart) -> None:
        self.began.append(run.name)

    def sampled(self, name: str, tail: Tail) -> None:
        if name == self._until and tail.fresh:
            raise KeyboardInterrupt

    def ended(self, name: str, outcome: Outcome) -> None:
        self.endings.append(outcome.ending)


def test_a_gate_answers_as_values_and_prints_nothing(tmp_path: Path, capsys: Capture) -> None:
    made = project(tmp_path / "made", QUICK)
    events = Recorded()
    out = tmp_path / "out"
    done = gate(GateRequest(policy=made / "leakhunt.toml", out=out, formats="json,html"), events)
    assert capsys.readouterr() == ("", "")
    assert (done.answer, done.exit_code) == (GateAnswer.OVER_BUDGET, 1)
    answers = {each.name: each.answer for each in done.variants}
    assert answers == {"made:clean": GateAnswer.WITHIN_BUDGET, "made:leaky": GateAnswer.OVER_BUDGET}
    assert done.variants[1].suspects
    assert done.files == (out / "gate.json", out / "gate.html")
    assert done.reports == (out / "made" / "report.html",)
    assert events.began[:2] == ["made:clean", "made:leaky"]
    assert set(events.endings) == {Ending.OK}
    shown = done._repr_html_()
    assert "made:leaky" in shown and "over budget" in shown and "<script" not in shown


def test_an_interrupt_leaves_what_was_measured(tmp_path: Path, capsys: Capture) -> None:
    made = project(tmp_path / "made", QUICK)
    request = GateRequest(policy=made / "leakhunt.toml", out=tmp_path / "out", formats="json")
    done = gate(request, Recorded(until="made:leaky"))
    assert done.interrupted and done.exit_code == 130
    assert [each.answer for each in done.variants] == [
        GateAnswer.WITHIN_BUDGET, GateAnswer.NOT_MEASURED,
    ]  # fmt: skip
    assert "interrupted before it was measured" in str(done.variants[1].reason)
    assert capsys.readouterr() == ("", "")


def test_run_files_are_gated_without_a_policy_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    place = tmp_path / "runs" / "naive.run.jsonl"
    write_run(place, GROWING)
    request = GateRequest(runs=(str(place),), max_growth="1 KiB/call", series="rss")
    done = gate(request)
    assert done.answer is GateAnswer.OVER_BUDGET
    assert (done.files, done.folder) == ((), None)
    assert list(tmp_path.iterdir()) == [tmp_path / "runs"]
    place.unlink()
    write_run(place, LEVEL)
    assert gate(request).exit_code == 0


@pytest.mark.parametrize(
    ("changes", "error", "expected"),
    [
        ({"max_growth": "1 KiB/call"}, UsageError, "--max-growth needs run files"),
        ({"runs": ("x",), "series": "rss"}, UsageError, "--series needs --max-growth"),
        ({"runs": ("x",), "against": "main"}, UsageError, "cannot be combined with run files"),
        ({"runs": ("x",), "max_growth": "much"}, UsageError, "--max-growth"),
        ({"formats": "pdf"}, UsageError, "unknown format 'pdf'"),
        ({"jobs": 0}, UsageError, "jobs=0: expected 1 or more"),
        ({"pairs": 0}, UsageError, "pairs=0: expected 1 or more"),
        ({"against_python": "python3"}, UsageError, "--against-python needs --against"),
        (
            {"against": "main", "baselines": Path("b")},
            UsageError,
            "--against replaces the baseline: remove --baselines",
        ),
        ({"policy": Path("gone.toml")}, UsageError, "gone.toml: file not found"),
        ({"scenarios": ("other",)}, UsageError, "has no scenario"),
        ({"out": Path("leakhunt.toml")}, CannotWrite, "leakhunt.toml"),
    ],
)
def test_what_makes_no_sense_is_refused_as_by_the_verb(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, object],
    error: type[Exception],
    expected: str,
) -> None:
    monkeypatch.chdir(project(tmp_path / "made", QUICK))
    with pytest.raises(error, match=expected):
        gate(GateRequest(**changes))  # type: ignore[arg-type]


def test_a_policy_without_scenarios_or_with_a_wrong_line_is_told(tmp_path: Path) -> None:
    empty = project(tmp_path / "empty", "[budgets]\nlive_heap = '1 KiB/call'\n") / "leakhunt.toml"
    with pytest.raises(UsageError, match="no scenario to measure"):
        gate(GateRequest(policy=empty))
    wrong = project(tmp_path / "wrong", "budget = 1\n") / "leakhunt.toml"
    with pytest.raises(BadFile, match=r"leakhunt\.toml"):
        gate(GateRequest(policy=wrong))


def test_the_answer_on_a_place_without_runs_says_so(tmp_path: Path) -> None:
    done = gate(GateRequest(runs=(str(tmp_path),), max_growth="0/call"))
    assert done.exit_code == NothingMeasured.exit_code
    assert "no run file" in str(done.variants[0].reason)


def test_a_scenario_is_set_against_the_limit_of_its_policy(tmp_path: Path) -> None:
    """RSS of 5 MB that rises by 5 KB a call; an option goes before the policy."""
    rows = [(5_000_000 + 5000 * call, 5_000_000) for call in range(200)]
    place = write_run(tmp_path / "naive.run.jsonl", rows, scenario="made")
    policy = tmp_path / "leakhunt.toml"
    limits: list[int | None] = []
    for text, limit in (("limit = '1 GiB'\n", None), ("limit = '1 GiB'\n", "2 GiB"), ("", None)):
        policy.write_text(f"[scenarios.made]\n{text}")
        done = gate(
            GateRequest(
                runs=(str(place),), policy=policy, limit=limit, out=tmp_path / f"out-{len(limits)}"
            )
        )
        (answer,) = done.variants
        forecast = answer.entries[0].verdict.forecast
        assert forecast is not None
        limits.append(forecast.limit_bytes)
    assert limits[:2] == [1 << 30, 2 << 30]
    assert limits[2] not in limits[:2]
