"""A whole test as what a run calls: its fixtures, its body and its teardown, as pytest runs them.

Fixtures of a module or a session are set up once, by the first repeat; those of the test itself are
set up anew each time. What pytest keeps of a test that has ended is dropped between two repeats.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from leakhunt.errors import ScenarioFailed
from leakhunt.model.run import Phase
from leakhunt.pytest_plugin.body import Fixtures, without_shown_warnings
from leakhunt.pytest_plugin.common import FAILED, NOTE, SKIPPED, XFAILED
from leakhunt.storage.run_writer import Appender
from leakhunt.worker.loop import Body, Stop, carry_out, write_note
from leakhunt.worker.protocol import Order

# Of what a failed test has to say, so many characters go into the run file.
LONGEST_TEXT = 20_000
# They count what was run, measure how long it takes, or write what the next run begins with.
_OF_NO_USE_HERE = ("terminalreporter", "timeout", "lfplugin", "nfplugin", "stepwiseplugin")


def repeat(
    item: pytest.Function,
    order: Order,
    next_phase: Callable[[], Phase | None],
    appender: Appender,
    stop: Stop,
) -> None:
    """Run the test again and again, phase by phase, until the rule or the time says so.

    Raises:
        ScenarioFailed: it failed, was skipped, or is expected to fail; a note says which.
    """
    plugins = item.config.pluginmanager
    for name in _OF_NO_USE_HERE:
        if plugins.get_plugin(name) is not None:
            plugins.unregister(name=name)
    loop = _Loop(item, order, next_phase, appender, stop)
    plugins.register(loop)
    # Through the hook, so that those who stand around a test do: filters of warnings among them.
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=loop.sibling)
    if loop.raised is not None:
        raise loop.raised


class _Loop:
    """In place of pytest's own run of one test: many of them.

    `sibling` stands for the next test: one that shares all but the test itself.
    """

    def __init__(
        self,
        item: pytest.Function,
        order: Order,
        next_phase: Callable[[], Phase | None],
        appender: Appender,
        stop: Stop,
    ) -> None:
        assert order.test is not None
        self.sibling = copy.copy(item)
        self.raised: BaseException | None = None
        self._item = item
        self._order = order
        self._next_phase = next_phase
        self._appender = appender
        self._stop = stop
        self._until = time.monotonic() + order.test.seconds
        self._repeats = 0
        self._properties = len(item.user_properties)
        # Fixtures that outlast a repeat, also those that plugins ask for by name.
        self._lasting: list[pytest.FixtureDef[Any]] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self) -> bool:
        """Repeat it."""
        module = getattr(self._item, "module", None)
        assert isinstance(module, ModuleType)
        try:
            with without_shown_warnings():
                body = Body(module, Fixtures({}), self._once)
                carry_out(self._order, body, self._next_phase, self._appender, self._stop)
        except BaseException as error:  # not through pytest, which would take it for its own
            self.raised = error
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """Note a fixture that is set up for several tests."""
        if fixturedef.scope != "function" and fixturedef not in self._lasting:
            self._lasting.append(fixturedef)

    def _once(self, state: Any, call: int) -> None:
        """One repeat."""
        for report in runtestprotocol(self._item, log=False, nextitem=self.sibling):
            if not report.passed or hasattr(report, "wasxfail"):
                self._end(report)
        self._repeats += 1
        self._forget()
        if time.monotonic() > self._until:
            self._stop.requested = True

    def _end(self, report: pytest.TestReport) -> None:
        """Note how the test ended.

        Raises:
            ScenarioFailed: always.
        """
        how, text, line = _outcome_texts(report)
        note = {"kind": NOTE, "how": how, "when": report.when or "", "repeats": self._repeats}
        write_note(self._appender, note | {"text": text[-LONGEST_TEXT:], "line": line})
        raise ScenarioFailed(line)

    def _forget(self) -> None:
        """Drop what pytest keeps of a test that has ended, and what ended with it."""
        item = self._item
        item._report_sections.clear()
        del item.user_properties[self._properties :]
        for each in self._lasting:
            each._finalizers[:] = filter(_is_open, each._finalizers)


def _is_open(finalizer: Callable[[], object]) -> bool:
    """Whether what a fixture has to end still stands: of an earlier repeat's fixture, nothing."""
    owner = getattr(getattr(finalizer, "func", None), "__self__", None)
    return getattr(owner, "cached_result", finalizer) is not None


def _outcome_texts(report: pytest.TestReport) -> tuple[str, str, str]:
    """How a test ended, what it says, and that in one line."""
    if hasattr(report, "wasxfail"):
        reason = str(report.wasxfail).removeprefix("reason: ")
        return XFAILED, reason, reason
    if report.skipped:
        longrepr = report.longrepr
        reason = str(longrepr[2]) if isinstance(longrepr, tuple) else report.longreprtext
        reason = reason.removeprefix("Skipped: ")
        return SKIPPED, reason, reason
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        line = (report.longreprtext.strip().splitlines() or [""])[-1]
    else:
        first = (str(crash.message).splitlines() or [""])[0]
        line = f"{first} ({Path(crash.path).name}:{crash.lineno})"
    return FAILED, report.longreprtext, line
