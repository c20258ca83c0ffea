"""Allocations of running processes, traced for a stretch: C code is named, and nothing stays."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
from visited_processes import running, settles, state

import leakhunt
from leakhunt.injection.target import examine
from leakhunt.injection.visit import Visit, attached
from leakhunt.storage.schema_files import schema_text

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="attach needs Linux")

# What strdup() copies is never freed; glibc's own code gets the memory.
LOSING = """
import ctypes, threading, time
copy = ctypes.CDLL(None).strdup
copy.restype, copy.argtypes = ctypes.c_void_p, [ctypes.c_char_p]

def handle():
    copy(b"x" * 2000)
    return [str(number) for number in range(50)]

def serve():
    while True:
        handle()
        time.sleep(0.002)

threading.Thread(target=serve, daemon=True).start()
print("ready", flush=True)
while True:
    time.sleep(0.1)
"""
SHARED_OBJECT = """
#include <stdlib.h>
#include <string.h>
void *forget_block(size_t size) {
    void *block = malloc(size);
    memset(block, 1, size);
    return block;
}
"""
# A child is forked while it is traced, and says what it finds in itself.
FORKING = """
import json, os, sys, threading, time

def child():
    import tracemalloc
    found = []
    threads = [threading.Thread(target=lambda: found.append(sys.getprofile())) for _ in range(2)]
    [each.start() for each in threads]
    [each.join() for each in threads]
    names = []
    for each in os.listdir("/proc/self/fd"):
        try:
            names.append(os.readlink(f"/proc/self/fd/{each}"))
        except FileNotFoundError:  # of this list
            pass
    said = {
        "profile": [repr(each) for each in (sys.getprofile(), *found)],
        "thread": sorted(set(vars(threading.Thread)) & {"_name", "_ident"}),
        "memory": [each for each in names if "leakhunt-trace" in each],
        "tracing": tracemalloc.is_tracing(),
        "works": sum(len(str(number)) for number in range(10_000)),
    }
    print(json.dumps(said), flush=True)

print("ready", flush=True)
while True:
    time.sleep(0.01)
    number = os.fork()
    if not number:
        child()
        os._exit(0)
    assert os.waitpid(number, 0)[1] == 0
"""
BUSY = """
import memray, sys, time
tracker = memray.Tracker(sys.argv[1], native_traces=True)
tracker.__enter__()
print("ready", flush=True)
kept = []
for number in range(100_000):
    kept.append(bytearray(5000))
    time.sleep(0.002)
