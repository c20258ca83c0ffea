"""Gate, comparison, claims and baselines from Python: values, and nothing printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import write_run
from gate_projects import QUICK, project

import leakhunt
from leakhunt.errors import LeakhuntError, UsageError
from leakhunt.model.claims import ClaimVerdict
from leakhunt.model.gate import GateAnswer

GROWING = [(1000 + 4096 * call, 5_000_000) for call in range(200)]
LEVEL = [(1000, 5_000_000) for _ in range(200)]
CLAIMS = """
[[run]]
name = "leaky"
command = "run made.py:leaky --calls 200"
[[claim]]
id = "A"
claim = "it keeps four KiB a call"
source = "a report"
[[claim.check]]
run = "leaky"
measure = "growth"
at_least = "3 KiB/call"
"""
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def runs() -> tuple[Path, Path]:
    """A folder with a level run, and one with a growing one."""
    found = (Path("level"), Path("growing"))
    for folder, rows in zip(found, (LEVEL, GROWING), strict=True):
        folder.mkdir()
        write_run(folder / "naive.run.jsonl", rows)
    return found


def test_a_policy_is_measured(capfd: Capture) -> None:
    made = project(Path("made"), QUICK)
    result = leakhunt.gate(policy=made / "leakhunt.toml", scenarios=["made:clean"], formats="json")
    assert (result.answer, result.exit_code) == (GateAnswer.WITHIN_BUDGET, 0)
    assert [each.name for each in result.variants] == ["made:clean"]
    assert result.folder is not None and result.folder.parent == Path("reports")
    assert capfd.readouterr() == ("", "")


def test_run_files_are_gated_and_compared(runs: tuple[Path, Path], capfd: Capture) -> None:
    level, growing = runs
    assert leakhunt.gate(growing, max_growth="1 KiB/call", series="rss").exit_code == 1
    assert leakhunt.gate(level, max_growth="1 KiB/call", series="rss").exit_code == 0
    result = leakhunt.compare(level, growing)
    assert (result.exit_code, result.files) == (0, ())
    assert sorted(map(str, Path().iterdir())) == ["growing", "level"]
    assert capfd.readouterr() == ("", "")
    with pytest.raises(UsageError):
        leakhunt.gate(growing)


def test_baselines_are_saved_read_and_updated(runs: tuple[Path, Path], capfd: Capture) -> None:
    saved = leakhunt.save_baseline(runs[0], into="kept")
    assert [path.name for path in saved.files] == ["made.naive.toml"]
    (baseline,) = leakhunt.baselines("kept")
    assert [each.name for each in baseline.variants] == ["made:naive"]
    with pytest.raises(UsageError, match="already"):
        leakhunt.save_baseline(runs[0], into="kept")
    (change,) = leakhunt.update_baseline(runs[0], into="kept").changes
    assert not change.is_new
    with pytest.raises(LeakhuntError):
        leakhunt.baselines("nowhere")
    assert capfd.readouterr() == ("", "")


def test_claims_are_checked(capfd: Capture) -> None:
    made = project(Path("made"), QUICK)
    (made / "claims.toml").write_text(CLAIMS)
    result = leakhunt.check_claims(made, out="out", formats=None)
    assert [each.verdict for each in result.claims] == [ClaimVerdict.REPRODUCED]
    assert (result.exit_code, result.interrupted) == (0, False)
    assert result.files == (Path("out/claims.json"),)
    assert "it keeps four KiB a call" in result._repr_html_()
    assert capfd.readouterr() == ("", "")
    with pytest.raises(UsageError):
        leakhunt.check_claims(made, ids=["B"])
