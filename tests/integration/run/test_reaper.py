"""No process that leakhunt started outlives it, however it ends."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from conftest import WriteScenario, is_alive, wait_until

from leakhunt.service.launcher import CANNOT_RUN
from leakhunt.storage import run_file

Start = Callable[..., subprocess.Popen[str]]
# After a kill -9 of the supervisor, nothing may be there after this.
GONE_SECONDS = 5.0
SERVICE = Path(__file__).parents[1] / "soak" / "small_service.py"

# A child, one that has left the session and its parent, and one that heeds no SIGTERM.
CHILDREN = """
import os, signal, subprocess, sys
from pathlib import Path

IDLE = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"

def idle(**options):
    return subprocess.Popen([sys.executable, "-c", IDLE], **options).pid

def started():
    pids = [idle(), idle(start_new_session=True)]
    inner = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {IDLE!r}]," \\
            " start_new_session=True, stdout=-3, stderr=-3).pid)"
    orphan = subprocess.run([sys.executable, "-c", inner], capture_output=True, text=True)
    Path("pids.new").write_text(" ".join(map(str, [os.getpid(), *pids, orphan.stdout.strip()])))
    os.replace("pids.new", "pids")
"""


def pids_in(folder: Path) -> list[int]:
    return list(map(int, (folder / "pids").read_text().split()))


def alive_after(pids: list[int], seconds: float) -> list[int]:
    """Those that still live, at most so much later."""
    deadline = time.monotonic() + seconds
    while (left := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


@pytest.fixture
def children(tmp_path: Path) -> Path:
    """A module whose function ``started`` starts three processes."""
    file = tmp_path / "children.py"
    file.write_text(CHILDREN)
    return file


@pytest.mark.parametrize("ending", ["SIGKILL", "by itself"])
def test_what_a_worker_started_does_not_outlive_the_supervisor(
    write_scenario: WriteScenario, started: Start, tmp_path: Path, children: Path, ending: str
) -> None:
    del children
    body = (
        "import children\n\n@variant\ndef naive(state, item):\n    item or children.started()\n"
        "    time.sleep(0.01)\n"
    )
    calls = 20 if ending == "by itself" else 1_000_000
    supervisor = started(
        "run", write_scenario(body), "--calls", calls, "--out", "out", "--format=json"
    )
    wait_until((tmp_path / "pids").exists, supervisor)
    below = [each.pid for each in psutil.Process(supervisor.pid).children(recursive=True)]
    pids = pids_in(tmp_path)
    assert len(pids) == 4
    assert len([pid for pid in pids if is_alive(pid)]) >= 3
    if ending == "SIGKILL":
        supervisor.kill()
        supervisor.wait()
    else:
        assert supervisor.wait(60) == 0
    assert alive_after([*pids, *below], GONE_SECONDS) == []


@pytest.mark.parametrize("limit", [(), ("--memory-limit", "1 GiB")])
def test_what_a_service_started_does_not_outlive_a_soak_that_is_killed(
    started: Start, tmp_path: Path, children: Path, limit: tuple[str, ...]
) -> None:
    code = f"import children, runpy, sys; children.started(); runpy.run_path({str(SERVICE)!r}, run_name='__main__')"  # noqa: E501
    command = shlex.join(
        ["env", f"PYTHONPATH={children.parent}", sys.executable, "-c", code, "{port}", "keeps"]
    )
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    (recordings / "a.wav").write_bytes(os.urandom(2000))
    soak = started(
        *("soak", "--command", f"sh -c {shlex.quote(command + '; true')}", "--duration", "60s"),
        *("--audio", recordings, "--post", "/x", "--format", "json", "--out", "out", *limit),
    )
    file = tmp_path / "out" / f"service{run_file.SUFFIX}"
    wait_until(lambda: file.exists() and file.read_bytes().count(b'"record":"sample"') > 1, soak)
    below = [each.pid for each in psutil.Process(soak.pid).children(recursive=True)]
    pids = pids_in(tmp_path)
    groups = [
        folder
        for folder in Path("/sys/fs/cgroup").glob(f"**/leakhunt-{soak.pid}-*")
        if folder.is_dir()
    ]
    assert len({*below, *pids}) >= 7  # sh, the service, its three, Locust, and two reapers
    soak.kill()
    soak.wait()
    assert alive_after([*below, *pids], GONE_SECONDS) == []
    assert not [folder for folder in groups if folder.exists()]


def test_the_reaper_sees_its_supervisor_die_though_the_pipe_stays_open() -> None:
    """A process that the supervisor forked, without exec, has the pipe too."""
    code = (
        "import os, subprocess, sys, time\n"
        "from leakhunt.runner.reaper import Reaper\n"
        "reaper = Reaper()\n"
        "sleeper = subprocess.Popen(['sleep', '600'], env=os.environ | reaper.variables)\n"
        "forked = os.fork()\n"
        "if forked:\n"
        "    print(sleeper.pid, forked, flush=True)\n"
        "time.sleep(600)\n"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    sleeper, forked = map(int, supervisor.stdout.readline().split())
    try:
        assert is_alive(sleeper)
        supervisor.kill()
        supervisor.wait()
        assert alive_after([sleeper], GONE_SECONDS) == []
        assert is_alive(forked), "it does not belong to the tree"
    finally:
        os.kill(forked, signal.SIGKILL)
        supervisor.stdout.close()


def test_a_service_whose_supervisor_died_before_it_began_is_not_started(tmp_path: Path) -> None:
    """Its line is in the pipe already, and its parent is another process by now."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    mark = tmp_path / "mark"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "leakhunt.service.launcher", str(dead.pid), "touch", mark],
        input=b"\n", check=False,
    )  # fmt: skip
    assert done.returncode == CANNOT_RUN
    assert not mark.exists()
