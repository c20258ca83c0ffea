"""Visits of real processes that nobody prepared: what is said of them, and what is left in them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import jsonschema
import pytest
from visited_processes import running, settles, state

import leakhunt
from leakhunt.errors import LeakhuntError, MissingRequirement, ScenarioFailed, UsageError
from leakhunt.injection.target import examine, find
from leakhunt.injection.visit import attached
from leakhunt.injection.ways import Way, first_way
from leakhunt.model.verdict import Status
from leakhunt.storage.schema_files import schema_text

# Further interpreters: roots of other systems that we may enter, ``/roots/trixie:/roots/forky``.
ROOTS = [each for each in os.environ.get("LEAKHUNT_PYTHON_ROOTS", "").split(":") if each]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="attach needs Linux")

WAITING = """
import threading
print("ready", flush=True)
threading.Event().wait()
"""
BUSY = """
print("ready", flush=True)
while True:
    sum(number * number for number in range(1000))
"""
LEAKING = """
import threading, time

class Session:
    def __init__(self, number):
        self.number = number
        self.data = bytearray(2000)

class Registry:
    sessions = []

CACHE = {}

def serve():
    number = 0
    while True:
        Registry.sessions.append(Session(number))
        CACHE[str(number)] = b"x" * 100 + bytes(number % 10)
        number += 1
        time.sleep(0.002)

table = [(number, str(number)) for number in range(100_000)]
threading.Thread(target=serve, daemon=True).start()
print("ready", flush=True)
while True:
    time.sleep(0.1)
"""
IN_C = """
import hashlib, threading, time

def feed():
    while True:
        time.sleep(0.05)

threading.Thread(target=feed, daemon=True).start()
print("ready", flush=True)
hashlib.pbkdf2_hmac("sha256", b"x", b"salt", 2_000_000_000)  # for minutes, without the GIL
"""
LEVEL = """
import time
table = [(number, str(number)) for number in range(50_000)]
print("ready", flush=True)
while True:
    [str(number) for number in range(1000)]
    time.sleep(0.01)
