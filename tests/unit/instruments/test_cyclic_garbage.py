"""Cycles of garbage, each named with the reference to cut; and nothing of ours is left."""

from __future__ import annotations

import asyncio
import functools
import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from leakhunt.instruments import ActiveInstrument, InstrumentedRun, instrument_for
from leakhunt.instruments.frames import Places
from leakhunt.instruments.free_lists import OF_THE_INTERPRETER, has_frozen
from leakhunt.instruments.garbage_graph import components, cycles_of, edges_of
from leakhunt.model.attribution import CycleKind, Finding, FindingKind, Instrument

MARKS = (4, 9, 16, 27)
HERE = __name__
CALLS = MARKS[-1] - MARKS[0]
Call = Callable[[Any, int], Any]


@pytest.fixture(autouse=True)
def without_pytests_objects() -> Iterator[None]:
    """What pytest and the tests before have left is searched otherwise, and slow."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def active(tmp_path: Path) -> ActiveInstrument:
    return instrument_for(
        InstrumentedRun(
            instrument=Instrument.GARBAGE,
            state=None,
            module=sys.modules[__name__],
            places=Places(__file__),
            capture=tmp_path / "capture",
        )
    )


def hunted(active: ActiveInstrument, call: Call, state: Any = None) -> list[Finding]:
    """The findings on `call`, in a thread: pytest's own stack would make every trace a deep one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_hunted, active, call, state).result()


def _hunted(active: ActiveInstrument, call: Call, state: Any) -> list[Finding]:
    called = active.start(call)
    done = 0
    for mark in MARKS:
        while done < mark:
            called(state, done)
            done += 1
        active.mark(done)
    return list(active.findings())


@pytest.mark.parametrize("has_greenlets", [False, True])
def test_nothing_is_frozen_where_greenlets_are(
    active: ActiveInstrument, monkeypatch: pytest.MonkeyPatch, has_greenlets: bool
) -> None:
    """greenlet frees what only frozen objects refer to."""
    gc.unfreeze()
    monkeypatch.delitem(sys.modules, "greenlet", raising=False)
    if has_greenlets:
        monkeypatch.setitem(sys.modules, "greenlet", ModuleType("greenlet"))
    frozen: list[int] = []
    hunted(active, lambda state, item: frozen.append(gc.get_freeze_count()))
    assert (max(frozen) <= OF_THE_INTERPRETER) == has_greenlets


def only(findings: list[Finding]) -> Finding:
    (found,) = findings
    assert found.sort is FindingKind.CYCLE
    return found


def per_call(found: Finding) -> list[float]:
    spans = zip(found.calls, found.calls[1:], found.counts, found.counts[1:], strict=False)
    return [(after - before) / (end - start) for start, end, before, after in spans]


class Node:
    data: Any
    words: Any
    shared: Any

    def __init__(self) -> None:
        self.me = self


class Parent:
    def __init__(self, children: int) -> None:
        self.children = [Child(self) for _ in range(children)]


class Child:
    def __init__(self, parent: Parent) -> None:
        self.parent = parent


class Slotted:
    __slots__ = ("other", "owner")

    def __init__(self, owner: Any = None) -> None:
        self.other: Any = None
        self.owner = owner


def test_an_object_that_refers_to_itself(active: ActiveInstrument) -> None:
    found = only(hunted(active, lambda s, i: (Node(), Node())))
    assert found.facts["cycle"] == CycleKind.SELF
    assert found.facts["cut"] == [f"{HERE}.Node.me"]
    assert found.chain == (f"{HERE}.Node.me", f"{HERE}.Node")
    assert per_call(found) == [2, 2, 2]
    assert found.facts["closed_at"]["source"] == "self.me = self"
    assert found.facts["closed_at"]["function"] == "__init__"


def test_a_child_that_refers_to_its_parent(active: ActiveInstrument) -> None:
    found = only(hunted(active, lambda s, i: Parent(3)))
    assert found.facts["cycle"] == CycleKind.BACK_REFERENCE
    assert found.facts["cut"] == [f"{HERE}.Child.parent"]
    assert found.facts["weak_reference"]
    assert found.chain == (
        f"{HERE}.Parent.children[...]",
        f"{HERE}.Child.parent",
        f"{HERE}.Parent",
    )
    assert found.what == f"{HERE}.Child, {HERE}.Parent"
    assert per_call(found) == [1, 1, 1]
    assert found.facts["closed_at"]["source"] == "self.parent = parent"
    assert found.stack[0].source == "self.children = [Child(self) for _ in range(children)]"


def test_a_future_whose_result_refers_to_it(active: ActiveInstrument) -> None:
    loop = asyncio.new_event_loop()

    class Job:
        def __init__(self) -> None:
            self.future = loop.create_future()
            self.future.set_result(self)

    found = only(hunted(active, lambda s, i: Job()))
    loop.close()
    assert {each.rpartition(".")[2] for each in found.chain[:2]} == {"future", "_result"}
    assert per_call(found) == [1, 1, 1]


