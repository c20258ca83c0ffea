"""What a visitor traces by, and that it stops: each in a process of its own."""

from __future__ import annotations

import ast
import importlib.machinery
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import memray
import pytest

from leakhunt.agent import importing, tracing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="attach needs Linux")
SOURCE = Path(tracing.__file__)
FOLDER = str(Path(memray.__file__).parents[1])
SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]
BY_MEMRAY = {"tool": "memray", "seconds": 0.3, "frames": 5}
BY_TRACEMALLOC = {"tool": "tracemalloc", "seconds": 0.3, "frames": 5}


def told(code: str, *options: str) -> Any:
    """What a process says that has run `code`, in which the agent's words are `agent`."""
    begin = (
        f"import json, runpy, sys\nfirst = runpy.run_path({importing.__file__!r})\n"
        f"agent = runpy.run_path({str(SOURCE)!r}, first)\n"
    )
    done = subprocess.run(
        [sys.executable, *options, "-c", begin + code],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # Where the code loads memray itself: of an interpreter that has an entry of its own for malloc.
    assert all(line.startswith("Memray WARNING: Correcting") for line in done.stderr.splitlines())
    return json.loads(done.stdout.splitlines()[-1])


def chosen(before: str = "", *options: str, folder: str = FOLDER, suffix: str = SUFFIX) -> Any:
    order = json.dumps({"folder": folder, "suffix": suffix})
    return told(f"{before}\nprint(json.dumps(agent['tracer']({order!r})))", *options)


def test_it_imports_nothing_but_the_standard_library_at_its_head() -> None:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    names = [alias.name for each in tree.body if isinstance(each, ast.Import)
             for alias in each.names]  # fmt: skip
    names += [str(each.module) for each in tree.body if isinstance(each, ast.ImportFrom)]
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names
    assert not [each for each in ast.walk(tree) if isinstance(each, ast.ClassDef)]


def test_memray_of_the_process_is_taken() -> None:
    choice = chosen(folder="")
    assert (choice["tool"], choice["version"]) == ("memray", version("memray"))
    assert choice["borrowed"] is False
    assert choice["stays"] > 1 << 20
    assert chosen("import memray, memray.reporters.module_tools")["stays"] == 0


def test_a_process_without_memray_borrows_it_and_nothing_else() -> None:
    order = json.dumps({"folder": FOLDER, "suffix": SUFFIX})
    code = f"""
choice = agent["tracer"]({order!r})
choice["modules"] = [each for each in ("rich", "typing_extensions") if each in sys.modules]
choice["path"] = {FOLDER!r} in sys.path
choice["finders"] = len(sys.meta_path)
print(json.dumps(choice))
"""
    choice = told(code, "-I", "-S")
    assert choice["tool"] == "memray"
    assert choice["borrowed"] is True
    assert choice["modules"] == []
    assert choice["path"] is False
    assert choice["finders"] == 3


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ("import tracemalloc; tracemalloc.start()", "tracing"),
        ("import os; del os.memfd_create", "no-memory-file"),
        ("sys.modules['greenlet'] = sys", "greenlet"),
        ("import threading; threading.setprofile(print)", "profiler"),
        ("sys.modules['yappi'] = sys", "profiler"),
    ],
)
def test_what_speaks_against_memray_is_told(before: str, why: str) -> None:
    choice = chosen(before)
    assert (choice["tool"], choice["why"], choice["stays"]) == ("tracemalloc", why, 0)


def test_memray_that_is_not_there_is_told() -> None:
    missing = chosen("", "-I", "-S", folder="")
    assert (missing["tool"], missing["why"]) == ("tracemalloc", "missing")
    other = chosen("", "-I", "-S", suffix=".of-another.so")
    assert (other["tool"], other["why"]) == ("tracemalloc", "other-build")
    failed = chosen("", "-I", "-S", folder="/nowhere")
    assert (failed["why"], failed["detail"].partition(":")[0]) == ("failed", "ModuleNotFoundError")


