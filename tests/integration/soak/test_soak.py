"""Soaks of real processes over real HTTP, with Locust's load."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from conftest import Leakhunt, is_alive, only_run, wait_until

from leakhunt import Load, api
from leakhunt.analysis.verdict.judge import judge
from leakhunt.analysis.verdict.load_summary import load_summary
from leakhunt.engine.events import RunStart, Silent
from leakhunt.model.run import Ending, Outcome, Run
from leakhunt.model.verdict import Status
from leakhunt.service.loop import environment_of
from leakhunt.service.process_tree import Tree
from leakhunt.service.service import attach, free_port
from leakhunt.storage import run_file
from leakhunt.text.message import Text

# So many requests may come between the one that was asked for and the end of the load: a count is
# looked at a few times a second, and a service that answers in 1 ms is not waited for.
_OVERSHOOT = 10_000
SERVICE = Path(__file__).with_name("small_service.py")


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.wav").write_bytes(os.urandom(2000))
    return folder


Soak = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def soak(leakhunt: Leakhunt, recordings: Path) -> Soak:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return leakhunt(
            *("soak", "--audio", str(recordings), "--post", "/x", "--expect", "segments"),
            *("--format", "json", "--timeout", "20", "--out", "out", *words),
        )

    return run


def command(mode: str, *more: str) -> str:
    return shlex.join([sys.executable, str(SERVICE), "{port}", mode, *more])


@pytest.fixture
def running() -> Iterator[tuple[int, str]]:
    """A service that keeps what it gets and that nobody but the test ends."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(SERVICE), str(port), "keeps"])
    yield process.pid, f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


