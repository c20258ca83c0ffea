"""Runs built from numbers, scenario files built from text, and workers for real."""

from __future__ import annotations

import atexit
import functools
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from fork_server import ForkServer

from leakhunt.model.plan import Plan
from leakhunt.model.run import Ending, Outcome, Phase, Purpose, Reading, Run
from leakhunt.model.series import Series, Unit
from leakhunt.runner.reaper import Reaper
from leakhunt.storage import run_file, run_writer

# A shell starts what it puts into the background with SIGINT ignored, and so all that this starts.
# The tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The programs that make the pages, and the checks of each Python, are tested where they are.
sys.path += [str(Path(__file__).parents[1] / "docs"), str(Path(__file__).parent / "pythons")]

# What the tests start ends with them, also where they are killed.
_REAPER = Reaper()
os.environ.update(_REAPER.variables)
atexit.register(_REAPER.end)

# A bound for what hangs, not a measure of anything.
PATIENCE_SECONDS = 120.0
POLL_SECONDS = 0.002

UNITS = {
    "python_blocks": Unit.BLOCKS,
    "threads": Unit.COUNT,
    "descriptors": Unit.COUNT,
    "children": Unit.COUNT,
    "audio": Unit.NANOSECONDS,
    "duration": Unit.NANOSECONDS,
}

# The series of a header, as a run file made by hand has them.
TWO_SERIES = [
    {"name": "rss", "unit": "bytes", "title": "RSS", "blind_to": "much"},
    {"name": "duration", "unit": "ns", "title": "time", "blind_to": "more"},
]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores: a good part of the time a test waits for what it started."""
    return len(os.sched_getaffinity(0)) + 2


@pytest.hookimpl(wrapper=True)  # before xdist reads the marks, which it does first of all others
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Keep together what is quick, and what shares a fixture; the rest goes to whoever is free."""
    # Before a worker has loaded a pipeline: they look at every object of their process.
    items.sort(key=lambda item: "instruments" not in item.path.parts)
    for item in items:
        if "integration" not in item.path.parts or _shares_a_fixture(item):
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A test that is marked so runs in a forked child: what it leaves in memory ends with that."""
    if pyfuncitem.get_closest_marker("in_a_fork") is None:
        return None
    names = pyfuncitem._fixtureinfo.argnames
    given = {name: pyfuncitem.funcargs[name] for name in names}
    fork = multiprocessing.get_context("fork")
    answer, report = fork.Pipe(duplex=False)
    child = fork.Process(
        target=_reported, args=(functools.partial(pyfuncitem.obj, **given), report)
    )
    child.start()
    report.close()
    try:
        outcome, text = answer.recv()
    except EOFError:
        outcome, text = "failed", "the child ended without an answer"
    child.join()
    if outcome == "skipped":
        pytest.skip(text)
    assert outcome == "passed", f"{text} (exit code {child.exitcode})"
    return True


def _reported(test: Callable[[], object], report: Connection) -> None:
    try:
        test()
    except pytest.skip.Exception as skipped:
        report.send(("skipped", str(skipped)))
    except BaseException:
        report.send(("failed", traceback.format_exc()))
    else:
        report.send(("passed", ""))


def _shares_a_fixture(item: pytest.Item) -> bool:
    assert isinstance(item, pytest.Function)
    given = item._fixtureinfo.name2fixturedefs.values()
    return any(fixture.scope == "module" for definitions in given for fixture in definitions)


MakeRun = Callable[..., Run]
WriteScenario = Callable[[str], Path]
Leakhunt = Callable[..., subprocess.CompletedProcess[str]]


def plan(**changes: Any) -> Plan:
    """A plan of 200 calls with 50 of warm-up, unless changed."""
    fields: dict[str, Any] = {
        "scenario": "made",
        "variant": "naive",
        "calls": 200,
        "warmup": 50,
        "seed": 0,
        "threads": 1,
        "device": "cpu",
        "options": {},
        "result_kind": "equal",
        "reference": "naive",
    }
    return Plan(**(fields | changes))


def _make_run(
    readings: Mapping[str, Mapping[str, int]] | Sequence[Reading] = (),
    limits: Mapping[str, int] | None = None,
    outcome: Outcome | None = None,
    results: Mapping[int, Any] | None = None,
    plan_changes: Mapping[str, Any] | None = None,
    **samples: Sequence[int],
) -> Run:
    calls = max((len(values) for values in samples.values()), default=0)
    changes = {"calls": max(calls, 1), "warmup": calls // 4} | dict(plan_changes or {})
    names = samples or {"live_heap": (), "rss": ()}
    return Run(
        plan=plan(**changes),
        outcome=outcome or Outcome(Ending.OK),
        series=tuple(
            Series(name, UNITS.get(name, Unit.BYTES), f"title of {name}", "nothing")
            for name in names
        ),
        samples={name: array("q", values) for name, values in names.items()},
        calls=range(1, calls + 1),
        phases=(
            Phase(0, changes["warmup"], Purpose.WARM_UP, 1, collects=False),
            Phase(changes["warmup"], calls - changes["warmup"], Purpose.JUDGED, 1, collects=False),
        ),
        limits=limits or {},
        readings=tuple(
            Reading(step, values, 0 if step == "start" else calls)
            for step, values in readings.items()
        )
        if isinstance(readings, Mapping)
        else tuple(readings),
        results=results or {},
    )


@pytest.fixture(scope="session")
def make_run() -> MakeRun:
    """A finished run of one call a sample, from series by name; `readings` by step, or as such."""
    return _make_run


@pytest.fixture
def write_scenario(tmp_path: Path) -> WriteScenario:
    """A scenario file whose variants are `body`; setup and imports are given."""

    def write(body: str) -> Path:
        path = tmp_path / "made.py"
        head = '"""Made for a test."""\nimport os, sys, time\nfrom leakhunt import variant\n\n'
        path.write_text(f"{head}KEPT = []\n\ndef setup(context):\n    return context\n\n{body}")
        return path

    return write


@pytest.fixture
def leakhunt(tmp_path: Path) -> Leakhunt:
    """Run the command line in an empty folder; output and exit code come back."""

    def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        return command_line(arguments, cwd=tmp_path, **options)

    return run


@functools.cache
def _fork_server() -> ForkServer:
    server = ForkServer()
    atexit.register(server.stop)
    return server


def command_line(
    arguments: Sequence[object], cwd: Path, **options: Any
) -> subprocess.CompletedProcess[str]:
    """``leakhunt *arguments`` in a process of its own, in that folder; see `ForkServer.run`."""
    return _fork_server().run(measuring_only(arguments), cwd, **options)


# With one of these, `run` and `hunt` are left as they are asked for.
_AS_THEY_ARE = {"--budget", "--no-hunt", "--retained"}


def measuring_only(arguments: Sequence[object]) -> list[object]:
    """`run` and `hunt` without a budget, and `run` without its hunt: they take a minute.

    What `run` does by default is tested by a scripted executor, and by the bounded caches.
    """
    words = [str(each) for each in arguments]
    if words[:1] not in (["run"], ["hunt"]) or len(words) < 3 or _AS_THEY_ARE & set(words):
        return list(arguments)
    return [*arguments, "--budget", "0", *(["--no-hunt"] if words[0] == "run" else [])]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command line in the background; whatever still runs is killed after the test."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "leakhunt", *map(str, measuring_only(arguments))],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium, without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra dev is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount command here")
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def only_run(folder: Path) -> Run:
    """The one run in a folder."""
    (file,) = run_file.find_run_files([str(folder)])
    return run_file.load(file)


def wait_until(
    condition: Callable[[], object], process: subprocess.Popen[str] | None = None
) -> None:
    """Poll until `condition` holds; fail if `process` ends before, or after `PATIENCE_SECONDS`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert process is None or process.poll() is None, "it ended before"
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(POLL_SECONDS)