"""


def interpreters() -> list[tuple[str, ...]]:
    """Commands of the interpreters to be visited: this one, and those of the roots."""
    found: list[tuple[str, ...]] = [(sys.executable,)]
    for root in ROOTS:
        for python in sorted(Path(root, "usr", "bin").glob("python3.1[0-9]")):
            found.append(("chroot", root, python.name))
    return found


@pytest.mark.parametrize("command", interpreters(), ids=lambda words: "-".join(words[-1:])[-12:])
@pytest.mark.parametrize("code", [WAITING, BUSY], ids=["waiting", "busy"])
def test_the_agent_gets_in_answers_and_leaves_nothing(code: str, command: Sequence[str]) -> None:
    with running(code, *command) as made:
        before = state(made.pid)
        with attached(examine(made.pid)) as visit:
            numbers = visit.ask("numbers")
            facts = visit.ask("look")
        assert numbers["python_blocks"] > 5000
        assert facts["rss"] > facts["python_arenas"] > 0
        assert settles(made.pid, before)
        assert made.poll() is None


@pytest.mark.parametrize("way", [Way.GDB, Way.LLDB])
def test_a_debugger_brings_it_in_where_ptrace_cannot(way: Way) -> None:
    if shutil.which(way) is None:
        pytest.skip(f"{way} is not installed")
    with running(BUSY) as made:
        before = state(made.pid)
        with attached(examine(made.pid), way=way) as visit:
            assert visit.ask("numbers")["python_blocks"] > 5000
        assert settles(made.pid, before)


def test_without_gdb_lldb_is_taken_and_without_both_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with running(WAITING) as made:
        target = replace(examine(made.pid), version=(3, 12, 1), machine="aarch64")
        for there, way in (({"gdb", "lldb"}, Way.GDB), ({"lldb"}, Way.LLDB), (set(), Way.GDB)):
            monkeypatch.setattr(shutil, "which", lambda name, there=there: name in there or None)
            assert first_way(target) is way
        with (
            pytest.raises(MissingRequirement, match=r"Python 3\.12 on aarch64 needs gdb or lldb"),
            attached(target),
        ):
            pass
        assert made.poll() is None


def taken(each: object) -> int:
    """What an allocator takes for an object: a multiple of 16."""
    return -(-sys.getsizeof(each) // 16) * 16


def test_triage_says_where_memory_is_and_who_holds_it(tmp_path: Path) -> None:
    with running(LEVEL) as made:
        result = leakhunt.attach(made.pid, out=tmp_path / "out", formats="html,md,json")
        assert made.poll() is None
    report = result.report
    assert result.exit_code == 0
    assert report.verdict is None
    assert report.rss_bytes is not None
    assert sum(line.size_bytes for line in report.breakdown) == report.rss_bytes
    rest = next(line for line in report.breakdown if line.name == "unexplained")
    assert abs(rest.size_bytes) < 0.1 * report.rss_bytes
    assert report.heap is not None
    first = report.heap.holders[0]
    assert first.path == "__main__.table"
    assert first.objects <= 50_001  # the collector tracks them at first
    table = [(number, str(number)) for number in range(50_000)]
    of_rows = sum(taken(row) + taken(row[0]) + taken(row[1]) for row in table)
    assert first.retained_bytes == pytest.approx(taken(table) + of_rows, rel=0.01)
    assert [each.step for each in report.given_back] and report.cost is not None
    assert report.cost.longest_pause_seconds < 0.05
    document = json.loads((tmp_path / "out" / "attach.json").read_text("utf-8"))
    jsonschema.validate(document, json.loads(schema_text("attach")))
    page = (tmp_path / "out" / "attach.html").read_text("utf-8")
    assert "__main__.table" in page
    markdown = (tmp_path / "out" / "attach.md").read_text("utf-8")
    assert "__main__.table" in markdown.replace("\\", "")


def test_a_large_process_waits_for_moments_only(tmp_path: Path) -> None:
    """GIVEN 1,000,000 objects WHEN they are read THEN no pause is long; `deep` lists them all."""
    rows = "[number, [str(number)]] for number in range(500_000)"
    code = LEVEL.replace("(number, str(number)) for number in range(50_000)", rows)
    with running(code) as made:
        result = leakhunt.attach(made.pid, touch=False, out=tmp_path / "out", formats=None)
        deep = leakhunt.attach(
            made.pid, touch=False, deep=True, out=tmp_path / "deep", formats=None
        )
        assert made.poll() is None
    for each in (result, deep):
        assert each.report.cost is not None and each.report.heap is not None
        assert each.report.cost.objects > 1_000_000
        assert each.report.heap.holders[0].path == "__main__.table"
    assert result.report.cost is not None
    assert result.report.cost.longest_pause_seconds < 0.05
    assert any("--deep lists all objects" in str(each) for each in result.report.caveats)
    assert not any("--deep" in str(each) for each in deep.report.caveats)


def test_a_process_that_must_not_be_touched_is_not(tmp_path: Path) -> None:
    code = LEVEL.replace(
        "import time\n",
        "import time, gc, sys\n"
        "gc.disable()\n"
        "gc.callbacks.append(lambda phase, facts: print('collected', flush=True))\n",
    )
    with running(code) as made:
        result = leakhunt.attach(made.pid, touch=False, out=tmp_path / "out", formats="json")
        made.kill()
        assert made.stdout is not None
        told = made.stdout.read()
    assert "collected" not in told
    assert result.report.given_back == ()
    assert any("--no-touch" in str(each) for each in result.report.caveats)


def test_a_thread_that_sleeps_for_moments_lets_the_agent_in(tmp_path: Path) -> None:
    """GIVEN a worker whose main thread is in C code, and none of whose threads waits for long."""
    with running(IN_C) as made:
        before = state(made.pid)
        with attached(examine(made.pid)) as visit:
            assert visit.ask("numbers")["python_blocks"] > 1000
        assert settles(made.pid, before)


def test_two_looks_are_compared_by_what_is_retained(tmp_path: Path) -> None:
    """GIVEN a process that leaks WHEN it is looked at twice THEN what grew has its path."""
    with running(LEAKING) as made:
        result = leakhunt.attach(made.pid, diff=3.0, out=tmp_path / "out", formats="md,json")
        before = state(made.pid)
        with pytest.raises(UsageError, match="--diff and --for"):
            leakhunt.attach(made.pid, diff=3.0, duration=60.0)
        assert settles(made.pid, before)
    apart = result.report.difference
    assert apart is not None and apart.seconds is not None and apart.seconds > 3
    assert apart.holders[0].title == "__main__.Registry.sessions"
    assert apart.holders[0].grown_bytes > 100 * 2000
    assert apart.rss is not None and apart.rss.bytes_after > 10_000_000
    document = json.loads((tmp_path / "out" / "attach.json").read_text())
    jsonschema.validate(document, json.loads(schema_text("attach")))
    assert document["difference"]["holders"][0]["title"]["text"] == "__main__.Registry.sessions"
    assert "Largest growth: \\_\\_main\\_\\_.Registry.sessions" in (
        tmp_path / "out" / "attach.md"
    ).read_text(encoding="utf-8")
    compared = leakhunt.compare(tmp_path / "out" / "before", tmp_path / "out" / "after")
    (looks,) = compared.comparison.looks
    assert looks.difference == apart


@pytest.mark.long
def test_a_leak_of_a_minute_is_a_leak(tmp_path: Path) -> None:
    with running(LEAKING) as made:
        result = leakhunt.attach(made.pid, duration="60s", out=tmp_path / "out", formats=None)
    assert result.report.verdict is not None
    assert result.report.verdict.status is Status.LEAK
    with running(LEVEL) as made:
        result = leakhunt.attach(made.pid, duration="60s", out=tmp_path / "level", formats=None)
    assert result.report.verdict is not None
    assert result.report.verdict.status is not Status.LEAK


def test_what_grows_is_found_with_its_holder_and_its_line(tmp_path: Path) -> None:
    script = tmp_path / "service.py"
    script.write_text(LEAKING, encoding="utf-8")
    with running(script) as made:
        result = leakhunt.attach(
            made.pid, duration=24, trace=3, out=tmp_path / "out", formats="json"
        )
        before = state(made.pid)
        assert before[1] == 2
    report = result.report
    assert report.verdict is not None
    assert report.verdict.status is not Status.NO_LEAK
    assert (report.verdict.trends["live_heap"].net or 0) > 1 << 20
    paths = {each.path: each for each in report.growers}
    assert {"__main__.Registry.sessions", "__main__.CACHE"} <= set(paths)
    assert "__main__.Session" in paths["__main__.Registry.sessions"].items
    assert paths["__main__.CACHE"].per_second > 50
    assert "__main__.Session" in {each.what for each in report.growers}
    assert any(each.place.endswith("service.py:7)") for each in report.places)
    assert any("CPU while traced: " in str(each) for each in report.caveats)
    again = leakhunt.report(str(tmp_path / "out"), out=tmp_path / "again", formats="json,md")
    assert again.report.entries[0].verdict.status is report.verdict.status
    assert again.report.command.startswith(f"leakhunt attach {made.pid} --for 24s")
    attribution = again.report.entries[0].attribution
    assert attribution is not None
    retained = {each.chain[0]: each.bytes_per_call for each in attribution.suspects if each.chain}
    assert (retained["__main__.Registry.sessions"] or 0) > 1000


def test_two_visits_are_compared(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with running(LEVEL) as made:
            leakhunt.attach(made.pid, duration=12, out=tmp_path / name, formats="json")
    compared = leakhunt.compare(str(tmp_path / "one"), str(tmp_path / "two"))
    assert compared.comparison.pairs


def refusal(pid: int | str) -> LeakhuntError:
    """What is said instead of attaching."""
    with pytest.raises(LeakhuntError) as told:
        leakhunt.attach(pid, formats=None)
    assert "\n" not in str(told.value)
    return told.value


def test_what_cannot_be_attached_is_refused_in_a_line(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert isinstance(refusal(gone.pid), UsageError)
    assert "not found" in str(refusal(gone.pid))
    assert "leakhunt itself" in str(refusal(os.getpid()))
    assert "no Python process" in str(refusal(f"nothing-of-this-name-{os.getpid()}"))
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        assert str(refusal(sleeper.pid)).endswith("does not run Python (sleep)")
    finally:
        sleeper.kill()
        sleeper.wait()
    assert not list(tmp_path.iterdir())


def test_a_stopped_process_is_refused_and_stays_stopped() -> None:
    with running(WAITING) as made:
        made.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        assert f"kill -CONT {made.pid}" in str(refusal(made.pid))
        status = Path(f"/proc/{made.pid}/status").read_text(encoding="utf-8")
        assert "State:\tT" in status


def test_several_processes_of_a_name_are_listed() -> None:
    marker = f"several_{os.getpid()}"
    with running(f"{marker} = 1\n{WAITING}") as one, running(f"{marker} = 2\n{WAITING}") as two:
        told = str(refusal(marker))
        assert str(one.pid) in told
        assert str(two.pid) in told
    with running(f"{marker} = 1\n{WAITING}") as one:
        assert find(marker) == one.pid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_the_process_of_another_user_is_refused() -> None:
    with running(WAITING) as made:
        code = (
            "import os, sys; from leakhunt.injection.target import examine\n"
            "import leakhunt.text.message; str(leakhunt.text.message.message('x', 'y'))\n"
            "os.setuid(65534)\n"
            f"try: examine({made.pid})\n"
            "except Exception as error: print(error, file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert "belongs to user root. Run leakhunt as that user, or as root" in done.stderr
        assert made.poll() is None


def test_a_second_visit_at_once_is_refused() -> None:
    with running(WAITING) as made, attached(examine(made.pid)) as visit:
        told = refusal(made.pid)
        assert isinstance(told, UsageError)
        assert "another leakhunt is attached" in str(told)
        assert visit.ask("numbers")


def test_a_target_that_dies_meanwhile_is_told(tmp_path: Path) -> None:
    with running(LEVEL) as made:
        threading.Timer(4.0, made.kill).start()
        result = leakhunt.attach(made.pid, duration=60, out=tmp_path / "out", formats=None)
    assert result.exit_code == ScenarioFailed.exit_code
    assert "ended" in str(result.outcomes[0].reason)


def test_without_the_library_of_graphs_nobody_is_visited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rustworkx", None)
    with running(WAITING) as made:
        told = refusal(made.pid)
    assert isinstance(told, MissingRequirement)
    assert "pip install rustworkx" in str(told)


def test_an_old_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `Py_Version` it is older than 3.11, which brought that."""
    from leakhunt.injection import target

    monkeypatch.setattr(target, "_SYMBOLS", ("Py_AddPendingCall",))
    with running(WAITING) as made:
        told = refusal(made.pid)
    assert isinstance(told, MissingRequirement)
    assert "3.10 or older" in str(told)


