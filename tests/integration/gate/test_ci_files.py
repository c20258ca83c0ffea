"""The GitHub action and the GitLab job: their scripts are run, in a project of their own."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ci_files import action, gitlab_job, recorder, run_job, run_step, step

# What a shell would run, split or take for an option.
EVIL = "$(touch owned) `touch owned`; touch owned && x\"'\\ *"
SCENARIO = '''
"""Made for a test."""
from leakhunt import variant

KEPT = []


def setup(context):
    return context


@variant
def clean(state, call):
    """Keeps nothing."""
    bytes(4096)


@variant
def leaky(state, call):
    """Keeps four KiB a call."""
    KEPT.append(bytearray(4096))
'''
POLICY = """
[scenarios."bench/service.py"]
calls = 200
warmup = 50
retries = 0

[scenarios."bench/service.py".budgets]
live_heap = "1 KiB/call"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with a scenario of a clean and a leaking variant, and its policy."""
    made = tmp_path / "project"
    (made / "bench").mkdir(parents=True)
    (made / "bench" / "service.py").write_text(SCENARIO.lstrip())
    (made / "leakhunt.toml").write_text(POLICY)
    _git(made, "init", "--quiet", "--initial-branch=main")
    _git(made, "add", ".")
    _git(made, "commit", "--quiet", "--message=first")
    return made


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def _shallow(tmp_path: Path, project: Path) -> Path:
    """A checkout of a change to the project, as runners make it: one commit of one branch."""
    _git(project, "checkout", "--quiet", "-b", "change")
    source = project / "bench" / "service.py"
    source.write_text(source.read_text().replace("    bytes(4096)", "    KEPT.append(bytes(9000))"))
    _git(project, "commit", "--quiet", "--all", "--message=second")
    checkout = tmp_path / "checkout"
    place = project.resolve().as_uri()
    _git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=change", place, str(checkout))
    return checkout


def _arguments(folder: Path) -> list[str]:
    return (folder / "arguments").read_text().splitlines()


# ---- what the files say


def test_no_input_is_pasted_into_a_script() -> None:
    for each in action()["runs"]["steps"]:
        assert "${{" not in each.get("run", "")


def test_every_input_is_described_and_used() -> None:
    text = json.dumps(action()["runs"])
    for name, expected in action()["inputs"].items():
        assert expected["description"].endswith(".") and isinstance(expected["default"], str)
        assert f"inputs.{name}" in text
    assert set(re.findall(r"inputs\.([a-z-]+)", text)) == set(action()["inputs"])


def test_every_action_that_is_used_is_of_a_named_version() -> None:
    used = [each["uses"] for each in action()["runs"]["steps"] if "uses" in each]
    assert used and all(re.fullmatch(r"[\w/-]+@v\d+", each) for each in used)


def test_what_was_found_is_kept_however_the_gate_ended() -> None:
    for name in ("Keep run files and reports", "Show in code scanning"):
        assert step(name)["if"].startswith("always() && ")
    artifacts = gitlab_job()["artifacts"]
    assert artifacts["when"] == "always"
    for place in artifacts["reports"].values():
        assert Path(place).parent.name == Path(artifacts["paths"][0]).name


def test_the_outputs_of_the_action_are_those_of_its_gate() -> None:
    values = {name: each["value"] for name, each in action()["outputs"].items()}
    assert values == {name: f"${{{{ steps.gate.outputs.{name} }}}}" for name in values}
    for name in values:
        assert f'"{name}=$' in step("Gate")["run"]


# ---- what reaches leakhunt


@pytest.mark.parametrize(
    ("inputs", "arguments"),
    [
        ({}, ["--out=leakhunt-gate", "--format=md,json,junit,sarif,html", "--"]),
        (
            {"scenario": "a:b,c\n\nbench/x y.py\n", "jobs": "2", "policy": "ci/p.toml"},
            ["--policy=ci/p.toml", "--jobs=2", "--scenario=a:b,c", "--scenario=bench/x y.py", "--"],
        ),
        ({"runs": "one two\n--three"}, ["--", "one two", "--three"]),
        ({"policy": EVIL, "scenario": EVIL, "baselines": EVIL},
         [f"--policy={EVIL}", f"--baselines={EVIL}", f"--scenario={EVIL}", "--"]),
    ],
)  # fmt: skip
def test_inputs_reach_leakhunt_as_they_are(
    tmp_path: Path, project: Path, inputs: Mapping[str, str], arguments: list[str]
) -> None:
    ran = run_step("Gate", project, inputs, recorder(tmp_path, "leakhunt"))
    assert ran.code == 0, ran.output
    words = _arguments(tmp_path)
    assert words[0] == "gate" and words[-len(arguments) :] == arguments
    assert not list(project.rglob("owned"))


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        (0, "within_budget"),
        (1, "over_budget"),
        (2, "error"),
        (3, "inconclusive"),
        (4, "not_measured"),
        (130, "error"),
    ],
)
def test_the_step_ends_as_the_gate_did_and_says_how(
    tmp_path: Path, project: Path, code: int, answer: str
) -> None:
    ran = run_step("Gate", project, {"out": "a b"}, recorder(tmp_path, "leakhunt", code))
    assert ran.code == code
    values = {"answer": answer, "exit-code": str(code), "report": str(project.resolve() / "a b")}
    assert ran.outputs == values


def test_an_output_cannot_be_forged_by_the_name_of_a_folder(tmp_path: Path, project: Path) -> None:
    forged = {"out": "x\nanswer=within_budget"}
    ran = run_step("Gate", project, forged, recorder(tmp_path, "leakhunt", 1))
    assert ran.outputs["answer"] == "over_budget"


def test_a_branch_that_a_shallow_checkout_lacks_is_fetched(tmp_path: Path, project: Path) -> None:
    checkout = _shallow(tmp_path, project)
    ran = run_step("Gate", checkout, {"against": "main"}, recorder(tmp_path, "leakhunt"))
    assert ran.code == 0, ran.output
    assert "--against=main" in _arguments(tmp_path)
    assert _git(checkout, "rev-parse", "main") == _git(project, "rev-parse", "main")


def test_the_job_fetches_it_as_well(tmp_path: Path, project: Path) -> None:
    checkout = _shallow(tmp_path, project)
    variables = {"LEAKHUNT_AGAINST": "main", "LEAKHUNT_REQUIREMENT": ""}
    ran = run_job(checkout, variables, recorder(tmp_path, "leakhunt"))
    assert ran.code == 0, ran.output
    assert "--against=main" in _arguments(tmp_path)
    assert _git(checkout, "rev-parse", "main") == _git(project, "rev-parse", "main")


def test_a_whole_checkout_stays_whole(tmp_path: Path, project: Path) -> None:
    """A branch that is the remote's only is there already: fetching one commit would cut it off."""
    _git(project, "commit", "--quiet", "--allow-empty", "--message=second")
    checkout = tmp_path / "checkout"
    _git(tmp_path, "clone", "--quiet", str(project), str(checkout))
    _git(checkout, "checkout", "--quiet", "--detach")
    _git(checkout, "branch", "--delete", "--force", "main")
    ran = run_step("Gate", checkout, {"against": "main"}, recorder(tmp_path, "leakhunt"))
    assert ran.code == 0, ran.output
    assert "--against=main" in _arguments(tmp_path)
    assert _git(checkout, "rev-parse", "--is-shallow-repository").strip() == "false"


