"""The graph that a visited process sends: dominators of a made one, and of this process."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
import types
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from leakhunt.agent import looking
from leakhunt.injection.elf import read_elf
from leakhunt.injection.heap_graph import TOP, HeapGraph, heap_graph

A, B, C, D, LEAF, SHARED, LOOSE, OTHER = range(10_000, 18_000, 1000)
KIND = 99_000


def numbers(letter: bytes, values: Iterable[int]) -> bytes:
    return letter + array("Q", values).tobytes()


def made(edges: dict[int, Sequence[int]], leaves: Sequence[int], root: int = A) -> HeapGraph:
    """A graph of objects of 100 bytes each, with leaves of 10."""
    rows = [value for node, below in edges.items() for value in (node, KIND, 100, len(below))]
    targets = [each for below in edges.values() for each in below]
    return heap_graph(
        [
            b"R" + json.dumps([[root, "module"]]).encode(),
            numbers(b"O", rows),
            numbers(b"E", targets),
            numbers(b"L", [value for leaf in leaves for value in (leaf, KIND, 10)]),
            numbers(b"B", []),
            b"N" + json.dumps({KIND: ["made.Kind", ""]}).encode(),
            b"S" + json.dumps({"objects": len(edges), "longest_ns": 5}).encode(),
        ]
    )


def retained(graph: HeapGraph) -> dict[int, int]:
    sums = graph.sums(graph.own)
    return {int(graph.addresses[node]): int(sums[node]) for node in range(1, len(sums))}


def test_what_two_share_counts_to_what_dominates_both() -> None:
    #   A -> B -> D, A -> C -> D; B and C share a leaf, D has its own.
    graph = made({A: [B, C], B: [D, SHARED], C: [D, SHARED], D: [LEAF]}, [SHARED, LEAF])
    assert retained(graph) == {A: 420, B: 100, C: 100, D: 110}
    assert graph.lost == 0
    assert graph.kind(graph.node_of(B) or 0).name == "made.Kind"


def test_what_one_container_in_another_retains_is_counted_once() -> None:
    graph = made({A: [B], B: [C], C: [D, LEAF], D: []}, [LEAF])
    nodes = {each: graph.node_of(each) or 0 for each in (A, C, D)}
    found = graph.retained_apart(list(nodes.values()))
    assert {each: found[node] for each, node in nodes.items()} == {A: 200, C: 110, D: 100}


def test_the_way_to_an_object_is_the_shortest() -> None:
    graph = made({A: [B, D], B: [C], C: [D], D: []}, [])
    node = graph.node_of(D)
    assert node is not None
    assert [int(graph.addresses[each]) for each in graph.way_to(node)] == [A, D]


def test_references_to_what_was_not_sent_are_lost() -> None:
    graph = made({A: [B, 77_000], B: [88_000]}, [])
    assert graph.lost == 2
    assert retained(graph) == {A: 200, B: 100}


def test_what_no_root_leads_to_is_there_with_its_knots_together() -> None:
    # LOOSE holds C; D and OTHER hold one another.
    graph = made({A: [], LOOSE: [C], C: [], D: [OTHER], OTHER: [D]}, [])
    sums = graph.sums(graph.own)
    assert int(sums[TOP]) == 500
    assert retained(graph)[LOOSE] == 200
    assert sorted(retained(graph)[each] for each in (D, OTHER)) == [100, 200]
    assert int(graph.unrooted.sum()) == 4


def taken(each: object) -> int:
    """What an allocator takes for an object: a multiple of 16."""
    return -(-sys.getsizeof(each) // 16) * 16


def test_the_agent_s_rows_give_the_sizes_of_real_objects() -> None:
    inner = [str(number) * 50 for number in range(100)]
    text = "x" * 5000
    outer: dict[str, object] = {"list": inner, "text": text}
    sizes, slices = looking._Sizes(), looking._Slices()
    slices.count = 4
    holder = SimpleNamespace(outer=outer)
    pieces = [
        b"R" + json.dumps([[id(holder), "holder"]]).encode(),
        *looking._rows([holder, vars(holder), outer, inner], sizes, slices),
        b"N" + json.dumps(sizes.names).encode(),
        slices.said(),
    ]
    graph = heap_graph(pieces)
    found = retained(graph)
    assert found[id(inner)] == taken(inner) + sum(map(taken, inner))
    assert found[id(outer)] >= found[id(inner)] + sys.getsizeof(text) + sys.getsizeof(outer)
    assert graph.said["objects"] == 4


# Entries as services keep them: objects without a dict, texts, numbers, tuples.
ENTRIES = """
import gc, json, types
from collections import Counter, OrderedDict
from dataclasses import dataclass
from leakhunt.agent import looking
from leakhunt.injection.heap_graph import heap_graph
from leakhunt.instruments.dominators import dominators
from leakhunt.worker.readings import full_reading

@dataclass
class Quote:
    id: str
    total: float
    made: int
    lines: list

KEPT = KIND()

def live():
    gc.collect()
    values = full_reading("look").values
    return values["python_live"] + values["live_heap"]

def fill(first, last):
    for n in range(first, last):
        lines = [(n + 0.5, n + 0.25), (n + 0.125, n * 1000 + 7)]
        KEPT[f"key of quote {n}"] = Quote(f"{n:012}", n / 3, 10**9 + n, lines)

