"""The pytest plugin against small projects in temporary folders, with real workers."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest
from _pytest.assertion.rewrite import AssertionRewriter
from conftest import PATIENCE_SECONDS, is_alive, wait_until

import leakhunt
from leakhunt.model.run import Ending
from leakhunt.storage import run_file

pytest_plugins = ["pytester"]

RunPytest = Callable[..., pytest.RunResult]

# A project without torch, whose tests need an option, a fixture and a setting of their own.
CONFTEST = """
import os, sys
import pytest

sys.modules["torch"] = None
os.environ.setdefault("SEEN_FIRST_BY", str(os.getpid()))

def pytest_addoption(parser):
    parser.addoption("--word", default="none")

@pytest.fixture
def kept():
    return []

@pytest.fixture
def elsewhere():
    assert os.environ["SEEN_FIRST_BY"] != str(os.getpid()), "set up where it is not needed"
"""
INI = """
[pytest]
addopts = --strict-markers --strict-config --word=said
"""
HEAD = """
import asyncio, logging, os, time, unittest, warnings
import pytest

budget = pytest.mark.leak_budget("1 KiB/call", calls=101)
"""


@pytest.fixture
def run_pytest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> RunPytest:
    """Run pytest on a file of tests, with no plugin but ours and xdist's; the outcome comes back.

    Other installed plugins are not loaded: some take seconds, in every worker.
    """
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)
    pytester.makeconftest(CONFTEST)
    pytester.makeini(INI)

    def run(tests: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(test_sample=HEAD + tests)
        plugins = ("-p", "leakhunt.pytest_plugin", "-p", "xdist.plugin")
        return pytester.runpytest_subprocess(*plugins, *arguments, timeout=PATIENCE_SECONDS)

    return run


def runs_in(folder: Path) -> dict[str, Ending]:
    """How the measured runs in a folder ended, by the test."""
    runs = [run_file.load(file) for file in run_file.find_run_files([str(folder)])]
    return {run.plan.variant: run.outcome.ending for run in runs if run.plan.is_measured}


BOTH_WAYS = """
@budget
def test_marked(kept):
    kept.append(bytearray(5000))

def test_within(leakhunt):
    called = []
    measured = leakhunt(lambda: called.append(1), "0/call")
    assert (called, measured.run, measured.verdict) == ([1], None, None)
"""


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_without_the_switch_tests_are_plain_and_the_summary_is_loud(
    run_pytest: RunPytest, arguments: tuple[str, ...]
) -> None:
    done = run_pytest(BOTH_WAYS, *arguments)
    done.assert_outcomes(passed=2)
    done.stdout.fnmatch_lines(["*2 leak budgets were NOT measured; pytest --leakhunt measures"])


def test_a_leak_fails_its_test_with_its_curve_and_who_keeps_it(run_pytest: RunPytest) -> None:
    done = run_pytest(
        """
KEPT = []

@budget
def test_leaks():
    KEPT.append(bytearray(4000))

@budget
def test_does_not(kept, elsewhere):
    kept[:] = [bytearray(4000)]
""",
        "--leakhunt",
        "-v",
    )
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(
        [
            "leakhunt: over budget: live_heap 3.9* [[]3.9*, *] KiB/call, budget 1 KiB/call*",
            "▁▁*██",
            "live heap*calls, the first 25% as warm-up",
            "suspect 1: list that grows without a bound: test_sample.KEPT*",
            "  from: test_leaks (*test_sample.py:*): KEPT.append(bytearray(4000))",
            "show it with: leakhunt report *",
            "*test_does_not: within budget: live_heap *, budget 1 KiB/call; detection limit *"
            " (95 % power)",
        ]
    )
    assert "NOT measured" not in done.stdout.str()


def test_workers_of_xdist_measure_into_one_folder_and_report_on_it(
    run_pytest: RunPytest, pytester: pytest.Pytester
) -> None:
    done = run_pytest(
        """
