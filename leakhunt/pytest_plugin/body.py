"""The body of a test as what a run calls: with its fixtures, and on one event loop."""

from __future__ import annotations

import functools
import inspect
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest

from leakhunt.errors import UsageError
from leakhunt.instruments import Call
from leakhunt.text.message import message
from leakhunt.worker.loop import Body

# anyio's plugin runs the coroutine functions that ask for this fixture, on the backend it names.
_ANYIO = "anyio_backend"

# One call of what is measured, without arguments.
_Bare = Callable[[], Any]


class Fixtures:
    """What a body is called with, by name: chains of references end at it."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        vars(self).update(values)


# A chain then begins with `Fixtures`, as one of a scenario does with the class of its state.
Fixtures.__module__ = "builtins"


@contextmanager
def body_of_item(item: pytest.Function, measuring: object) -> Iterator[Body]:
    """The body of a test function, whose fixtures are set up; `measuring` is the plugin at it."""
    arguments = {name: item.funcargs[name] for name in _arguments_of(item)}
    bare = functools.partial(item.obj, **arguments)
    if inspect.iscoroutinefunction(item.obj) and _ANYIO in item.funcargs:
        others = item.config.pluginmanager.subset_hook_caller("pytest_pyfunc_call", [measuring])
        bare = functools.partial(others, pyfuncitem=item)
    with _body(item.obj, bare, item, Fixtures(arguments)) as body:
        yield body


@contextmanager
def body_of_function(function: Callable[[], Any], item: pytest.Item) -> Iterator[Body]:
    """A function without arguments that a test hands over."""
    holder = Fixtures({getattr(function, "__name__", "function"): function})
    with _body(function, function, item, holder) as body:
        yield body


def call_once(function: Callable[[], Any]) -> None:
    """Call a function that is not to be measured, a coroutine function on a loop of its own."""
    with _running(function, function) as called:
        called(None, 0)


def refuse_both(is_marked: bool) -> None:
    """Refuse a use of the fixture within a body that is measured itself.

    Raises:
        UsageError: the test has a mark.
    """
    if is_marked:
        raise UsageError(
            message(
                "pytest.mark-and-fixture",
                "this test has a leak budget of its own: use the mark or the fixture",
            )
        )


def _arguments_of(item: pytest.Function) -> tuple[str, ...]:
    # What every plugin that calls test functions itself reads; there is no other way to know.
    return item._fixtureinfo.argnames


@contextmanager
def _body(
    function: Callable[..., Any], bare: _Bare, item: pytest.Item, state: Fixtures
) -> Iterator[Body]:
    module = getattr(item, "module", None)
    assert isinstance(module, ModuleType)
    recorders = _Recorders(getattr(item, "funcargs", {}))

    def make_input(state: Any, call: int) -> int:
        recorders.forget()
        return call

    with _running(function, bare) as called, recorders.without_warnings():
        yield Body(module, state, functools.wraps(function)(called), make_input)


@contextmanager
def _running(function: Callable[..., Any], bare: _Bare) -> Iterator[Call]:
    """How it is called: as it is, or on an event loop that all calls have in common."""
    if not inspect.iscoroutinefunction(function) or not _is_coroutine_of(function, bare):
        yield lambda state, item: _no_awaitable(bare())
        return
    import asyncio

    _refuse_a_running_loop()
    with asyncio.Runner() as runner:
        yield lambda state, item: runner.run(bare())


def _is_coroutine_of(function: Callable[..., Any], bare: _Bare) -> bool:
    """Whether calling `bare` gives the coroutine; anyio's plugin awaits it by itself."""
    return bare is function or getattr(bare, "func", None) is function


def _no_awaitable(result: Any) -> Any:
    if result is not None and hasattr(result, "__await__"):
        raise UsageError(
            message(
                "pytest.awaitable",
                "the body returned an awaitable that is never awaited. Make it an async function",
            )
        )
    return result


def _refuse_a_running_loop() -> None:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UsageError(
        message(
            "pytest.running-loop",
            "leakhunt() was called on a running event loop. Call it from a plain test"
            " function: it runs coroutine functions in its own loop",
        )
    )


@contextmanager
def without_shown_warnings() -> Iterator[None]:
    """Show warnings to nobody: pytest would keep them until its end."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda *_, **__: None
        yield


class _Recorders:
    """What pytest keeps of what a body logs, prints and warns of: a plain test would end there."""

    def __init__(self, fixtures: Mapping[str, Any]) -> None:
        self._logged = [
            handler
            for handler in logging.getLogger().handlers
            if hasattr(handler, "records") and hasattr(handler, "clear")
        ]
        given = list(fixtures.values())
        self._printed = [each for each in given if isinstance(each, pytest.CaptureFixture)]
        self._warned = [each for each in given if isinstance(each, pytest.WarningsRecorder)]

    @contextmanager
    def without_warnings(self) -> Iterator[None]:
        """Show warnings to nobody but a fixture of the body's; filters still make them errors."""
        with warnings.catch_warnings() if self._warned else without_shown_warnings():
            yield

    def forget(self) -> None:
        """Between two calls."""
        for handler in self._logged:
            if handler.records:
                handler.clear()
        for capture in self._printed:
            capture.readouterr()
        for recorder in self._warned:
            recorder.clear()
            # What was warned of once is warned of anew after this, as in the next test.
            with warnings.catch_warnings():
                pass
