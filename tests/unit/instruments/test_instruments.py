"""What instruments see, on objects and captures made for it; the whole hunts are elsewhere."""

from __future__ import annotations

import contextlib
import functools
import gc
import multiprocessing
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import tracemalloc
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from leakhunt.analysis.attribution.clusters import clusters
from leakhunt.analysis.attribution.known_causes import catalogue
from leakhunt.analysis.attribution.per_call_rule import RetainedPerCall, lasting
from leakhunt.errors import MissingRequirement
from leakhunt.instruments import (
    ActiveInstrument,
    InstrumentedRun,
    dominators,
    instrument_for,
    reference_chains,
)
from leakhunt.instruments.cuda_heap import live_blocks
from leakhunt.instruments.frames import Places
from leakhunt.instruments.object_facts import native_bytes
from leakhunt.model.attribution import Finding, FindingKind, Instrument, Origin
from leakhunt.worker.readings import trim_malloc

MARKS = (40, 50, 62, 77)


class State:
    """What a scenario keeps."""

    __module__ = "leakhunt_scenario_made"

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.table: dict[str, bytes] = {}
        self.seen: weakref.WeakSet[Any] = weakref.WeakSet()
        self.deep = types.SimpleNamespace(inner={"jobs": deque[Any]()})


def nearby(*objects: Any) -> list[Any]:
    """What objects refer to, but not what other modules or pytest hold: too much.

    A search through all of it takes ten times as long while tracemalloc traces. Hunts of real
    processes go through all there is.
    """
    return gc.get_referents(*filter(_is_near, objects))


def _is_near(each: Any) -> bool:
    module = sys.modules[__name__]
    if type(each) in (types.ModuleType, types.FrameType) or (
        type(each) is dict and "__builtins__" in each
    ):
        return any(each is one for one in (module, vars(module)))
    # A module's loader knows all tests.
    return not str(type(each).__module__).startswith("_pytest.")


@pytest.fixture
def start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Instrument, State], ActiveInstrument]]:
    def make(instrument: Instrument, state: State) -> ActiveInstrument:
        return instrument_for(
            InstrumentedRun(
                instrument=instrument,
                state=state,
                module=sys.modules[__name__],
                places=Places(__file__),
                capture=tmp_path / "capture",
            )
        )

    # What pytest and the tests before have left is none of the instruments' business, and slow.
    gc.freeze()
    collector = types.SimpleNamespace(**vars(gc) | {"get_referents": nearby})
    monkeypatch.setattr(reference_chains, "gc", collector)
    monkeypatch.setattr(dominators, "gc", collector)
    yield make
    gc.unfreeze()
    tracemalloc.stop()


Call = Callable[[State, int], Any]


