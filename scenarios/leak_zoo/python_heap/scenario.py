"""Leaks of Python objects, each of known rate, and beside each the same done cleanly."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import logging
import random
import sys
import types
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from leakhunt import Context, variant


@dataclass
class State:
    """What the service keeps from call to call."""

    random: random.Random
    kept: list[Any] = field(default_factory=list)
    table: dict[Any, Any] = field(default_factory=dict)
    calls: int = 0


def setup(context: Context) -> State:
    """An empty service."""
    return State(random.Random(context.seed))


def work() -> bytes:
    """About a millisecond of honest work, so that a call is long enough to be sampled alone."""
    return hashlib.pbkdf2_hmac("sha256", b"key", b"salt", 3000)


@variant(expect="leak in Python", rate=1057, culprit="State.kept", cause="unbounded-list")
def list_append(state: State, item: int) -> None:
    """A result of 1,000 bytes goes into a list that nobody empties."""
    state.kept.append(bytearray(1000))


@variant(expect="clean")
def list_cleared(state: State, item: int) -> None:
    """The same, but the list is emptied at every call."""
    state.kept.append(bytearray(1000))
    state.kept.clear()


@variant(expect="leak in Python", rate=24, culprit="State.kept", cause="unbounded-list")
def tiny_object(state: State, item: int) -> None:
    """A bare object of 16 bytes, and the list's slot for it: the smallest leak there is."""
    state.kept.append(object())


@variant(expect="leak in Python", rate=73, culprit="State.kept", cause="unbounded-list")
def sixty_four_bytes(state: State, item: int) -> None:
    """A pair of 64 bytes, and its slot in the list."""
    state.kept.append((state, None))


@variant(expect="leak in Python", rate=1048688, culprit="State.kept", cause="unbounded-list")
def one_megabyte(state: State, item: int) -> None:
    """A megabyte per call."""
    state.kept.append(bytearray(1 << 20))


@variant(expect="clean")
def one_megabyte_freed(state: State, item: int) -> int:
    """A megabyte per call, returned to nobody."""
    return len(bytearray(1 << 20))


@variant(expect="leak in Python", rate=342, culprit="State.table", cause="unbounded-dict")
def dict_of_new_keys(state: State, item: int) -> None:
    """A memo by a key that never comes twice."""
    state.table[f"request-{item}"] = b"x" * 200 + b"%d" % item


@variant(expect=("clean", "bounded cache"))
def dict_of_known_keys(state: State, item: int) -> None:
    """The same memo, by keys that come again."""
    state.table[f"request-{item % 20}"] = b"x" * 200 + b"%d" % item


@variant(
    expect="leak in Python", rate=2750, culprit="State.kept", cause="callbacks-never-unsubscribed"
)
def closures_kept(state: State, item: int) -> None:
    """A callback that closes over its request is registered and never removed."""
    request = bytearray(2400)

    def callback() -> int:
        return len(request)

    state.kept.append(callback)


@variant(expect="clean")
def closures_dropped(state: State, item: int) -> int:
    """The callback is called and dropped."""
    request = bytearray(2400)
    callbacks = [lambda: len(request)]
    return callbacks.pop()()


class Node:
    """One end of a pair that refer to each other."""

    def __init__(self, size: int) -> None:
        self.payload = bytearray(size)
        self.other: Node | None = None


class Finalized(Node):
    """The same with a finalizer."""

    def __del__(self) -> None:
        self.payload.clear()


def cycle(kind: type[Node], size: int) -> Node:
    """Two nodes that keep each other alive."""
    one, two = kind(size), kind(size)
    one.other, two.other = two, one
    return one


@variant(expect="leak in Python", rate=2380, culprit="State.kept", cause="unbounded-list")
def cycles_kept(state: State, item: int) -> None:
    """Cycles that somebody still refers to."""
    state.kept.append(cycle(Node, 1000))


@variant(expect="leak in Python", rate=2380, culprit="State.kept", cause="unbounded-list")
def finalized_cycles_kept(state: State, item: int) -> None:
    """Cycles of objects with __del__ that somebody still refers to."""
    state.kept.append(cycle(Finalized, 1000))


@variant(expect=("cyclic garbage only", "clean"))
def cycles_dropped(state: State, item: int) -> None:
    """Cycles that only the collector can free."""
    cycle(Node, 1000)


@variant(expect=("cyclic garbage only", "clean"))
def finalized_cycles_dropped(state: State, item: int) -> None:
    """Cycles of objects with __del__ that only the collector can free."""
    cycle(Finalized, 1000)