def test_a_revision_that_is_here_is_taken_as_it_is(tmp_path: Path, project: Path) -> None:
    run_step("Gate", project, {"against": "HEAD"}, recorder(tmp_path, "leakhunt"))
    assert "--against=HEAD" in _arguments(tmp_path)


@pytest.mark.parametrize("against", ["nowhere", "--upload-pack=touch owned", EVIL])
def test_a_revision_that_is_nowhere_fails_the_step(
    tmp_path: Path, project: Path, against: str
) -> None:
    _git(project, "remote", "add", "origin", str(project))
    ran = run_step("Gate", project, {"against": against}, recorder(tmp_path, "leakhunt"))
    assert ran.code != 0 and not (tmp_path / "arguments").exists()
    assert not list(tmp_path.rglob("owned"))


@pytest.mark.parametrize(
    ("inputs", "wanted"),
    [
        ({}, "{root}"),
        ({"extras": "soak,frames"}, "{root}[soak,frames]"),
        ({"version": "1.2.3", "extras": "soak"}, "leakhunt-ml[soak]==1.2.3"),
        ({"version": EVIL}, f"leakhunt-ml=={EVIL}"),
    ],
)
def test_what_is_installed(
    tmp_path: Path, project: Path, inputs: Mapping[str, str], wanted: str
) -> None:
    ran = run_step("Install leakhunt", project, inputs, recorder(tmp_path, "python"))
    assert ran.code == 0, ran.output
    root = str(Path(__file__).parents[3])
    assert _arguments(tmp_path) == ["-m", "pip", "install", wanted.replace("{root}", root)]