@budget
@pytest.mark.parametrize("name", ["a/b", "a b"])
def test_each(name, request, tmp_path):
    assert request.config.getoption("word") == "said"
    assert tmp_path.is_dir()

@budget
@pytest.mark.xdist_group("looping")
async def test_on_one_loop(kept):
    kept[:] = [*kept[:1], asyncio.get_running_loop()]
    assert kept[0] is kept[-1]
    await asyncio.sleep(0)

def test_closures(leakhunt):
    hoard = []

    def call():
        hoard.append(bytearray(3000))

    seen = []
    first = leakhunt(lambda: seen or seen.append(1), "0/call", calls=101)
    assert seen
    assert first.verdict.status == "no_leak" and first.run.calls_done >= 101
    leakhunt(call, "1 KiB/call", calls=101)
""",
        "-n", "2", "--dist", "loadgroup", "--leakhunt-report", "leaks",
    )  # fmt: skip
    done.assert_outcomes(passed=3, failed=1)
    done.stdout.fnmatch_lines(
        [
            "suspect 1: list that grows without a bound: Fixtures.call.__closure__*",
            "*test_on_one_loop*: within budget: *",
            "*report.html",
        ]
    )
    folder = pytester.path / "leaks"
    assert runs_in(folder) == dict.fromkeys(
        [
            "test_sample.py::test_each[a/b]",
            "test_sample.py::test_each[a b]",
            "test_sample.py::test_on_one_loop",
            "test_sample.py::test_closures #1",
            "test_sample.py::test_closures #2",
        ],
        Ending.OK,
    )
    assert "pytest --leakhunt" in (folder / "report.md").read_text()
    # Not one call of a body was made outside a worker.
    assert "NOT measured" not in done.stdout.str()


def test_what_becomes_of_a_test_in_its_worker_becomes_of_it(
    run_pytest: RunPytest, pytester: pytest.Pytester
) -> None:
    done = run_pytest(
        """
@budget
def test_raises(kept):
    kept.append(1)
    assert len(kept) != 57, "fifty-seven"

@budget
def test_kills(kept):
    kept.append(1)
    if len(kept) == 30:
        os.kill(os.getpid(), 9)

@pytest.mark.leak_budget("1 KiB/call", calls=101, timeout=5)
def test_hangs(kept):
    kept.append(1)
    if len(kept) == 5:
        time.sleep(1000)

@budget
def test_exits():
    pytest.exit("enough")

@budget
def test_skips():
    pytest.skip("not on this machine")

@budget
@pytest.mark.xfail(raises=ZeroDivisionError, reason="known")
def test_fails_as_known():
    1 / 0

@budget
def test_ends_badly(request, kept):
    if not kept:
        request.addfinalizer(lambda: 1 / 0)
        kept.append(1)
""",
        "-n", "2", "-rs", "--leakhunt-report", "leaks",
    )  # fmt: skip
    done.assert_outcomes(failed=5, skipped=1, xfailed=1)
    output = done.stdout.str()
    for line in (
        "the test failed: AssertionError: fifty-seven * after call 56 of 135",
        '*assert len(kept) != 57, "fifty-seven"',
        "inconclusive: *SIGKILL after call 29 of 135; *",
        "inconclusive: *no sample for 5 s after call 4 of 135; the log contains the stack*",
        "the test failed: Exit: enough*",
        "the test failed: ZeroDivisionError: * after call 135 of 135",
        "SKIPPED * test_sample.py:*: not on this machine",
    ):
        assert any(fnmatch(each, f"*{line}") for each in output.splitlines()), line
    hung = pytester.path.glob("leaks/*test_hangs*.log")
    assert "in test_hangs" in next(hung).read_text()
    assert not list(pytester.path.glob("leaks/*test_skips*"))


def test_what_pytest_keeps_of_a_body_is_no_leak_of_the_body(run_pytest: RunPytest) -> None:
    done = run_pytest(
        """
@budget
def test_speaks(capsys, caplog, recwarn):
    print("x" * 2000)
    logging.getLogger("spoken").warning("y" * 2000)
    warnings.warn("z" * 2000, stacklevel=1)
    assert (len(caplog.records), len(recwarn)) == (1, 1)