def hunted(
    active: ActiveInstrument, state: State, call: Call, marks: Sequence[int] = MARKS
) -> list[Finding]:
    """The findings on `call`, in a thread: pytest's own stack would make every trace a deep one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_hunted, active, state, call, marks).result()


def opened(active: ActiveInstrument, state: State, call: Call) -> list[Finding]:
    """The same in a fork: an audit hook stays with its process, and `id()` raises an event."""
    fork = multiprocessing.get_context("fork")
    answer, totals = fork.Pipe(duplex=False)
    child = fork.Process(target=lambda: totals.send(hunted(active, state, call)))
    child.start()
    totals.close()
    found: list[Finding] = answer.recv()
    child.join()
    return found


def _hunted(
    active: ActiveInstrument, state: State, call: Call, marks: Sequence[int]
) -> list[Finding]:
    called = active.start(call)
    done = 0
    for mark in marks:
        while done < mark:
            called(state, done)
            done += 1
        active.mark(done)
    return list(active.findings())


def containers(findings: list[Finding]) -> dict[str, Finding]:
    return {each.chain[0]: each for each in findings if each.sort is FindingKind.CONTAINER}


def exact(finding: Finding, per_call: int) -> bool:
    grown = [count - finding.counts[0] for count in finding.counts]
    return grown == [per_call * (mark - MARKS[0]) for mark in MARKS]


@pytest.mark.parametrize("instrument", [Instrument.TRACEMALLOC, Instrument.OBJGRAPH])
def test_a_growing_list_is_found_with_its_chain(
    start: Callable[..., ActiveInstrument], instrument: Instrument
) -> None:
    state = State()
    found = hunted(start(instrument, state), state, lambda s, i: s.kept.append(bytearray(500)))
    container = containers(found)["State.kept"]
    assert container.chain == ("State.kept", "list", "bytearray")
    assert exact(container, 1)


def test_what_the_watching_keeps_is_no_finding(start: Callable[..., ActiveInstrument]) -> None:
    state = State()
    found = hunted(start(Instrument.TRACEMALLOC, state), state, lambda s, i: None)
    named = [each.what for each in found if each.sort in (FindingKind.TYPE, FindingKind.HOLDER)]
    assert [each for each in named if "leakhunt." in each or "tracemalloc." in each] == []


def test_the_site_of_what_a_container_keeps_is_its_claim(
    start: Callable[..., ActiveInstrument],
) -> None:
    state = State()
    found = hunted(
        start(Instrument.TRACEMALLOC, state), state, lambda s, i: s.kept.append([bytearray(500)])
    )
    container = containers(found)["State.kept"]
    sites = {each.key: each for each in found if each.sort is FindingKind.SITE}
    claimed = [sites[key] for key in container.keeps]
    assert claimed
    assert claimed[0].stack[0].file.endswith("instruments/test_instruments.py")
    assert claimed[0].stack[0].source.startswith("start(Instrument.TRACEMALLOC")
    assert claimed[0].stack[0].origin is Origin.YOURS


def test_a_dict_that_the_collector_does_not_track_is_found(
    start: Callable[..., ActiveInstrument],
) -> None:
    """A dict of words to bytes is untracked before 3.14: gc.get_objects() does not list it."""
    state = State()
    found = hunted(
        start(Instrument.OBJGRAPH, state),
        state,
        lambda s, i: s.table.__setitem__(f"request {i}", b"x" * 300),
    )
    assert gc.is_tracked(state.table) is (sys.version_info >= (3, 14))
    container = containers(found)["State.table"]
    assert container.chain[1:] == ("dict", "bytes")
    assert exact(container, 1)


def test_a_container_deep_inside_has_its_whole_path(
    start: Callable[..., ActiveInstrument],
) -> None:
    state = State()
    found = hunted(
        start(Instrument.OBJGRAPH, state),
        state,
        lambda s, i: s.deep.inner["jobs"].append(object()),
    )
    assert "State.deep.inner['jobs']" in containers(found)


def test_a_set_of_weak_references_is_marked_as_one(
    start: Callable[..., ActiveInstrument],
) -> None:
    state = State()

    def call(s: State, i: int) -> None:
        each = State()
        s.kept.append(each)
        s.seen.add(each)

    found = containers(hunted(start(Instrument.OBJGRAPH, state), state, call))
    weak = [each for each in found.values() if "weak" in each.facts]
    assert len(weak) == 1 and weak[0].what == "set"
    assert "weak" not in found["State.kept"].facts


def test_a_container_that_is_emptied_is_not_found(start: Callable[..., ActiveInstrument]) -> None:
    state = State()

    def call(s: State, i: int) -> None:
        s.kept.append(bytearray(500))
        if i % 7 == 0:
            s.kept.clear()

    found = containers(hunted(start(Instrument.OBJGRAPH, state), state, call))
    assert "State.kept" not in found


def test_a_bounded_caches_results_are_its_items(start: Callable[..., ActiveInstrument]) -> None:
    @functools.lru_cache(maxsize=5000)
    def look(key: int) -> bytearray:
        return bytearray(700)

    state = State()
    state.kept = [look]
    found = hunted(start(Instrument.TRACEMALLOC, state), state, lambda s, i: look(i))
    (cache,) = (each for each in found if "most_items" in each.facts)
    assert "bytearray" in cache.chain[-1]
    assert cache.keeps
    assert exact(cache, 1)


class Hostile(dict[str, Any]):
    """Raises whatever is asked of it."""

    def _no(self, *_: Any) -> Any:
        raise RuntimeError("hands off")

    items = keys = values = __iter__ = __contains__ = __len__ = __reversed__ = _no
    __repr__ = __eq__ = __bool__ = _no
    __hash__ = object.__hash__  # type: ignore[assignment]
    __class__ = property(_no)
    __dict__ = property(_no)


@pytest.mark.parametrize("instrument", [Instrument.TRACEMALLOC, Instrument.OBJGRAPH])
def test_objects_that_resist_are_looked_at_without_their_own_code(
    start: Callable[..., ActiveInstrument], instrument: Instrument
) -> None:
    state = State()

    def call(s: State, i: int) -> None:
        gone = State()
        s.kept.append((Hostile(), weakref.proxy(gone)))

    active = start(instrument, state)
    found = hunted(active, state, call)
    assert exact(containers(found)["State.kept"], 1)
    assert list(active.caveats) == []


def test_open_files_threads_and_temporary_files_are_told_with_their_first_call(
    start: Callable[..., ActiveInstrument], tmp_path: Path
) -> None:
    state = State()
    end = threading.Event()

    def call(s: State, i: int) -> None:
        s.kept.append(open(os.devnull))  # noqa: SIM115 - left open on purpose
        threading.Thread(target=end.wait, name=f"watcher-{i}", daemon=True).start()
        os.close(tempfile.mkstemp(dir=tmp_path)[0])

    found = opened(start(Instrument.RESOURCES, state), state, call)
    kinds = {each.what: each for each in found}
    assert set(kinds) == {"descriptor", "thread", "temporary file"}
    assert all(exact(each, 1) for each in found)
    assert kinds["descriptor"].facts == {"name": "/dev/null", "since_call": 1}
    assert kinds["thread"].facts["name"] == "watcher"
    assert "open(os.devnull)" in kinds["descriptor"].stack[0].source
    assert any("Thread(target=end.wait" in frame.source for frame in kinds["thread"].stack)


def test_a_connection_of_sqlite_has_the_line_that_made_it(
    start: Callable[..., ActiveInstrument], tmp_path: Path
) -> None:
    state = State()

    def call(s: State, i: int) -> None:
        with contextlib.closing(sqlite3.connect(tmp_path / "closed.db")) as closed:
            closed.execute("select 1")
        s.kept.append(sqlite3.connect(tmp_path / "kept.db", check_same_thread=False))

    found = opened(start(Instrument.RESOURCES, state), state, call)
    (one,) = found
    assert (one.what, exact(one, 1)) == ("descriptor", True)
    assert "kept.db" in one.stack[0].source


def test_the_line_that_closes_properly_is_not_blamed(
    start: Callable[..., ActiveInstrument], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    state = State()

    class Peer(socket.socket):
        """Cannot be printed before it is made."""

        def __repr__(self) -> str:
            raise AttributeError("name")

    def call(s: State, i: int) -> None:
        s.kept.append((open("left.log", "w"), Peer()))  # noqa: SIM115 - left open on purpose
        with open(os.devnull), socket.socket():
            pass

    found = opened(start(Instrument.RESOURCES, state), state, call)
    assert {str(each.facts["name"]).split(" in ")[0] for each in found} == {"a file", "socket"}
    (file,) = (each for each in found if each.facts["name"] != "socket")
    assert "left.log" in file.stack[0].source
    assert not any("devnull" in frame.source for each in found for frame in each.stack)


def test_a_thread_is_told_though_its_number_comes_again(
    start: Callable[..., ActiveInstrument],
) -> None:
    end = threading.Event()

    def call(s: State, i: int) -> None:
        threading.Thread(target=end.wait, daemon=True).start()
        short = threading.Thread(target=int)
        short.start()
        short.join()

    found = opened(start(Instrument.RESOURCES, State()), State(), call)
    assert sum(each.counts[-1] - each.counts[0] for each in found) == MARKS[-1] - MARKS[0]


def test_what_is_closed_again_is_not_told(start: Callable[..., ActiveInstrument]) -> None:
    def call(s: State, i: int) -> None:
        with open(os.devnull):
            pass
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()

    assert opened(start(Instrument.RESOURCES, State()), State(), call) == []


def test_memray_tells_what_stays_of_every_call(start: Callable[..., ActiveInstrument]) -> None:
    state = State()

    def call(s: State, i: int) -> None:
        s.kept.append(bytearray(100_000))
        bytearray(200_000)

    found = hunted(start(Instrument.MEMRAY, state), state, call)
    sites = [each for each in found if each.sort is FindingKind.SITE]
    largest = max(sites, key=lambda each: each.sizes[-1] - each.sizes[0])
    stays = lasting(largest.calls, largest.counts)
    # An interpreter of tail calls tells no native frames: there the list's own growth is in it.
    is_one = stays == RetainedPerCall(1, exact=True)
    assert is_one or (sys.version_info >= (3, 14) and 1 < stays.per_call < 1.2)
    own = next(frame for frame in largest.stack if frame.origin is Origin.YOURS)
    assert own.source == "s.kept.append(bytearray(100_000))"
    assert not any("200_000" in frame.source for each in sites for frame in each.stack)


def test_memray_tells_the_container_and_the_sites_that_feed_it(
    start: Callable[..., ActiveInstrument],
) -> None:
    state = State()

    def call(s: State, i: int) -> None:
        s.kept.append(made(i))

    def made(i: int) -> list[bytearray]:
        return [bytearray(500)]

    found = hunted(start(Instrument.MEMRAY, state), state, call, (*MARKS, 84))
    (suspect,) = (
        each
        for each in clusters(found, mappings=False, causes=catalogue())
        if each.bytes_per_call > 500
    )
    assert suspect.lead.chain == ("State.kept", "list", "list")
    assert suspect.retained == RetainedPerCall(1, exact=True)
    assert suspect.where is not None and suspect.where.source == "return [bytearray(500)]"
    # The list, its array, the bytearray and its bytes.
    assert sum(per_call for _, per_call in suspect.sites) == pytest.approx(4, abs=0.2)
    assert 500 + 100 < suspect.bytes_per_call < 500 + 250


def test_memray_names_the_line_of_what_is_kept_not_of_what_is_freed(
    start: Callable[..., ActiveInstrument],
) -> None:
    """Without empty free lists each dict that is kept has the block of one that was returned."""
    state = State()

    def call(s: State, i: int) -> dict[str, int]:
        s.kept.append({"request": i})
        return {"answer": i}

    found = hunted(start(Instrument.MEMRAY, state), state, call, (*MARKS, 84))
    sites = [each for each in found if each.sort is FindingKind.SITE and each.counts[-1] > 30]
    sources = {frame.source for each in sites for frame in each.stack}
    assert 's.kept.append({"request": i})' in sources
    assert 'return {"answer": i}' not in sources


_IMPORTS_WHILE_COUNTING = """
import sys
from pathlib import Path
from leakhunt.instruments import InstrumentedRun, instrument_for
from leakhunt.instruments.frames import Places
from leakhunt.model.attribution import Instrument

