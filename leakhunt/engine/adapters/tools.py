"""The built-in adapters but our own: psleak, tracemalloc, memray, pytest-memray, mprof."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count, pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

# What stays of nine calls in ten is no noise.
_OF_EACH_CALL = 0.9
_WARM_UP = 200
_FRAMES = 25
_BLOCKS = 10
# RSS that rises by so much in the last calls, and in each of them, is what people call a leak.
_RISE_MIB = 0.5
# What pytest-memray's marker allows to stay of all calls, by location.
_LIMIT = "16 KB"
# The section of its report that lists what leaked.
_LEAKED = "memray-leaked-memory"
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Workload:
    """A file that defines ``call()``."""

    file: Path
    call: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class LeakTool:
    """A tool: how it is asked, the module it needs, and the variables it is started with."""

    ask: Callable[[Workload, int], Mapping[str, Any]]
    module: str
    variables: Mapping[str, str] = field(default_factory=dict)


def workload_of(place: str) -> Workload:
    """The workload in a file: its ``call()``, or with what its ``make_input`` makes of a call."""
    file = Path(place)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    make_input = getattr(module, "make_input", None)
    if make_input is None:
        return Workload(file, module.call)
    numbers = count()
    return Workload(file, lambda: module.call(make_input(None, next(numbers))))


def _answer(leaks: bool, finding: str = "", names: bool = True) -> Mapping[str, Any]:
    return {"leak": leaks, "finding": finding[:_LONGEST], "names": names}


def _psleak(workload: Workload, calls: int) -> Mapping[str, Any]:
    """What its test case raises with its defaults; it names no function."""
    psleak = importlib.import_module("psleak")
    try:
        psleak.MemoryLeakTestCase.setUpClass()
        psleak.MemoryLeakTestCase("execute").execute(workload.call)
    except psleak.Error as error:
        return _answer(True, f"{type(error).__name__}: {error}", names=False)
    return _answer(False, names=False)


def _tracemalloc(workload: Workload, calls: int) -> Mapping[str, Any]:
    """A traceback of which at least nine blocks stay of ten calls, between two snapshots."""
    import tracemalloc

    for _ in range(_WARM_UP):
        workload.call()
    gc.collect()
    tracemalloc.start(_FRAMES)
    for _ in range(_WARM_UP):
        workload.call()
    gc.collect()
    before = tracemalloc.take_snapshot()
    for _ in range(calls):
        workload.call()
    gc.collect()
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    for each in after.compare_to(before, "traceback"):
        if each.count_diff >= _OF_EACH_CALL * calls:
            return _answer(True, "\n".join(each.traceback.format()))
    return _answer(False)


def _memray(workload: Workload, calls: int) -> Mapping[str, Any]:
    """Its leak report: a stack of which at least nine allocations of ten calls are not freed."""
    memray = importlib.import_module("memray")
    for _ in range(_WARM_UP):
        workload.call()
    gc.collect()
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "capture.bin")
        with memray.Tracker(file, native_traces=True):
            for _ in range(calls):
                workload.call()
            gc.collect()
        reader = memray.FileReader(file)
        records = list(reader.get_leaked_allocation_records(merge_threads=True))
        records.sort(key=lambda each: -each.n_allocations)
        for record in records[:1]:
            if record.n_allocations >= _OF_EACH_CALL * calls:
                stack = record.hybrid_stack_trace(max_stacks=_FRAMES)
                return _answer(True, "\n".join(f"{name} {place}" for name, place, _ in stack))
    return _answer(False)


_TEST = """
import pytest
from leakhunt.engine.adapters.tools import workload_of

call = workload_of({file!r}).call


@pytest.fixture(autouse=True)
def warm():
    for _ in range({warm}):
        call()


@pytest.mark.limit_leaks("{limit}")
def test_leaks():
    for _ in range({calls}):
        call()
"""


def _pytest_memray(workload: Workload, calls: int) -> Mapping[str, Any]:
    """Its marker ``limit_leaks("16 KB")`` fails a test of all calls, with its list of leaks.

    A test that fails for another reason is no answer.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = str(workload.file.resolve())
        test = _TEST.format(file=file, warm=_WARM_UP, limit=_LIMIT, calls=calls)
        (folder / "test_it.py").write_text(test, "utf-8")
        words = [
            "-m",
            "pytest",
            "--memray",
            "--native",
            "-q",
            "-p",
            "no:cacheprovider",
            "test_it.py",
        ]
        done = subprocess.run(
            [sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False
        )
    if done.returncode == 1 and _LEAKED in done.stdout:
        return _answer(True, done.stdout[done.stdout.find(_LEAKED) :])
    if done.returncode:
        raise RuntimeError(" ".join((done.stdout + done.stderr).split())[-300:])
    return _answer(False)


def _mprof(workload: Workload, calls: int) -> Mapping[str, Any]:
    """RSS after each tenth of the calls: it rises in each of the last five, by 0.5 MiB in all."""
    memory_profiler = importlib.import_module("memory_profiler")
    for _ in range(_WARM_UP):
        workload.call()
    sizes = []
    for _ in range(_BLOCKS):
        for _ in range(calls):
            workload.call()
        sizes.append(float(memory_profiler.memory_usage(-1, max_iterations=1)[0]))
    last = sizes[_BLOCKS // 2 - 1 :]
    rises = [later - sooner for sooner, later in pairwise(last)]
    leaks = min(rises) > 0 and sum(rises) > _RISE_MIB
    return _answer(leaks, f"RSS in MiB: {sizes}", names=False)


# memray and psleak see what malloc serves; Python's small blocks have to come from there.
_MALLOC = MappingProxyType({"PYTHONMALLOC": "malloc"})
TOOLS: Mapping[str, LeakTool] = MappingProxyType(
    {
        "psleak": LeakTool(_psleak, "psleak", _MALLOC),
        "tracemalloc": LeakTool(_tracemalloc, "tracemalloc"),
        "memray": LeakTool(_memray, "memray", _MALLOC),
        "pytest-memray": LeakTool(_pytest_memray, "pytest_memray", _MALLOC),
        "mprof": LeakTool(_mprof, "memory_profiler"),
    }
)
