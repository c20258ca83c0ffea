"""``pytest --leakhunt-all`` on a project that knows nothing of leakhunt, with real workers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import jsonschema
import pytest
from conftest import PATIENCE_SECONDS

from leakhunt.storage.schema_files import schema_text

pytest_plugins = ["pytester"]

RunPytest = Callable[..., pytest.RunResult]

# Tests as a stranger writes them. The one that leaks soon has as many files open as a run may.
TESTS = """
import functools, logging, os, time, unittest, warnings
import pytest

KEPT = []

@pytest.fixture(scope="module")
def shared():
    return {}

@pytest.fixture
def folder(tmp_path, shared):
    yield tmp_path

@pytest.fixture(scope="module")
def asked_for():
    return {}

@pytest.fixture
def by_name(asked_for):
    return asked_for

def test_leaks():
    KEPT.append(os.open(__file__, os.O_RDONLY))

@pytest.mark.parametrize("name", ["a"])
def test_uses_all_that_pytest_has(
    name, folder, capsys, caplog, monkeypatch, record_property, request
):
    (folder / "once").mkdir()
    request.getfixturevalue("by_name")
    print("x" * 500)
    logging.getLogger("x").warning("y" * 500)
    warnings.warn("z" * 500)
    monkeypatch.setenv("X", "1")
    record_property("x", "1" * 500)
    assert capsys.readouterr().out and len(caplog.records) == 1

@functools.cache
def cached(number):
    return bytearray(2000)

def test_fills_a_cache():
    cached(len(KEPT) % 7)

class TestCase(unittest.TestCase):
    def setUp(self):
        self.made = []

    def test_parts(self):
        for part in range(3):
            with self.subTest(part=part):
                self.made.append(bytearray(500))

def test_once(shared):
    assert not shared.setdefault("seen", 0)
    shared["seen"] = 1

def test_ends_all(shared):
    shared["ends"] = shared.get("ends", 0) + 1
    if shared["ends"] == 30:
        os.kill(os.getpid(), 9)

def test_is_wrong():
    assert 1 == 2

def test_is_skipped():
    pytest.skip("not here")

@pytest.mark.xfail(reason="known")
def test_is_known():
    1 / 0

@pytest.mark.leak_budget("1 KiB/call", calls=101)
def test_has_a_budget():
    pass
"""


@pytest.fixture
def run_pytest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> RunPytest:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    for name in [each for each in os.environ if each.startswith("PYTEST_XDIST")]:
        monkeypatch.delenv(name)

    def run(tests: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(test_sample=tests)
        plugins = ("-p", "leakhunt.pytest_plugin", "-p", "xdist.plugin", "-p", "no:cacheprovider")
        return pytester.runpytest_subprocess(*plugins, *arguments, timeout=3 * PATIENCE_SECONDS)

    return run


def results(folder: Path) -> dict[str, dict[str, object]]:
    """What the JSON file says, by the name of the test."""
    document = json.loads((folder / "out.json").read_bytes())
    jsonschema.validate(document, json.loads(schema_text("suite")))
    return {each["test"].partition("::")[2]: each for each in document["tests"]}


def test_tests_as_they_are_are_repeated_and_those_that_leak_are_named(
    run_pytest: RunPytest, pytester: pytest.Pytester
) -> None:
    done = run_pytest(TESTS, "--leakhunt-all", "60s", "--leakhunt-json", "out.json")
    done.assert_outcomes(passed=6, failed=2, skipped=1, xfailed=1)
    assert done.ret is pytest.ExitCode.TESTS_FAILED
    output = done.stdout.str().splitlines()
    for line in (
        "leakhunt: leak: descriptors 1/call * in * repeats",
        "=* leakhunt: 1 of 6 tests leak *",
        "Leak  test_sample.py::test_leaks",
        "      suspect: * test_leaks (*test_sample.py:*)*",
        "  *::test_once: fails at repeat 2 (call): *",
        "  *::test_ends_all: ended early: SIGKILL after call 2*",
        "No leak: 3 tests (detection limit at most * B/call, 95 % power)*",
    ):
        assert any(fnmatch(each, line) for each in output), (line, output)
    found = results(pytester.path)
    clean = {name for name, each in found.items() if each["status"] == "no leak"}
    assert clean == {
        "test_uses_all_that_pytest_has[a]",
        "test_fills_a_cache",
        "TestCase::test_parts",
    }
    assert "test_has_a_budget" not in found, "it is held to its budget"


def test_a_worker_of_xdist_in_chinese_with_a_report_and_only_what_is_chosen(
    run_pytest: RunPytest, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAKHUNT_LANG", "zh")
    done = run_pytest(
        *(TESTS, "-k", "fills", "--leakhunt-all", "test_sample.py"),
        *("--leakhunt-report", "leaks", "-n", "1"),
    )
    done.assert_outcomes(passed=1)
    assert "个测试" in done.stdout.str()
    assert "pytest --leakhunt-all test_sample.py::test_fills_a_cache" in (
        pytester.path / "leaks" / "report.md"
    ).read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--leakhunt-all=soon"], "ERROR: --leakhunt-all: invalid duration 'soon'*"),
        (["--leakhunt-json", "a"], "ERROR: --leakhunt-json needs --leakhunt-all"),
        (["--leakhunt-all", "--no-leakhunt"], "ERROR: --leakhunt-all cannot be combined with *"),
    ],
)
def test_options_of_nonsense_are_a_line_each(
    run_pytest: RunPytest, arguments: list[str], line: str
) -> None:
    done = run_pytest("def test_one(): pass", *arguments)
    assert done.ret is pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([line])