def test_a_closure_that_refers_to_itself(active: ActiveInstrument) -> None:
    def call(state: Any, item: int) -> int:
        def factorial(n: int) -> int:
            return n * factorial(n - 1) if n else 1

        return factorial(5)

    found = only(hunted(active, call))
    assert found.facts["cycle"] == CycleKind.CLOSURE
    assert found.facts["cut"][0].endswith("factorial.__closure__['factorial']")
    assert found.facts["closed_at"]["source"] == "def factorial(n: int) -> int:"
    assert per_call(found) == [1, 1, 1]


def test_an_exception_that_is_kept_by_its_own_frame(active: ActiveInstrument) -> None:
    def fail() -> None:
        raise ValueError("no")

    def call(state: Any, item: int) -> None:
        kept = None
        try:
            fail()
        except ValueError as error:
            kept = error
        assert kept is not None

    found = only(hunted(active, call))
    assert found.facts["cycle"] == CycleKind.EXCEPTION
    assert found.facts["cut"][0].endswith("call().kept")
    assert found.facts["closed_at"]["source"] == "kept = error"
    assert "ValueError" in found.what
    assert per_call(found) == [1, 1, 1]


@pytest.mark.long
def test_a_module_of_torch_with_a_hook_of_its_own(active: ActiveInstrument) -> None:
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(25_000))
            self.register_forward_hook(self.seen)

        def seen(self, *given: Any) -> None: ...

    found = only(hunted(active, lambda s, i: Net()))
    assert found.facts["cycle"] == CycleKind.CALLBACK
    assert "_forward_hooks[int]" in found.facts["cut"][0]
    assert found.facts["native_bytes"] == 100_000
    assert (found.sizes[-1] - found.sizes[0]) / CALLS > 100_000
    assert found.stack[0].source == "self.register_forward_hook(self.seen)"


