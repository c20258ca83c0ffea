"""``leakhunt gate`` beside a baseline, and what it puts up with until a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree, rmtree

import pytest
from conftest import command_line
from gate_projects import QUICK, SCENARIO, body, gate, in_one_line, project

from leakhunt.model.baseline import BaselineVariant
from leakhunt.storage.baseline_folder import read_file, write_variants

POLICY = "baselines = 'kept'\n" + QUICK
# Keeps so many bytes a call.
KEEPS = "KEPT.append(bytearray({}))"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline of a variant that keeps 2 KiB a call, saved from a gate's own run files."""
    made = project(tmp_path_factory.mktemp("made"), QUICK, made=body(KEEPS.format(2048)))
    assert gate(made).code == 1
    words = ["baseline", "save", "out/made", "--into", "kept", "--despite-leak"]
    done = command_line(words, made)
    assert done.returncode == 0, done.stderr
    return made / "kept"


@pytest.fixture
def saved(tmp_path: Path, once: Path) -> Path:
    """A project with that baseline, whose variant is as it was."""
    copytree(once, tmp_path / "kept")
    return project(tmp_path, POLICY, made=body(KEEPS.format(2048)))


def only_file(made: Path) -> Path:
    (file,) = (made / "kept").glob("*/*")
    return file


def test_what_is_as_before_passes_and_what_is_worse_fails(saved: Path) -> None:
    same = gate(saved)
    assert same.code == 0 and same.document["against"] == "kept"
    project(saved, POLICY, made=body(KEEPS.format(4096)))
    worse = gate(saved, out="worse")
    assert worse.code == 1
    (suspect,) = worse.variant["suspects"]
    where = suspect["where"]
    text = (saved / "made.py").read_text().splitlines()
    assert text[where["line"] - 1].strip() == KEEPS.format(4096)
    # Run files are answered as what was measured.
    assert gate(saved, "worse/made", "--no-baseline", out="without").code == 1
    project(saved, POLICY + "budgets = { live_heap = '+3 KiB/call', python_blocks = '+9/call' }\n",
            made=body(KEEPS.format(4096)))  # fmt: skip
    more = gate(saved, "worse/made", out="more")
    assert more.code == 0, more.reasons


def test_a_variant_that_no_baseline_has_is_judged_by_itself_and_told(saved: Path) -> None:
    (saved / "made.py").write_text(body("pass").replace("naive", "another"))
    done = gate(saved)
    assert done.code == 0
    (note,) = done.notes
    assert note.startswith("made:another: not in the baseline")


def test_without_a_baseline_what_is_relative_could_not_be_measured(saved: Path) -> None:
    project(saved, QUICK + "budgets = { live_heap = '+3 KiB/call' }\n", made=body("pass"))
    done = gate(saved)
    assert done.code == 4 and "create one with 'leakhunt baseline save'" in done.reasons
    again = gate(saved, "--baselines", "gone", out="again")
    assert again.code == 4 and "gone: no baseline" in again.reasons


def test_a_run_that_measured_nothing_is_no_pass_beside_a_baseline(saved: Path) -> None:
    project(saved, POLICY, made=body("pass", "    raise RuntimeError('no weights here')"))
    done = gate(saved)
    assert done.code == 4 and "no weights here" in done.reasons


def test_a_run_that_ends_early_is_no_pass_beside_a_baseline(saved: Path) -> None:
    ends = body("if call == 190:\n        raise SystemExit(3)\n    " + KEEPS.format(2048))
    project(saved, POLICY, made=ends)
    done = gate(saved)
    assert done.code == 3 and "ended early" in done.reasons


@pytest.mark.long
def test_a_baseline_of_another_environment_is_refused_with_what_to_do(saved: Path) -> None:
    file = only_file(saved)
    found = read_file(file)
    other = {**found.environment, "libc": "musl 1.2.3"}
    rmtree(saved / "kept")
    write_variants(saved / "kept", [_of(found, other)])
    done = gate(saved)
    assert done.code == 1  # it leaks by itself
    (reason,) = [each["reason"]["text"] for each in done.document["variants"]]
    assert "no baseline of this environment" in reason and "musl 1.2.3" in reason
    assert "Create one with 'leakhunt baseline save RUN_FOLDER'" in reason
    project(saved, POLICY, made=body("pass"))
    clean = gate(saved, out="clean")
    assert clean.code == 4


def _of(found: BaselineVariant, environment: dict[str, str]) -> BaselineVariant:
    facts = [
        {name: (environment.get(name, value), matter) for name, (value, matter) in p.facts.items()}
        for p in found.profiles
    ]
    profiles = [replace(each, facts=of) for each, of in zip(found.profiles, facts, strict=True)]
    return replace(found, environment=environment, profiles=tuple(profiles))


def test_a_baseline_with_marks_of_a_conflict_is_told_with_its_line(saved: Path) -> None:
    file = only_file(saved)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines[:2], "<<<<<<< ours\n", *lines[2:]]))
    done = gate(saved)
    assert done.code == 6
    assert (
        f"{file.relative_to(saved)}:3: invalid TOML (<<<<<<<: unresolved merge conflict"
        in in_one_line(done)
    )
    assert not (saved / "out").exists()


# ---- what is accepted


def accepting(fingerprint: str, until: str, scenario: str = "made.py") -> str:
    return (
        f"[[accept]]\nfingerprint = '{fingerprint}'\nreason = 'known, issue 12'\n"
        f"until = {until}\nscenario = '{scenario}'\n"
    )


def test_an_accepted_suspect_passes_until_its_day_and_then_counts_again(tmp_path: Path) -> None:
    made = project(tmp_path, QUICK, made=SCENARIO)
    leaking = gate(made, "--scenario", "made:leaky")
    (suspect,) = leaking.variant["suspects"]
    today = datetime.now(UTC).date()
    tomorrow, yesterday = (today + timedelta(days=days) for days in (1, -1))

    project(made, QUICK + accepting(suspect["fingerprint"], tomorrow.isoformat()), made=SCENARIO)
    accepted = gate(made, "--scenario", "made:leaky", out="accepted")
    assert accepted.code == 0
    assert f"accepted: {suspect['fingerprint']}" in accepted.reasons
    assert f"until {tomorrow}: known, issue 12" in accepted.output

    up_to = accepting(suspect["fingerprint"], tomorrow.isoformat()) + "up_to = '4000/call'\n"
    project(made, QUICK + up_to, made=SCENARIO)
    outgrown = gate(made, "out/made", out="outgrown")
    assert outgrown.code == 1
    assert "is accepted up to 3.91 KiB/call, but retains 4." in outgrown.notes[0]

    project(made, QUICK + accepting(suspect["fingerprint"], yesterday.isoformat()), made=SCENARIO)
    expired = gate(made, "out/made", out="expired")
    assert expired.code == 1
    (note,) = expired.notes
    assert note.startswith("leakhunt.toml:4: ") and "counts again" in note
