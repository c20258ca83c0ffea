"""The plugin of a pytest that measures: it carries out what marks and fixture ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from leakhunt import __version__
from leakhunt.engine.explain import Carrier, usable_on
from leakhunt.engine.gate_variant import Gate, GateEffort, HuntInterrupted
from leakhunt.errors import LeakhuntError
from leakhunt.model.gate import GateAnswer, Terms
from leakhunt.pytest_plugin import MARK, PROPERTY
from leakhunt.pytest_plugin.body import (
    body_of_function,
    body_of_item,
    call_once,
    refuse_both,
)
from leakhunt.pytest_plugin.common import is_unittest
from leakhunt.pytest_plugin.measurement import Measurement
from leakhunt.pytest_plugin.messages import failure, in_a_line
from leakhunt.pytest_plugin.options import TestOptions, ask, reported_as_failure
from leakhunt.pytest_plugin.report import own_folder, write_report
from leakhunt.pytest_plugin.runs import Place, carry_out_fresh, carry_out_here, plan_for
from leakhunt.pytest_plugin.worker import replaced_method
from leakhunt.text.language import tr
from leakhunt.worker.loop import Body

GENERATOR = f"leakhunt {__version__}"


@dataclass(slots=True)
class _Uses:
    """The uses of the fixture in a test so far: their run files."""

    run_files: list[str] = field(default_factory=list)


_TEST_OPTIONS = pytest.StashKey[TestOptions]()
_USES = pytest.StashKey[_Uses]()


class Measuring:
    """Measures; one for each process of pytest, which with xdist share the folder."""

    def __init__(self, config: pytest.Config, report_folder: Path | None) -> None:
        self._config = config
        self._report_folder = report_folder
        self._report: list[str] = []
        self._is_controller = not hasattr(config, "workerinput")
        if report_folder is not None and self._is_controller:
            own_folder(report_folder)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """What a mark asks for; of a test that a fresh worker runs, nothing is set up here."""
        item.stash[_USES] = _Uses()
        mark = item.get_closest_marker(MARK)
        if mark is None:
            return
        with reported_as_failure():
            options = item.stash[_TEST_OPTIONS] = ask(item, mark.args, mark.kwargs)
        if not options.in_process and not item.config.getoption("setuponly"):
            # The rest of the protocol stays pytest's: skip and xfail marks, reports, xdist.
            instead = {"setup": nothing, "runtest": partial(self._in_a_worker, item, options)}
            for name, function in (instead | {"teardown": nothing}).items():
                setattr(item, name, function)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Methods of unittest's are called by unittest."""
        options = item.stash.get(_TEST_OPTIONS, None)
        if options is None or not options.in_process:
            return
        assert isinstance(item, pytest.Function)
        if is_unittest(item.cls):
            replaced_method(item, partial(self._here, item, options, None))

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> object | None:
        """The body of a test that is to be measured in this process."""
        options = pyfuncitem.stash.get(_TEST_OPTIONS, None)
        if options is None:
            return None
        with reported_as_failure(), body_of_item(pyfuncitem, self) as body:
            self._here(pyfuncitem, options, None, body)
        return True

    def use(
        self, item: pytest.Item, function: Callable[[], Any], named: Mapping[str, Any]
    ) -> Measurement:
        """A use of the fixture: `function` is measured; the test fails if it is over."""
        uses = item.stash[_USES]
        with reported_as_failure():
            refuse_both(_TEST_OPTIONS in item.stash)
            options = ask(item, (), named)
            turn = len(uses.run_files) + 1
            if options.in_process:
                with body_of_function(function, item) as body:
                    run_file = self._here(item, options, turn, body)
            else:
                run_file = self._in_a_worker(item, options, turn)
                call_once(function)
        uses.run_files.append(run_file)
        return Measurement(Path(run_file))

    def _in_a_worker(self, item: pytest.Item, options: TestOptions, turn: int | None = None) -> str:
        earlier = tuple(item.stash[_USES].run_files)
        place = Place(item, self._folder(), turn, earlier)
        return self._gate(item, options, turn, partial(carry_out_fresh, place))

    def _here(self, item: pytest.Item, options: TestOptions, turn: int | None, body: Body) -> str:
        place = Place(item, self._folder(), turn)
        return self._gate(item, options, turn, partial(carry_out_here, place, body))

    def _gate(
        self, item: pytest.Item, options: TestOptions, turn: int | None, carry: Carrier
    ) -> str:
        """Measure, and fail the test if it is not within its budgets; the run file."""
        gate = Gate(
            carry,
            Terms(options.budgets, (), date.today()),
            GateEffort(repeats=options.repeats),
            GENERATOR,
            # An instrument needs a process of its own.
            usable=() if options.in_process else usable_on(options.device),
        )
        with reported_as_failure():
            try:
                answer = gate.answer(plan_for(item, options, turn))
            except HuntInterrupted:  # pytest tells people the name of what interrupts it
                raise KeyboardInterrupt from None
        item.user_properties.append((PROPERTY, in_a_line(answer)))
        if answer.answer is not GateAnswer.WITHIN_BUDGET:
            pytest.fail(failure(answer, options.in_process), pytrace=False)
        return answer.entries[0].run.file

    def _folder(self) -> Path:
        """Where run files go: the report's folder, or one of pytest's own that lasts a while."""
        if self._report_folder is not None:
            return self._report_folder
        folder: Path = self._config._tmp_path_factory.getbasetemp() / "leakhunt"  # type: ignore[attr-defined]
        folder.mkdir(exist_ok=True)
        return folder

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the report on all that was measured, by whichever worker of xdist."""
        if self._report_folder is None or not self._is_controller:
            return
        try:
            self._report = write_report(self._report_folder)
        except LeakhuntError as error:
            self._report = [f"leakhunt: {error}"]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """What was measured, where it is asked for; and where the report is."""
        if self._report_folder is not None or self._config.get_verbosity() > 0:
            lines = list(_measured(terminalreporter))
            if lines:
                terminalreporter.write_sep("-", tr("leak budgets"))
            for line in lines:
                terminalreporter.write_line(line)
        for line in self._report:
            terminalreporter.write_line(line)


def nothing() -> None:
    """The worker does it."""


def _measured(terminalreporter: pytest.TerminalReporter) -> Iterator[str]:
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "teardown":
                for name, text in report.user_properties:
                    if name == PROPERTY:
                        yield f"{report.nodeid}: {text}"
