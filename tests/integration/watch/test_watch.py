"""Watches of real processes: found by name, restarted, killed; and watches that are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import leakhunt
from leakhunt.cli.main import main
from leakhunt.errors import LeakhuntError, UsageError
from leakhunt.model.run import Ending, Run
from leakhunt.model.series import RSS
from leakhunt.storage import run_file as store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="watch needs Linux")

WAITING = "import time\nwhile True: time.sleep(0.1)\n"
PATIENCE_SECONDS = 60


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A script that waits, whose name no other process has."""
    file = tmp_path / f"waits_{os.getpid()}_{time.monotonic_ns()}.py"
    file.write_text(WAITING, encoding="utf-8")
    return file


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts processes that end with the test."""
    made: list[subprocess.Popen[bytes]] = []

    def start(*words: object) -> subprocess.Popen[bytes]:
        made.append(subprocess.Popen(list(map(str, words))))
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.wait()


def load(folder: Path) -> Run:
    return store.load(folder / "watch.run.jsonl")


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def samples(folder: Path) -> int:
    file = folder / "watch.run.jsonl"
    return file.read_text("utf-8").count('"record":"sample"') if file.exists() else 0


def test_a_process_that_is_restarted_is_followed(
    tmp_path: Path, script: Path, started: Callable[..., subprocess.Popen[bytes]]
) -> None:
    out = tmp_path / "out"
    first = started(sys.executable, script)

    def restart() -> None:
        until(lambda: samples(out) >= 2)
        first.kill()
        first.wait()
        second = started(sys.executable, script)
        until(lambda: '"restarted"' in (out / "watch.run.jsonl").read_text("utf-8"))
        before = samples(out)
        until(lambda: samples(out) >= before + 2)
        second.kill()
        second.wait()

    thread = threading.Thread(target=restart)
    thread.start()
    result = leakhunt.watch(script.name, interval=1, wait=3, out=out, formats="json")
    thread.join()
    run = load(out)
    assert result.exit_code == 0
    assert "none took its place" in str(run.outcome.reason)
    noted = [note for note in run.notes if note["kind"] == "watching"]
    assert len({note["pid"] for note in noted}) == 2
    assert [reading.step for reading in run.readings] == ["restarted"]
    assert all(value > 1 << 20 for value in run.samples[RSS])


def test_a_watch_that_is_killed_goes_on_with_its_file(
    tmp_path: Path, script: Path, started: Callable[..., subprocess.Popen[bytes]]
) -> None:
    process = started(sys.executable, script)
    out = tmp_path / "out"
    words = [sys.executable, "-m", "leakhunt", "watch", str(process.pid), "--interval", "1s"]
    words += ["--out", str(out), "--format", "json"]
    watching = started(*words)
    until(lambda: samples(out) >= 2)
    watching.send_signal(signal.SIGKILL)
    watching.wait()
    before = samples(out)
    again = started(*words)
    until(lambda: samples(out) >= before + 2)
    again.send_signal(signal.SIGINT)
    assert again.wait(PATIENCE_SECONDS) == 130
    run = load(out)
    assert run.outcome.ending is Ending.INTERRUPTED
    assert [str(note["kind"]) for note in run.notes] == ["watching", "resumed"]
    assert list(run.calls) == sorted(set(run.calls))
    assert run.samples_done >= before + 2
    assert (out / "report.json").exists()


def test_a_command_is_started_and_its_end_is_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "import time, sys; time.sleep(3); sys.exit(7)"
    out = tmp_path / "out"
    words = ["watch", "--interval", "1s", "--out", str(out), "--format", "json", "--json"]
    assert main([*words, "--", sys.executable, "-c", code]) == 8
    document = json.loads(capsys.readouterr().out)
    assert document["command"].startswith("leakhunt watch --interval 1s --")
    run = load(out)
    assert (run.outcome.ending, run.outcome.exit_code) == (Ending.CRASHED, 7)
    assert run.samples_done >= 2


def test_an_alarm_is_raised_once_and_looks_inside(
    tmp_path: Path, script: Path, started: Callable[..., subprocess.Popen[bytes]]
) -> None:
    process = started(sys.executable, script)
    posted: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append(json.loads(body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    told = tmp_path / "told.json"
    out = tmp_path / "out"
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        leakhunt.watch(
            process.pid,
            interval=1,
            duration=4,
            limit="1 MiB",
            attach=True,
            alert_command=f"sh -c 'cat >> {told}'",
            webhook=f"http://127.0.0.1:{server.server_port}/alerts",
            out=out,
            formats="json",
        )
        server.shutdown()
        thread.join()
    assert len(posted) == 1
    assert posted[0]["pid"] == process.pid
    assert "memory is short" in str(posted[0]["text"])
    assert json.loads(told.read_text("utf-8")) == posted[0]
    visit = json.loads((out / "attach-1" / "attach.json").read_text("utf-8"))
    assert visit["pid"] == process.pid
    assert process.poll() is None
    assert [str(note["kind"]) for note in load(out).notes].count("alarm-raised") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["watch"],
        ["watch", "999999999"],
        ["watch", "no process has this in its command line"],
        ["watch", "1", "--interval", "0s"],
        ["watch", "1", "--interval", "2h"],
        ["watch", "1", "--webhook", "file:///etc/passwd"],
        ["watch", "1", "--alert-command", "logger 'leak"],
        ["watch", "--", "/nowhere/at/all"],
    ],
    ids=lambda words: " ".join(words[1:3]),
)
def test_what_makes_no_sense_is_one_line(
    words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([words[0], "--out", str(tmp_path / "out"), *words[1:]]) == UsageError.exit_code
    error = capsys.readouterr().err
    assert error.startswith("leakhunt: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_several_that_fit_are_listed(
    script: Path, started: Callable[..., subprocess.Popen[bytes]]
) -> None:
    pids = [started(sys.executable, script).pid for _ in range(2)]
    time.sleep(0.2)
    with pytest.raises(LeakhuntError) as caught:
        leakhunt.watch(script.name)
    assert all(str(pid) in str(caught.value) for pid in pids)