"""


def forgetting(library: Path) -> str:
    """A program that loses memory in a library made of `SHARED_OBJECT`."""
    lost = f"ctypes.CDLL({str(library)!r}).forget_block"
    code = LOSING.replace("ctypes.CDLL(None).strdup", lost)
    return code.replace("[ctypes.c_char_p]", "[ctypes.c_size_t]").replace('b"x" * 2000', "3000")


def tracing_visit(visit: Visit) -> None:
    folder = Path(leakhunt.__file__).parent / "agent"
    visit.load((folder / "looking.py").read_text("utf-8"))
    visit.load((folder / "tracing.py").read_text("utf-8"))


@pytest.mark.parametrize("isolated", [False, True], ids=["its own memray", "borrowed memray"])
def test_growth_in_c_is_named(tmp_path: Path, isolated: bool) -> None:
    """GIVEN a leak by malloc WHEN it is traced THEN the C function that lost it is told."""
    words = (sys.executable, *(("-I", "-S") if isolated else ()))
    with running(LOSING, *words) as made:
        before = state(made.pid, pipes=False)
        result = leakhunt.attach(made.pid, trace=3.0, out=tmp_path / "out", formats="md,json")
        assert settles(made.pid, before, pipes=False)
        with_pipe = state(made.pid)
        again = leakhunt.attach(made.pid, trace=1.0, out=tmp_path / "again", formats=None)
        assert settles(made.pid, with_pipe)
        assert made.poll() is None
    report = result.report
    assert report.trace is not None and report.trace.tool == "memray"
    whose = "leakhunt can be loaded" if isolated else "the process sees C code"
    assert whose in str(report.trace.why)
    first = report.places[0]
    assert "strdup (" in first.place
    assert first.shared_object == "libc.so.6"
    assert first.called_from.startswith("handle ")
    assert first.size_bytes > 100 * 2000
    assert 2000 * first.blocks < first.size_bytes < 2100 * first.blocks
    assert any("CPU while traced: " in str(each) for each in report.caveats)
    assert report.cost is not None and "memray" in str(report.cost.left)
    document = json.loads((tmp_path / "out" / "attach.json").read_text("utf-8"))
    jsonschema.validate(document, json.loads(schema_text("attach")))
    assert document["trace"]["tool"] == "memray"
    assert "libc.so.6 | handle" in (tmp_path / "out" / "attach.md").read_text("utf-8")
    told = leakhunt.report(str(tmp_path / "out"), out=tmp_path / "told", formats="json")
    assert told.report.entries
    assert again.report.cost is not None and "memray" not in str(again.report.cost.left)
    assert again.report.places[0].place == first.place


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_an_extension_of_the_process_is_named(tmp_path: Path) -> None:
    (tmp_path / "leak.c").write_text(SHARED_OBJECT, encoding="utf-8")
    words = ["cc", "-shared", "-fPIC", "-O1", "leak.c", "-o", "libforgets.so"]
    subprocess.run(words, cwd=tmp_path, check=True)
    with running(forgetting(tmp_path / "libforgets.so")) as made:
        result = leakhunt.attach(made.pid, trace=3.0, out=tmp_path / "out", formats=None)
    first = result.report.places[0]
    assert first.place == "forget_block (libforgets.so)"
    assert first.size_bytes == 3000 * first.blocks > 100 * 3000


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare"
)
def test_c_functions_are_named_by_the_files_of_the_process(tmp_path: Path) -> None:
    """GIVEN other mounts, as in a container WHEN it is traced THEN its own files name functions."""
    (tmp_path / "there").mkdir()
    words = ["unshare", "-m", "sh", "-c",
             f"mount -t tmpfs none {tmp_path}/there && cp $0 {tmp_path}/there/libforgets.so && "
             f"exec {sys.executable} -c \"$1\""]  # fmt: skip
    (tmp_path / "leak.c").write_text(SHARED_OBJECT, encoding="utf-8")
    built = ["cc", "-shared", "-fPIC", "-O1", "leak.c", "-o", "built.so"]
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    subprocess.run(built, cwd=tmp_path, check=True)
    code = forgetting(tmp_path / "there" / "libforgets.so")
    made = subprocess.Popen(
        [*words, str(tmp_path / "built.so"), code], stdout=subprocess.PIPE, text=True
    )
    try:
        assert made.stdout is not None and made.stdout.readline() == "ready\n"
        assert not (tmp_path / "there" / "libforgets.so").exists()
        result = leakhunt.attach(made.pid, trace=3.0, out=tmp_path / "out", formats=None)
    finally:
        made.kill()
        made.communicate()
    assert result.report.places[0].place == "forget_block (libforgets.so)"


def test_what_can_be_traced_by_tracemalloc_only_says_why(tmp_path: Path) -> None:
    with running(LOSING) as made:
        result = leakhunt.attach(
            made.pid, trace=1.0, memray=False, out=tmp_path / "one", formats=None
        )
    assert result.report.trace is not None and result.report.trace.tool == "tracemalloc"
    assert "tracemalloc: memray was not wanted" in str(result.report.trace.why)
    with running("import threading; threading.setprofile(lambda *_: None)\n" + LOSING) as made:
        result = leakhunt.attach(made.pid, trace=1.0, out=tmp_path / "two", formats=None)
    assert result.report.trace is not None and result.report.trace.tool == "tracemalloc"
    assert "the profile function of threading.setprofile" in str(result.report.trace.why)


@pytest.mark.parametrize("memray", [True, False], ids=["memray", "tracemalloc"])
def test_a_child_that_is_forked_meanwhile_has_nothing_of_it(tmp_path: Path, memray: bool) -> None:
    with running(FORKING) as made:
        result = leakhunt.attach(
            made.pid, trace=3.0, memray=memray, out=tmp_path / "out", formats=None
        )
        time.sleep(0.5)
        assert made.poll() is None
        made.kill()
        assert made.stdout is not None
        children = [json.loads(line) for line in made.stdout.read().splitlines()]
    assert result.report.trace is not None and result.report.trace.cost is not None
    assert len(children) > 30
    for each in children:
        assert set(each["profile"]) == {"None"}
        assert each["thread"] == each["memory"] == []
        assert each["tracing"] is False
        assert each["works"] == 38890


def test_a_process_that_memray_traces_already_goes_on_with_that(tmp_path: Path) -> None:
    import memray

    script, capture = tmp_path / "busy.py", tmp_path / "own.bin"
    script.write_text(BUSY.replace("100_000", "3000") + "tracker.__exit__(None, None, None)\n")
    words = (sys.executable, "-c", f"import sys; sys.argv = ['', {str(capture)!r}]; "
             f"exec(open({str(script)!r}).read())")  # fmt: skip
    with running("", *words) as made:
        result = leakhunt.attach(made.pid, trace=2.0, out=tmp_path / "out", formats=None)
        assert made.wait(timeout=60) == 0
    assert result.report.trace is not None
    assert (result.report.trace.tool, result.report.trace.cost) == ("", None)
    assert "memray already traces the process" in str(result.report.trace.why)
    with memray.FileReader(capture) as reader:
        sizes = [each.size for each in reader.get_leaked_allocation_records(merge_threads=True)]
    assert max(sizes) >= 3000 * 5000


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_trace_ends_whatever_becomes_of_leakhunt(tmp_path: Path, how: signal.Signals) -> None:
    """GIVEN a traced process WHEN leakhunt is killed or stopped THEN memray's thread is gone soon.

    The stretch ends by itself where nobody takes what is told.
    """
    with running(LOSING) as made:
        before = state(made.pid, pipes=False)
        words = [sys.executable, "-m", "leakhunt", "attach", str(made.pid), "--trace", "8s",
                 "--out", str(tmp_path / "out")]  # fmt: skip
        visitor = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            while state(made.pid)[1] < before[1] + 2:  # the agent's thread, and memray's
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert any("leakhunt-trace" in each for each in state(made.pid)[0])
            visitor.send_signal(how)
            deadline = time.monotonic() + (12 if how is signal.SIGSTOP else 3)
            while state(made.pid, pipes=False)[1] > before[1] + (how is signal.SIGSTOP):
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            visitor.kill()
            visitor.wait()
        assert settles(made.pid, before, pipes=False)
        with attached(examine(made.pid)) as visit:
            tracing_visit(visit)
            pieces = list(visit.stream('traced {"tool": "memray", "seconds": 0, "frames": 1}'))
        assert [each[:1] for each in pieces][-1:] == [b"S"]
        assert settles(made.pid, before, pipes=False)


def test_a_process_that_ends_while_it_is_traced_ends_as_ever(tmp_path: Path) -> None:
    code = LOSING.replace(
        "while True:\n    time.sleep(0.1)", "time.sleep(6)\nprint('over', flush=True)"
    )
    with running(code) as made:
        leakhunt.attach(made.pid, trace=60.0, out=tmp_path / "out", formats=None)
        assert made.wait(timeout=30) == 0
        assert made.stdout is not None
        assert made.stdout.read() == "over\n"
