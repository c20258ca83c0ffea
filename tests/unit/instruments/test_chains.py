"""Who holds an object, and what a container or an object says of itself."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import logging
import sys
import threading
import tracemalloc
import types
import weakref
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import _pytest.outcomes
import pytest

from leakhunt.instruments.containers import (
    is_weak_reference,
    newest,
    object_traceback,
    retained_by,
)
from leakhunt.instruments.dominators import dominators
from leakhunt.instruments.object_facts import traits
from leakhunt.instruments.reference_chains import Holders, edge_name, owner_file, path_of


class State:
    """What a scenario keeps."""

    __module__ = "leakhunt_scenario_made"

    def __init__(self) -> None:
        self.kept: list[Any] = []


def test_objects_in_thread_local_storage_are_found() -> None:
    local = threading.local()
    local.buffers = [1, 2, 3]
    links = Holders(State(), [local.buffers]).chain(local.buffers)
    assert path_of(links, None) == "_thread._local that C code holds.buffers"


def test_the_chain_starts_at_the_nearest_root() -> None:
    state = State()
    state.kept.append({"a": [1]})
    target = state.kept[0]["a"]
    chain = Holders(state, [target]).chain(target)
    assert chain[0] is state and chain[-1] is target
    assert path_of(chain, state) == "State.kept[...]['a']"


class Buffers(State):
    """As if a library had made it."""

    __module__ = "pytest"


def test_a_container_belongs_to_the_nearest_class_that_is_not_the_standard_librarys() -> None:
    library, own = Buffers(), threading.Thread(target=print)
    fields = {"buffers": library, "thread": own}
    assert owner_file([sys, fields, library, vars(library), library.kept]) == pytest.__file__
    assert owner_file([pytest, {"thread": own}, own, vars(own)]) == pytest.__file__
    assert owner_file([pytest, Buffers, vars(Buffers), []]) == pytest.__file__
    assert owner_file([threading, pytest.importorskip, (library,), []]) == _pytest.outcomes.__file__
    assert owner_file([sys, {}]) == "<frozen>"
    assert owner_file([fields, []]) is None


def test_what_nothing_in_python_holds_has_no_chain() -> None:
    alone: list[int] = [1]
    assert Holders(State(), [alone]).chain(alone) == [alone]


def test_instances_of_python_classes_are_traced_to_their_line() -> None:
    tracemalloc.start(1)
    try:
        made = State()
        traceback = object_traceback(made)
    finally:
        tracemalloc.stop()
    assert traceback is not None
    assert traceback[-1].filename == __file__


class Service:
    """Caches on methods, and elsewhere."""

    @functools.cache  # noqa: B019 - what is looked for
    def parse(self, text: str) -> str:
        return text

    @functools.lru_cache(maxsize=64)  # noqa: B019
    def look(self, text: str) -> str:
        return text


@functools.cache
def parse(text: str) -> str:
    return text


def test_caches_say_whether_they_end_and_whether_they_keep_instances() -> None:
    assert retained_by([Service.parse, {}]) == {
        "unbounded_cache": True, "cached_method": "Service.parse",
    }  # fmt: skip
    assert retained_by([Service.look, {}]) == {"most_items": 64}
    assert retained_by([parse, {}]) == {"unbounded_cache": True}
    assert retained_by([State(), deque([1], maxlen=9)]) == {"most_items": 9}
    assert retained_by([State(), [1]]) == {}


def test_what_a_cached_object_holds_is_not_the_caches_own() -> None:
    @functools.lru_cache
    def get_state() -> State:
        return State()

    retained = get_state().kept
    assert retained_by([get_state, get_state(), retained]) == {}

    @functools.lru_cache
    def get_table() -> dict[str, int]:
        return {"one": 1, "two": 2}

    assert retained_by([get_table, get_table()]) == {}


def test_a_cached_function_inside_another_keeps_no_instance() -> None:
    @functools.cache
    def inner(text: str) -> str:
        return text

    assert retained_by([inner, {}]) == {"unbounded_cache": True}


def test_the_newest_items_come_with_what_tells_most_first() -> None:
    assert next(newest({"old": 1, "new": 2})) == ("new", 2)
    assert next(newest({"old": [1], "new": [2]})) == ([2], "new")
    assert list(newest([1, 2, 3, 4])) == [(4,), (3,), (2,)]
    assert list(newest(deque([1, 2]))) == [(2,), (1,)]


def test_a_weak_reference_with_a_callback_keeps_something() -> None:
    state = State()
    assert is_weak_reference(weakref.ref(state))
    assert not is_weak_reference(weakref.ref(state, print))
    assert not is_weak_reference(state)


def test_an_attribute_says_more_than_an_argument_of_a_thread() -> None:
    state, target, go_on = State(), State(), threading.Event()
    state.kept.append({"writer": {"queue": target}})
    worker = threading.Thread(target=lambda one: go_on.wait(60), args=(target,))
    worker.start()
    try:
        chain = Holders(state, [target]).chain(target)
        tree = dominators(state)
        numbers = [node for node, each in enumerate(tree.objects) if each is target]
        starts = [chain[0], tree.chain(numbers[0])[0]]
    finally:
        go_on.set()
        worker.join()
    assert all(each is state for each in starts)


def test_what_only_a_thread_or_its_stack_holds_is_found() -> None:
    on_the_stack, on_the_thread, go_on, there = State(), State(), threading.Event(), []

    def wait(state: State) -> None:
        there.append(id(state))
        go_on.wait()

    worker = threading.Thread(target=wait, args=(on_the_stack,), name="worker")
    worker.attached = on_the_thread  # type: ignore[attr-defined]
    worker.start()
    try:
        holders = Holders(None, [on_the_stack, on_the_thread])
        roots = [
            type(holders.chain(retained)[0]).__name__ for retained in (on_the_stack, on_the_thread)
        ]
    finally:
        go_on.set()
        worker.join()
    assert roots[1] == "Thread"
    assert roots[0] in ("frame", "Thread")
    assert there == [id(on_the_stack)]


def test_the_frames_that_look_are_no_holders() -> None:
    only_here = State()
    assert Holders(None, [only_here]).chain(only_here) == [only_here]


def test_a_long_chain_is_folded() -> None:
    links: list[Any] = [types.SimpleNamespace()]
    for _ in range(1000):
        links.insert(0, types.SimpleNamespace(after=links[0]))
    path = path_of(links, links[0])
    assert path == "types.SimpleNamespace.after.after..."
    for number in range(30):
        links.insert(0, types.SimpleNamespace(**{f"part{number}": links[0]}))
    path = path_of(links, links[0])
    assert path.count(".") < 40 and " ... " in path


def test_edges_have_the_names_of_python() -> None:
    retained = [1]

    class Slotted:
        __slots__ = ("inside",)

    slotted = Slotted()
    slotted.inside = retained  # type: ignore[attr-defined]
    assert edge_name({"key": retained}, retained) == "['key']"
    assert edge_name((retained,), retained) == "[...]"
    assert edge_name(slotted, retained) == ".inside"
    assert edge_name(types.SimpleNamespace(name=retained), retained) == ".name"
    assert edge_name(retained, State()) == "[...]"


def test_views_say_what_they_pin() -> None:
    numpy = pytest.importorskip("numpy")
    whole = numpy.ones(10_000)
    assert traits(whole[:10]) == {"pins_bytes": 80_000}
    assert traits(whole[:10].copy()) == {}
    assert traits(memoryview(bytes(1000))[:3]) == {"pins_bytes": 1000}


def test_exceptions_generators_and_callbacks_are_told() -> None:
    try:
        raise ValueError("x")
    except ValueError as error:
        retained = error
    assert traits(retained)["traceback"] == "ValueError"
    assert "suspended" in traits(i for i in range(3))
    assert "callback" in traits(lambda: None)
    assert traits([1, 2]) == {}


def test_a_future_says_whether_it_is_done() -> None:
    pending: concurrent.futures.Future[int] = concurrent.futures.Future()
    done: concurrent.futures.Future[int] = concurrent.futures.Future()
    done.set_result(1)
    assert "finished" not in traits(pending)
    assert traits(done) == {"finished": "Future"}


def test_a_task_is_told_apart_from_one_that_has_ended() -> None:
    async def ended_and_waiting() -> tuple[dict[str, Any], dict[str, Any]]:
        ended = asyncio.create_task(asyncio.sleep(0))
        waiting = asyncio.create_task(asyncio.sleep(60))
        await ended
        try:
            return traits(ended), traits(waiting)
        finally:
            waiting.cancel()

    ended, waiting = asyncio.run(ended_and_waiting())
    assert ended == {"task": "Task", "finished": "Task"}
    assert waiting == {"task": "Task"}


def test_a_cancelled_future_is_done() -> None:
    future: concurrent.futures.Future[int] = concurrent.futures.Future()
    assert future.cancel()
    assert "finished" in traits(future)


def test_a_stream_that_was_begun_is_told_and_its_frame_has_a_name() -> None:
    async def stream() -> AsyncIterator[int]:
        yield 1

    begun = stream()
    assert traits(begun) == {"suspended": "async_generator"}
    assert edge_name(begun, begun.ag_frame) == ".ag_frame"  # type: ignore[attr-defined]


def test_a_handler_of_ones_own_is_a_log_handler() -> None:
    class RequestLog(logging.Handler):
        """Made for one request."""

    assert "log_handler" in traits(RequestLog())
