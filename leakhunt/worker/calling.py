"""What a worker calls: the user's functions, with the arguments that their parameters name.

A coroutine function is awaited in one event loop, which lasts as long as the worker; a generator
function runs to its end, since calling it alone does nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from types import CoroutineType, ModuleType
from typing import TYPE_CHECKING, Any

from leakhunt.errors import ScenarioFailed, UsageError
from leakhunt.instruments import Call
from leakhunt.scenario.arguments import (
    HOOKS,
    INPUT,
    OF_A_CALL,
    Arguments,
    arguments_of,
    arguments_of_hook,
)
from leakhunt.text.message import message
from leakhunt.text.suggest import hint
from leakhunt.worker.loop import Body
from leakhunt.worker.protocol import Order

if TYPE_CHECKING:
    import asyncio

_Function = Callable[..., Any]
_HOOKS_OF_A_BODY = ("make_input", "summarize", "audio_seconds", "input_size")
# What a scenario that marks variants gives them, by position.
_OF_A_VARIANT = Arguments(("state", "input"), {})


class EventLoop:
    """The one event loop of a worker, made when the first coroutine is to be awaited.

    Between two calls it stands still, and so do tasks that a call left behind.
    """

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None

    def awaited(self, function: _Function) -> _Function:
        """The coroutine function as one that returns what it comes to."""
        if self._runner is None:
            import asyncio

            self._runner = asyncio.Runner()
        run = self._runner.get_loop().run_until_complete
        return lambda *values, **named: run(function(*values, **named))

    def close(self) -> None:
        """End the tasks that are left."""
        if self._runner is not None:
            self._runner.close()


class UserModule:
    """The user's module: its measured function and its hooks, ready to be called."""

    def __init__(self, module: ModuleType, order: Order, loop: EventLoop) -> None:
        self._module = module
        self._order = order
        self._loop = loop

    def setup(self) -> Any:
        """What ``setup`` returns; None without."""
        hook = self._hook("setup")
        return None if hook is None else hook(self._order.context)

    def teardown(self, state: Any) -> None:
        """Call ``teardown``, if there is one."""
        hook = self._hook("teardown")
        if hook is not None:
            hook(state)

    def prepare(self) -> Mapping[str, Any]:
        """The facts that ``prepare`` returns."""
        hook = self._hook("prepare")
        return {} if hook is None else hook(self._order.context) or {}

    def body(self, state: Any) -> Body:
        """The variant's function, with what its scenario has for it.

        Raises:
            UsageError: there is no such function, or it cannot be called.
        """
        given = {name: self._hook(name) for name in _HOOKS_OF_A_BODY}
        hooks: dict[str, Any] = {name: hook for name, hook in given.items() if hook is not None}
        function, arguments = self._function()
        numbered_parameter = self._numbered_parameter(function, arguments, hooks)
        if inspect.iscoroutinefunction(function):
            function = self._loop.awaited(function)
        elif inspect.isasyncgenfunction(function):
            function = self._loop.awaited(_drained_async(function))
        elif inspect.isgeneratorfunction(function) and "summarize" not in hooks:
            function = _drained(function)
        elif self._order.plain:
            function = _never_a_coroutine(function, self._name)
        if "call" not in (*arguments.positional, *arguments.by_keyword.values()):
            return Body(
                self._module,
                state,
                _with(function, arguments, ("state", "input")),
                **hooks,
                numbered_parameter=numbered_parameter,
            )
        numbered = _Numbered(_with(function, arguments, OF_A_CALL), hooks.get("make_input"))
        hooks["make_input"] = numbered.make_input
        return Body(self._module, state, numbered.function, **hooks)

    def _numbered_parameter(
        self, function: _Function, arguments: Arguments, hooks: Mapping[str, _Function]
    ) -> str:
        """The parameter that gets the call's number since nothing makes its input; else empty."""
        if not self._order.plain or "make_input" in hooks:
            return ""
        by_keyword = (name for name, what in arguments.by_keyword.items() if what == INPUT)
        if INPUT not in arguments.positional:
            return next(by_keyword, "")
        return self._parameters(function)[arguments.positional.index(INPUT)].name

    @property
    def _name(self) -> str:
        return f"{self._module.__name__.removeprefix('leakhunt_scenario_')}:{self._order.function}"

    def _function(self) -> tuple[_Function, Arguments]:
        """The function and what it is given: what the source alone does not say is checked here."""
        name = self._order.function
        function = getattr(self._module, name, None)
        if function is None and not hasattr(self._module, name):
            known = [each for each, value in vars(self._module).items() if callable(value)]
            raise UsageError(
                message(
                    "scenario.function-not-found",
                    "{name}: function not found{hint}",
                    name=self._name,
                    hint=hint(name, known),
                )
            )
        if not self._order.plain:
            return function, _OF_A_VARIANT  # type: ignore[return-value]
        if inspect.isclass(function):
            raise UsageError(
                message(
                    "scenario.function-is-class",
                    "{name} is a class, not a function",
                    name=self._name,
                )
            )
        if not callable(function):
            raise UsageError(
                message(
                    "scenario.not-callable",
                    "{name}: expected a function, got {kind}",
                    name=self._name,
                    kind=type(function).__name__,
                )
            )
        return function, arguments_of(self._name, self._parameters(function))

    def _parameters(self, function: _Function) -> Sequence[inspect.Parameter]:
        try:
            return list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            raise UsageError(
                message(
                    "scenario.unreadable-parameters",
                    "{name}: parameters cannot be read. Measure a function that calls it",
                    name=self._name,
                )
            ) from None

    def _hook(self, name: str) -> _Function | None:
        """An optional function; in a plain file what only has its name is none."""
        function = getattr(self._module, name, None)
        if not inspect.isroutine(function):
            return None if self._order.plain else function
        arguments = arguments_of_hook(name, self._parameters(function))
        if arguments is None:
            if self._order.plain:
                return None
            arguments = Arguments(HOOKS[name], {})
        if inspect.iscoroutinefunction(function):
            function = self._loop.awaited(function)
        return _with(function, arguments, HOOKS[name])