def test_a_stripped_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from leakhunt.injection import target

    monkeypatch.setattr(target, "_SYMBOLS", ("Py_Version",))
    with running(WAITING) as made:
        assert "has no symbol Py_AddPendingCall" in str(refusal(made.pid))


@pytest.mark.parametrize("duration", ["", "--for=60s"], ids=["triage", "growth"])
def test_a_killed_leakhunt_leaves_nothing_in_the_process(tmp_path: Path, duration: str) -> None:
    with running(LEAKING) as made:
        before = state(made.pid)
        words = [sys.executable, "-m", "leakhunt", "attach", str(made.pid), "--trace", "60s",
                 "--out", str(tmp_path / "out"), *filter(None, [duration])]  # fmt: skip
        visitor = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 30
            while state(made.pid)[1] == before[1]:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            time.sleep(3.0)
        finally:
            visitor.kill()
            visitor.wait()
        assert settles(made.pid, before)
        assert not list(Path("/tmp").glob("leakhunt-*.py"))
        with attached(examine(made.pid)) as visit:
            visit.load(Path(leakhunt.__file__).parent.joinpath(
                "instruments/reference_chains.py").read_text("utf-8"))  # fmt: skip
            visit.load(Path(leakhunt.__file__).parent.joinpath(
                "agent/looking.py").read_text("utf-8"))  # fmt: skip
            assert visit.ask("facts")["tracing"] is False


