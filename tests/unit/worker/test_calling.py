"""What a worker calls, and with what."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest

from leakhunt.errors import ScenarioFailed, UsageError
from leakhunt.scenario.contract import Context
from leakhunt.worker.calling import EventLoop, UserModule
from leakhunt.worker.protocol import Order

SERVICE = """
import asyncio
LOG = []
def setup(context):
    return [context.variant]
def make_input(call):
    return call * 10
def plain(number): return ("plain", number)
def nothing(): return "nothing"
def everything(state, call, input, other=5): return (state, call, input, other)
def keywords(*, call, item): return (call, item)
def swapped(input, state): return (input, state)
async def waits(input):
    await asyncio.sleep(0)
    return (input, id(asyncio.get_running_loop()))
def streams(input):
    yield LOG.append(input)
async def streams_too(input):
    yield LOG.append(input)
def lost(input):
    return waits(input)
class Model: ...
NUMBER = 3
compiled = {}.setdefault
"""


def module_of(source: str, function: str, *, plain: bool = True) -> tuple[UserModule, EventLoop]:
    module = types.ModuleType("leakhunt_scenario_service")
    exec(source, module.__dict__)  # noqa: S102 - the source is ours
    context = Context(function, 9, 0, 1, "cpu", {}, Path(), Path())
    order = Order(
        prepare=False, supervisor=0, scenario_file="service.py", function=function,
        devices=("cpu",), run_file=Path("a"), context=context, plain=plain,
    )  # fmt: skip
    loop = EventLoop()
    return UserModule(module, order, loop), loop


def called(function: str, call: int = 2, *, source: str = SERVICE, plain: bool = True) -> Any:
    module, loop = module_of(source, function, plain=plain)
    state = module.setup()
    body = module.body(state)
    try:
        return body.function(state, body.make_input(state, call))
    finally:
        module.teardown(state)
        loop.close()


@pytest.mark.parametrize(
    ("function", "result"),
    [
        ("plain", ("plain", 20)),
        ("nothing", "nothing"),
        ("everything", (["everything"], 2, 20, 5)),
        ("keywords", (2, 20)),
        ("swapped", (20, ["swapped"])),
    ],
)
def test_a_plain_function_is_given_what_its_parameters_name(function: str, result: Any) -> None:
    assert called(function) == result


def test_without_hooks_the_input_is_the_number_of_the_call() -> None:
    source = "def handle(state, input, call): return (state, input, call)"
    assert called("handle", 3, source=source) == (None, 3, 3)


def test_coroutines_are_awaited_in_one_loop() -> None:
    module, loop = module_of(SERVICE, "waits")
    body = module.body(None)
    results = [body.function(None, number) for number in range(3)]
    loop.close()
    assert [number for number, _ in results] == [0, 1, 2]
    assert len({where for _, where in results}) == 1


@pytest.mark.parametrize("function", ["streams", "streams_too"])
def test_generators_run_to_their_end(function: str) -> None:
    source = SERVICE + f"\ndef {function}_log(): return LOG\n"
    module, loop = module_of(source, function)
    body = module.body(None)
    assert body.function(None, 7) is None
    assert body.module.LOG == [7]
    loop.close()


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("Model", "service:Model is a class, not a function"),
        ("NUMBER", "service:NUMBER: expected a function, got int"),
        ("plian", r"service:plian: function not found \(did you mean 'plain'\?\)"),
    ],
)
def test_what_shows_only_when_the_module_is_there_is_refused(function: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        called(function)


def test_a_coroutine_that_nobody_awaits_is_no_call() -> None:
    with pytest.raises(ScenarioFailed, match="service:lost returns a coroutine"):
        called("lost")


def test_a_marked_variant_is_given_state_and_input_by_position() -> None:
    source = (
        "def setup(anything): return anything.variant\n"
        "def make_input(ours, number): return number + 1\n"
        "def naive(a, b): return (a, b)\n"
    )
    assert called("naive", 4, source=source, plain=False) == ("naive", 5)
    module, _ = module_of(source, "naive", plain=False)
    assert module.body(None).function.__name__ == "naive", "called without a detour"


def test_a_function_that_only_has_the_name_of_a_hook_is_left_alone() -> None:
    source = (
        "def setup(app): raise RuntimeError\ndef summarize(text): raise RuntimeError\n"
        "def handle(state): return state\n"
    )
    assert called("handle", source=source) is None
    module, _ = module_of(source, "handle")
    assert module.body(None).summarize is None
