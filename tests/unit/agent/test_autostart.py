"""The agent that starts by itself in every Python process that is started with its folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from leakhunt.agent.autostart import FOLDER, variables_for
from leakhunt.service.agent_client import ListeningAgents
from leakhunt.service.agent_start import is_asked_for, not_started, option_against

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
WAIT = "print('ready', flush=True); import time; time.sleep(60)"
# The interpreter itself, in which leakhunt is not installed.
BARE = os.path.realpath(sys.executable)


@contextmanager
def started(*words: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A process with the agent's folder, after it said that it is ready."""
    environment = {**os.environ, **variables}
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
        env={**environment, **variables_for(environment)},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def asked(pid: int) -> Iterator[ListeningAgents]:
    within = ListeningAgents()
    within.find([pid])
    yield within
    within.close()


def threads(pid: int) -> int:
    return len(list(Path("/proc", str(pid), "task").iterdir()))


def test_a_process_without_a_line_of_ours_answers() -> None:
    with started(sys.executable, "-c", WAIT) as process, asked(process.pid) as within:
        numbers = within.ask("numbers")
        assert numbers["live_heap"] > 0
        assert numbers["python_blocks"] > 0
        assert "malloc_mapped" in within.ask("start")  # as leakhunt itself tells, installed here


def test_one_in_which_nothing_is_installed_answers_too() -> None:
    code = f"import importlib.util as u; assert not [p for p in __import__('sys').path if 'site-packages' in p and 'venv' in p]; {WAIT}"  # noqa: E501
    with started(BARE, "-c", code) as process, asked(process.pid) as within:
        assert within.ask("numbers")["live_heap"] > 0
        assert within.ask("start")["python_live"] > 100_000


def test_an_instrument_finds_leakhunt_where_that_is_not_installed(tmp_path: Path) -> None:
    with started(BARE, "-c", WAIT) as process, asked(process.pid) as within:
        watching = f"watch tracemalloc {tmp_path / 'capture'}"
        assert within.ask_one(process.pid, watching, 30.0) == {}
        within.ask_one(process.pid, "mark 10", 30.0)
        assert "findings" in within.ask_one(process.pid, "findings", 30.0)


def test_the_two_lines_do_not_double_it() -> None:
    two = f"from leakhunt import agent; assert agent.listen(); assert agent.listen(); {WAIT}"
    with started(sys.executable, "-c", WAIT) as alone, started(sys.executable, "-c", two) as both:
        assert threads(both.pid) == threads(alone.pid) == 2
        with asked(both.pid) as within:
            assert within.ask("numbers")["live_heap"] > 0


def test_children_have_it_however_they_are_started() -> None:
    fork = "import os; child = os.fork();"
    code = f"{fork} child and print(child, flush=True); import time; time.sleep(60)"
    spawn = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"  # noqa: E501
    for source in (code, f"{spawn}; import time; time.sleep(60)"):
        environment = {**os.environ, **variables_for(os.environ)}
        process = subprocess.Popen(
            [sys.executable, "-c", source], env=environment, stdout=subprocess.DEVNULL, cwd="/"
        )
        try:
            assert _child_answers(process.pid)
        finally:
            for pid in (*_children(process.pid), process.pid):
                os.kill(pid, 9)
            process.wait()


def _children(pid: int) -> list[int]:
    told = Path("/proc", str(pid), "task", str(pid), "children").read_text()
    return [int(each) for each in told.split()]


def _child_answers(pid: int) -> bool:

    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for child in _children(pid):
            with asked(child) as within:
                if within.ask("numbers"):
                    return True
        time.sleep(0.05)
    return False


def test_a_sitecustomize_of_the_services_own_is_loaded_as_well(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("MINE = 5\n", encoding="utf-8")
    code = f"import sitecustomize; assert sitecustomize.MINE == 5; {WAIT}"
    with (
        started(sys.executable, "-c", code, PYTHONPATH=str(tmp_path)) as process,
        asked(process.pid) as within,
    ):
        assert within.ask("numbers")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([sys.executable, "-I", "-c", WAIT], "Python runs with -I, which ignores it"),
        ([sys.executable, "-u", "-bS", "-c", WAIT], "Python runs with -S, which ignores it"),
        (
            ["env", "-u", "PYTHONPATH", sys.executable, "-c", WAIT],
            "its environment does not keep PYTHONPATH",
        ),
        (["sh", "-c", "echo ready; read never < /dev/zero"], "no process of it runs Python"),
    ],
)
def test_where_it_cannot_start_the_reason_is_told(words: list[str], reason: str) -> None:
    with started(*words) as process, asked(process.pid) as within:
        assert within.ask("numbers") == {}
        assert reason in str(not_started([process.pid]))


def test_options_of_the_interpreter_and_of_the_program_are_told_apart() -> None:
    assert option_against(["python", "-X", "dev", "-W", "I", "-E", "app.py"]) == "-E"
    assert option_against(["python", "app.py", "-I"]) is None
    assert option_against(["python", "-m", "app", "-S"]) is None
    assert option_against(["python", "-c", "x", "-I"]) is None


def test_it_is_asked_for_by_the_folder_in_the_path() -> None:
    made = variables_for({"PYTHONPATH": "/mine"})
    assert made["PYTHONPATH"] == f"{FOLDER}:/mine"
    assert is_asked_for(made)
    assert not is_asked_for({"PYTHONPATH": "/mine"})


def test_processes_of_our_own_do_without() -> None:
    words = ("-P", "-m", "leakhunt.service.launcher", "0", "cat")
    process = subprocess.Popen(
        [sys.executable, *words],
        stdin=subprocess.PIPE,
        env={**os.environ, **variables_for(os.environ)},
    )
    try:
        with asked(process.pid) as within:
            assert within.ask("numbers") == {}
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("line", ["", "from leakhunt import agent; agent.listen();"])
def test_a_child_that_is_forked_while_its_parent_is_asked_answers_too(line: str) -> None:
    """The parent imports what it needs for its first answer: a child would wait for that."""
    code = (
        f"import os, time; {line} print('ready', flush=True)\n"
        "for _ in range(40):\n"
        "    if os.fork() == 0: time.sleep(60)\n"
        "    time.sleep(0.01)\n"
        "time.sleep(60)"
    )
    environment = dict(os.environ) if line else {**os.environ, **variables_for(os.environ)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with asked(process.pid) as within:
            assert within.ask("numbers")
            for _ in range(100):
                within.find([process.pid, *_children(process.pid)])
                if len(within.pids) == 41:
                    break
                time.sleep(0.05)
            assert len(within.ask_each("numbers")) == 41
    finally:
        for pid in (*_children(process.pid), process.pid):
            os.kill(pid, 9)
        process.communicate()
