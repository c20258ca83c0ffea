"""Native frames: the shared object of each, with and without symbols."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from leakhunt.instruments.frames import Places
from leakhunt.instruments.native_frames import (
    UNKNOWN,
    SharedObjects,
    below_python,
    certain_of,
    has_lines,
    shared_objects,
    tells_evaluation,
    whole_stack,
    with_objects,
)
from leakhunt.instruments.native_sites import is_arena
from leakhunt.model.attribution import STRIPPED, Origin

SOURCE = """
#include <stdlib.h>
static __attribute__((noinline)) void *hidden(size_t size) {
    volatile char *made = malloc(size);
    made[0] = 1;
    return (void *)made;
}
__attribute__((noinline)) void *keeps(size_t size) {
    char *made = hidden(size);
    made[1] = 1;
    return made;
}
"""


def built(folder: Path, *options: str) -> Path:
    (folder / "made.c").write_text(SOURCE)
    library = folder / "_made.so"
    words = ["gcc", "-shared", "-fPIC", "-O1", "-fno-optimize-sibling-calls", *options]
    subprocess.run([*words, "made.c", "-o", library.name], cwd=folder, check=True)
    return library


def traced(library: Path, capture: Path) -> tuple[list[str], list[str]]:
    """The frames of what the library allocates, as attribution has them.

    And the shared object of each address below Python's frames.
    """
    import memray

    keeps = ctypes.CDLL(str(library)).keeps
    keeps.argtypes, keeps.restype = [ctypes.c_size_t], ctypes.c_void_p
    with memray.Tracker(
        destination=memray.FileDestination(capture, overwrite=True, compress_on_exit=False),
        native_traces=True,
        file_format=memray.FileFormat.AGGREGATED_ALLOCATIONS,
    ):
        for _ in range(7):
            keeps(12_345)
    with memray.FileReader(capture) as reader:
        records = reader.get_leaked_allocation_records(merge_threads=True)
        (record,) = (each for each in records if each.size == 7 * 12_345)
        native = record.native_stack_trace()
        totals = shared_objects(capture)
        objects = totals.of_stack(record.native_stack_id, native)
        whole = whole_stack(record.hybrid_stack_trace(), native, objects)
        stack = with_objects(whole, native, objects)
        is_known = tells_evaluation(native)
        below = below_python(native) if is_known else certain_of(native, objects)
        along = islice(totals.along(record.native_stack_id), len(below))
    return [str(frame) for frame, _ in Places(__file__).hybrid(stack)], list(along)


@pytest.mark.parametrize("options", [("-s",), (), ("-g",)], ids=["stripped", "symbols", "lines"])
def test_a_native_frame_is_told_with_its_shared_object(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    pytest.importorskip("memray")
    library = built(tmp_path, *options)
    assert has_lines(str(library)) is (options == ("-g",))
    frames, objects = traced(library, tmp_path / "capture.bin")
    values = {
        ("-s",): ["_made.so (stripped)", "keeps (_made.so)"],
        (): ["hidden (_made.so)", "keeps (_made.so)"],
        ("-g",): ["hidden (made.c:4)", "keeps (made.c:9)"],
    }
    assert frames[:2] == values[options]
    # Whose it is does not depend on what is known of its frames.
    assert objects[:2] == [str(library)] * 2
    assert any("test_native_frames.py" in frame for frame in frames)
    assert not any(UNKNOWN in frame for frame in frames)


def test_frames_are_told_for_as_long_as_the_addresses_agree() -> None:
    library = "/made/_made.so"
    dump = [
        "NATIVE_TRACE_INDEX ip=0x5010 index=0",
        "NATIVE_TRACE_INDEX ip=0x1010 index=1",
        f"SEGMENT_HEADER filename={library} num_segments=2 addr=0x1000",
        "SEGMENT (nil) 20",
        "SEGMENT 0x100 20",
        "SEGMENT_HEADER filename=/usr/bin/python3.14 num_segments=1 addr=(nil)",
        "SEGMENT 0x5000 20",
    ]
    objects = SharedObjects(dump)
    inner, outer = (UNKNOWN, UNKNOWN, 0), ("main", UNKNOWN, 0)
    assert objects.of_stack(2, [inner, outer]) == [library, "/usr/bin/python3.14"]
    assert objects.of_stack(2, [inner, outer, outer]) == ["", "", ""]
    assert objects.of_stack(9, [inner]) == [""]


def test_frames_that_evaluate_python_are_replaced_by_pythons() -> None:
    native = [("keeps", UNKNOWN, 0), ("_PyEval_EvalFrameDefault", UNKNOWN, 0), ("main", "a.c", 3)]
    stack = [("keeps", UNKNOWN, 0), ("handle", "/app/a.py", 7), ("main", "a.c", 3)]
    found = with_objects(stack, native, ["one.so", "two.so", "three"])
    assert [name for _, name in found] == ["one.so", "", "three"]


def test_what_calls_python_code_is_not_below_it() -> None:
    evaluates = ("_PyEval_EvalFrameDefault", UNKNOWN, 0)
    inner, outer = ("PyObject_Malloc", UNKNOWN, 0), ("maps", "a.c", 3)
    assert below_python([inner, evaluates, outer, evaluates]) == [inner]
    assert below_python([inner, outer]) == [inner, outer]


def test_an_interpreter_that_does_not_tell_where_it_evaluates_has_the_certain_frames_only() -> None:
    """Tail calls and no symbols: memray has the frames of Python alone."""
    python = [("handle", "/app/a.py", 7), ("<module>", "/app/a.py", 9)]
    nameless, main = (UNKNOWN, UNKNOWN, 0), ("Py_RunMain", UNKNOWN, 0)
    makes, hidden = ("makes", "loses.c", 12), ("PyBytes_FromStringAndSize", UNKNOWN, 0)
    native = [hidden, makes, nameless, nameless, main]
    assert not tells_evaluation(native)
    assert whole_stack(python, native) == (hidden, makes, *python)
    interpreter = str(Path(sys.executable).resolve())
    objects = [interpreter, "/x/loses.so", "/x/libffi.so.8", interpreter, interpreter]
    assert whole_stack(python, native, objects) == (hidden, makes, nameless, *python)
    assert whole_stack(python, [nameless, makes, main], [interpreter]) == tuple(python)
    evaluates = [makes, ("_PyEval_EvalFrameDefault", UNKNOWN, 0), main]
    assert whole_stack([makes, *python, main], evaluates) == (makes, *python, main)
    assert whole_stack([makes, nameless], [makes, nameless]) == (makes, nameless)


def test_a_data_stack_is_no_arena_of_pymalloc() -> None:
    mapped = [("_PyObject_ArenaMmap", UNKNOWN, 0)]
    for_blocks = [("new_arena", UNKNOWN, 0), ("allocate_from_new_pool", UNKNOWN, 0)]
    assert is_arena([*mapped, *for_blocks])
    assert not is_arena([*mapped, ("allocate_chunk", UNKNOWN, 0), ("push_chunk", UNKNOWN, 0)])


def test_the_interpreters_own_frames_are_left_out_without_debug_information() -> None:
    places = Places(__file__)
    python = str(Path(sys.executable).resolve())
    for interpreter in (python, "/usr/lib/libpython3.12.so.1.0"):
        assert places.frame(UNKNOWN, 0, "PyObject_Malloc", interpreter) is None
    unknown = places.frame(UNKNOWN, 0, UNKNOWN, "/x/site-packages/a/_a.cpython-311.so")
    assert unknown is not None
    assert (unknown.file, unknown.function, unknown.line) == ("_a.cpython-311.so", STRIPPED, 0)
    assert (str(unknown), unknown.origin) == ("_a.cpython-311.so (stripped)", Origin.LIBRARY)