def child_of(pid: int) -> int:
    """The process that another one started."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        if found:
            return int(found[0])
        time.sleep(0.02)
    raise AssertionError("no child")


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare"
)
def test_it_works_across_namespaces() -> None:
    """As from the host into a container: other process ids, mounts and network."""
    words = ("unshare", "-n", "-p", "-f", "-m", "--mount-proc", sys.executable)
    with running(WAITING, *words) as made:
        target = examine(child_of(made.pid))
        assert target.own_pid == 1
        before = state(target.pid)
        with attached(target) as visit:
            assert visit.ask("numbers")["python_blocks"] > 5000
        assert settles(target.pid, before)
        os.kill(target.pid, signal.SIGKILL)


def test_a_long_call_of_c_code_is_waited_for_and_left_alone() -> None:
    code = 'print("ready", flush=True)\nsum(range(10**13))'
    with running(code) as made:
        time.sleep(1.0)  # it is within the call
        before = state(made.pid)
        with (
            pytest.raises(ScenarioFailed, match="ran no Python code for 2 s"),
            attached(examine(made.pid), patience_seconds=2),
        ):
            pass
        assert state(made.pid) == before
        assert made.poll() is None


def test_python_314_that_forbids_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the variable says of this Python is not asked: it is taken for one that knows it."""
    from leakhunt.injection import target

    monkeypatch.setattr(target, "_CAN_REFUSE", (3, 11))
    monkeypatch.setenv("PYTHON_DISABLE_REMOTE_DEBUG", "1")
    with running(WAITING) as made:
        assert "does not allow it" in str(refusal(made.pid))


