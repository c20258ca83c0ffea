"""The pytest plugin: ``@pytest.mark.leak_budget`` and the fixture ``leakhunt``.

Loaded in every run of pytest where leakhunt is installed, so it imports next to nothing until a
budget is met. Without ``--leakhunt`` a test with a budget is a plain test, and the summary says
that its budget was not measured. With it, the body of the test is called again and again in a fresh
worker (or, on request, in this process) and its memory is held to the budget.

    @pytest.mark.leak_budget("1 KiB/call", rss="20 MiB total", calls=101)
    def test_transcribe(model):
        model.transcribe(CLIP)

    def test_cache(leakhunt):
        cache = Cache()
        leakhunt(lambda: cache.get("key"), "0/call")

The fixtures of a measured test are set up once for all of its calls.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from leakhunt.model.series import LIVE_HEAP
from leakhunt.pytest_plugin.common import MEASURES
from leakhunt.text.language import ENGLISH, VARIABLE, is_known, speaking

if TYPE_CHECKING:
    from leakhunt.pytest_plugin.measurement import Measurement

MARK = "leak_budget"
FIXTURE = "leakhunt"
ON, OFF, IN_WORKER = "on", "off", "in worker"
_ALL = "--leakhunt-all"
# How long each test is repeated where nothing else is said.
_BUDGET = "10s"
# A property of a test's report, which xdist carries to the controller and JUnit files hold.
PROPERTY = "leak_budget"
NOT_MEASURED = "not measured"


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--leakhunt``, ``--no-leakhunt``, ``--leakhunt-report DIR``, and the ini settings."""
    group = parser.getgroup("leakhunt", "memory leaks")
    group.addoption(
        "--leakhunt",
        action="store_const",
        const=ON,
        dest="leakhunt",
        help="Measure the tests that have a leak budget",
    )
    group.addoption(
        "--no-leakhunt",
        action="store_const",
        const=OFF,
        dest="leakhunt",
        help="Do not measure, whatever the ini setting 'leakhunt' says",
    )
    group.addoption(
        "--leakhunt-report",
        metavar="DIR",
        help="Measure, and write run files and a report to this new or empty folder",
    )
    group.addoption(
        _ALL,
        nargs="?",
        const=_BUDGET,
        metavar="BUDGET",
        help=f"Repeat every test for up to BUDGET, and fail those that leak [default: {_BUDGET}]",
    )
    group.addoption(
        "--leakhunt-json",
        metavar="FILE",
        help=f"With {_ALL}: write what was found to this file, for programs",
    )
    parser.addini("leakhunt", "Whether to measure leak budgets.", type="bool", default=False)
    parser.addini(
        "leakhunt_worker_args",
        "Further arguments for pytest in the workers that measure.",
        type="args",
        default=[],
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(args: list[str]) -> None:
    """Tell a budget from a path: ``--leakhunt-all tests`` has none."""
    for at, word in enumerate(args):
        if word == "--":
            return
        if word == _ALL:
            following = args[at + 1 : at + 2]
            has_budget = bool(following) and re.fullmatch(r"[\d.]+\s*[smhd]?", following[0])
            args[at : at + 1 + bool(has_budget)] = [
                f"{_ALL}={following[0] if has_budget else _BUDGET}"
            ]


def pytest_configure(config: pytest.Config) -> None:
    """Register what answers marks and fixture: who measures, or who counts what is not."""
    config.addinivalue_line(
        "markers",
        f'{MARK}("1 KiB/call", *, calls=None, warmup=None, repeats=1, in_process=False,'
        " timeout=600, **series): what the test's body may keep per call (live heap), measured"
        " with --leakhunt; see 'leakhunt gate' for budgets by series.",
    )
    mode = config.getoption("leakhunt")
    if mode == IN_WORKER:
        return
    folder = config.getoption("leakhunt_report")
    budget = config.getoption("leakhunt_all")
    for option, value in (("--leakhunt-report", folder), (_ALL, budget)):
        if value is not None and mode == OFF:
            raise pytest.UsageError(f"{option} cannot be combined with --no-leakhunt")
    json_file = config.getoption("leakhunt_json")
    if json_file is not None and budget is None:
        raise pytest.UsageError(f"--leakhunt-json needs {_ALL}")
    if budget is not None:
        _speak(config)
        from leakhunt.pytest_plugin.all_tests import measuring_all

        config.pluginmanager.register(measuring_all(config, budget, folder, json_file), MEASURES)
    elif mode == ON or (mode is None and (folder is not None or config.getini("leakhunt"))):
        from leakhunt.pytest_plugin.plugin import Measuring

        where = None if folder is None else config.invocation_params.dir / folder
        config.pluginmanager.register(Measuring(config, where), MEASURES)
    else:
        config.pluginmanager.register(NotMeasuring(), MEASURES)


def _speak(config: pytest.Config) -> None:
    """Speak the language of LEAKHUNT_LANG until pytest ends."""
    language = os.environ.get(VARIABLE, "")
    if language and not is_known(language):
        raise pytest.UsageError(f"{VARIABLE}={language}: no such language")
    stack = ExitStack()
    stack.enter_context(speaking(language or ENGLISH))
    config.add_cleanup(stack.close)


@pytest.fixture
def leakhunt(request: pytest.FixtureRequest) -> Callable[..., Measurement]:
    """Hold a function without arguments to a leak budget, from within a test.

    ``leakhunt(func, "1 KiB/call", calls=101)`` fails the test if `func` keeps more than that. It
    returns what was measured: its ``run`` and ``verdict``, both None where it was only called once,
    without ``--leakhunt``. In the worker the test is run anew up to this use of the fixture; here
    `func` is called once afterwards, since the rest of the test may count on what it does.
    """
    plugin: Any = request.config.pluginmanager.get_plugin(MEASURES)

    def measured(
        func: Callable[[], Any],
        budget: object = "0/call",
        *,
        series: str = LIVE_HEAP,
        **further: Any,
    ) -> Measurement:
        found: Measurement = plugin.use(request.node, func, further | {series: budget})
        return found

    return measured


class NotMeasuring:
    """Runs tests with a budget as plain ones, and says loudly that nothing was measured."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A budget that makes no sense fails its test, measured or not."""
        mark = item.get_closest_marker(MARK)
        if mark is not None:
            _checked(item, mark.args, mark.kwargs)

    def use(
        self, item: pytest.Item, function: Callable[[], Any], options: Mapping[str, Any]
    ) -> Measurement:
        """Call it once."""
        from leakhunt.pytest_plugin.body import call_once
        from leakhunt.pytest_plugin.measurement import Measurement

        _checked(item, (), options)
        call_once(function)
        return Measurement(None)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """How many budgets were not measured, and how they are."""
        count = sum(
            (PROPERTY, NOT_MEASURED) in getattr(report, "user_properties", ())
            for reports in terminalreporter.stats.values()
            for report in reports
            if getattr(report, "when", "") == "teardown"
        )
        if count:
            budgets = "1 leak budget was" if count == 1 else f"{count} leak budgets were"
            terminalreporter.write_line(
                f"leakhunt: {budgets} NOT measured; pytest --leakhunt measures", yellow=True
            )


def _checked(item: pytest.Item, words: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    from leakhunt.pytest_plugin.options import ask, reported_as_failure

    with reported_as_failure():
        ask(item, words, named)
    note = (PROPERTY, NOT_MEASURED)
    if note not in item.user_properties:
        item.user_properties.append(note)