def test_a_module_of_torch_that_refers_back(active: ActiveInstrument) -> None:
    torch = pytest.importorskip("torch")

    class Head(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self, owner: Any) -> None:
            super().__init__()
            self.owner = owner

    class Net(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.head = Head(self)

    found = only(hunted(active, lambda s, i: Net()))
    assert found.facts["cycle"] == CycleKind.BACK_REFERENCE
    assert found.facts["cut"][0].endswith("Head._modules['owner']")
    assert found.facts["closed_at"]["source"] == "self.owner = owner"


def test_a_class_that_is_made_in_every_call(active: ActiveInstrument) -> None:
    def call(state: Any, item: int) -> Any:
        class Point(NamedTuple):
            x: int

        return Point(item)

    found = only(hunted(active, call))
    assert found.facts["cycle"] == CycleKind.CLASS
    assert found.facts["cut"] == []
    assert found.facts["closed_at"]["source"] == "class Point(NamedTuple):"


def test_a_cache_of_its_own_method_is_a_callback(active: ActiveInstrument) -> None:
    """As jsonschema's resolver had it: what leads on inside of the cache is not to be cut."""

    class Resolver:
        def __init__(self) -> None:
            self.cached = functools.lru_cache(self.resolve)

        def resolve(self, url: str) -> str:
            return url

    found = only(hunted(active, lambda s, i: Resolver().cached("a")))
    assert found.facts["cycle"] == CycleKind.CALLBACK
    assert found.facts["cut"][0].endswith("Resolver.cached")
    assert found.facts["closed_at"]["source"] == "self.cached = functools.lru_cache(self.resolve)"


def test_a_cycle_of_plain_containers_is_named_by_its_key(active: ActiveInstrument) -> None:
    def call(state: Any, item: int) -> None:
        root: dict[str, Any] = {"children": []}
        root["children"].append({"parent": root})

    found = only(hunted(active, call))
    assert found.facts["cycle"] == CycleKind.BACK_REFERENCE
    assert found.facts["cut"] == ["dict['children'][...]['parent']"]
    assert not found.facts["weak_reference"]
    assert found.stack[0].function == "call"


def test_a_list_that_holds_itself(active: ActiveInstrument) -> None:
    def call(state: Any, item: int) -> None:
        own: list[Any] = []
        own.append(own)

    found = only(hunted(active, call))
    assert (found.facts["cycle"], found.facts["cut"]) == (CycleKind.SELF, ["list[...]"])


def test_slots_are_named(active: ActiveInstrument) -> None:
    def call(state: Any, item: int) -> None:
        first = Slotted()
        first.other = Slotted(first)

    found = only(hunted(active, call))
    assert found.facts["cut"] == [f"{HERE}.Slotted.owner"]
    assert not found.facts["weak_reference"]


def test_what_hangs_on_a_cycle_is_weighed_with_it(active: ActiveInstrument) -> None:
    numpy = pytest.importorskip("numpy")
    shared = bytearray(200_000)

    def call(state: Any, item: int) -> None:
        node = Node()
        node.data = numpy.zeros(12_500)
        node.words = {"body": bytearray(50_000)}
        node.shared = shared

    found = only(hunted(active, call))
    assert 150_000 < (found.sizes[-1] - found.sizes[0]) / CALLS < 152_000


def test_what_a_finalizer_lets_go_of_was_garbage_until_then(active: ActiveInstrument) -> None:
    class Finalized(Node):
        def __init__(self) -> None:
            super().__init__()
            self.data = bytearray(50_000)

        def __del__(self) -> None:
            self.data = None

    found = only(hunted(active, lambda s, i: Finalized()))
    assert 50_000 < (found.sizes[-1] - found.sizes[0]) / CALLS < 52_000


def test_what_a_call_returns_is_its_garbage(active: ActiveInstrument) -> None:
    assert per_call(only(hunted(active, lambda s, i: Node()))) == [1, 1, 1]


def test_a_call_without_garbage_has_none(active: ActiveInstrument) -> None:
    def call(state: list[Any], item: int) -> Any:
        state[:] = [{"n": item, "rest": [object(), (item, "x")]}]
        return {"answer": [item]}

    assert hunted(active, call, []) == []


@pytest.mark.parametrize("was_frozen", [True, False])
def test_the_process_is_as_it_was(active: ActiveInstrument, was_frozen: bool) -> None:
    if not was_frozen:
        gc.unfreeze()
    before = (gc.isenabled(), gc.get_debug(), gc.get_threshold(), list(gc.garbage))
    hunted(active, lambda s, i: Parent(2))
    assert (gc.isenabled(), gc.get_debug(), gc.get_threshold(), list(gc.garbage)) == before
    # Not how many: what is frozen may still be freed.
    assert has_frozen() == was_frozen
    assert not tracemalloc.is_tracing()


def test_the_process_is_as_it_was_after_a_call_that_fails(active: ActiveInstrument) -> None:
    def call(state: Any, item: int) -> None:
        if item == 11:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        hunted(active, call)
    assert (gc.isenabled(), gc.get_debug(), tracemalloc.is_tracing()) == (True, 0, False)


def test_nothing_is_kept_by_the_looking(active: ActiveInstrument) -> None:
    finalized: list[int] = []

    class Kept:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            finalized.append(1)

    def call(state: Any, item: int) -> None:
        Kept()
        Parent(2)

    hunted(active, call)
    assert len(finalized) == MARKS[-1]
    gc.collect()
    left = [each for each in gc.get_objects() if type(each) in (Kept, Parent, Child)]
    assert left == []


def test_blocks_do_not_grow_with_the_calls_that_are_looked_at(active: ActiveInstrument) -> None:
    called = active.start(lambda s, i: Parent(2))

    def blocks_after(calls: int) -> int:
        for number in range(calls):
            called(None, number)
        active.mark(calls)
        return sys.getallocatedblocks()

    def watched() -> list[int]:
        active.mark(0)
        for _ in range(3):
            blocks_after(40)
        return [blocks_after(number) for number in (40, 400)]

    with ThreadPoolExecutor(1) as pool:
        few, many = pool.submit(watched).result()
        list(active.findings())
    assert many - few < 40  # the mark itself, and not 360 calls


def test_a_collection_of_the_programs_own_hides_nothing(active: ActiveInstrument) -> None:
    def call(state: Any, item: int) -> None:
        Node()
        gc.collect()

    assert per_call(only(hunted(active, call))) == [1, 1, 1]


def test_components_of_a_graph() -> None:
    edges = [[1], [2], [0, 3], [4], [3], [5], []]
    found = [sorted(each) for each in components(edges)]
    assert sorted(found) == [[0, 1, 2], [3, 4], [5], [6]]
    assert found.index([3, 4]) < found.index([0, 1, 2])


def test_an_inner_cycle_takes_what_hangs_on_it() -> None:
    outer, inner = Parent(1), Parent(1)
    outer.children.append(inner)  # type: ignore[arg-type]
    inner.data = [bytearray(5000)]  # type: ignore[attr-defined]
    objects = [outer, outer.children, outer.children[0], inner, inner.children, inner.children[0],
               inner.data]  # type: ignore[attr-defined]  # fmt: skip
    del outer
    cycles = cycles_of(objects, edges_of(objects))
    assert sorted(each.objects for each in cycles) == [3, 4]
    # The list here refers to them, too, but not to the bytes.
    assert max(each.python_bytes for each in cycles) > 5000