def is_alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


@pytest.fixture
def leaking(make_run: MakeRun) -> Run:
    """Four KiB a call in the live heap, of no Python block."""
    return make_run(live_heap=[4096 * call for call in range(300)])


@pytest.fixture
def leaking_objects(make_run: MakeRun) -> Run:
    """The same in Python."""
    return make_run(
        live_heap=[4096 * call for call in range(300)],
        python_blocks=[2 * call for call in range(300)],
    )


# Every control character, what turns the direction of text, and halves of surrogate pairs.
_STEERING = (
    *range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A),
    0xDCFF, 0x061C, 0x200E, 0x200F, 0xD800,
)  # fmt: skip
CONTROLS = "".join(map(chr, _STEERING))
# Markup, mathematics, all these, and a text that is not Latin.
HOSTILE = (
    "<script>alert(1)</script>|`[bold]$x^2$\"'&]]>\x00\x1b[31m\ud800 内存泄漏\r\n=1+1" + CONTROLS
)


def steering_in(content: bytes | str) -> set[str]:
    """The characters of `CONTROLS` in a text that stands in a file or on a terminal.

    Line feeds are none, nor are the tabs and line ends that a format has itself.
    """
    text = content.decode() if isinstance(content, bytes) else content
    return (set(text) & set(CONTROLS)) - {"\n", "\t"}


def hostile_run(run: Run) -> Run:
    """`run` with that in every text that comes from outside."""
    return replace(
        run,
        plan=replace(run.plan, scenario=HOSTILE, variant=HOSTILE, options={HOSTILE: HOSTILE}),
        series=tuple(replace(each, title=HOSTILE, blind_to=HOSTILE) for each in run.series),
        outcome=Outcome(Ending.KILLED, HOSTILE, HOSTILE, HOSTILE, -9),
        facts={"weights": HOSTILE, HOSTILE: HOSTILE},
        environment={HOSTILE: HOSTILE},
        unavailable={HOSTILE: HOSTILE},
        notes=({"record": "note", "kind": "types", "growth": [[HOSTILE, 300]]},),
        started_at=HOSTILE,
        damaged_lines=2,
    )


def write_run(file: Path, rows: Sequence[Sequence[int]], **changes: Any) -> Path:
    """A whole run file of a plan with these changes, whose samples have a value a series."""
    plan_changes = {"calls": max(len(rows), 1), "warmup": len(rows) // 4} | changes
    header = {
        "started_at": "2026-11-21T09:52:10.323+00:00",
        "plan": asdict(plan(**plan_changes)),
        "facts": {"weights": "none"},
        "environment": {"python": "CPython 3.11"},
        "series": TWO_SERIES,
        "unavailable": {},
        "limits": {},
    }
    run_writer.create(file, header)
    appender = run_writer.Appender(file)
    for call, values in enumerate(rows):
        appender.append(
            run_writer.encode({"record": "sample", "call": call, "values": list(values)})
        )
    appender.close()
    run_writer.finish(file, Outcome(Ending.OK, exit_code=0), 1.0)
    return file