places = Places(sys.argv[1] + "/scenario.py")
run = InstrumentedRun(
    Instrument.MEMRAY, object(), sys.modules["__main__"], places, Path(sys.argv[1], "capture")
)
memray = instrument_for(run)
memray.start(lambda state, item: None)
before = set(sys.modules)
for calls in (5, 10, 17, 28, 31):
    memray.mark(calls)
print(sorted(set(sys.modules) - before))
"""


def test_memray_imports_nothing_while_it_counts(tmp_path: Path) -> None:
    """It would be growth of `sys.modules`, and no count would be the same at every call."""
    totals = subprocess.run(
        [sys.executable, "-c", _IMPORTS_WHILE_COUNTING, str(tmp_path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert totals.stdout.strip() == "[]"


def test_memray_tells_a_bounded_caches_ceiling(start: Callable[..., ActiveInstrument]) -> None:
    @functools.lru_cache(maxsize=5000)
    def look(key: int) -> bytearray:
        return bytearray(700)

    state = State()
    state.kept = [look]
    found = hunted(start(Instrument.MEMRAY, state), state, lambda s, i: look(i), (*MARKS, 84))
    (cache,) = (each for each in found if "most_items" in each.facts)
    assert cache.facts["most_items"] == 5000
    assert "bytearray" in cache.chain[-1]
    assert cache.keeps


def test_memray_says_that_the_disk_was_full(
    start: Callable[..., ActiveInstrument], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leakhunt.instruments.native_heap._MIN_FREE_BYTES", 1 << 62)
    state = State()
    native = start(Instrument.MEMRAY, state)
    found = hunted(native, state, lambda s, i: s.kept.append(bytearray(5000)))
    assert FindingKind.SITE not in {each.sort for each in found}
    (caveat,) = native.caveats
    assert str(caveat) == "memray stopped after call 40: the disk is full"


def grow(state: State, item: int) -> None:
    """A variant of two lines, one of which grows."""
    state.kept.append(bytearray(1 << 20))
    len(state.kept)


def test_memory_profiler_tells_the_line_that_grows(
    start: Callable[..., ActiveInstrument],
) -> None:
    state = State()
    trim_malloc()  # what tests before have freed would take this, and RSS not grow
    found = hunted(start(Instrument.LINES, state), state, grow)
    sizes = {each.stack[0].source: each.sizes[-1] - each.sizes[0] for each in found}
    # Of 37 MiB: some kernels take back pages that nobody has looked at for a while.
    assert sizes["state.kept.append(bytearray(1 << 20))"] > 4 << 20 > sizes["len(state.kept)"]
    assert {each.counts[-1] - each.counts[0] for each in found} == {MARKS[-1] - MARKS[0]}


def test_cuda_without_a_gpu_is_refused_with_what_to_do(
    start: Callable[..., ActiveInstrument],
) -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(
        MissingRequirement, match=r"torch found no CUDA device\. Use a machine with a GPU"
    ):
        start(Instrument.CUDA, State())


def block(state: str, size: int, requested: int, *frames: tuple[str, int, str]) -> dict[str, Any]:
    names = ("filename", "line", "name")
    return {
        "state": state,
        "size": size,
        "requested_size": requested,
        "frames": [dict(zip(names, frame, strict=True)) for frame in frames],
    }


def test_live_cuda_blocks_are_counted_by_stack() -> None:
    """The layout is that of torch.cuda.memory._snapshot() in torch 2.x."""
    mine = ("a.py", 3, "f")
    segments = [
        {"blocks": [block("active_allocated", 512, 400, mine), block("inactive", 512, 0, mine)]},
        {"blocks": [block("active_allocated", 512, 500, mine)]},
        {"blocks": [block("active_allocated", 1024, 1000), block("active_pending_free", 8, 8)]},
    ]
    assert live_blocks({"segments": segments}) == {(mine,): (2, 900), (): (1, 1000)}


@pytest.mark.parametrize(("mode", "each"), [("L", 1), ("RGB", 4), ("I;16", 2), ("CMYK", 4)])
def test_pixels_of_an_image_are_told_as_pillow_keeps_them(mode: str, each: int) -> None:
    image = pytest.importorskip("PIL.Image").new(mode, (30, 20))
    assert native_bytes([image, image, "text"]) == 600 * each