@pytest.mark.long
def test_a_hundred_visits_leave_no_growth() -> None:
    """After the first ones, which import what they need, nothing comes to stay."""
    looking = Path(leakhunt.__file__).parent / "agent" / "looking.py"
    chains = Path(leakhunt.__file__).parent / "instruments" / "reference_chains.py"
    readings = []
    with running(WAITING) as made:
        for _ in range(100):
            with attached(examine(made.pid)) as visit:
                visit.load(chains.read_text("utf-8"))
                visit.load(looking.read_text("utf-8"))
                assert sum(map(len, visit.stream("graph"))) > 100_000
                readings.append(visit.ask("look_collected"))
                mappings = len(Path(f"/proc/{made.pid}/maps").read_text("utf-8").splitlines())
                readings[-1]["mappings"] = mappings
        assert len(list(Path(f"/proc/{made.pid}/task").iterdir())) == 1
    first, last = (
        {name: median(each[name] for each in some) for name in some[0]}
        for some in (readings[40:60], readings[-20:])
    )
    assert last["python_blocks"] - first["python_blocks"] < 2 * 40
    assert last["live_heap"] - first["live_heap"] < 40 * 512
    assert last["rss"] - first["rss"] < 2 << 20
    assert abs(last["mappings"] - first["mappings"]) <= 2