@variant(expect="leak in Python", rate=2120, culprit="State.kept", cause="unbounded-list")
def beneath_a_sawtooth(state: State, item: int) -> None:
    """Two kilobytes leak per call while cyclic garbage comes and goes by the megabyte."""
    work()
    for _ in range(4):
        cycle(Node, 10_000)
    state.kept.append(bytearray(2000))


@functools.cache
def parsed(text: str) -> list[str]:
    """Memoized without a bound."""
    return text.split("-")


@functools.lru_cache(maxsize=64)
def parsed_bounded(text: str) -> list[str]:
    """Memoized with one."""
    return text.split("-")


@variant(
    expect="leak in Python",
    rate=326,
    culprit="python_heap.parsed",
    cause="functools-cache-unbounded",
)
def cache_without_bound(state: State, item: int) -> None:
    """functools.cache on a function whose arguments never come twice."""
    parsed(f"a-b-{item}")


@variant(expect=("clean", "bounded cache"))
def cache_with_bound(state: State, item: int) -> None:
    """functools.lru_cache on the same."""
    parsed_bounded(f"a-b-{item}")


@variant(expect="leak in Python", rate=2400, culprit="State.kept", cause="classes-made-at-run-time")
def class_registry(state: State, item: int) -> None:
    """A class made per call, and kept by a registry."""
    state.kept.append(type(f"Request{item}", (), {}))


@variant(expect=("cyclic garbage only", "clean"))
def classes_dropped(state: State, item: int) -> None:
    """A class made per call; a class refers to itself, so only the collector frees it."""
    type(f"Request{item}", (), {})


@variant(expect="leak in Python", rate=393, culprit="State.kept", cause="weak-references-kept")
def weakref_callbacks(state: State, item: int) -> None:
    """A weak reference with a callback to an object that lives for ever, kept per call."""
    state.kept.append(weakref.ref(State, Listener(state).forget))


@variant(expect="clean")
def weakrefs_dropped(state: State, item: int) -> None:
    """The same, dropped."""
    weakref.ref(State, Listener(state).forget)


def _failing(size: int) -> None:
    buffer = bytearray(size)
    raise ValueError(len(buffer))


@variant(expect="leak in Python", rate=4000, culprit="State.kept", cause="exception-traceback-kept")
def exceptions_with_tracebacks(state: State, item: int) -> None:
    """An error log that keeps exceptions keeps their frames, and what is local to them."""
    try:
        _failing(3000)
    except ValueError as error:
        state.kept.append(error)


@variant(expect="clean")
def exceptions_as_text(state: State, item: int) -> None:
    """An error log that keeps the last message."""
    try:
        _failing(3000)
    except ValueError as error:
        state.kept[:] = [str(error)]


@variant(expect="leak in Python", rate=642, culprit="State.kept", cause="exception-traceback-kept")
def error_path(state: State, item: int) -> None:
    """Only the calls that fail, one in four, leave something behind."""
    try:
        if item % 4 == 0:
            _failing(1500)
    except ValueError as error:
        state.kept.append(error)


def _numbers(size: int) -> Iterator[int]:
    buffer = bytearray(size)
    yield from range(len(buffer))


@variant(expect="leak in Python", rate=1370, culprit="State.kept", cause="generators-suspended")
def generators_not_closed(state: State, item: int) -> None:
    """A generator that was begun, and is kept with its frame."""
    numbers = _numbers(1000)
    next(numbers)
    state.kept.append(numbers)


@variant(expect="clean")
def generators_closed(state: State, item: int) -> None:
    """A generator that was begun and closed."""
    numbers = _numbers(1000)
    next(numbers)
    numbers.close()  # type: ignore[attr-defined]


@variant(expect="leak in Python", rate=309, culprit="['zoo'].handlers", cause="logging-handlers")
def logging_handlers(state: State, item: int) -> None:
    """A handler added to the same logger at every call."""
    work()
    logging.getLogger("zoo").addHandler(logging.NullHandler())


@variant(expect="clean")
def logging_handlers_removed(state: State, item: int) -> None:
    """A handler added and removed."""
    logger, handler = logging.getLogger("zoo"), logging.NullHandler()
    logger.addHandler(handler)
    logger.removeHandler(handler)
    handler.close()


def _module(name: str) -> types.ModuleType:
    source = "def answer():\n    return 42\nTABLE = list(range(50))\n"
    module = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)  # noqa: S102 - what a plug-in loader does
    sys.modules[name] = module
    return module


