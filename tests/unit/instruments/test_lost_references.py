"""A C function that takes a reference and never gives it back, built here."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import gc
import heapq
import importlib.machinery
import importlib.util
import itertools
import mmap
import operator
import sqlite3
import subprocess
import sys
import sysconfig
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from leakhunt.analysis.attribution.clusters import clusters
from leakhunt.analysis.attribution.known_causes import catalogue
from leakhunt.instruments import InstrumentedRun, instrument_for
from leakhunt.instruments.frames import Places
from leakhunt.instruments.free_lists import may_freeze
from leakhunt.instruments.lost_references import LostReferences
from leakhunt.instruments.native_frames import has_lines
from leakhunt.model.attribution import FindingKind, Instrument, Origin

# What C code loses, and the structs of these tests, would stay in the process of all later tests.
pytestmark = pytest.mark.in_a_fork

SOURCE = """
#include <Python.h>
static PyObject *loses(PyObject *self, PyObject *given) {
    Py_INCREF(given);
    Py_RETURN_NONE;
}
static PyObject *returns(PyObject *self, PyObject *given) {
    Py_INCREF(given);
    return given;
}
static PyObject *makes(PyObject *self, PyObject *given) {
    PyObject *made = PyBytes_FromStringAndSize(NULL, 2000);
    (void)made;
    Py_RETURN_NONE;
}
static PyObject *calls(PyObject *self, PyObject *given) {
    PyObject *result = PyObject_CallNoArgs(given);
    return result == NULL ? NULL : Py_NewRef(Py_None);
}
static PyObject *calls_and_drops(PyObject *self, PyObject *given) {
    PyObject *result = PyObject_CallNoArgs(given);
    Py_XDECREF(result);
    return result == NULL ? NULL : Py_NewRef(Py_None);
}
static PyObject *calls_and_returns(PyObject *self, PyObject *given) {
    return PyObject_CallNoArgs(given);
}
static PyObject *loses_a_pair(PyObject *self, PyObject *given) {
    PyObject *pair = Py_BuildValue("(O[O])", given, given);
    return pair == NULL ? NULL : Py_NewRef(Py_None);
}
static PyObject *loses_the_error(PyObject *self, PyObject *given) {
    PyObject *type, *value, *traceback, *result = PyObject_CallNoArgs(given);
    Py_XDECREF(result);
    PyErr_Fetch(&type, &value, &traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    Py_RETURN_NONE;
}
static PyObject *get_text(PyObject *self, void *unused) {
    PyObject *result = PyObject_CallMethod(self, "make", NULL);
    return result == NULL ? NULL : Py_NewRef(Py_None);
}
static PyGetSetDef getters[] = {{"text", get_text, NULL, "", NULL}, {NULL}};
static PyObject *table(PyObject *self, PyObject *given) {
    return Py_BuildValue("{s:[N]}", "body", PyByteArray_FromStringAndSize(NULL, 3000));
}
typedef struct kept { PyObject *object; struct kept *next; } Kept;
typedef struct { PyObject_HEAD Kept *kept; } Keeper;
static PyObject *keep(PyObject *self, PyObject *given) {
    Kept *made = malloc(sizeof(Kept));
    made->object = Py_NewRef(given);
    made->next = ((Keeper *)self)->kept;
    ((Keeper *)self)->kept = made;
    Py_RETURN_NONE;
}
static void free_keeper(PyObject *self) {
    Kept *kept = ((Keeper *)self)->kept;
    while (kept != NULL) {
        Kept *next = kept->next;
        Py_DECREF(kept->object);
        free(kept);
        kept = next;
    }
    Py_TYPE(self)->tp_free(self);
}
static PyMethodDef keeper_methods[] = {{"keep", keep, METH_O, ""}, {NULL, NULL, 0, NULL}};
static PyTypeObject keeper = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "Keeper",
    .tp_basicsize = sizeof(Keeper),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_dealloc = free_keeper,
    .tp_new = PyType_GenericNew,
    .tp_methods = keeper_methods,
};
static PyType_Slot slots[] = {{Py_tp_getset, getters}, {0, NULL}};
static PyType_Spec node = {
    "_loses.Node", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots
};
static PyMethodDef methods[] = {
    {"loses", loses, METH_O, ""},
    {"returns", returns, METH_O, ""},
    {"makes", makes, METH_O, ""},
    {"calls", calls, METH_O, ""},
    {"loses_a_pair", loses_a_pair, METH_O, ""},
    {"loses_the_error", loses_the_error, METH_O, ""},
    {"calls_and_drops", calls_and_drops, METH_O, ""},
    {"calls_and_returns", calls_and_returns, METH_O, ""},
    {"table", table, METH_O, ""},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_loses", "", -1, methods};
PyMODINIT_FUNC PyInit__loses(void) {
    PyObject *made = PyModule_Create(&module);
    if (made != NULL && PyModule_AddObject(made, "Node", PyType_FromSpec(&node)) < 0)
        Py_CLEAR(made);
    if (made != NULL && PyModule_AddType(made, &keeper) < 0)
        Py_CLEAR(made);
    return made;
}
"""


# From 3.14 on an interpreter without symbols does not tell which of its functions evaluate Python:
# memray's native frames above the innermost of Python are left out, and with them the C function
# that called it.
needs_callers_in_c = pytest.mark.skipif(
    sys.version_info >= (3, 14) and not has_lines(str(Path(sys.executable).resolve())),
    reason="this interpreter does not tell which C code called Python",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    folder = tmp_path_factory.mktemp("extension")
    (folder / "loses.c").write_text(SOURCE)
    include = sysconfig.get_path("include")
    words = ["gcc", "-shared", "-fPIC", "-O1", "-g", f"-I{include}", "loses.c", "-o", "_loses.so"]
    subprocess.run(words, cwd=folder, check=True)
    loader = importlib.machinery.ExtensionFileLoader("_loses", str(folder / "_loses.so"))
    spec = importlib.util.spec_from_loader("_loses", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    sys.modules["_loses"] = module
    return module


@pytest.fixture(autouse=True)
def without_pytests_objects() -> Iterator[None]:
    """What pytest and the tests before have left is searched otherwise, and slow."""
    if may_freeze():
        gc.freeze()
    yield
    gc.unfreeze()


def looked_at(call: Any, make_input: Any, calls: int = 5) -> LostReferences:
    lost = LostReferences()
    called = lost.wrapped(call)
    called(None, make_input())
    lost.is_on = True
    for _ in range(calls):
        called(None, make_input())
    return lost


def request() -> dict[str, Any]:
    return {"body": [bytearray(3000)]}


def test_the_function_that_loses_what_hangs_on_the_input_is_named(made: ModuleType) -> None:
    found = looked_at(lambda s, item: made.loses(item["body"][0]), request).found()
    assert [(each.function, each.kind, each.number) for each in found] == [
        ("_loses.loses", "bytearray", 5)
    ]


def test_the_input_itself_may_be_lost(made: ModuleType) -> None:
    found = looked_at(lambda s, item: made.loses(item), request).found()
    assert [(each.function, each.kind, each.number) for each in found] == [
        ("_loses.loses", "dict", 5)
    ]
    assert looked_at(lambda s, item: len(item), request).found() == []


def test_a_call_of_many_c_calls_is_not_profiled_to_its_end() -> None:
    left: list[Any] = []

    def call(state: Any, item: Any) -> None:
        for number in range(60_000):
            abs(number)
        left.append(sys.getprofile())

    looked_at(call, request, calls=1)
    assert left[1:] == [None]


def test_what_is_lost_after_a_long_loop_is_found(made: ModuleType) -> None:
    def call(state: Any, item: Any) -> None:
        for number in range(6_000):
            abs(number)
        made.loses(item)

    assert [each.function for each in looked_at(call, request).found()] == ["_loses.loses"]


class Body(bytearray):
    """What is weakly referred to, and has methods of C code."""


def test_nothing_of_what_was_lost_is_held_once_its_example_is_forgotten(made: ModuleType) -> None:
    """Else it would be owned by nobody else, and count as new in the tree of holders."""
    seen: list[weakref.ref[Body]] = []

    def call(state: Any, item: Body) -> None:
        seen.append(weakref.ref(item))
        item.extend(b"." * 3000)
        made.loses(item)

    lost = looked_at(call, Body)
    assert [each.kind.rpartition(".")[2] for each in lost.found()] == ["Body"]
    example = seen[-1]()
    held = sys.getrefcount(example)
    lost.forget_examples()
    assert sys.getrefcount(example) == held - 1


def test_what_the_call_makes_and_names_may_be_lost(made: ModuleType) -> None:
    """It hangs on no input, which may be a number."""

    def call(state: Any, item: int) -> int:
        body = bytearray(3000)
        made.loses(body)
        return len(body)

    numbers = iter(range(1000, 2000))
    found = looked_at(call, lambda: next(numbers)).found()
    assert [(each.function, each.kind, each.number) for each in found] == [
        ("_loses.loses", "bytearray", 5)
    ]
    assert found[0].caller == "call"


def test_what_the_call_makes_and_keeps_or_returns_is_not_lost(made: ModuleType) -> None:
    retained: list[Any] = []

    def call(state: Any, item: int) -> Any:
        body, other = bytearray(3000), bytearray(10)
        retained.append(made.returns(body))
        return made.returns(other)

    assert looked_at(call, lambda: 7).found() == []


def test_what_is_kept_where_everybody_sees_it_is_not_lost(made: ModuleType) -> None:
    retained: list[Any] = []

    def call(state: Any, item: dict[str, Any]) -> Any:
        retained.append(made.returns(item["body"]))
        retained.append([item["body"][0]])
        return made.returns(item["body"])

    assert looked_at(call, request).found() == []


def test_what_is_lost_now_and_then_is_not_told(made: ModuleType) -> None:
    numbers = iter(range(100))

    def call(state: Any, item: dict[str, Any]) -> None:
        if next(numbers) % 2:
            made.loses(item["body"])

    assert looked_at(call, request).found() == []


def findings_of(made_call: Any, tmp_path: Path) -> Any:
    with ThreadPoolExecutor(1) as pool:  # pytest's own stack would make every trace a deep one
        return pool.submit(_findings_of, made_call, tmp_path).result()


def _findings_of(made_call: Any, tmp_path: Path) -> Any:
    active = instrument_for(
        InstrumentedRun(
            instrument=Instrument.MEMRAY,
            state=None,
            module=sys.modules[__name__],
            places=Places(__file__),
            capture=tmp_path / "capture",
        )
    )
    called, done = active.start(made_call), 0
    for mark in (8, 13, 20, 31, 36):
        while done < mark:
            called(None, request())
            done += 1
        active.mark(done)
    return list(active.findings())


def test_a_lost_argument_is_the_c_functions_and_not_the_callers(
    made: ModuleType, tmp_path: Path
) -> None:
    pytest.importorskip("memray")
    found = findings_of(lambda s, item: made.loses(item["body"][0]), tmp_path)
    assert [each.what for each in found if each.sort is FindingKind.LOST] == ["bytearray"]
    assert [each.what for each in found if "leakhunt" in each.what] == []
    first = max(
        clusters(found, mappings=False, causes=catalogue()), key=lambda each: each.bytes_per_call
    )
    assert first.lead.sort is FindingKind.LOST
    assert first.lead.what == "bytearray"
    assert first.bytes_per_call > 3000
    assert (first.lead.stack[0].function, first.lead.stack[0].origin) == (
        "_loses.loses",
        Origin.LIBRARY,
    )


def test_what_is_older_than_the_tracing_does_not_grow(made: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("memray")
    old = bytearray(3000)

    def call(state: Any, item: Any) -> None:
        again = old
        made.loses(again)

    assert [each.kind for each in looked_at(call, request).found()] == ["bytearray"]
    found = findings_of(call, tmp_path)
    assert [each.what for each in found if each.sort is FindingKind.LOST] == []


def result() -> bytearray:
    return bytearray(3000)


def test_what_a_callback_returns_may_be_lost(made: ModuleType) -> None:
    found = looked_at(lambda s, item: made.calls(result), request).found()
    assert [(each.function, each.kind, each.number) for each in found] == [
        ("_loses.calls", "bytearray", 5)
    ]
    assert found[0].callback == (__file__, "result")


def test_what_a_callback_returns_and_c_code_drops_or_passes_on_is_not_lost(
    made: ModuleType,
) -> None:
    kept: dict[int, float] = {}

    def call(state: Any, item: Any) -> Any:
        number = len(kept) + 0.5
        kept[len(kept)] = made.calls_and_returns(lambda: number * 3)
        made.calls_and_drops(result)
        return made.calls_and_returns(result)

    assert looked_at(call, request).found() == []
    assert len(kept) == 6
    assert not gc.is_tracked(kept) or sys.version_info >= (3, 14)  # which tracks every dict


def test_an_attribute_may_lose_what_python_code_returns(made: ModuleType) -> None:
    class Node(made.Node):  # type: ignore[misc, name-defined]
        def make(self) -> bytearray:
            return bytearray(3000)

    found = looked_at(lambda s, item: Node().text, request).found()
    assert [(each.function, each.callback[1], each.kind) for each in found] == [
        ("", "make", "bytearray")
    ]


@needs_callers_in_c
@pytest.mark.parametrize("way", ["calls", "get_text"])
def test_the_c_function_that_called_is_named_and_not_its_callback(
    made: ModuleType, tmp_path: Path, way: str
) -> None:
    pytest.importorskip("memray")

    class Node(made.Node):  # type: ignore[misc, name-defined]
        def make(self) -> bytearray:
            return bytearray(3000)

    def call(state: Any, item: Any) -> Any:
        return made.calls(result) if way == "calls" else Node().text

    first = max(
        clusters(findings_of(call, tmp_path), mappings=False, causes=catalogue()),
        key=lambda each: each.bytes_per_call,
    )
    assert first.lead.sort is FindingKind.LOST and first.bytes_per_call > 3000
    named = first.lead.stack[0]
    assert (named.function, named.file, named.origin) == (way, "loses.c", Origin.LIBRARY)


def refuse() -> None:
    raise ValueError(bytearray(3000))


def first_of(call: Any, folder: Path) -> Any:
    """What leads the suspect that retains most."""
    found = clusters(findings_of(call, folder), mappings=False, causes=catalogue())
    return max(found, key=lambda each: each.bytes_per_call)


@needs_callers_in_c
def test_what_hangs_on_an_object_to_which_nobody_refers_is_the_c_functions_that_made_it(
    made: ModuleType, tmp_path: Path
) -> None:
    pytest.importorskip("memray")
    first = first_of(lambda s, item: made.loses_a_pair(item["body"][0]), tmp_path)
    assert (first.lead.sort, first.lead.what) == (FindingKind.LOST, "tuple")
    assert first.bytes_per_call > 3000
    assert str(first.lead.stack[0]).startswith("loses_a_pair (loses.c:")


@needs_callers_in_c
def test_what_memray_imports_where_greenlets_are_does_not_grow(
    made: ModuleType, tmp_path: Path
) -> None:
    pytest.importorskip("memray")
    pytest.importorskip("greenlet")
    first = first_of(lambda s, item: made.loses_a_pair(item["body"][0]), tmp_path)
    assert (first.lead.sort, first.lead.what) == (FindingKind.LOST, "tuple")


@needs_callers_in_c
@pytest.mark.parametrize("recycled", [0, 50])
def test_what_the_line_makes_beside_is_not_taken_for_what_the_c_function_made(
    made: ModuleType, tmp_path: Path, recycled: int
) -> None:
    """Neither where the pair is in a block that the line before allocated, and a free list kept."""
    pytest.importorskip("memray")

    def call(state: Any, item: Any) -> None:
        tuple((number, number) for number in range(recycled))
        made.loses_a_pair(bytearray(3000))

    first = first_of(call, tmp_path)
    assert (first.lead.sort, first.lead.what) == (FindingKind.LOST, "tuple")
    assert first.bytes_per_call > 3000
    assert str(first.lead.stack[0]).startswith("loses_a_pair (loses.c:")


@needs_callers_in_c
def test_an_error_that_c_code_fetches_and_loses_is_that_c_codes(
    made: ModuleType, tmp_path: Path
) -> None:
    pytest.importorskip("memray")
    first = first_of(lambda s, item: made.loses_the_error(refuse), tmp_path)
    assert (first.lead.sort, first.lead.what) == (FindingKind.LOST, "ValueError")
    assert first.bytes_per_call > 3000
    assert str(first.lead.stack[0]).startswith("loses_the_error (loses.c:")


def test_what_an_object_holds_that_everybody_sees_is_not_lost(
    made: ModuleType, tmp_path: Path
) -> None:
    pytest.importorskip("memray")
    kept: list[Any] = []

    def call(state: Any, item: Any) -> None:
        kept.append((item, [item]))

    found = findings_of(call, tmp_path)
    assert [each.what for each in found if each.sort is FindingKind.LOST] == []
    del kept[:]


def test_what_a_c_function_makes_and_loses_is_told_with_its_line(
    made: ModuleType, tmp_path: Path
) -> None:
    pytest.importorskip("memray")
    found = findings_of(lambda s, item: made.makes(item), tmp_path)
    first = max(
        clusters(found, mappings=False, causes=catalogue()), key=lambda each: each.bytes_per_call
    )
    assert first.retained.per_call == 1 and first.retained.exact
    assert str(first.lead.stack[0]) == "makes (loses.c:12)"


class Holder:
    """What a service keeps from call to call."""

    def __init__(self) -> None:
        self.queue: list[Any] = []
        self.table: dict[str, Any] = {}


@pytest.mark.parametrize("kind", [Body, bytearray])
def test_what_a_c_function_puts_where_all_can_see_it_is_not_lost(kind: type) -> None:
    """Before Python 3.14 the collector does not track a dict of byte arrays."""
    holder = Holder()

    def call(state: Any, item: Any) -> None:
        one, other = kind(), kind()
        heapq.heappush(holder.queue, (len(holder.queue), one))
        operator.setitem(holder.table, str(len(holder.queue)), other)

    assert looked_at(call, request).found() == []


def test_what_an_array_holds_is_not_lost() -> None:
    holder: Any = np.empty(100, dtype=object)
    numbers = itertools.count()

    def call(state: Any, item: Any) -> None:
        one = bytearray(3000)
        operator.setitem(holder, next(numbers), one)

    assert looked_at(call, request).found() == []


def test_what_the_frames_of_an_exception_hold_is_not_lost() -> None:
    retained: list[BaseException] = []

    def call(state: Any, item: dict[str, Any]) -> None:
        text = str(len(item)) + "x"
        try:
            int(text)
        except ValueError as error:
            retained.append(error)

    assert looked_at(call, request).found() == []


def test_what_a_field_of_c_code_holds_is_not_lost(made: ModuleType) -> None:
    """An array does not tell of its type, nor a time of its zone: neither is tracked."""
    retained: list[Any] = []

    def call(state: Any, item: dict[str, Any]) -> None:
        kind = np.dtype([("size", int)])
        retained.append(np.zeros(3, kind))
        zone = dt.timezone(dt.timedelta(hours=1), "a" * 1000)
        retained.append(operator.call(dt.datetime, 2026, 1, 1, tzinfo=zone))

    assert looked_at(call, request).found() == []


def test_a_weak_reference_holds_nothing(made: ModuleType) -> None:
    retained: list[Any] = []

    def call(state: Any, item: Any) -> None:
        body = Body(3000)
        retained.append((weakref.ref(body), weakref.proxy(body)))
        made.loses(body)

    assert [each.number for each in looked_at(call, request).found()] == [5]


def _graph(torch: ModuleType) -> Any:
    weight = torch.ones(300, requires_grad=True)
    return torch.mul(weight, weight)


def _of_array(torch: ModuleType) -> Any:
    array = np.zeros(300)
    return torch.from_numpy(array)


def _of_bytes(torch: ModuleType) -> Any:
    body = bytearray(300)
    return torch.frombuffer(body, dtype=torch.uint8)


@pytest.mark.parametrize("make", [_graph, _of_array, _of_bytes])
def test_what_a_tensor_holds_is_not_lost(make: Callable[[ModuleType], Any]) -> None:
    torch = pytest.importorskip("torch")
    retained: list[Any] = []
    assert looked_at(lambda s, item: retained.append(make(torch)), request).found() == []


def test_an_array_that_is_lost_beside_tensors_is_told(made: ModuleType) -> None:
    torch = pytest.importorskip("torch")
    retained: list[Any] = []

    def call(state: Any, item: Any) -> None:
        lost, held = np.zeros(300), np.zeros(300)
        retained.append(torch.from_numpy(held))
        made.loses(lost)

    assert [each.function for each in looked_at(call, request).found()] == ["_loses.loses"]


def test_what_waits_for_the_collector_is_not_lost() -> None:
    """What was seen of the last call may be in a cycle with its frame."""
    image = pytest.importorskip("PIL.Image")
    retained: list[Any] = []

    def call(state: Any, item: Any) -> None:
        retained.append(image.fromarray(np.zeros((30, 100, 3), dtype="u1")))

    gc.disable()
    try:
        assert looked_at(call, lambda: 7).found() == []
    finally:
        gc.enable()


def test_what_is_never_freed_is_not_lost(made: ModuleType) -> None:
    def call(state: Any, item: Any) -> None:
        never = "name"
        assert sys.getrefcount(never) > 1_000_000
        made.loses(never)

    assert looked_at(call, request).found() == []


def test_what_was_there_before_the_calls_may_hold_it(tmp_path: Path) -> None:
    """Frozen objects are not searched for references: the last stretch has none."""
    pytest.importorskip("memray")
    gc.unfreeze()
    holder, frozen = Holder(), list[bool]()

    def call(state: Any, item: Any) -> None:
        one = Body(3000)
        heapq.heappush(holder.queue, (len(holder.queue), one))
        frozen.append(gc.get_freeze_count() > 10_000)

    found = findings_of(call, tmp_path)
    assert any(frozen) and not any(frozen[-5:])
    assert [each for each in found if each.sort is FindingKind.LOST] == []


def _in_a_struct(made: ModuleType) -> Any:
    body, keeper = bytearray(3000), made.Keeper()
    keeper.keep(body)
    return keeper


def _in_the_second_of_two_structs(made: ModuleType) -> Any:
    body, keeper = bytearray(3000), made.Keeper()
    keeper.keep(body)
    keeper.keep(bytearray(10))
    return keeper


_CLASSES: dict[ModuleType, Any] = {}


def _behind_a_class_of_python(made: ModuleType) -> Any:
    if made not in _CLASSES:
        _CLASSES[made] = type("Own", (made.Keeper,), {"__slots__": ("name",)})
    body, keeper = bytearray(3000), _CLASSES[made]()
    keeper.keep(body)
    return keeper


def _image_over(make_body: Callable[[], Any]) -> Callable[[ModuleType], Any]:
    def make(made: ModuleType) -> Any:
        image, body = pytest.importorskip("PIL.Image"), make_body()
        return image.frombuffer("L", (60, 50), body, "raw", "L", 0, 1)

    return make


def _image_of_array(made: ModuleType) -> Any:
    image, array = pytest.importorskip("PIL.Image"), np.zeros((50, 60), "u1")
    return image.fromarray(array)


def _exchanged_array(made: ModuleType) -> Any:
    array = np.zeros(300)
    return np.from_dlpack(array)


def _function_of_a_connection(made: ModuleType) -> Any:
    connection, function = sqlite3.connect(":memory:"), functools.partial(len)
    connection.create_function("length", 1, function)
    return connection


def _field_of_records(made: ModuleType) -> Any:
    records: Any = np.zeros(2, dtype=[("body", "O"), ("size", "i4")])
    body = bytearray(300)
    records[0] = (body, 1)
    operator.setitem(records, 1, (body, 2))
    return records


def _arguments_of_a_greenlet(made: ModuleType) -> Any:
    greenlet = pytest.importorskip("greenlet")

    def work(body: bytearray) -> None:
        greenlet.getcurrent().parent.switch(len(body))

    parked, body = greenlet.greenlet(work), bytearray(3000)
    parked.switch(body)
    return parked


def _result_of_a_task(made: ModuleType) -> Any:
    """The type of tasks does not hand on to gc.get_referrers() that a field was the one."""

    async def work() -> bytearray:
        return bytearray(3000)

    loop = asyncio.new_event_loop()
    task = loop.create_task(work())
    loop.run_until_complete(task)
    loop.close()
    return task


@pytest.mark.parametrize(
    "make",
    [
        _in_a_struct,
        _in_the_second_of_two_structs,
        _behind_a_class_of_python,
        _image_over(lambda: bytes(bytearray(3000))),
        _image_over(lambda: memoryview(bytearray(3000))),
        _image_over(lambda: mmap.mmap(-1, 4096)),
        _image_of_array,
        _exchanged_array,
        _function_of_a_connection,
        _field_of_records,
        _arguments_of_a_greenlet,
        _result_of_a_task,
    ],
)
def test_what_a_struct_of_c_code_holds_is_not_lost(
    made: ModuleType, make: Callable[[ModuleType], Any]
) -> None:
    retained: list[Any] = []
    found = looked_at(lambda s, item: retained.append(make(made)), lambda: 7).found()
    held = {"bytearray", "bytes", "memoryview", "mmap.mmap", "numpy.ndarray", "functools.partial"}
    assert [(each.function, each.kind) for each in found if each.kind in held] == []


def test_calls_are_watched_while_something_may_be_lost_in_each(made: ModuleType) -> None:
    def watched(call: Callable[[Any, Any], None]) -> int:
        seen: list[bool] = []

        def looking(state: Any, item: Any) -> None:
            seen.append(sys.getprofile() is not None)
            call(state, item)

        looked_at(looking, request)
        return sum(seen)

    assert watched(lambda state, item: None) == 1
    assert watched(lambda state, item: made.loses(item["body"])) == 5


def test_the_last_few_in_a_queue_that_ends_hold_what_their_structs_refer_to(
    made: ModuleType,
) -> None:
    retained: deque[Any] = deque(maxlen=4)
    found = looked_at(lambda s, item: retained.append(_in_a_struct(made)), lambda: 7).found()
    assert found == []


@pytest.mark.parametrize("make_body", [lambda: bytearray(3000), lambda: np.zeros(300), Body])
def test_what_is_lost_beside_objects_that_structs_hold_is_told(
    made: ModuleType, make_body: Callable[[], Any]
) -> None:
    retained: list[Any] = []

    def call(state: Any, item: Any) -> None:
        held, keeper = make_body(), made.Keeper()
        keeper.keep(held)
        retained.append(keeper)
        lost = make_body()
        made.loses(lost)

    found = looked_at(call, request).found()
    assert [(each.function, each.line, each.number) for each in found] == [
        ("_loses.loses", call.__code__.co_firstlineno + 5, 5)
    ]


@pytest.mark.parametrize("way", ["struct", "field"])
def test_what_structs_and_fields_of_the_items_of_a_list_refer_to_is_the_lists(
    made: ModuleType, tmp_path: Path, way: str
) -> None:
    pytest.importorskip("memray")
    retained: list[Any] = []

    def call(state: Any, item: Any) -> None:
        if way == "struct":
            retained.append(kept_in(made.Keeper(), made.table(item)))
        else:
            retained.append(np.dtype("i4", metadata=made.table(item)))

    def kept_in(keeper: Any, kept: Any) -> Any:
        keeper.keep(kept)
        return keeper

    found = findings_of(call, tmp_path)
    assert [each.what for each in found if each.sort is FindingKind.LOST] == []
    first = max(
        clusters(found, mappings=False, causes=catalogue()), key=lambda each: each.bytes_per_call
    )
    assert (first.lead.sort, first.lead.what) == (FindingKind.CONTAINER, "list")
    assert first.bytes_per_call > 3000


def test_what_c_code_gathers_in_an_object_that_was_there_is_that_c_codes(
    made: ModuleType,
) -> None:
    """The object tells nobody of it, and who gives it more and more is the suspect."""
    keeper = made.Keeper()

    def call(state: Any, item: Any) -> None:
        body = bytearray(3000)
        keeper.keep(body)

    found = looked_at(call, request).found()
    assert [(each.function, each.kind) for each in found] == [("builtins.Keeper.keep", "bytearray")]


def test_the_holder_of_what_a_struct_holds_may_be_lost_itself(made: ModuleType) -> None:
    def call(state: Any, item: Any) -> None:
        body, keeper = bytearray(3000), made.Keeper()
        keeper.keep(body)
        made.loses(keeper)

    found = looked_at(call, request).found()
    assert {(each.function, each.kind) for each in found} >= {("_loses.loses", "Keeper")}