def test_the_job_gives_leakhunt_the_options_that_are_set(tmp_path: Path, project: Path) -> None:
    variables = {"LEAKHUNT_REQUIREMENT": "", "LEAKHUNT_POLICY": EVIL, "LEAKHUNT_JOBS": "2"}
    ran = run_job(project, variables, recorder(tmp_path, "leakhunt", 3))
    assert ran.code == 3, ran.output
    assert _arguments(tmp_path)[-2:] == [f"--policy={EVIL}", "--jobs=2"]
    run_job(project, {"LEAKHUNT_REQUIREMENT": ""}, recorder(tmp_path, "leakhunt"))
    assert _arguments(tmp_path) == [
        "gate", "--out=leakhunt-gate", "--format=md,json,junit,codequality,html",
    ]  # fmt: skip


# ---- the whole way, with leakhunt itself


def test_the_action_gates_a_project_and_leaves_what_the_runner_shows(project: Path) -> None:
    ran = run_step("Gate", project, {"scenario": "bench/service.py:leaky"})
    assert ran.code == 1, ran.output
    assert ran.outputs["answer"] == "over_budget"
    report = Path(ran.outputs["report"])
    for name in ("gate.md", "gate.json", "gate.junit.xml", "gate.sarif"):
        assert (report / name).stat().st_size, name
    assert list(report.rglob("*.run.jsonl"))
    assert ran.outputs["sarif"] == str(report / "gate.sarif")
    assert "over budget" in ran.summary
    (line,) = [each for each in ran.output.splitlines() if each.startswith("::error ")]
    leaking = SCENARIO.lstrip().splitlines().index("    KEPT.append(bytearray(4096))") + 1
    assert line.startswith(f"::error file=bench/service.py,line={leaking},title=")
    (result,) = _sarif(report)["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "bench/service.py"
    assert place["region"]["startLine"] == leaking


def test_the_action_passes_what_is_clean(project: Path) -> None:
    ran = run_step("Gate", project, {"scenario": "bench/service.py:clean"})
    assert ran.code == 0, ran.output
    assert (ran.outputs["answer"], ran.outputs["exit-code"]) == ("within_budget", "0")
    assert "detection limit" in ran.summary
    assert "::notice " in ran.output and "::error " not in ran.output
    assert _sarif(Path(ran.outputs["report"]))["results"] == []


def test_a_change_is_held_against_the_branch_that_it_is_for(tmp_path: Path, project: Path) -> None:
    inputs = {"against": "main", "scenario": "bench/service.py:clean"}
    ran = run_step("Gate", _shallow(tmp_path, project), inputs)
    assert ran.code == 1, ran.output
    assert "against main" in ran.summary


def test_the_action_with_a_policy_of_nonsense_is_an_error(project: Path) -> None:
    (project / "leakhunt.toml").write_text("budgets = nonsense")
    ran = run_step("Gate", project, {})
    assert ran.code not in (0, 1, 3, 4) and ran.outputs["answer"] == "error"


def test_the_job_leaves_what_gitlab_shows(project: Path) -> None:
    ran = run_job(project, {"LEAKHUNT_REQUIREMENT": ""})
    assert ran.code == 1, ran.output
    reports = gitlab_job()["artifacts"]["reports"]
    entries = json.loads((project / reports["codequality"]).read_text())
    assert [each["location"]["path"] for each in entries] == ["bench/service.py"]
    root = ElementTree.parse(project / reports["junit"]).getroot()  # noqa: S314
    # Two variants: the heap, small objects, threads, descriptors, children.
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("10", "1", "0")


def _sarif(report: Path) -> Any:
    (run,) = json.loads((report / "gate.sarif").read_text())["runs"]
    return run
