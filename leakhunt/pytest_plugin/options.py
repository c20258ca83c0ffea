"""What a mark or a use of the fixture asks for, checked."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from typing import Any

import pytest

from leakhunt.config.budgets import parse_budgets
from leakhunt.errors import LeakhuntError, UsageError
from leakhunt.model.gate import Budget
from leakhunt.model.options import TIMEOUT_SECONDS
from leakhunt.model.policy import budgeted
from leakhunt.model.series import LIVE_HEAP, SERIES
from leakhunt.pytest_plugin.common import is_unittest
from leakhunt.text.language import tr
from leakhunt.text.message import message
from leakhunt.text.suggest import hint

# No leak, where nothing else is said.
_NOTHING = "0/call"
_OWN = ("calls", "warmup", "repeats", "in_process", "timeout")


@dataclass(frozen=True, slots=True)
class TestOptions:
    """What a body is held to, and how it is measured.

    `calls` are those that are judged, and `warmup` comes before them; None: as many as the verdict
    needs. `in_process`: not in a fresh worker. `timeout_seconds`: a worker without a new sample for
    so long has hung.
    """

    budgets: tuple[Budget, ...]
    calls: int | None
    warmup: int | None
    repeats: int
    in_process: bool
    timeout_seconds: float

    @property
    def device(self) -> str:
        """``cuda``, where a budget is about it."""
        on_cuda = any(
            budget.series in SERIES and SERIES[budget.series].is_on_gpu for budget in self.budgets
        )
        return "cuda" if on_cuda else "cpu"


@contextmanager
def reported_as_failure() -> Iterator[None]:
    """What leakhunt can explain fails the test with that line, without a traceback."""
    try:
        yield
    except LeakhuntError as error:
        text = tr("leakhunt: {error}", error=error)
        raise pytest.fail.Exception(text, pytrace=False) from None


def ask(item: pytest.Item, words: Sequence[object], named: Mapping[str, Any]) -> TestOptions:
    """What ``leak_budget(*words, **named)`` asks for.

    Raises:
        UsageError: it makes no sense, or `item` is no test function.
    """
    if not isinstance(item, pytest.Function):
        raise UsageError(
            message(
                "pytest.only-functions",
                "{node}: only test functions can have a leak budget",
                node=item.nodeid,
            )
        )
    if is_unittest(item.cls) and inspect.iscoroutinefunction(item.obj):
        raise UsageError(
            message(
                "pytest.async-method",
                "{node}: cannot measure an async method of unittest.TestCase, because unittest"
                " runs its own loop. Make it a function",
                node=item.nodeid,
            )
        )
    return TestOptions(
        budgets=_budgets(words, named),
        calls=_whole(named, "calls", None, 1),
        warmup=_warmup(named),
        repeats=_whole(named, "repeats", 1, 1) or 1,
        in_process=_switch(named, "in_process"),
        timeout_seconds=_seconds(named, "timeout", TIMEOUT_SECONDS),
    )


def _budgets(words: Sequence[object], named: Mapping[str, Any]) -> tuple[Budget, ...]:
    if len(words) > 1 or (words and LIVE_HEAP in named):
        raise UsageError(
            message(
                "pytest.one-positional",
                "leak_budget takes one positional budget, for the live heap. Name the others:"
                " {example}",
                example='leak_budget("1 KiB/call", rss="20 MiB total")',
            )
        )
    by_series = {LIVE_HEAP: words[0]} if words else {}
    by_series |= {name: value for name, value in named.items() if name not in _OWN}
    for name in by_series:
        if name not in budgeted():
            known = (*budgeted(), *_OWN)
            raise UsageError(
                message(
                    "pytest.unknown-key",
                    "leak_budget: unknown key {name!r}{hint}. Known keys: {known}",
                    name=name,
                    hint=hint(name, known),
                    known=", ".join(known),
                )
            )
    requested = (by_series or {LIVE_HEAP: _NOTHING}).items()
    budgets = tuple(budget for name, value in requested for budget in parse_budgets(name, value))
    for budget in budgets:
        if budget.more:
            raise UsageError(
                message(
                    "pytest.needs-baseline",
                    "leak_budget: {series}: {text!r} needs a baseline, and a test has none."
                    " Remove the plus",
                    series=budget.series,
                    text=budget.text,
                )
            )
    return budgets


def _whole(named: Mapping[str, Any], name: str, default: int | None, least: int) -> int | None:
    value = named.get(name)
    if value is None:
        return default
    if type(value) is not int or value < least:
        raise UsageError(
            message(
                "pytest.expected-whole-number",
                "leak_budget: {name}: expected a whole number, {least} or more, got {value!r}",
                name=name,
                value=value,
                least=least,
            )
        )
    return value


def _warmup(named: Mapping[str, Any]) -> int | None:
    warmup = _whole(named, "warmup", None, 0)
    if warmup is not None and named.get("calls") is None:
        raise UsageError(
            message(
                "pytest.warmup-needs-calls",
                "leak_budget: warmup needs calls (without calls, warm-up ends by itself)",
            )
        )
    return warmup


def _switch(named: Mapping[str, Any], name: str) -> bool:
    value = named.get(name, False)
    if type(value) is not bool:
        raise UsageError(
            message(
                "pytest.expected-bool",
                "leak_budget: {name}: expected True or False, got {value!r}",
                name=name,
                value=value,
            )
        )
    return value


def _seconds(named: Mapping[str, Any], name: str, default: float) -> float:
    value = named.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise UsageError(
            message(
                "pytest.expected-seconds",
                "leak_budget: {name}: expected a number of seconds above 0, got {value!r}",
                name=name,
                value=value,
            )
        )
    assert isfinite(value)
    return float(value)