def _with(function: _Function, arguments: Arguments, given: Sequence[str]) -> _Function:
    """The function, to be called with all that is `given`, in this order.

    What is measured often is called without a further detour.
    """
    if not arguments.by_keyword:
        if arguments.positional == tuple(given):
            return function
        if not arguments.positional:
            return lambda *_: function()
        if len(given) == len(OF_A_CALL) - 1 and arguments.positional == (given[-1],):
            return lambda _, last: function(last)
    positions = [given.index(name) for name in arguments.positional]
    keywords = {name: given.index(what) for name, what in arguments.by_keyword.items()}

    def call(*values: Any) -> Any:
        return function(
            *(values[at] for at in positions),
            **{name: values[at] for name, at in keywords.items()},
        )

    return call


class _Numbered:
    """A function that is given the number of its call, which goes by what makes its input."""

    def __init__(self, function: _Function, make_input: _Function | None) -> None:
        self._function = function
        self._make_input = make_input
        self._call = 0

    def make_input(self, state: Any, call: int) -> Any:
        self._call = call
        return call if self._make_input is None else self._make_input(state, call)

    def function(self, state: Any, item: Any) -> Any:
        return self._function(state, self._call, item)


def _drained(function: Callable[..., Generator[Any, Any, Any]]) -> _Function:
    def call(*values: Any, **named: Any) -> None:
        for _ in function(*values, **named):
            pass

    return call


def _drained_async(function: Callable[..., AsyncGenerator[Any, Any]]) -> _Function:
    async def call(*values: Any, **named: Any) -> None:
        async for _ in function(*values, **named):
            pass

    return call


def _never_a_coroutine(function: _Function, name: str) -> Call:
    """The function, unless it returns what nobody awaits: then hardly any of it was run."""

    def call(*values: Any, **named: Any) -> Any:
        result = function(*values, **named)
        if type(result) is CoroutineType:
            result.close()
            raise ScenarioFailed(
                message(
                    "scenario.coroutine",
                    "{name} returns a coroutine that is never awaited. Make it an 'async def'",
                    name=name,
                )
            )
        return result

    return call