@variant(expect="leak in Python", rate=1340, culprit="sys.modules", cause="modules-under-new-names")
def modules_under_new_names(state: State, item: int) -> None:
    """A plug-in loaded again under a fresh name, as importlib recipes do."""
    work()
    _module(f"zoo_plugin_{item}")


@variant(expect=("clean", "cyclic garbage only"))
def modules_under_one_name(state: State, item: int) -> None:
    """The same plug-in loaded again under its own name."""
    _module("zoo_plugin")
    assert importlib.util.find_spec("json") is not None


@variant(expect="leak in Python", rate=104863, culprit="State.kept", cause="unbounded-list")
def one_call_in_ten(state: State, item: int) -> None:
    """A megabyte in one call of ten."""
    work()
    if item % 10 == 0:
        state.kept.append(bytearray(1 << 20))


@variant(expect="leak in Python", rate=2062, culprit="State.kept", cause="unbounded-list")
def starting_late(state: State, item: int) -> None:
    """Nothing for the first calls, then two kilobytes each."""
    work()
    state.calls += 1
    if state.calls > 120:
        state.kept.append(bytearray(2000))


@variant(expect="leak in Python", rate=1062, culprit="State.kept", cause="unbounded-list")
def random_calls(state: State, item: int) -> None:
    """Five kilobytes in a fifth of the calls, at random."""
    work()
    if state.random.random() < 0.2:
        state.kept.append(bytearray(5000))


@variant(
    expect="leak in Python", rate=249, culprit="State.kept", cause="callbacks-never-unsubscribed"
)
def bound_methods_subscribed(state: State, item: int) -> None:
    """A listener per request is subscribed by its bound method, and so kept."""
    listener = Listener(state)
    state.kept.append(listener.notify)


@variant(expect="clean")
def bound_methods_unsubscribed(state: State, item: int) -> None:
    """The listener is removed again."""
    listener = Listener(state)
    state.kept.append(listener.notify)
    state.kept.remove(listener.notify)


class Listener:
    """Something that wants to be told."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.seen: list[int] = []
        self.notify: Callable[[int], None] = self._notify

    def forget(self, reference: Any) -> None:
        """A callback for a weak reference."""
        self.seen.clear()

    def _notify(self, number: int) -> None:
        self.seen.append(number)


@variant(expect="leak in Python", rate=232, culprit="State.kept", cause="unbounded-list")
def dict_kept_another_returned(state: State, item: int) -> dict[str, Any]:
    """A dict per call is kept; one that is returned feeds the free list, and so the next call."""
    state.kept.append({"request": item, "body": None})
    return {"answer": item, "body": None}


@variant(expect="clean")
def dict_returned(state: State, item: int) -> dict[str, Any]:
    """Both dicts are made; neither is kept."""
    request = {"request": item, "body": None}
    return {"answer": item, **request}


@variant(expect="leak in Python", rate=120, culprit="State.kept", cause="unbounded-list")
def list_kept_another_returned(state: State, item: int) -> list[int]:
    """A list per call is kept, another is returned."""
    state.kept.append([item])
    return [item, item]


@variant(expect="clean")
def list_returned(state: State, item: int) -> list[int]:
    """Both lists are made; neither is kept."""
    request = [item]
    return [item, *request]


@variant(expect="leak in Python", rate=104, culprit="State.kept", cause="unbounded-list")
def tuple_kept_another_returned(state: State, item: int) -> tuple[int, str, None]:
    """A tuple per call is kept, another of the same length is returned."""
    state.kept.append((item, "request", None))
    return (item, "answer", None)


@variant(expect="leak in Python", rate=32, culprit="State.kept", cause="unbounded-list")
def float_kept_another_returned(state: State, item: int) -> float:
    """A number per call is kept, another is returned."""
    state.kept.append(item * 1.5)
    return item * 2.5


@variant(expect="clean")
def float_returned(state: State, item: int) -> float:
    """Both numbers are made; neither is kept."""
    request = item * 1.5
    return request * 2.5


@variant(expect="leak in Python", rate=1370, culprit="State.kept", cause="generators-suspended")
def generator_kept_another_returned(state: State, item: int) -> Iterator[int]:
    """A generator that was begun is kept; another, begun as well, is returned."""
    request, answer = _numbers(1000), _numbers(1000)
    next(request)
    next(answer)
    state.kept.append(request)
    return answer