@budget
def test_warns():
    warnings.warn("z" * 5000, DeprecationWarning, stacklevel=1)
""",
        "--leakhunt",
    )
    done.assert_outcomes(passed=2)


def test_classes_and_unittest_are_measured_method_by_method(run_pytest: RunPytest) -> None:
    done = run_pytest(
        """
@budget
class TestPlain:
    def test_one(self):
        pass

@budget
class TestCase(unittest.TestCase):
    def setUp(self):
        self.kept = []

    def test_many(self):
        self.kept.append(1)
        self.assertLess(len(self.kept), 57)

    async def test_awaits(self):
        pass
""",
        "--leakhunt",
    )
    done.assert_outcomes(passed=1, failed=1, errors=1)
    done.stdout.fnmatch_lines(
        [
            "leakhunt: *test_awaits: cannot measure an async method of unittest.TestCase*",
            "*the test failed: AssertionError: 57 not less than 57 * after call 56 of 135",
        ]
    )


def test_in_process_needs_no_worker_and_names_nobody(
    run_pytest: RunPytest, pytester: pytest.Pytester
) -> None:
    done = run_pytest(
        """
here = pytest.mark.leak_budget("1 KiB/call", calls=101, in_process=True)

@here
def test_leaks(kept):
    assert os.environ["SEEN_FIRST_BY"] == str(os.getpid())
    kept.append(bytearray(4000))

@here
async def test_awaits():
    await asyncio.sleep(0)

@here
def test_raises(kept):
    kept.append(1)
    assert len(kept) < 40

def test_within(leakhunt):
    found = leakhunt(lambda: None, calls=101, in_process=True)
    assert found.verdict.status == "no_leak"
""",
        "--leakhunt-report",
        "leaks",
    )
    done.assert_outcomes(passed=2, failed=2)
    done.stdout.fnmatch_lines(
        [
            "leakhunt: over budget: live_heap 3.9* [[]3.9*, *] KiB/call, budget 1 KiB/call*",
            "leak suspects need a fresh worker: remove in_process",
            "E * assert 40 < 40",
        ]
    )
    assert runs_in(pytester.path / "leaks")["test_sample.py::test_raises"] is Ending.CRASHED


@pytest.mark.parametrize("arguments", [(), ("--leakhunt",)], ids=["plain", "measured"])
def test_budgets_of_nonsense_are_a_line_each(
    run_pytest: RunPytest, arguments: tuple[str, ...]
) -> None:
    done = run_pytest(
        """
mark = pytest.mark.leak_budget

@mark("1 KiB/call", cals=101)
def test_unknown_word(): pass

@mark("a furlong")
def test_no_budget(): pass

@mark("1 KiB/call", "20 MiB total")
def test_two(): pass

@mark("+1 KiB/call")
def test_no_baseline(): pass

@mark(calls="many")
def test_no_number(): pass

@mark(warmup=5)
def test_warm_up_alone(): pass

@mark(in_process=1)
def test_no_switch(): pass

@mark(calls=101, timeout=0)
def test_no_time(): pass
""",
        *arguments,
    )
    done.assert_outcomes(errors=8)
    done.stdout.fnmatch_lines(
        [
            "leakhunt: leak_budget: unknown key 'cals' (did you mean 'calls'?). Known keys: *",
            "leakhunt: live_heap: invalid value 'a furlong'. Examples: *",
            "leakhunt: leak_budget takes one positional budget, for the live heap. Name the"
            " others: *",
            "leakhunt: leak_budget: live_heap: '+1 KiB/call' needs a baseline, and a test has"
            " none*",
            "leakhunt: leak_budget: calls: expected a whole number, 1 or more, got 'many'",
            "leakhunt: leak_budget: warmup needs calls (*",
            "leakhunt: leak_budget: in_process: expected True or False, got 1",
            "leakhunt: leak_budget: timeout: expected a number of seconds above 0, got 0",
        ]
    )
    assert "Traceback" not in done.stdout.str()
    assert "asked.py" not in done.stdout.str()


def test_mark_and_fixture_do_not_go_together(run_pytest: RunPytest) -> None:
    done = run_pytest(
        """
