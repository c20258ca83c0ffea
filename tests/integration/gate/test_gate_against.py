"""``leakhunt gate --against REVISION``: measure, and that the user's repository stays."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from gate_projects import QUICK, body, commit, gate, git, in_one_line, project
from page_parts import parsed

# The code of a package beside the scenario, which keeps what `RATE` says.
PACKAGE = "KEPT = []\n\n\ndef work():\n    KEPT.append(bytearray(RATE))\n\n\nRATE = {rate}\n"
SCENARIO = body("package.work()").replace("from leakhunt", "import package\nfrom leakhunt")
ONE_ROUND = ("--pairs", 1)


def packaged(folder: Path, place: str, rate: int) -> Path:
    """A repository with a scenario in ``bench`` that calls a package in `place`."""
    made = project(folder, QUICK.replace("made.py", "bench/made.py"))
    (made / "made.py").unlink()
    (made / "bench").mkdir()
    (made / "bench" / "made.py").write_text(SCENARIO)
    (made / ".gitignore").write_text("out*\n__pycache__\n")
    write_package(made / place, rate)
    commit(made)
    return made


def write_package(place: Path, rate: int) -> None:
    (place / "package").mkdir(parents=True, exist_ok=True)
    (place / "package" / "__init__.py").write_text(PACKAGE.format(rate=rate))


@pytest.mark.parametrize("place", ["src", pytest.param(".", marks=pytest.mark.long)])
def test_only_what_got_worse_since_the_revision_fails(tmp_path: Path, place: str) -> None:
    """The package is the revision's there, and here the working tree's, committed or not."""
    made = packaged(tmp_path, place, rate=2048)
    here = {"PYTHONPATH": f"{made / place}:{Path(__file__).parents[3]}"}
    same = gate(made, "--against", "main", *ONE_ROUND, **here)
    assert same.code == 0, same.reasons
    assert same.document["against"] == "main"
    write_package(made / place, rate=8192)
    worse = gate(made, "--against", "main", *ONE_ROUND, out="out2", formats="json,html", **here)
    assert worse.code == 1
    (heap,) = [c for c in worse.variant["checks"] if c["budget"]["series"] == "live_heap"]
    assert heap["estimate"] == pytest.approx(8192 - 2048, rel=0.1)
    assert "package/__init__.py:5" in worse.output
    assert list((made / "out2" / "made" / "against").glob("*.run.jsonl"))
    page = parsed((made / "out2" / "gate.html").read_text())
    links = [link for link in page.outer if "://" not in link]  # a known cause has one of its own
    assert set(links) == {"made/report.html", "made/compare.html"}
    assert all((made / "out2" / link).is_file() for link in links)
    assert git(made, "worktree", "list").count("\n") == 0
    assert git(made, "status", "--porcelain").splitlines() == [
        f"M {'src/' if place == 'src' else ''}package/__init__.py"
    ]


def test_what_is_new_since_the_revision_is_judged_by_itself(tmp_path: Path) -> None:
    made = project(tmp_path, QUICK, made=body("pass"))
    commit(made)
    (made / "made.py").write_text(body("pass").replace("naive", "another"))
    policy = QUICK + "[scenarios.'more.py']\ncalls = 200\n"
    leaks = body("KEPT.append(bytearray(4096))")
    project(made, policy, made=(made / "made.py").read_text(), more=leaks)
    done = gate(made, "--against", "HEAD", *ONE_ROUND, formats="json,html")
    assert done.code == 1
    assert done.answers == {"made:another": "within_budget", "more:naive": "over_budget"}
    assert done.notes == [
        "made:another does not exist in HEAD; judged without a comparison",
        "more:naive does not exist in HEAD; judged without a comparison",
    ]


def test_a_link_to_a_scenario_is_compared_with_what_it_leads_to(tmp_path: Path) -> None:
    made = project(tmp_path, QUICK.replace("made.py", "link.py"), made=body("pass"))
    (made / "link.py").symlink_to("made.py")
    commit(made)
    done = gate(made, "--against", "main", *ONE_ROUND)
    assert done.code == 0 and done.answers == {"link:naive": "within_budget"}


@pytest.mark.parametrize("name", ["nowhere", "--all", "", "^main", "main..main", "a\nb"])
def test_what_is_no_revision_is_one_line(tmp_path: Path, name: str) -> None:
    made = project(tmp_path)
    commit(made)
    done = gate(made, f"--against={name}")
    assert done.code == 2
    assert f"--against {' '.join(name.split())}: revision not found" in in_one_line(done)
    assert not (made / "out").exists()


def test_a_folder_that_is_no_repository_is_one_line(tmp_path: Path) -> None:
    done = gate(project(tmp_path), "--against", "main", GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert done.code == 2 and "not a git repository" in in_one_line(done)


def test_a_shallow_checkout_of_another_branch_has_the_remotes_main(tmp_path: Path) -> None:
    made = project(tmp_path / "made", QUICK, made=body("pass"))
    commit(made)
    git(made, "checkout", "-q", "-b", "change")
    (made / "made.py").write_text(body("KEPT.append(bytearray(4096))"))
    commit(made)
    place = (made).resolve().as_uri()
    git(tmp_path, "clone", "-q", "--depth=1", "--branch=change", place, "checkout")
    checkout = tmp_path / "checkout"
    git(checkout, "fetch", "-q", "--depth=1", "origin", "main:refs/remotes/origin/main")
    done = gate(checkout, "--against", "main", *ONE_ROUND)
    assert done.code == 1 and done.answers == {"made:naive": "over_budget"}


def test_a_repository_of_other_hashes_is_as_good(tmp_path: Path) -> None:
    made = project(tmp_path, QUICK, made=body("pass"))
    git(made, "init", "-q", "-b", "main", "--object-format=sha256")
    commit(made)
    assert gate(made, "--against", "main", *ONE_ROUND).code == 0


def test_the_revision_runs_by_the_interpreter_that_is_named(tmp_path: Path) -> None:
    made = project(tmp_path, QUICK, made=body("pass"))
    commit(made)
    named = ("--against", "main", *ONE_ROUND, "--against-python")
    assert gate(made, *named, sys.executable).code == 0
    gone = gate(made, *named, "no-such-python", out="out2")
    assert gone.code == 2
    assert in_one_line(gone).endswith(
        "--against-python no-such-python: program not found. Check the path"
    )


def test_a_scenario_that_fails_there_is_no_pass(tmp_path: Path) -> None:
    made = project(tmp_path, QUICK, made=body("pass", "    raise RuntimeError('broken there')"))
    commit(made)
    (made / "made.py").write_text(body("pass"))
    done = gate(made, "--against", "main", *ONE_ROUND)
    assert done.code == 4
    assert "main: no sample: RuntimeError: broken there" in done.reasons
