"""``pytest --leakhunt-all``: every test as it is, repeated in a worker of its own.

A worker is a fork of a pytest that has collected the project (`prepared`). What it finds is an
outcome of the test: one that leaks fails, one that cannot be repeated keeps what its first run came
to. Where a test has a leak budget of its own, that is what it is held to.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from leakhunt.amounts import parse_duration
from leakhunt.analysis.report import assemble
from leakhunt.analysis.suite import not_repeated, suite_test
from leakhunt.analysis.verdict import judge
from leakhunt.engine.explain import under_instruments, usable_on
from leakhunt.environment import available_cores
from leakhunt.errors import UsageError
from leakhunt.model.plan import TEST_SOURCE, WHOLE_TEST, Plan
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending, Run
from leakhunt.model.series import Unit
from leakhunt.model.suite import Suite, SuiteStatus, SuiteTest
from leakhunt.model.verdict import Status
from leakhunt.pytest_plugin import FIXTURE, MARK
from leakhunt.pytest_plugin.common import FAILED, NOTE, SKIPPED, XFAILED
from leakhunt.pytest_plugin.messages import evidence
from leakhunt.pytest_plugin.options import reported_as_failure
from leakhunt.pytest_plugin.plugin import GENERATOR, Measuring, nothing
from leakhunt.pytest_plugin.prepared_process import PreparedPytest
from leakhunt.pytest_plugin.runs import SEED, Place, carry_out, log_of, node_of
from leakhunt.reporting.suite import json_file
from leakhunt.reporting.suite.lines import growth, lines, retained_by, title
from leakhunt.storage import run_file as store
from leakhunt.storage.report_files import write_whole
from leakhunt.text.language import ENGLISH, speaking, tr
from leakhunt.text.message import Text, message
from leakhunt.text.record import to_record
from leakhunt.text.system import system_text

# A property of a test's report, which xdist carries to the controller.
_PROPERTY = "leakhunt"
# They would end a test that is measured for longer than it takes once.
_ENDS_SLOW_TESTS = "timeout"
_LEAK = pytest.StashKey[str]()
# Suspects are looked for as long as this many budgets last.
_BUDGETS_OF_A_HUNT = 3


def measuring_all(
    config: pytest.Config, budget: str, report_folder: str | None, json_file: str | None
) -> MeasuringAll:
    """The plugin, from the options.

    Raises:
        pytest.UsageError: the budget is none.
    """
    try:
        seconds = parse_duration(budget)
    except UsageError as error:
        raise pytest.UsageError(f"--leakhunt-all: {error}") from None
    here = config.invocation_params.dir
    return MeasuringAll(
        config,
        None if report_folder is None else here / report_folder,
        seconds,
        None if json_file is None else here / json_file,
    )


class MeasuringAll(Measuring):
    """Repeats every test; one for each process of pytest, each with a prepared process."""

    def __init__(
        self,
        config: pytest.Config,
        report_folder: Path | None,
        budget_seconds: float,
        json_path: Path | None,
    ) -> None:
        super().__init__(config, report_folder)
        self._budget_seconds = budget_seconds
        self._json_path = json_path
        self._prepared: PreparedPytest | None = None
        self._tests: dict[str, SuiteTest] = {}

    def pytest_sessionstart(self) -> None:
        """Take the time of tests ourselves."""
        plugins = self._config.pluginmanager
        if plugins.get_plugin(_ENDS_SLOW_TESTS) is not None:
            plugins.unregister(name=_ENDS_SLOW_TESTS)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Nothing is set up here of what a worker runs."""
        if item.get_closest_marker(MARK) or FIXTURE in getattr(item, "fixturenames", ()):
            super().pytest_runtest_setup(item)
        elif item.config.getoption("setuponly"):
            return
        elif not isinstance(item, pytest.Function):
            reason = message("suite.no-function", "only test functions are repeated")
            self._note(item, not_repeated(node_of(item), reason, 1, 0.0))
        else:
            instead = {"setup": nothing, "runtest": partial(self._repeat, item)}
            for name, function in (instead | {"teardown": nothing}).items():
                setattr(item, name, function)

    def _repeat(self, item: pytest.Function) -> None:
        """Measure a test; its own end is its end here, and a leak fails it."""
        if _LEAK in item.stash:  # it is run again since it failed: a leak is no flaky test
            pytest.fail(item.stash[_LEAK], pytrace=False)
        begun = monotonic()
        with reported_as_failure():
            plan = self._plan(item)
            place = Place(item, self._folder(), seconds=self._budget_seconds)
            run = carry_out(place, plan, plan.variant, self._ready().start)
            ended = _ended(run)
            if ended is not None:
                spent = monotonic() - begun
                self._note(item, not_repeated(plan.test, ended, run.calls_done, spent))
                self._drop(run)
                return
            entry = self._explained(place, run)
        found = suite_test(entry, monotonic() - begun)
        self._note(item, found)
        if found.status is SuiteStatus.LEAK:
            text = item.stash[_LEAK] = _failure(found, entry)
            pytest.fail(text, pytrace=False)
        self._drop(run)

    def _explained(self, place: Place, run: Run) -> JudgedRun:
        """The run with its verdict, and where it leaks with who retains it."""
        verdict = judge(run, power=False)
        watched: list[Run] = []
        if verdict.status is Status.LEAK:
            until = monotonic() + _BUDGETS_OF_A_HUNT * self._budget_seconds
            carry = partial(carry_out, place)
            for each in under_instruments(run, verdict, carry, usable=usable_on(run.plan.device)):
                watched.append(each)
                if each.is_interrupted:
                    raise KeyboardInterrupt
                if monotonic() > until:
                    break
        return assemble([run, *watched], GENERATOR).entries[0]

    def _plan(self, item: pytest.Function) -> Plan:
        node = node_of(item)
        return Plan(
            scenario=tr("tests of {project}", project=item.config.rootpath.name),
            variant=node,
            calls=None,
            warmup=None,
            seed=SEED,
            threads=available_cores(),
            device="cpu",
            options={WHOLE_TEST: "yes"},
            result_kind="equal",
            reference="",  # tests are not compared with one another
            source=f"{TEST_SOURCE}{node}",
            calls_per_sample=None,
            collect="auto",
            budget_seconds=self._budget_seconds,
        )

    def _ready(self) -> PreparedPytest:
        if self._prepared is None:
            self._prepared = PreparedPytest(self._folder())
        return self._prepared

    def _drop(self, run: Run) -> None:
        """Keep no file of a test that does not leak, unless a report is asked for."""
        if self._report_folder is None:
            file = Path(run.file)
            file.unlink(missing_ok=True)
            log_of(file).unlink(missing_ok=True)

    def _note(self, item: pytest.Item, found: SuiteTest) -> None:
        kept = {each.name: getattr(found, each.name) for each in fields(found)}
        kept |= {name: to_record(kept[name]) for name in ("reason", "suspect")}
        item.user_properties.append((_PROPERTY, json.dumps(kept)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect what was found, by whichever worker of xdist."""
        if report.when == "teardown" and self._is_controller:
            for name, text in report.user_properties:
                if name == _PROPERTY:
                    found = _read(json.loads(str(text)))
                    self._tests[found.test] = found

    @property
    def _suite(self) -> Suite:
        return Suite(GENERATOR, self._budget_seconds, tuple(self._tests.values()))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """End the prepared process; write what is asked for."""
        if self._prepared is not None:
            self._prepared.stop()
        super().pytest_sessionfinish()
        if self._json_path is None or not self._is_controller:
            return
        with speaking(ENGLISH):
            written = json_file.render(self._suite)
        try:
            write_whole(self._json_path, written)
        except OSError as error:
            reason = system_text(error)
            self._report.append(
                tr("leakhunt: {path}: {reason}", path=self._json_path, reason=reason)
            )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The table."""
        suite = self._suite
        if suite.tests:
            terminalreporter.write_sep("=", title(suite))
            for line in lines(suite):
                terminalreporter.write_line(line)
        super().pytest_terminal_summary(terminalreporter)


def _read(kept: dict[str, Any]) -> SuiteTest:
    unit = kept["unit"]
    return SuiteTest(
        **kept
        | {
            "status": SuiteStatus(kept["status"]),
            "unit": None if unit is None else Unit(unit),
            "reason": store.read_text(kept["reason"]),
            "suspect": store.read_text(kept["suspect"]),
        }
    )


def _failure(found: SuiteTest, entry: JudgedRun) -> str:
    """The text of a test that leaks."""
    head = tr("leakhunt: leak: {growth}", growth=growth(found))
    return "\n".join((head, retained_by(found), *evidence(entry)))


def _ended(run: Run) -> Text | None:
    """Why a test was not repeated for long enough; None: it was.

    Raises:
        pytest.fail.Exception: its first run failed.
        pytest.skip.Exception: ... was skipped.
        pytest.xfail.Exception: ... was expected to fail.
    """
    note = next((each for each in run.notes if each.get("kind") == NOTE), None)
    if note is None:
        is_whole = run.outcome.ending is Ending.OK or bool(run.calls_done)
        if run.outcome.ending in (Ending.OK, Ending.INTERRUPTED):
            return None
        if not is_whole:
            _fail(str(run.outcome.reason), log_of(Path(run.file)))
        return message("suite.ended", "ended early: {reason}", reason=run.outcome.reason)
    how, text, line = note["how"], str(note["text"]), str(note["line"])
    repeats = int(note["repeats"])
    if not repeats:
        _AT_FIRST[how](text)
    return _later(how, repeats + 1, str(note["when"]), line)


def _later(how: str, repeat: int, when: str, line: str) -> Text:
    if how == SKIPPED:
        return message(
            "suite.skips", "skipped at repeat {repeat:d}: {line}", repeat=repeat, line=line
        )
    if how == XFAILED:
        return message(
            "suite.xfails",
            "fails at repeat {repeat:d}, as is expected: {line}",
            repeat=repeat,
            line=line,
        )
    return message(
        "suite.fails",
        "fails at repeat {repeat:d} ({when}): {line}",
        repeat=repeat,
        when=when,
        line=line,
    )


def _fail(text: str, log: Path | None = None) -> None:
    more = f"\n\n{tr('log: {log}', log=log)}" if log is not None else ""
    pytest.fail(f"{text}{more}", pytrace=False)


def _skip(reason: str) -> None:
    raise pytest.skip.Exception(reason, _use_item_location=True)  # where the test is, not here


_AT_FIRST: dict[str, Callable[[str], object]] = {
    FAILED: _fail,
    SKIPPED: _skip,
    XFAILED: pytest.xfail,
}
