"""pytest in the worker: the test of an order, with its body or a function of it measured.

The same project, options and plugins as in the pytest that asked, so the same fixtures.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from leakhunt.errors import LeakhuntError, ScenarioFailed
from leakhunt.pytest_plugin.body import (
    body_of_function,
    body_of_item,
    call_once,
    refuse_both,
)
from leakhunt.pytest_plugin.common import (
    FAILED,
    MEASURES,
    NOTE,
    SKIPPED,
    XFAILED,
    is_unittest,
)
from leakhunt.pytest_plugin.measurement import Measurement
from leakhunt.pytest_plugin.repeats import LONGEST_TEXT, repeat
from leakhunt.storage.run_writer import Appender, DiskFull
from leakhunt.text.message import Text, message
from leakhunt.worker.loop import Body, Stop, carry_out, describe, write_note
from leakhunt.worker.protocol import Channel, Order, TestItem

# They write what the next run of the user's pytest begins with.
_KEEPS_FOR_NEXT_RUN = ("lfplugin", "nfplugin", "stepwiseplugin")


def run(order: Order, channel: Channel, appender: Appender, stop: Stop) -> None:
    """Run pytest for the test of an order; how it went is in the run file's notes.

    Raises:
        ScenarioFailed: pytest did not get as far as the body, or a call failed.
        Exception: what reading the project's configuration raised.
    """
    test = order.test
    assert test is not None
    config = config_of(test)
    config.args = [_argument(test)]
    config.option.pyargs = False
    inner = InWorker(order, test, channel, appender, stop)
    config.pluginmanager.register(inner, MEASURES)
    config.hook.pytest_cmdline_main(config=config)
    if inner.ours is not None:
        raise inner.ours
    if inner.failure:
        raise ScenarioFailed(inner.failure)
    if not inner.has_measured and not inner.has_skipped:
        raise ScenarioFailed(inner.missing())


def config_of(test: TestItem) -> pytest.Config:
    """What the pytest that asked has come to, in the same folder and with the same path."""
    os.chdir(test.folder)
    sys.path[:] = test.path
    return pytest.Config.fromdictargs(dict(test.options), list(test.arguments))


def _argument(test: TestItem) -> str:
    """The test on pytest's command line: its file, and what comes after it in the node id."""
    return "::".join([test.file, *test.node.split("::")[1:]])


def replaced_method(item: pytest.Function, carry: Callable[[Body], object]) -> None:
    """Let unittest call the whole loop in place of the method, between setUp and tearDown."""
    method = item.obj

    @functools.wraps(method)
    def looped() -> None:
        with body_of_function(method, item) as body:
            carry(body)

    item.obj = looped


class _Done(BaseException):
    """What the fixture was to measure is measured: the rest of the test is not run."""


class InWorker:
    """The plugin that measures in the worker, and tells how the test went.

    `failure` is what a call or a fixture raised, in one line; empty where nothing did. `ours` is an
    error of measuring, which is none of the test's.
    """

    def __init__(
        self, order: Order, test: TestItem, channel: Channel, appender: Appender, stop: Stop
    ) -> None:
        self._order = order
        self._test = test
        self._channel = channel
        self._appender = appender
        self._stop = stop
        self._turns = 0
        self.failure: Text = ""
        self.ours: Exception | None = None
        self.has_measured = False
        self.has_skipped = False

    def missing(self) -> Text:
        """Why nothing was measured."""
        if self._test.turn is None:
            return message(
                "pytest.not-run",
                "pytest in the worker did not run the test; see the log beside this file",
            )
        return message(
            "pytest.turn-not-reached",
            "in the worker the test ended before call {turn:d} of the fixture leakhunt",
            turn=self._test.turn,
        )

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Leave what the user's own pytest has kept for its next run."""
        for name in _KEEPS_FOR_NEXT_RUN:
            plugin = config.pluginmanager.get_plugin(name)
            if plugin is not None:
                config.pluginmanager.unregister(plugin)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """No other test, where an argument stands for several."""
        items[:] = [item for item in items if item.nodeid == self._test.node][:1]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """What cannot be imported has to be told."""
        if report.failed:
            self._failed(str(report.longrepr), "collect")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """A whole test is repeated."""
        if not self._test.whole or self.has_measured:
            return None
        assert isinstance(item, pytest.Function)
        self.has_measured = True
        try:
            repeat(item, self._order, self._channel.next_phase, self._appender, self._stop)
        except ScenarioFailed as error:
            self.failure = error.text
        except (DiskFull, LeakhuntError) as error:
            self.ours = error
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Methods of unittest's are called by unittest."""
        assert isinstance(item, pytest.Function)
        if self._test.whole:
            return
        if self._test.turn is None and is_unittest(item.cls):
            replaced_method(item, self._carry)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> object | None:
        """The body of a test with a leak budget: again and again."""
        if self._test.turn is not None or self._test.whole:
            return None
        self._measure(body_of_item(pyfuncitem, self))
        return True

    def use(self, item: pytest.Item, function: Callable[[], Any], options: Any) -> Measurement:
        """A use of the fixture; the one that is asked for is measured, and ends the test."""
        del options
        refuse_both(self._test.turn is None)
        assert self._test.turn is not None
        self._turns += 1
        if self._turns == self._test.turn:
            self._measure(body_of_function(function, item))
            raise _Done
        call_once(function)  # as the parent did
        return Measurement(Path(self._test.earlier[self._turns - 1]))

    def _measure(self, opened: AbstractContextManager[Body]) -> None:
        with opened as body:
            self._carry(body)

    def _carry(self, body: Body) -> None:
        if self.has_measured:
            raise ScenarioFailed(
                message("pytest.run-twice", "the test was run twice in its worker")
            )
        self.has_measured = True
        try:
            carry_out(self._order, body, self._channel.next_phase, self._appender, self._stop)
        except (DiskFull, LeakhuntError) as error:
            self.ours = error
            raise

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Tell the parent what was raised, if anything was."""
        report = yield
        raised = call.excinfo.value if call.excinfo is not None else None
        is_ours = raised is self.ours or isinstance(raised, _Done)
        if raised is None or is_ours or self._test.whole:
            return report
        if isinstance(raised, pytest.skip.Exception):
            self._write_note(SKIPPED, raised.msg or "", report.when)
            self.has_skipped = True
        elif hasattr(report, "wasxfail") and report.skipped:
            self._write_note(XFAILED, str(report.wasxfail).removeprefix("reason: "), report.when)
            self.failure = self.failure or describe(raised)
        elif isinstance(raised, LeakhuntError):
            self._failed(str(raised), report.when, raised.text)
        else:
            self._failed(report.longreprtext, report.when, describe(raised))
        return report

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """The body ended all of pytest: ``pytest.exit``."""
        self._failed(describe(excinfo.value), "call", describe(excinfo.value))

    def pytest_internalerror(self, excrepr: Any) -> None:
        """A plugin of the project's may fail, as in the parent."""
        self._failed(str(excrepr), "")

    def _failed(self, text: str, when: str | None, line: Text = "") -> None:
        self._write_note(FAILED, text, when)
        self.failure = (
            self.failure
            or line
            or message("pytest.not-collected", "the test could not be collected")
        )

    def _write_note(self, how: str, text: str, when: str | None) -> None:
        note = {"kind": NOTE, "how": how, "when": when or "", "text": text[-LONGEST_TEXT:]}
        write_note(self._appender, note)
