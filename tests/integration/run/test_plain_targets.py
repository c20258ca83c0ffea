"""Plain functions as users have them are run, hunted and gated."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Leakhunt, only_run

from leakhunt.storage.run_file import load

PLAIN = '''SEEN = []


def handle(number):
    """Keeps a thousand bytes."""
    SEEN.append(bytes(1000))
    return number
'''


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "my_package"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "kept.py").write_text("SEEN = []\n")
    (folder / "service.py").write_text(
        "from .kept import SEEN\nasync def handle():\n    SEEN.append(bytes(1000))\n"
    )
    return folder


def test_a_plain_function_is_measured_and_hunted(leakhunt: Leakhunt, tmp_path: Path) -> None:
    (tmp_path / "my_service.py").write_text(PLAIN)
    done = leakhunt(
        "hunt", "my_service.py:handle", "--calls", "400", "--format=json", "--out", "out"
    )
    assert done.returncode == 0, done.stderr
    assert "leak in Python" in done.stdout
    assert "SEEN.append(bytes(1000))" in done.stdout
    assert load(next((tmp_path / "out").glob("handle.run*"))).plan.source == "my_service.py"


@pytest.mark.parametrize("target", ["my_package.service", "my_package/service.py"])
def test_a_function_of_a_package_is_imported_as_one(
    leakhunt: Leakhunt, tmp_path: Path, package: Path, target: str
) -> None:
    done = leakhunt("run", f"{target}:handle", "--calls", "8", "--format=json", "--out", "out")
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path / "out")
    assert (run.calls_done, run.plan.variant) == (8, "handle")
    assert run.plan.source == target.rpartition("/")[2]


def test_a_module_that_cannot_be_imported_is_told_with_its_place(
    leakhunt: Leakhunt, tmp_path: Path
) -> None:
    (tmp_path / "my_service.py").write_text("import no_such_thing\n" + PLAIN)
    done = leakhunt("run", "my_service.py:handle", "--calls", "8", "--format=json", "--out", "out")
    assert done.returncode == 8
    assert "No module named 'no_such_thing' (my_service.py:1)" in done.stdout
    (tmp_path / "my_service.py").write_text(PLAIN + "raise SystemExit(3)\n")
    done = leakhunt("run", "my_service.py:handle", "--calls", "8", "--format=json", "--out", "ends")
    assert "my_service.py: importing it calls sys.exit(3)" in done.stdout


def test_functions_are_listed(leakhunt: Leakhunt, tmp_path: Path) -> None:
    (tmp_path / "my_service.py").write_text(PLAIN)
    done = leakhunt("list", "my_service.py:handle")
    assert "my-service" in done.stdout
    assert ":handle  Keeps a thousand bytes." in done.stdout


@pytest.mark.long
def test_a_policy_names_functions_as_variants(leakhunt: Leakhunt, tmp_path: Path) -> None:
    (tmp_path / "my_service.py").write_text(PLAIN + "def idle():\n    pass\n")
    (tmp_path / "leakhunt.toml").write_text(
        'repeats = 1\nretries = 0\n[scenarios."my_service.py"]\nvariants = ["handle", "idle"]\n'
        'calls = 300\n[scenarios."my_service.py".budgets]\nlive_heap = "100 B/call"\n'
    )
    done = leakhunt("gate", "--format=json", "--out", "out")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "my-service:handle" in done.stdout
    policy = (tmp_path / "leakhunt.toml").read_text().replace('"idle"', '"idel"')
    (tmp_path / "leakhunt.toml").write_text(policy)
    done = leakhunt("gate", "--out", "other")
    assert done.returncode == 6
    assert "leakhunt.toml:3: " in done.stderr
    assert "did you mean 'idle'" in done.stderr


TAKES_A_QUOTE = """def make_quote(body, tier=1):
    return body.country


def quote(call):
    return make_quote(call)


def later(body, seen=[]):
    seen.append(body)
    if len(seen) > 2:
        raise ValueError("third")
"""


def told(leakhunt: Leakhunt, folder: Path, function: str) -> str:
    (folder / "tariffs.py").write_text(TAKES_A_QUOTE)
    done = leakhunt("run", f"tariffs.py:{function}", "--calls", "8", "--out", "out")
    assert done.returncode == 8
    return str(only_run(folder / "out").outcome.reason)


def test_a_function_that_cannot_use_the_calls_number_is_told_what_to_measure(
    leakhunt: Leakhunt, tmp_path: Path
) -> None:
    assert told(leakhunt, tmp_path, "make_quote") == (
        "AttributeError: 'int' object has no attribute 'country' (tariffs.py:2) before the first"
        " call. Parameter 'body' was given the number of the call (0). Measure a function that"
        " calls this one with what it takes, or add make_input(state, call), which returns that"
    )


@pytest.mark.parametrize("function", ["quote", "later"])
def test_who_wants_the_number_or_fails_later_gets_no_such_advice(
    leakhunt: Leakhunt, tmp_path: Path, function: str
) -> None:
    assert "Parameter" not in told(leakhunt, tmp_path, function)