@pytest.fixture
def started_outside() -> Iterator[tuple[int, str]]:
    """The same without an agent."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(SERVICE), str(port), "keeps", "outside"])
    wait_until(lambda: _is_open(port))
    yield process.pid, f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


def _is_open(port: int) -> bool:
    with socket.socket() as asker:
        return asker.connect_ex(("127.0.0.1", port)) == 0


def the_run(folder: Path = Path("out")) -> Run:
    return only_run(folder)


def test_a_service_that_keeps_requests_is_seen_to(soak: Soak, tmp_path: Path) -> None:
    ended = soak("--command", command("keeps"), "--requests", "200")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    run = the_run(tmp_path / "out")
    assert run.outcome.ending is Ending.OK
    assert 200 <= run.calls_done < 200 + _OVERSHOOT
    assert run.plan.load is not None and run.plan.load.users == 4
    heap = run.samples["live_heap"]
    grown = (heap[-1] - heap[0]) / (run.calls[-1] - run.calls[0])
    assert 90_000 < grown < 150_000
    assert [reading.step for reading in run.readings][:1] == ["start"]
    assert [reading.step for reading in run.readings][-4:] == [
        "end", "collected", "emptied", "trimmed",
    ]  # fmt: skip
    assert sum(run.samples["failures"]) == 0
    assert str(run.facts["inside view"]) == "1 of 1 processes"


def test_a_soak_from_python_is_silent_and_gives_its_result(
    recordings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    class Progress(Silent):
        def __init__(self) -> None:
            self.seen: list[str] = []

        def started(self, run: RunStart) -> None:
            self.seen.append(f"{run.name} {run.calls}")

        def noted(self, text: Text, *, warning: bool = False) -> None:
            self.seen.append(str(text).partition(" http")[0])

        def ended(self, name: str, outcome: Outcome) -> None:
            self.seen.append(f"{name} {outcome.ending}")

    load = Load(audio=recordings, post="/x", expect="segments", users=2, requests=60)
    progress = Progress()
    result = api.soak(
        command=command("keeps"), load=load, timeout=20, events=progress, formats=None, out="out"
    )
    assert progress.seen == ["service: waiting until", "service 60", "service ok"]
    assert (result.exit_code, result.files, result.failures) == (0, (), ())
    assert only_run(tmp_path / "out").plan.calls == 60
    assert result.verdict() == result.report.entries[0].verdict
    assert capfd.readouterr() == ("", "")


def test_what_requests_hold_while_they_are_in_flight_hides_no_leak(
    soak: Soak, tmp_path: Path
) -> None:
    """Up to 8 MiB come and go with four users; four KiB a request stay, and are called a leak."""
    ended = soak("--command", command("works"))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    run = the_run(tmp_path / "out")
    assert run.pauses
    verdict = judge(run)
    assert verdict.status is Status.LEAK, verdict.sentence
    assert verdict.trends["live_heap"].rate == pytest.approx(4096, rel=0.1)
    anonymous = run.samples["anonymous"][run.judged_from :]
    assert max(anonymous) - min(anonymous) > 1 << 20, "from outside it is read under load"


def test_from_outside_only_no_live_memory_is_made_up(soak: Soak, tmp_path: Path) -> None:
    ended = soak("--command", command("keeps", "outside"), "--no-agent", "--requests", "150")
    assert ended.returncode == 0, ended.stderr
    run = the_run(tmp_path / "out")
    assert "live_heap" not in run.samples and "python_blocks" not in run.samples
    assert "agent.listen()" in str(run.unavailable["live_heap"])
    assert run.samples["anonymous"][-1] > run.samples["anonymous"][0] + 5_000_000
    assert str(run.facts["inside view"]) == "none: the service does not run the agent"


def test_a_killed_service_leaves_its_evidence(soak: Soak, tmp_path: Path) -> None:
    ended = soak(
        *("--command", command("keeps much"), "--memory-limit", "+150 MiB", "--duration", "60s")
    )
    assert ended.returncode == 0, ended.stderr
    run = the_run(tmp_path / "out")
    if "RLIMIT_AS" in str(run.facts["memory limit"]):
        pytest.skip("no memory cgroup may be made here")
    assert run.outcome.ending is Ending.KILLED
    assert run.outcome.signal == "SIGKILL"
    assert "killed by the OOM killer after request" in str(run.outcome.reason)
    assert "OOM killer" in str(run.outcome.kernel)
    assert run.samples_done > 5


def test_a_service_that_leaves_is_told_with_its_exit_code(soak: Soak, tmp_path: Path) -> None:
    ended = soak("--command", command("leaves"), "--requests", "100")
    assert ended.returncode == 8
    run = the_run(tmp_path / "out")
    assert run.outcome.ending is Ending.CRASHED
    assert "exited with code 5" in str(run.outcome.reason)
    assert "leaving" in (tmp_path / "out" / "service.log").read_text()


@pytest.mark.parametrize(
    ("mode", "error"),
    [("fails", "500 Internal Server Error"), ("lies", "does not hold what is expected")],
)
def test_a_load_that_does_not_land_is_no_measurement(
    soak: Soak, tmp_path: Path, mode: str, error: str
) -> None:
    ended = soak("--command", command(mode), "--requests", "60")
    assert ended.returncode == 4
    summary = load_summary(the_run(tmp_path / "out"))
    assert summary is not None
    assert summary.failed == summary.requests > 0
    assert error in summary.errors[0][0]


@pytest.mark.parametrize(
    ("begun_by", "expected"),
    [
        ("no-such-program {port}", "no-such-program: No such file or directory"),
        (shlex.join([sys.executable, "-c", "raise SystemExit('no model')", "{port}"]), "no model"),
        (shlex.join([sys.executable, "-c", "import time; time.sleep(99)", "{port}"]), "not ready"),
    ],
)
def test_a_service_that_does_not_come_up_is_told_in_a_line(
    soak: Soak, begun_by: str, expected: str
) -> None:
    ended = soak("--command", begun_by, "--timeout", "3")
    assert ended.returncode == 8
    assert expected in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_two_soaks_at_once_have_a_service_each(
    started: Callable[..., subprocess.Popen[str]], recordings: Path, tmp_path: Path
) -> None:
    processes = [
        started(
            *("soak", "--command", command("keeps"), "--requests", "60", "--out", name),
            *("--audio", str(recordings), "--post", "/x", "--format", "json"),
        )
        for name in ("one", "two")
    ]
    assert [each.wait(60) for each in processes] == [0, 0]
    runs = [the_run(tmp_path / name) for name in ("one", "two")]
    targets = {run.plan.load.target for run in runs if run.plan.load is not None}
    assert len(targets) == 2
    calls = [run.calls_done for run in runs]
    assert min(calls) >= 60 and max(calls) < 60 + _OVERSHOOT, calls


def test_a_running_service_is_attached_to_and_left_running(
    soak: Soak, running: tuple[int, str], tmp_path: Path
) -> None:
    pid, url = running
    ended = soak("--pid", str(pid), "--url", url, "--requests", "60")
    assert ended.returncode == 0, ended.stderr
    assert is_alive(pid)
    assert the_run(tmp_path / "out").facts["memory limit"] == "none"


def _left(pid: int) -> tuple[int, set[str], str]:
    """Threads, descriptors that are open, and what ptrace says."""
    process = Path("/proc", str(pid))
    open_now = set()
    for each in (process / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            open_now.add(os.fspath(each.readlink()))
    tracer = re.search(r"^TracerPid:\s*(\d+)", (process / "status").read_text(), re.MULTILINE)
    assert tracer is not None
    return len(list((process / "task").iterdir())), open_now, tracer[1]


def _is_nothing_more(left: tuple[int, set[str], str], before: tuple[int, set[str], str]) -> bool:
    """Whether there is nothing that was not there before; a connection of the start may be gone."""
    return left[0] <= before[0] and left[1] <= before[1] and left[2] == before[2]


def test_a_service_without_an_agent_is_attached_and_left_as_it_was(
    soak: Soak, started_outside: tuple[int, str], tmp_path: Path
) -> None:
    """GIVEN a running service without leakhunt WHEN soaked by its PID THEN live memory is read."""
    pid, url = started_outside
    before = _left(pid)
    ended = soak("--pid", str(pid), "--url", url, "--requests", "60")
    assert ended.returncode == 0, ended.stderr
    run = the_run(tmp_path / "out")
    live = run.samples["live_heap"]
    assert live[-1] - live[0] > 3_000_000
    assert run.readings[0].values["python_blocks"] > 1000
    wait_until(lambda: _is_nothing_more(_left(pid), before))


def test_without_the_agent_nothing_is_attached(
    soak: Soak, started_outside: tuple[int, str], tmp_path: Path
) -> None:
    pid, url = started_outside
    ended = soak("--pid", str(pid), "--url", url, "--requests", "30", "--no-agent")
    assert ended.returncode == 0, ended.stderr
    assert "live_heap" not in the_run(tmp_path / "out").samples


def test_a_soak_is_gone_on_with_while_its_service_runs(
    soak: Soak, running: tuple[int, str], recordings: Path, leakhunt: Leakhunt, tmp_path: Path
) -> None:
    pid, url = running
    assert soak("--pid", str(pid), "--url", url, "--requests", "50").returncode == 0
    before = the_run(tmp_path / "out")
    again = [
        *("soak", "--resume", "out/service.run.jsonl", "--requests", "250", "--format", "json"),
        *("--audio", str(recordings), "--post", "/x"),
    ]
    assert leakhunt(*again).returncode == 0
    run = the_run(tmp_path / "out")
    assert before.calls_done < run.calls_done
    assert list(run.calls[: before.samples_done]) == list(before.calls)
    assert run.samples["live_heap"][-1] > before.samples["live_heap"][-1] + 5_000_000
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)], 10)
    ended = leakhunt(*again)
    assert ended.returncode == 2
    assert "has ended" in ended.stderr


def test_an_interrupted_soak_ends_its_service_and_its_load(
    started: Callable[..., subprocess.Popen[str]], recordings: Path, tmp_path: Path
) -> None:
    process = started(
        *("soak", "--command", command("keeps"), "--duration", "60s", "--out", "out"),
        *("--audio", str(recordings), "--post", "/x", "--format", "json"),
    )
    file = tmp_path / "out" / f"service{run_file.SUFFIX}"
    wait_until(lambda: file.exists() and b'"record":"sample"' in file.read_bytes())
    below = psutil.Process(process.pid).children(recursive=True)
    assert len(below) >= 2
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    run = the_run(tmp_path / "out")
    assert run.outcome.ending is Ending.INTERRUPTED
    assert run.reading("trimmed") is not None
    assert not any(is_alive(each.pid) for each in below)


def test_kill_nine_leaves_neither_service_nor_load(
    started: Callable[..., subprocess.Popen[str]], recordings: Path, tmp_path: Path
) -> None:
    process = started(
        *("soak", "--command", command("keeps"), "--duration", "60s", "--out", "out"),
        *("--audio", str(recordings), "--post", "/x", "--format", "json"),
    )
    file = tmp_path / "out" / f"service{run_file.SUFFIX}"
    wait_until(lambda: file.exists() and file.read_bytes().count(b'"record":"sample"') > 3)
    below = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    wait_until(lambda: not any(is_alive(each.pid) for each in below))
    run = run_file.load(file)
    assert run.samples_done > 3
    assert "no footer" in str(run.outcome.reason)


def test_the_environment_of_a_soak_is_the_services(
    soak: Soak, running: tuple[int, str], tmp_path: Path
) -> None:
    """Here sh is the service, by its first process: of no interpreter anything is known."""
    inner = f"MALLOC_ARENA_MAX=3 exec sh -c {shlex.quote(command('keeps') + '; true')}"
    done = soak("--command", shlex.join(["sh", "-c", inner]), "--requests", "30")
    assert done.returncode in (0, 1), done.stderr
    environment = the_run(tmp_path / "out").environment
    assert environment["env MALLOC_ARENA_MAX"] == "3"
    assert "python" not in environment
    assert {"libc", "cpu", "leakhunt"} <= environment.keys()
    attached = environment_of(attach(running[0]))
    assert attached["python"].endswith(platform.python_version())


def test_the_tree_counts_all_processes() -> None:
    code = (
        "import subprocess, sys, time;"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        tree = Tree(process.pid)
        wait_until(lambda: len(tree.pids()) == 2)
        wait_until(lambda: tree.read()["rss"] > 10 << 20)
        values = tree.read()
        assert values["children"] == 1
        assert values["threads"] == 2
        assert values["pss"] < values["rss"]
        assert values["anonymous"] < values["rss"]
        assert set(values) == {series.name for series in tree.series}
        below = tree.pids()[1]
    finally:
        process.kill()
        process.wait()
    os.kill(below, signal.SIGKILL)
    with pytest.raises(ProcessLookupError):
        tree.read()
    assert not tree.is_alive()


def test_a_forked_worker_listens_for_itself() -> None:
    code = (
        "import os, sys, time; from leakhunt import agent; agent.listen();"
        "child = os.fork(); sys.stdout.write(f'{os.getpid()}\\n'); sys.stdout.flush();"
        "time.sleep(60)"
    )
    from leakhunt.service.agent_client import ListeningAgents

    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pids = [int(process.stdout.readline()), int(process.stdout.readline())]
    within = ListeningAgents()
    try:
        wait_until(lambda: within.find(pids) == 2)
        both = within.ask("numbers")
        assert both["python_blocks"] > 20_000
        assert within.ask("look_collected")["collect_ns"] > 0
        assert within.ask("nonsense") == {}
    finally:
        within.close()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        process.wait()


def test_errors_of_the_load_itself_are_told(
    leakhunt: Leakhunt, tmp_path: Path, recordings: Path
) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('no user here')\n")
    ended = leakhunt(
        *("soak", "--command", command("keeps"), "--locustfile", "broken.py", "--out", "out"),
        "--format=json",
    )
    assert ended.returncode == 8
    assert "the load generator stopped" in ended.stderr
    assert "no user here" in (tmp_path / "out" / "service.load.log").read_text()


def test_a_described_service_is_soaked_by_its_name_with_its_options(
    leakhunt: Leakhunt, tmp_path: Path, recordings: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    words = [sys.executable, str(SERVICE), "{port}", "{mode}"]
    (folder / "service.toml").write_text(
        f'summary = "mine"\n[options]\nmode = "none"\n'
        f'[[variant]]\nname = "only"\ncommand = {json.dumps(words)}\nready = "/"\nfacts = "/"\n'
    )
    ended = leakhunt(
        *("soak", "mine:only", "--option", "mode=keeps", "--requests", "60", "--out", "out"),
        *("--audio", str(recordings), "--post", "/x", "--format", "json"),
    )
    assert ended.returncode == 0, ended.stderr
    run = the_run(tmp_path / "out")
    assert run.plan.scenario == "mine" and run.plan.variant == "only"
    assert run.plan.options == {"mode": "keeps"}
    assert run.facts["weights"] == "none at all"
    assert not run.facts.keys() & {"status", "size"}
    assert run.samples["live_heap"][-1] > run.samples["live_heap"][0] + 3_000_000


def test_who_keeps_it_is_found_inside_the_service(soak: Soak, tmp_path: Path) -> None:
    """GIVEN a service that keeps objects WHEN it is hunted THEN its list is named."""
    ended = soak("--command", command("keeps objects"), "--hunt", "--users", "2", "--resolve")
    assert ended.returncode == 0, ended.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    (entry,) = report["runs"]
    assert entry["kind"] == "leak in Python"
    first = entry["attribution"]["suspects"][0]
    assert "OBJECTS" in " ".join(first["chain"])
    assert "small_service.py" in json.dumps(first["stack"])
    assert first["share"] > 0.8


@pytest.mark.long
def test_garbage_is_looked_at_by_name_inside_the_service(soak: Soak, tmp_path: Path) -> None:
    """GIVEN a service whose requests leave cycles WHEN it is hunted THEN the cycle is named."""
    ended = soak("--command", command("leaves cycles"), "--hunt", "--users", "2")
    assert ended.returncode == 0, ended.stderr
    assert "Cyclic garbage:" in ended.stdout
    assert "reference back to the owner: __main__.Node._other -> __main__.Node" in ended.stdout
    assert "small_service.py" in ended.stdout


def test_recycled_workers_are_told_and_hold_what_they_grow_by(soak: Soak, tmp_path: Path) -> None:
    """GIVEN Gunicorn with two workers that are replaced after some 30 requests each."""
    recycled = shlex.join(
        [
            *(sys.executable, "-m", "gunicorn", "--workers", "2", "--bind", "127.0.0.1:{port}"),
            *("--max-requests", "30", "--pythonpath", str(SERVICE.parent), "small_wsgi:app"),
        ]
    )
    ended = soak("--command", recycled, "--requests", "300")
    assert ended.returncode == 0, ended.stderr
    run = the_run(tmp_path / "out")
    assert run.outcome.ending is Ending.OK
    (texts,) = [note["text"] for note in run.notes if note["kind"] == "restarted"]
    assert int(str(texts).split()[0]) >= 2
    assert max(run.samples["children"]) <= 4
    # Without recycling it would have kept 30 MB. (It is less while a worker is missing.)
    live = run.samples["live_heap"]
    assert max(live) - live[0] < 15_000_000
    assert sum(run.samples["failures"]) <= 0.1 * run.calls_done
