"""One check of each verb that works beside ``run`` and ``hunt``, on something small and real.

Each starts what it needs (a script, a web service under light load, a repository of three commits),
runs the verb as its user does, and says whether the result is right: `CHECKS`. Nothing of it waits
for an error rate; that is what the zoo and the soaks are for.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import quantiles
from typing import Any

Found = dict[str, Any]

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "tests" / "integration" / "soak" / "small_service.py"
LEAKHUNT = (sys.executable, "-m", "leakhunt")
PATIENCE_SECONDS = 300.0
STARTING_SECONDS = 60.0
SETTLING_SECONDS = 10.0
LOAD_PER_SECOND = 40
WATCHED = "24s"
TRACED = "3s"

WEB_SERVICE = '''
"""A service that keeps a session of every request, and knows of no tool."""

import sys

import uvicorn
from fastapi import FastAPI


class Session:
    def __init__(self, number):
        self.number = number
        self.data = bytearray(20_000)


class Registry:
    sessions = []


table = [(number, str(number)) for number in range(100_000)]
app = FastAPI()


@app.get("/double/{number}")
async def double(number: int):
    Registry.sessions.append(Session(number))
    return {"doubled": 2 * number}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
'''
# Where the bytes of a session are allocated.
LEAKING_LINE = WEB_SERVICE.splitlines().index("        self.data = bytearray(20_000)") + 1
GROWING_SCRIPT = """
import time

KEPT = []
print("ready", flush=True)
while True:
    KEPT.append(bytearray(1_000_000))
    time.sleep(0.1)
"""
HANDLERS = '''
"""Two handlers; one retains each answer."""

KEPT = []


def keeps(call):
    KEPT.append(f"answer {call} " * 50)


def answers(call):
    return f"answer {call} " * 50
'''
COMMITS = (
    "KEPT = []\n\n\ndef handle(call):\n    return call\n",
    "KEPT = []\n\n\ndef handle(call):\n    return call + 1\n",
    "KEPT = []\n\n\ndef handle(call):\n    KEPT.append(bytes(4096))\n",
)
GUARDED = """
import asyncio, sys
import uvicorn
from leakhunt.guard import Guard, GuardConfig, GuardMiddleware

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await asyncio.sleep(0.5)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})

