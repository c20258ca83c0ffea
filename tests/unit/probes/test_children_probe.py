"""Children are counted whoever started them, zombies too, until they are waited for."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from array import array

import pytest

from leakhunt.probes.process import ChildrenProbe

pytestmark = pytest.mark.skipif(
    ChildrenProbe.unavailable() is not None, reason="the kernel does not list children here"
)


def count() -> int:
    into = array("q", [0, -1])
    ChildrenProbe().read(into, 0)
    assert into[1] == -1
    return into[0]


def test_a_child_counts_until_it_is_waited_for() -> None:
    before = count()
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    assert count() == before + 1
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert count() == before + 1, "a zombie still holds its entry"
    child.wait()
    assert count() == before


def test_a_child_of_another_thread_counts_as_well() -> None:
    before = count()
    children: list[subprocess.Popen[bytes]] = []
    go_on = threading.Event()
    started = threading.Event()

    def start() -> None:
        children.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
        started.set()
        go_on.wait(60)

    thread = threading.Thread(target=start)
    thread.start()
    assert started.wait(60)
    assert count() == before + 1
    go_on.set()
    thread.join()
    children[0].communicate(b"\n", timeout=60)
    assert count() == before