def test_memray_at_work_is_left_alone(tmp_path: Path) -> None:
    before = f"import memray; tracker = memray.Tracker({str(tmp_path / 'own')!r}); "
    choice = chosen(f"{before} tracker.__enter__()")
    assert (choice["tool"], choice["why"]) == ("", "busy")


STATE = """
import threading, tracemalloc, os
state = [sys.getprofile(), threading._profile_hook, tracemalloc.is_tracing(),
         [each for each in ("_name", "_ident") if each in vars(threading.Thread)],
         [each for each in os.listdir("/proc/self/fd")
          if "leakhunt-trace" in os.path.realpath("/proc/self/fd/" + each)],
         len(os.listdir("/proc/self/task"))]
"""
LEFT: list[Any] = [None, None, False, [], [], 1]


def test_tracemalloc_tells_places_and_stops() -> None:
    found = told(
        f"pieces, kept = [], []\nfor piece in agent['traced']({json.dumps(BY_TRACEMALLOC)!r}):\n"
        "    kept += [bytearray(1000) for _ in range(10)]\n    pieces.append(piece)\n"
        f"{STATE}\nprint(json.dumps([state, [str(each, 'latin-1') for each in pieces]]))"
    )
    assert found[0] == LEFT
    letters = "".join(each[:1] for each in found[1])
    assert letters.strip("G") == "TS"
    assert len(letters) >= 4
    places = json.loads(found[1][-2][1:])
    assert places[0][1] >= 10 * 2 * 1000
    assert json.loads(found[1][-1][1:])["longest_ns"] > 0


def test_memray_sends_its_capture_and_stops(tmp_path: Path) -> None:
    capture = tmp_path / "capture"
    found = told(
        "import memray, tracemalloc\nkept = []\n"
        f"with open({str(capture)!r}, 'wb') as file:\n"
        f"    for piece in agent['traced']({json.dumps(BY_MEMRAY)!r}):\n"
        "        kept += [bytearray(1000) for _ in range(10)]\n"
        "        piece[:1] == b'M' and file.write(piece[1:])\n"
        f"{STATE}\nprint(json.dumps(state))"
    )
    assert found == LEFT
    with memray.FileReader(capture) as reader:
        sizes = [each.size for each in reader.get_leaked_allocation_records(merge_threads=True)]
    assert max(sizes) >= 10 * 2 * 1000


@pytest.mark.parametrize("order", [BY_MEMRAY, BY_TRACEMALLOC], ids=lambda each: str(each["tool"]))
def test_one_that_is_not_asked_any_more_stops(order: dict[str, Any]) -> None:
    """GIVEN a stretch at work WHEN its pieces are not taken any more THEN nothing is left."""
    found = told(
        f"import memray\npieces = agent['traced']({json.dumps(order)!r})\nnext(pieces)\n"
        f"pieces.close()\n{STATE}\nprint(json.dumps(state))"
    )
    assert found == LEFT


def test_a_process_that_ends_meanwhile_ends() -> None:
    assert told(
        f"import memray\npieces = agent['traced']({json.dumps(BY_MEMRAY)!r})\nnext(pieces)\n"
        "print(1, flush=True)"
    ) == 1  # fmt: skip


def test_what_cannot_be_traced_is_told_and_not_raised(tmp_path: Path) -> None:
    found = told(
        f"import memray\ntracker = memray.Tracker({str(tmp_path / 'own')!r})\n"
        "tracker.__enter__()\n"
        f"pieces = list(agent['traced']({json.dumps(BY_MEMRAY)!r}))\n"
        "tracker.__exit__(None, None, None)\n"
        "print(json.dumps([str(each, 'latin-1') for each in pieces]))"
    )
    assert [each[:1] for each in found] == ["X"]
    assert json.loads(found[0][1:])["why"] == "busy"