guard = Guard(GuardConfig(max_concurrency=2, queue_seconds=0))
guarded = GuardMiddleware(app, guard=guard)
uvicorn.run(guarded, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", lifespan="off")
"""
SUITE = """
KEPT = []

def test_keeps():
    KEPT.append(bytearray(1000))

def test_answers():
    assert "a".upper() == "A"
"""
NOTEBOOK = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
for cell in ("%load_ext leakhunt", "KEPT = []"):
    shell.run_cell(cell).raise_error()
leaks = shell.run_cell("%%leakhunt --calls 200\\nKEPT.append(bytearray(1000))\\n")
leaks.raise_error()
clean = shell.run_cell("%%leakhunt --calls 200\\nbytearray(1000)\\n")
clean.raise_error()
with open("verdicts.json", "w") as file:
    json.dump([str(each.result.verdict().status) for each in (leaks, clean)], file)
"""


class NotRight(Exception):
    """What a verb said is not what is known of the thing; the text says what it said."""


def attach(folder: Path) -> Found:
    """A FastAPI service under load: the holder and the line of what grows, and no harm done."""
    port = _free_port()
    with _started(folder, "web_service.py", WEB_SERVICE, str(port)) as service:
        load = _Load(port)
        before = load.for_a_while(3.0)
        state = _state(service.pid)
        with load.going_on() as during:
            words = ("attach", str(service.pid), "--for", WATCHED, "--trace", TRACED)
            document = _document(folder, *words, "--format", "json", "--out", "visit")
        after = load.for_a_while(2.0)
        if "memray" in document["cost"]["left"]["text"]:  # it says so: a module, with its pipe
            state["descriptors"] += 2
        left = _settles(service.pid, state)
    growers = {each["path"] for each in document["growers"]}
    places = [each["place"] for each in document["places"]]
    _expect("__main__.Registry.sessions" in growers, f"growing: {sorted(growers)}")
    _expect(_names(places, f"web_service.py:{LEAKING_LINE}"), f"allocating: {places[:3]}")
    _expect(before.wrong + during.wrong + after.wrong == 0, "an answer was wrong or missing")
    _expect(left == state, f"left {left}, expected {state}")
    cost = document["cost"]
    return {
        "way": cost["way"],
        "left": cost["left"]["text"],
        "seconds_to_enter": round(cost["seconds_to_enter"], 2),
        "longest_pause_seconds": round(cost["longest_pause_seconds"], 4),
        "objects": cost["objects"],
        "verdict": document["verdict"]["status"],
        "request_seconds": {"before": before.seconds(), "during": during.seconds()},
    }


def attach_gdb(folder: Path) -> Found:
    """The agent is brought in by gdb, and answers."""
    if not _has("gdb"):
        return {"not_run": "gdb is not installed"}
    code = (
        "import sys\n"
        "from leakhunt.injection.target import examine\n"
        "from leakhunt.injection.visit import attached\n"
        "from leakhunt.injection.ways import Way\n"
        "with attached(examine(int(sys.argv[1])), way=Way.GDB) as visit:\n"
        "    print(visit.ask('numbers')['python_blocks'])\n"
    )
    with _started(folder, "grows.py", GROWING_SCRIPT) as script:
        state = _state(script.pid)
        done = _ran(folder, sys.executable, "-c", code, str(script.pid))
        _expect(done.returncode == 0 and int(done.stdout) > 5000, _last(done))
        _expect(_settles(script.pid, state) == state, "the script has more than before")
    return {}


def watch(folder: Path) -> Found:
    """A script that grows beyond its limit: an alarm, and what was inside."""
    with _started(folder, "grows.py", GROWING_SCRIPT) as script:
        words = ("watch", str(script.pid), "--interval", "1s", "--duration", "12s", "--attach")
        document = _document(folder, *words, "--limit", "60 MiB", "--format", "json",
                             "--out", "watched")  # fmt: skip
        _expect(script.poll() is None, "the script has ended")
    visit = json.loads((folder / "watched" / "attach-1" / "attach.json").read_bytes())
    holders = [each["path"] for each in visit["heap"]["holders"]]
    _expect("__main__.KEPT" in holders[:1], f"holders: {holders[:3]}")
    (run,) = document["runs"]
    return {"samples": run["calls_done"]}


def analyze(folder: Path) -> Found:
    """A CSV of two instances over five days, of which one grows."""
    random.seed(1)
    with (folder / "memory.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("time", "grows", "level"))
        for number in range(5 * 288):
            noise = (random.gauss(0, 1 << 20) for _ in range(2))
            grown, level = (round(each) for each in noise)
            rows.writerow((1_790_000_000 + 300 * number, (400 << 20) + 80_000 * number + grown,
                           (400 << 20) + level))  # fmt: skip
    document = _document(folder, "analyze", "memory.csv", "--limit", "1 GiB", "--out", "judged")
    courses = {each["instance"]: each["course"] for each in document["instances"]}
    first = document["instances"][0]
    _expect(courses == {"grows": "grows", "level": "level"}, f"courses: {courses}")
    rate = first["bytes_per_second"]
    _expect(abs(rate / (80_000 / 300) - 1) < 0.05, f"bytes a second: {rate}")
    return {"bytes_per_second": round(rate, 1)}


def matrix(folder: Path) -> Found:
    """Two cells of a plain module: one leaks, by a list that is named."""
    (folder / "handlers.py").write_text(HANDLERS, encoding="utf-8")
    words = ("matrix", "handlers.py", "--vary", "variant=keeps,answers", "--calls", "300")
    document = _document(folder, *words, "--on", "local", "--jobs", "1", "--out", "cells",
                         "--format", "json")  # fmt: skip
    cells = {each["values"]["variant"]: each["status"] for each in document["cells"]}
    _expect(cells == {"keeps": "leak", "answers": "no_leak"}, f"cells: {cells}")
    _expect("handlers.KEPT" in json.dumps(document), "no suspect is handlers.KEPT")
    return {}


def bisect(folder: Path) -> Found:
    """Three commits, of which the last introduces a leak."""
    if not _has("git"):
        return {"not_run": "git is not installed"}
    (folder / "repo").mkdir()
    git = ("git", "-C", "repo", "-c", "user.name=a", "-c", "user.email=a@b")
    _ran(folder, *git, "init", "-q")
    for number, text in enumerate(COMMITS):
        (folder / "repo" / "service.py").write_text(text, encoding="utf-8")
        _ran(folder, *git, "add", "service.py")
        _ran(folder, *git, "commit", "-qm", f"version {number}")
    last = _ran(folder, *git, "rev-parse", "HEAD").stdout.strip()
    first = _ran(folder, *git, "rev-list", "--max-parents=0", "HEAD").stdout.strip()
    words = ("bisect", "repo/service.py:handle", "--repo", "repo", "--good", first, "--bad", "HEAD")
    document = _document(folder, *words, "--calls", "250", "--out", "since", "--format", "json")
    _expect(document["first"] == last, f"first with the leak: {document['first'] or 'none'}")
    _expect("service.KEPT" in document["suspect"]["text"], f"suspect: {document['suspect']}")
    return {"confidence": round(document["confidence"], 4)}


def guard(folder: Path) -> Found:
    """An ASGI app with two places: of five requests at once three are refused, and counted."""
    if not _is_there("uvicorn"):
        return {"not_run": "uvicorn is not installed"}
    port = _free_port()
    with _started(
        folder, "guarded.py", GUARDED, str(port), ready=f"http://127.0.0.1:{port}/health"
    ):
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda: statuses.append(_get(port, "/work")[0]))
            for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counted = Counter(statuses)
        _expect(counted == {200: 2, 503: 3}, f"answers: {dict(counted)}")
        health = json.loads(_get(port, "/health")[1])
        metrics = _get(port, "/metrics")[1].decode()
        live = _get(port, "/health/live")[0]
    _expect((health["status"], live) == ("ok", 200), f"health: {health['status']}, live {live}")
    _expect(health["requests"]["refused"] == {"concurrency": 3}, f"health: {health['requests']}")
    refused = re.search(
        r'^\w*refused\w*\{[^}]*"concurrency"[^}]*\} 3(\.0)?$', metrics, re.MULTILINE
    )
    _expect(refused is not None, "metrics have no three refused requests")
    return {"used_bytes": health.get("used_bytes")}


def soak_agent(folder: Path) -> Found:
    """A service without a line of ours: its agent starts by itself, and the cause is found."""
    if not _is_there("locust"):
        return {"not_run": "locust is not installed"}
    recordings = folder / "recordings"
    recordings.mkdir()
    (recordings / "a.wav").write_bytes(os.urandom(2000))
    command = shlex.join([sys.executable, str(SERVICE), "{port}", "keeps objects", "outside"])
    words = ("soak", "--command", command, "--audio", "recordings", "--post", "/x",
             "--requests", "2000", "--hunt", "--format", "json", "--out", "soaked")  # fmt: skip
    document = _document(folder, *words)
    (run,) = document["runs"]
    _expect(run["status"] == "leak", f"verdict: {run['sentence']['text']}")
    _expect("live_heap" in run["trends"], "no reading from within")
    suspects = [each["title"]["text"] for each in run["attribution"]["suspects"]]
    _expect(_names(suspects, "OBJECTS"), f"suspects: {suspects[:3]}")
    return {"bytes_per_request": run["trends"]["live_heap"]["rate"]}


def suite(folder: Path) -> Found:
    """``--leakhunt-all`` on a suite of two tests, of which one leaks."""
    (folder / "test_suite.py").write_text(SUITE, encoding="utf-8")
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--leakhunt-all", "5s")
    done = _ran(folder, sys.executable, *words, "--leakhunt-json", "out.json", "test_suite.py")
    _expect((folder / "out.json").is_file(), _last(done))
    document = json.loads((folder / "out.json").read_bytes())
    found = {each["test"].partition("::")[2]: each["status"] for each in document["tests"]}
    _expect(found == {"test_keeps": "leak", "test_answers": "no leak"}, f"tests: {found}")
    _expect("test_suite.KEPT" in done.stdout, "no suspect is test_suite.KEPT")
    return {}


def notebook(folder: Path) -> Found:
    """Two cells of IPython with ``%%leakhunt``."""
    if not _is_there("IPython"):
        return {"not_run": "IPython is not installed"}
    (folder / "notebook.py").write_text(NOTEBOOK, encoding="utf-8")
    done = _ran(folder, sys.executable, "notebook.py")
    _expect(done.returncode == 0, _last(done))
    verdicts = json.loads((folder / "verdicts.json").read_bytes())
    _expect(verdicts == ["leak", "no_leak"], f"cells: {verdicts}")
    return {}


CHECKS: dict[str, Callable[[Path], Found]] = {
    "attach": attach,
    "gdb": attach_gdb,
    "watch": watch,
    "analyze": analyze,
    "matrix": matrix,
    "bisect": bisect,
    "guard": guard,
    "agent": soak_agent,
    "suite": suite,
    "notebook": notebook,
}


def checked(name: str, folder: Path) -> Found:
    """One verb in a new folder: whether it is right, and what it said where it is not."""
    folder.mkdir(parents=True)
    try:
        found = CHECKS[name](folder)
    except NotRight as error:
        found = {"is_right": False, "said": str(error)[:300]}
    except (OSError, KeyError, ValueError, subprocess.SubprocessError) as error:
        found = {"is_right": False, "said": f"{type(error).__name__}: {error}"[:300]}
    else:
        found = found if "not_run" in found else {"is_right": True, **found}
    return found


class _Answers:
    """What a stretch of requests came to."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.wrong = 0

    def seconds(self) -> dict[str, float]:
        """Median, 99 %, and the longest."""
        cuts = quantiles(self.times, n=100)
        return {
            "p50": round(cuts[49], 4),
            "p99": round(cuts[98], 4),
            "max": round(max(self.times), 4),
        }


class _Load:
    """Requests at a steady pace, by one client."""

    def __init__(self, port: int) -> None:
        self._port = port
        deadline = time.monotonic() + STARTING_SECONDS
        while _get(port, "/double/1")[0] != 200:
            _expect(time.monotonic() < deadline, "the service does not answer")
            time.sleep(0.1)

    def for_a_while(self, seconds: float) -> _Answers:
        with self.going_on() as answers:
            time.sleep(seconds)
        return answers

    @contextmanager
    def going_on(self) -> Iterator[_Answers]:
        answers, ended = _Answers(), threading.Event()

        def ask() -> None:
            number = 0
            while not ended.wait(1 / LOAD_PER_SECOND):
                number += 1
                started = time.monotonic()
                status, body = _get(self._port, f"/double/{number}")
                answers.times.append(time.monotonic() - started)
                is_right = status == 200 and json.loads(body) == {"doubled": 2 * number}
                answers.wrong += not is_right

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield answers
        finally:
            ended.set()
            thread.join()


@contextmanager
def _started(
    folder: Path, name: str, text: str, *words: str, ready: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    """A script in a process of its own, which ends with the block; `ready` is asked until 200."""
    (folder / name).write_text(text, encoding="utf-8")
    made = subprocess.Popen((sys.executable, name, *words), cwd=folder, stdout=subprocess.PIPE)
    try:
        if "ready" in text.partition("print(")[2][:8]:
            assert made.stdout is not None
            made.stdout.readline()
        deadline = time.monotonic() + STARTING_SECONDS
        while ready and _got(ready)[0] != 200:
            _expect(time.monotonic() < deadline, f"{name} does not answer")
            time.sleep(0.1)
        yield made
    finally:
        made.send_signal(signal.SIGKILL)
        made.communicate()


def _state(pid: int) -> dict[str, int]:
    """Descriptors (without the file that some libffi keep) and threads of a process at rest."""
    folder = Path("/proc", str(pid))
    kept = 0
    for each in (folder / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            kept += "libffi" not in os.fspath(each.readlink())
    return {"descriptors": kept, "threads": len(list((folder / "task").iterdir()))}


def _settles(pid: int, expected: dict[str, int]) -> dict[str, int]:
    deadline = time.monotonic() + SETTLING_SECONDS
    while (found := _state(pid)) != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _document(folder: Path, *words: str) -> Any:
    """What a verb prints with ``--json``.

    Raises:
        NotRight: it printed none.
    """
    done = _ran(folder, *LEAKHUNT, *words, "--json")
    try:
        document = json.loads(done.stdout)
    except ValueError:
        raise NotRight(_last(done)) from None
    _expect("error" not in document, str(document))
    return document


def _ran(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LEAKHUNT_LANG": "en", "LANG": "C.UTF-8", "COLUMNS": "200"}
    return subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False,
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip


def _last(done: subprocess.CompletedProcess[str]) -> str:
    return f"exit code {done.returncode}: {(done.stderr.strip() or done.stdout.strip())[-250:]}"


def _get(port: int, path: str) -> tuple[int, bytes]:
    return _got(f"http://127.0.0.1:{port}{path}")


def _got(url: str) -> tuple[int, bytes]:
    """Status and body; 0: no answer."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own service
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError:
        return 0, b""


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _names(texts: list[str], part: str) -> bool:
    return any(part in each for each in texts)


def _expect(is_so: bool, said: str) -> None:
    """Go on if it is so.

    Raises:
        NotRight: it is not.
    """
    if not is_so:
        raise NotRight(said)


def _has(command: str) -> bool:
    from shutil import which

    return which(command) is not None


def _is_there(package: str) -> bool:
    return find_spec(package) is not None