fill(0, 100)
before = live()
fill(100, 20_000)
taken = live() - before
graph = heap_graph(looking.graph(looking.DEEP))
visited = graph.sums(graph.own)[graph.node_of(id(KEPT))]
tree = dominators(types.SimpleNamespace(kept=KEPT))
own = tree.sums(tree.own)[next(n for n, each in enumerate(tree.objects) if each is KEPT)]
print(json.dumps([taken / 20_000, int(visited) / 20_000, own / 20_000]))
"""


@pytest.mark.parametrize("kind", ["dict", "OrderedDict", "Counter"])
def test_a_holder_retains_all_bytes_of_its_entries(kind: str) -> None:
    # Numbers, texts as keys, attributes without a dict and what allocators round up to.
    program = ENTRIES.replace("KIND", kind)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    taken, visited, own = json.loads(done.stdout)
    assert visited == pytest.approx(taken, rel=0.02)
    assert own == pytest.approx(taken, rel=0.02)


class Kept:
    """Objects that this module refers to."""

    rows: ClassVar[list[list[int]]] = [[number] for number in range(300)]


def sent(
    word: Callable[[str], Iterator[bytes]], about: str = ""
) -> tuple[set[int], dict[str, int]]:
    """The objects that a word tells, and what it says of them."""
    told: set[int] = set()
    said: dict[str, int] = {}
    width = {b"O": 4, b"C": 3}
    for piece in word(about):
        if piece[:1] in width:
            told.update(array("Q", piece[1:])[:: width[piece[:1]]])
        elif piece[:1] == b"S":
            said = json.loads(piece[1:])
    return told, said


def test_the_objects_of_a_large_process_are_found_from_the_roots(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """GIVEN many objects WHEN they are read THEN no call lists them all, but if that is wanted."""
    monkeypatch.setattr(looking, "_MAX_BLOCKS", 1000)
    monkeypatch.setattr(looking, "_SLICE_SECONDS", 60.0)
    cycle: list[object] = [[0]]
    cycle.append(cycle)
    loose = id(cycle)
    asked: list[int] = []
    listed = gc.get_objects

    def get_objects() -> list[object]:
        asked.append(1)
        return listed()

    monkeypatch.setattr(gc, "get_objects", get_objects)
    gc.disable()
    try:
        del cycle
        slices = looking._Slices()
        found = [id(each) for batch in looking._batches(slices) for each in batch]
        assert len(found) == len(set(found)) == slices.count > 0.9 * len(listed())
        assert {id(Kept), id(Kept.rows), *map(id, Kept.rows), id(sys.modules)} <= set(found)
        told, said = sent(looking.graph)
        assert said["walked"] == 1
        assert id(Kept.rows) in told and loose not in told
        assert not asked
        told, said = sent(looking.graph, looking.DEEP)
        assert asked and said["walked"] == 0
        assert loose in told and id(Kept.rows) in told
    finally:
        gc.enable()
        gc.collect()
    assert id(Kept.rows) in sent(looking.lengths)[0]


def test_what_a_free_threaded_python_tracks_no_more_leads_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """GIVEN modules, classes and functions that are immortal THEN they have rows, and lead on."""
    immortal = (types.ModuleType, types.FunctionType, type)
    tracked, space = gc.is_tracked, globals()
    monkeypatch.setattr(looking, "_MAX_BLOCKS", 1000)
    monkeypatch.setattr(looking, "_SLICE_SECONDS", 60.0)
    opened = looking._opened("3.13.0 experimental free-threading build (main)")
    monkeypatch.setattr(looking, "_OPENED", opened)
    monkeypatch.setattr(
        gc, "is_tracked",
        lambda each: type(each) not in immortal and each is not space and tracked(each),
    )  # fmt: skip
    told, said = sent(looking.graph)
    assert said["walked"] == 1
    assert {id(sys.modules[__name__]), id(space), id(Kept), id(Kept.rows)} <= told


def test_a_large_list_is_read_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "_LARGE", 100)
    slices = looking._Slices()
    small, large = [1, 2], [object() for _ in range(250)]
    pairs = {"a": large}
    pieces = list(looking._below([small, large, pairs], slices))
    assert [len(each) for each in pieces[:3]] == [100, 100, 50]
    assert list(map(id, chain.from_iterable(pieces[:3]))) == list(map(id, large))
    assert len(pieces) == 4
    assert any(each is large for each in pieces[3])
    rows = b"".join(piece[1:] for piece in looking._rows([large], looking._Sizes(), slices)
                    if piece[:1] == b"E")  # fmt: skip
    assert list(array("Q", rows)) == list(map(id, large))


def test_a_call_that_takes_long_is_the_longest_pause() -> None:
    slices = looking._Slices()
    slices.call(lambda: [time.sleep(0.05)])  # type: ignore[func-returns-value]
    slices.call(list)
    assert 0.05 <= slices.longest < 0.5
    assert json.loads(slices.said()[1:])["longest_ns"] == int(slices.longest * 1e9)


def test_functions_of_a_library_are_found_without_a_debugger() -> None:
    executable = Path(sys.executable).resolve()
    libraries = [
        line.split()[-1]
        for line in Path("/proc/self/maps").read_text("utf-8").splitlines()
        if "libpython" in line
    ]
    files = [executable, *map(Path, libraries)]
    found = [read_elf(each, ["Py_Version", "none"]) for each in files]
    assert any(elf is not None and set(elf.symbols) == {"Py_Version"} for elf in found)
    assert read_elf(Path(__file__), ["Py_Version"]) is None
    assert read_elf(Path("/no/such/file"), ["Py_Version"]) is None