@budget
def test_both(leakhunt):
    leakhunt(lambda: None)

@pytest.mark.leak_budget("1 KiB/call", in_process=True)
def test_both_here(leakhunt):
    leakhunt(lambda: None)
""",
        "--leakhunt",
    )
    done.assert_outcomes(failed=2)
    done.stdout.fnmatch_lines(["*this test has a leak budget of its own: use the mark or the*"])


def test_the_setting_switches_it_on_and_the_option_off_again(
    run_pytest: RunPytest, pytester: pytest.Pytester
) -> None:
    pytester.makeini(f"{INI}leakhunt = true\n")
    tests = "@budget\ndef test_skips():\n    pytest.skip(os.environ['PYTEST_CURRENT_TEST'])\n"
    assert "NOT measured" not in run_pytest(tests, "-rs").stdout.str()
    assert "1 leak budget was NOT measured" in run_pytest(tests, "--no-leakhunt").stdout.str()


def test_a_folder_with_files_of_others_is_refused(
    run_pytest: RunPytest, pytester: pytest.Pytester
) -> None:
    (pytester.mkdir("mine") / "thesis.tex").write_text("years of work")
    done = run_pytest("def test_one(): pass\n", "--leakhunt-report", "mine")
    assert done.ret is pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(
        ["ERROR: --leakhunt-report: *mine: not empty, and nothing is overwritten*"]
    )
    assert [each.name for each in (pytester.path / "mine").iterdir()] == ["thesis.tex"]


def test_every_run_of_pytest_is_spared_what_only_measuring_needs(run_pytest: RunPytest) -> None:
    done = run_pytest(
        """
def test_loaded():
    import sys
    assert "leakhunt.pytest_plugin" in sys.modules
    heavy = {"numpy", "matplotlib", "rich", "jinja2", "psutil", "click", "objgraph", "memray"}
    assert not heavy & set(sys.modules)
"""
    )
    done.assert_outcomes(passed=1)


def test_pytest_does_not_warn_of_what_its_worker_has_imported() -> None:
    # Where it is installed by a wheel, and warnings are errors, no test could be measured.
    assert AssertionRewriter.is_rewrite_disabled(leakhunt.__doc__ or "")


SLOW = "time.sleep(0.05)"
SLOWLY_HUNTED = """
    KEPT.append(bytearray(4096))
    if "memray" in sys.modules:
        time.sleep(0.5)
"""


@pytest.mark.parametrize(
    ("body", "within", "ending"),
    [
        pytest.param(SLOW, "", Ending.INTERRUPTED, id="while it is measured"),
        pytest.param(
            *(SLOWLY_HUNTED, "under-memray", Ending.OK),
            id="while it is hunted",
            marks=pytest.mark.long,
        ),
    ],
)
def test_ctrl_c_ends_the_worker_and_pytest(
    run_pytest: RunPytest, pytester: pytest.Pytester, body: str, within: str, ending: Ending
) -> None:
    head = f"{HEAD}\nimport sys\nKEPT = []\n"
    pytester.makepyfile(test_sample=f"{head}\n@budget\ndef test_slow():\n    {body}\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "leakhunt.pytest_plugin", "--leakhunt-report=leaks"],
        cwd=pytester.path,
        stdout=subprocess.PIPE,
        text=True,
    )
    folder = pytester.path / "leaks"

    def samples() -> bool:
        files = [file for file in folder.glob("*.jsonl") if within in file.name]
        return any(b'"sample"' in file.read_bytes() for file in files)

    try:
        wait_until(samples, process)
        workers = [int(pid) for pid in _children(process.pid)]
        assert workers
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in output
    assert runs_in(folder) == {"test_sample.py::test_slow": ending}
    wait_until(lambda: not any(map(is_alive, workers)))


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
