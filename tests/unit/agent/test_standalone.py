"""The agent in one file: what it answers, and what it leaves."""

from __future__ import annotations

import ast
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import wait_until

from leakhunt.agent import standalone, tracing
from leakhunt.injection.visit import _modules, _text
from leakhunt.service.agent_client import ListeningAgents

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
SOURCE = Path(standalone.__file__)
SLEEP = "import time; time.sleep(60)"


@contextmanager
def running(code: str) -> Iterator[int]:
    """A plain process that runs `code`, after it said that it is ready."""
    made = subprocess.Popen(
        [sys.executable, "-I", "-c", code], stdout=subprocess.PIPE, text=True, cwd="/"
    )
    try:
        assert made.stdout is not None
        assert made.stdout.readline() == "ready\n"
        yield made.pid
    finally:
        made.kill()
        made.communicate()


def listening(more: str = "") -> str:
    return (
        f"import runpy; agent = runpy.run_path({str(SOURCE)!r}); "
        f"assert agent['listen'](); assert agent['listen'](); {more} print('ready', flush=True);"
        f"{SLEEP}"
    )


def test_it_imports_nothing_but_the_standard_library_at_its_head() -> None:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    names = [alias.name for each in tree.body if isinstance(each, ast.Import)
             for alias in each.names]  # fmt: skip
    names += [str(each.module) for each in tree.body if isinstance(each, ast.ImportFrom)]
    assert names
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def test_it_defines_no_class() -> None:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    assert not [each for each in ast.walk(tree) if isinstance(each, ast.ClassDef)]


def test_a_soak_reads_it_as_it_reads_the_agent() -> None:
    with running(listening("kept = [bytes(1000) for _ in range(10_000)];")) as pid:
        within = ListeningAgents()
        assert within.find([pid]) == 1
        numbers = within.ask("numbers")
        assert numbers["python_blocks"] > 1000
        assert numbers["live_heap"] > 10_000_000
        start = within.ask("start")
        assert start["rss"] > 10_000_000
        assert 100_000 < start["python_live"] <= start["python_arenas"]
        assert within.ask("look_collected")["collect_ns"] > 0
        assert within.ask("trimmed")["trim_ns"] > 0
        assert str(within.allocators()[0]["allocator"]).startswith("glibc")
        assert within.ask("nonsense") == {}
        within.close()


def test_its_numbers_are_those_of_the_agent() -> None:
    both = (
        f"import runpy, sys; sys.path[:0] = {[p for p in sys.path if p]!r};"
        f"agent = runpy.run_path({str(SOURCE)!r});"
        "import leakhunt.agent; ours = leakhunt.agent._answers();"
        "ours['look'](); theirs = agent['_words'](); theirs['look']();"
        "one, other = ours['look'](), theirs['look']();"
        "print('ready', flush=True); import json; print(json.dumps([dict(one), dict(other)]))"
    )
    told = subprocess.run(
        [sys.executable, "-c", both], capture_output=True, text=True, check=True
    ).stdout
    ours, theirs = json.loads(told.splitlines()[-1])
    assert set(theirs) <= {*ours, "malloc_mapped"}
    for name in ("live_heap", "python_live", "python_arenas", "python_blocks", "rss"):
        assert theirs[name] == pytest.approx(ours[name], rel=0.02), name


def test_forked_processes_listen_each_for_itself() -> None:
    fork = "import os; child = os.fork();"
    with running(listening(f"{fork} child or (__import__('time').sleep(60));")) as pid:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()

        def both_listen() -> bool:
            within = ListeningAgents()
            found = within.find([pid, *map(int, children)])
            within.close()
            return found == 2

        wait_until(both_listen)  # the child begins anew after the fork
        os.kill(int(children[0]), 9)


def visiting(name: str, token: str) -> str:
    """Code that has a visitor brought into it, and prints what is left of it at the end."""
    text = _text(name, token, (0, 0, 0)).decode()
    return (
        "import os, sys, time, json, socket, re, _thread, _ctypes\n"
        "def state(): return [len(os.listdir('/proc/self/fd')), len(os.listdir('/proc/self/task'))]"
        "\nbefore = state()\n"
        f"{text}"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "deadline = time.monotonic() + 20\n"
        "while state() != before and time.monotonic() < deadline: time.sleep(0.05)\n"
        "print(json.dumps([before, state()]), flush=True)\n"
        f"{SLEEP}"
    )


@contextmanager
def host_of_a_visitor(
    token: str, said: str = ""
) -> Iterator[tuple[subprocess.Popen[str], socket.socket]]:
    """A process with a visitor that expects `token`, and our end of its line, where we said it."""
    name = f"leakhunt-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        made = subprocess.Popen(
            [sys.executable, "-I", "-c", visiting(name, token)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert made.stdout is not None
            assert made.stdout.readline() == "ready\n"
            listener.settimeout(20)
            line, _ = listener.accept()
            line.sendall((said or token).encode())
            yield made, line
        finally:
            made.kill()
            made.communicate()


def left_behind(made: subprocess.Popen[str]) -> tuple[list[int], list[int]]:
    """The descriptors and threads of the host before the visit, and some time after it."""
    assert made.stdin is not None and made.stdout is not None
    made.stdin.write("\n")
    made.stdin.flush()
    before, after = json.loads(made.stdout.readline())
    return before, after


def test_a_visitor_answers_the_one_that_knows_the_token_and_leaves_nothing() -> None:
    with host_of_a_visitor("abc") as (made, line), line:
        with line.makefile("rwb") as file:
            thread = json.loads(file.readline())["thread"]
            assert Path(f"/proc/{made.pid}/task/{thread}").exists()
            code = "def twice(text): return {'n': 2 * int(text)}\nWORDS = {'twice': twice}"
            file.write(f"load {json.dumps([[], code])}\n".encode())
            file.flush()
            assert json.loads(file.readline()) == {}
            file.write(b"twice 21\nnumbers\n")
            file.flush()
            assert json.loads(file.readline()) == {"n": 42}
            assert json.loads(file.readline())["python_blocks"] > 0
        line.close()
        before, after = left_behind(made)
        assert after == before


def test_a_visitor_imports_nothing_while_the_process_may_fork() -> None:
    """Neither itself, `array` for one, nor what it is brought."""
    with host_of_a_visitor("abc") as (_, line), line, line.makefile("rwb") as file:
        file.readline()
        code = (
            "import sys\ndef seen(): return {'lock': '_leakhunt_imports' in vars(sys),"
            " 'loaded': 'colorsys' in sys.modules}\nWORDS = {'seen': seen}"
        )
        for names, loaded in ([], False), (["colorsys"], True):
            file.write(f"load {json.dumps([names, code])}\nseen\n".encode())
            file.flush()
            assert json.loads(file.readline()) == {}
            assert json.loads(file.readline()) == {"lock": True, "loaded": loaded}
    brought = _modules(Path(tracing.__file__).read_text(encoding="utf-8"))
    assert {"json", "threading", "importlib.util"} <= set(brought)


def test_a_visitor_leaves_where_the_token_is_wrong() -> None:
    with host_of_a_visitor("abc", said="xyz") as (made, line), line:
        assert line.recv(100) == b""
        before, after = left_behind(made)
        assert after == before
