"""Workers that tell one another's figures: real processes, in a folder and behind one socket."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from leakhunt.guard import Guard, GuardConfig, LimitSource, MemoryUse, Ticket
from leakhunt.guard import metrics as exposed
from leakhunt.guard.breaker import BreakerState
from leakhunt.guard.counts import Counts
from leakhunt.guard.growth import GrowthMeter
from leakhunt.guard.release import ReleaseCount
from leakhunt.guard.sockets import server_sockets
from leakhunt.guard.status import BUCKETS, Reason
from leakhunt.guard.workers import WorkerFiles, birth

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers share files by fork")
# A worker that serves three requests, refuses one, has one at work, and then does nothing.
WORKER = """
import sys
from leakhunt.guard import Guard, GuardConfig
folder = sys.argv[1] or None
guard = Guard(GuardConfig(metrics_folder=folder, limit="8 GiB", max_concurrency=1, queue_seconds=0))
guard.join_workers()
for _ in range(3):
    guard.finish(guard.try_admit())
guard.try_admit()
guard.admit()
print("ready", flush=True)
sys.stdin.read()
"""
Started = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def started() -> Iterator[Started]:
    processes = []

    def start(folder: Path | str, sockets: Sequence[int] = ()) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=sockets,
        )  # fmt: skip
        processes.append(process)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)


def own(folder: Path | None) -> Guard:
    guard = Guard(GuardConfig(metrics_folder=folder, limit="8 GiB"))
    # The first guard of a process, as in the workers.
    guard._files._number = 0
    return guard


def samples(guard: Guard, name: str) -> dict[str, float]:
    """The value of a metric by the process id."""
    text = exposed.exposition(guard).decode()
    found = re.findall(rf'^{name}{{(?:.*,)?pid="(\d+)"}} (\S+)$', text, re.MULTILINE)
    return {pid: float(value) for pid, value in found}


def test_a_scrape_tells_all_workers_of_a_folder_and_a_dead_one_is_forgotten(
    started: Started, tmp_path: Path
) -> None:
    guard = own(tmp_path)
    assert guard.join_workers()
    ticket = guard.try_admit()
    assert isinstance(ticket, Ticket)
    guard.finish(ticket)
    process = started(tmp_path)
    mine, other = str(os.getpid()), str(process.pid)
    counted = 'leakhunt_guard_requests_total{outcome="served",'
    text = exposed.exposition(guard).decode()
    assert f'{counted}pid="{mine}"}} 1\n' in text and f'{counted}pid="{other}"}} 3\n' in text
    assert f'leakhunt_guard_refused_total{{reason="concurrency",pid="{other}"}} 1\n' in text
    assert samples(guard, "leakhunt_guard_in_flight_requests") == {mine: 0, other: 1}
    assert samples(guard, "leakhunt_guard_request_seconds_count") == {mine: 1, other: 3}
    rss = samples(guard, "leakhunt_guard_rss_bytes")
    assert rss[other] > 1 << 20 and rss[other] != rss[mine]
    assert samples(guard, "leakhunt_guard_used_bytes")[other] == pytest.approx(rss[other], rel=0.2)
    began = samples(guard, "process_start_time_seconds")
    assert began[other] >= began[mine]
    for name in ("leakhunt_guard_rss_bytes", "process_start_time_seconds"):
        assert text.count(f"# TYPE {name}") == 1

    process.kill()
    process.communicate()
    assert [*samples(guard, "leakhunt_guard_rss_bytes")] == [mine]
    assert [file.name.split("-")[1] for file in tmp_path.iterdir()] == [mine]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells which sockets are the same")
@pytest.mark.usefixtures("no_variable")
def test_workers_are_those_behind_the_same_socket(started: Started) -> None:
    with socket.socket() as bound, socket.socket() as another:
        for each in (bound, another):
            each.bind(("127.0.0.1", 0))
        guard = own(None)
        assert guard.join_workers() and guard.has_peers
        fellow = started("", [bound.fileno()])
        another.listen()
        bound.listen()
        stranger = started("", [another.fileno()])
        assert server_sockets() >= {os.fstat(each.fileno()).st_ino for each in (bound, another)}
        found = {each.pid for each in guard.statuses()}
        assert found == {os.getpid(), fellow.pid, stranger.pid}  # ours has both sockets
    alone = started("")
    assert alone.pid not in {each.pid for each in guard.statuses()}


@pytest.mark.usefixtures("no_variable")
def test_a_process_without_a_server_socket_shares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leakhunt.guard.workers.server_sockets", frozenset)
    guard = own(None)
    assert not guard.join_workers() and not guard.has_peers
    assert [each.pid for each in guard.statuses()] == [os.getpid()]


def test_the_folder_of_prometheus_client_is_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    assert own(None).join_workers()
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_prometheus_client_tells_of_one_process_is_told_of_each(tmp_path: Path) -> None:
    client = pytest.importorskip("prometheus_client")
    guard = own(tmp_path)
    assert b"\nprocess_start_time_seconds " in b"\n" + client.generate_latest()
    assert "\nprocess_start_time_seconds " in exposed.exposition(guard).decode()
    assert guard.join_workers()
    text = exposed.exposition(guard).decode()
    assert f'\nprocess_start_time_seconds{{pid="{os.getpid()}"}} ' in text
    assert text.count("process_start_time_seconds") == 3  # its help, its type, and the worker's
    assert "process_cpu_seconds_total" in text


def test_metrics_of_a_service_in_multiprocess_mode_are_those_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("prometheus_client")
    script = (
        "import sys, prometheus_client\n"
        "counter = prometheus_client.Counter('transcribed_seconds', 'of the service')\n"
        "counter.inc(float(sys.argv[1]))\n"
        "if sys.argv[1] == '4':\n"
        "    from leakhunt.guard import Guard\n"
        "    from leakhunt.guard.metrics import exposition\n"
        "    print(exposition(Guard()).decode())\n"
    )
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    told = [
        subprocess.run(
            [sys.executable, "-c", script, count], check=True, capture_output=True, text=True
        ).stdout
        for count in ("3", "4")
    ][1]
    assert "transcribed_seconds_total 7.0" in told
    assert "leakhunt_guard_rss_bytes" in told and "process_start_time_seconds" in told


def test_a_starter_of_workers_is_none_until_it_serves(tmp_path: Path) -> None:
    guard = own(tmp_path)
    guard.join_workers()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:  # a worker that was forked after the app was loaded
        told = sorted({each.pid for each in guard.statuses()})
        os.write(writing, repr((told, guard.has_peers)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100).decode() == repr(([child], True))
    assert [each.pid for each in guard.statuses()] == [os.getpid()]
    for descriptor in (reading, writing):
        os.close(descriptor)


def test_the_child_of_a_worker_that_serves_is_none_of_its_own(tmp_path: Path) -> None:
    guard = own(tmp_path)
    guard.join_workers()
    ticket = guard.try_admit()
    assert isinstance(ticket, Ticket)
    guard.finish(ticket)
    child = os.fork()
    if not child:
        is_alone = not guard.has_peers and guard.status().served == 0
        os._exit(0 if is_alone and len([*tmp_path.iterdir()]) == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert guard.status().served == 1


def test_a_folder_that_takes_no_file_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    guard = own(tmp_path / "file")
    assert not guard.join_workers()
    assert [each.pid for each in guard.statuses()] == [os.getpid()]


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    strange = [tmp_path / "counter_1.db", tmp_path / "1-2-3-0.leakhunt-guard"]
    for file in strange:
        file.write_text("theirs")
    guard = own(tmp_path)
    assert guard.join_workers()
    broken = next(each for each in tmp_path.iterdir() if each not in strange)
    fake = broken.with_name(broken.name.replace(str(os.getpid()), str(os.getppid())))
    fake = fake.with_name(re.sub(r"-\d+-0", f"-{birth(os.getppid())}-0", fake.name))
    fake.write_text("no header")
    assert [each.pid for each in guard.statuses()] == [os.getpid()]
    assert all(file.exists() for file in (*strange, fake))


IDLE = """
import sys
from leakhunt.guard import Guard, GuardConfig
held = bytearray(b"1" * (200 << 20))
guard = Guard(GuardConfig(metrics_folder=sys.argv[1], limit="8 GiB"))
guard.join_workers()
print("ready", flush=True)
sys.stdin.read()
"""


def test_the_memory_of_a_worker_without_a_request_is_its_own(tmp_path: Path) -> None:
    guard = own(tmp_path)
    guard.join_workers()
    with subprocess.Popen(
        [sys.executable, "-c", IDLE, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline()
        used = samples(guard, "leakhunt_guard_used_bytes")
        rss = samples(guard, "leakhunt_guard_rss_bytes")
        process.communicate()
    assert used[str(process.pid)] == rss[str(process.pid)] > 200 << 20


def test_a_file_holds_what_was_counted_from_its_first_moment_on(tmp_path: Path) -> None:
    counts = Counts()
    counts.refuse(Reason.QUEUE)
    files = WorkerFiles(0, tmp_path)
    cells = files.join(["gc"], bytes(counts.cells))
    assert cells is not None and files.are_shared
    made = Counts(cells)
    assert (made.memory, made.live_heap_bytes, made.refused) == (None, None, {"queue": 1})


def test_neighbours_that_cannot_be_removed_hold_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert own(tmp_path).join_workers()
    (mine,) = tmp_path.iterdir()
    space = mine.name.split("-")[0]
    dead = tmp_path / f"{space}-{os.getpid()}-1-0.leakhunt-guard"
    for each in (dead, tmp_path / f"{space}-x-y-0.leakhunt-guard"):
        each.touch()
    unlink = Path.unlink

    def refused(self: Path, missing_ok: bool = False) -> None:
        if self == dead:
            raise PermissionError("theirs")
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", refused)
    assert own(tmp_path).join_workers()


def test_a_full_disk_is_left_without_a_part_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("leakhunt.guard.workers.os.write", full)
    assert not own(tmp_path).join_workers()
    monkeypatch.undo()
    assert [*tmp_path.iterdir()] == []
    guard = own(tmp_path)
    assert guard.join_workers()
    (mine,) = tmp_path.iterdir()
    part = mine.with_name(mine.name.replace(str(os.getpid()), "0")).with_suffix(".new")
    part.touch()  # of one that was killed as it wrote
    own(tmp_path).join_workers()
    assert [*tmp_path.iterdir()] == [mine]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells where a stack starts")
def test_a_child_that_goes_on_as_another_program_is_no_worker(tmp_path: Path) -> None:
    guard = own(tmp_path)
    guard.join_workers()
    with subprocess.Popen(
        [sys.executable, "-c", "print(1, flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=lambda: None,  # noqa: PLW1509 - it makes fork() run the hooks
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stdout.readline()
        assert len([*tmp_path.iterdir()]) == 2  # that of the child, as it was forked
        assert [each.pid for each in guard.statuses()] == [os.getpid()]
        assert len([*tmp_path.iterdir()]) == 1
        process.communicate(b"\n")


def test_a_file_that_was_removed_is_made_anew(tmp_path: Path) -> None:
    now = [0.0]
    guard = Guard(GuardConfig(metrics_folder=tmp_path, limit="8 GiB"), clock=lambda: now[0])
    guard.join_workers()
    for served in (1, 2):
        shutil.rmtree(tmp_path)
        now[0] += 10.0
        ticket = guard.try_admit()
        assert isinstance(ticket, Ticket)
        guard.finish(ticket)
        (file,) = tmp_path.iterdir()
        assert Counts(memoryview(file.read_bytes())[2048:].cast("d")).served == served
    file.unlink()
    guard.statuses()
    assert [*tmp_path.iterdir()] == [file]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can")
@pytest.mark.usefixtures("no_variable")
def test_workers_that_root_forks_and_makes_another_user_find_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As gunicorn does with --preload and --user."""
    memory = Path(tempfile.mkdtemp())  # above pytest's own, which no other user may enter
    memory.chmod(0o1777)
    monkeypatch.setattr("leakhunt.guard.workers._SHARED_MEMORY", memory)
    now = [0.0]
    guard = Guard(GuardConfig(limit="8 GiB"), clock=lambda: now[0])
    guard._joins = True
    reading, writing = os.pipe()
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        child = os.fork()
        if not child:
            try:
                os.setegid(65534)
                os.seteuid(65534)
                now[0] += 10.0
                ticket = guard.try_admit()
                assert isinstance(ticket, Ticket)
                guard.finish(ticket)
                (mine,) = (memory / "leakhunt-guard-65534").iterdir()
                os.write(writing, repr((mine.name.split("-")[1], guard.has_peers)).encode())
            except BaseException as error:
                os.write(writing, repr(error).encode())
            os._exit(0)
        os.waitpid(child, 0)
    told = os.read(reading, 1000).decode()
    for descriptor in (reading, writing):
        os.close(descriptor)
    shutil.rmtree(memory)
    assert told == repr((str(child), True))


def fellow(folder: Path, points: Sequence[tuple[float, int]], monkeypatch: Any) -> Counts:
    """The cells of what looks like a worker: the process that has started this one."""
    monkeypatch.setattr("leakhunt.guard.workers._stack", lambda pid: 0)
    counts = Counts()
    counts.note_points(points)
    counts.refuse(Reason.QUEUE)
    files = WorkerFiles(0, folder)
    cells = files.join([], bytes(counts.cells))
    assert cells is not None and files._file is not None
    name = files._file.name.replace(f"-{os.getpid()}-", f"-{os.getppid()}-")
    born = str(birth(os.getppid()))
    files._file.rename(folder / re.sub(r"-\d+-0", f"-{born}-0", name))
    return Counts(cells)


@pytest.mark.skipif(sys.platform != "linux", reason="readings of another process by its clock")
def test_the_growth_of_another_worker_is_that_of_whole_readings_of_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    points = [(900.0 + 5 * each, 1000 * each) for each in range(20)]
    counts = fellow(tmp_path, points, monkeypatch)
    guard = Guard(GuardConfig(metrics_folder=tmp_path, limit="8 GiB"), clock=lambda: now[0])
    guard._files._number = 0
    guard.join_workers()

    def growth() -> float | None:
        (other,) = [each for each in guard.statuses() if each.pid == os.getppid()]
        return None if other.growth is None else other.growth.bytes_per_second

    assert growth() == 200.0
    now[0] = 2000.0
    assert growth() is None  # it says nothing of now
    now[0] = 1000.0
    counts.cells[96] += 1  # they are being written
    assert growth() is None


@pytest.mark.skipif(sys.platform == "win32", reason="users")
@pytest.mark.usefixtures("no_variable")
def test_a_folder_of_somebody_else_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leakhunt.guard.workers._SHARED_MEMORY", tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / f"leakhunt-guard-{os.geteuid()}").symlink_to(elsewhere)
    monkeypatch.setattr("leakhunt.guard.workers.server_sockets", lambda: frozenset({1}))
    assert not own(None).join_workers() and not [*elsewhere.iterdir()]
    monkeypatch.setattr("os.geteuid", lambda: 4321)
    assert not own(None).join_workers()  # its folder is made, and belongs to this user
    assert not [*(tmp_path / "leakhunt-guard-4321").iterdir()]


def test_the_file_of_who_was_another_user_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = WorkerFiles(0, tmp_path)
    assert files.join([], bytes(Counts().cells)) is not None and not files.is_lost
    monkeypatch.setattr("os.geteuid", lambda: 4321)
    assert files.is_lost


def test_cells_hold_what_was_told() -> None:
    counts = Counts()
    assert (counts.live_heap_bytes, counts.memory, counts.points()) == (None, None, (0, []))
    assert counts.breaker(0.0) is BreakerState.CLOSED
    counts.began(2)
    counts.ended(0.2, 1, False)
    counts.ended(100.0, 0, True)
    counts.refuse(Reason.QUEUE)
    counts.live_heap_bytes, counts.waiting, counts.expected_bytes = 5, 3, 7
    counts.memory = MemoryUse(1, 2**40, LimitSource.CGROUP_V1)
    counts.draining = True
    counts.note_breaker(BreakerState.OPEN, 10.0)
    counts.note_releases([ReleaseCount("gc", 1, 2), ReleaseCount("malloc_trim", 3, 4)])
    meter = GrowthMeter()
    for second in range(4000):
        if meter.add(second, second * 1000):
            counts.note_points(meter.points)
    copy = Counts(memoryview(bytearray(bytes(counts.cells))).cast("d"))
    for each in (counts, copy):
        assert (each.served, each.failed, each.in_flight, each.seconds) == (1, 1, 0, 100.2)
        assert dict(zip(BUCKETS, each.buckets, strict=True)) == {
            bound: int(bound == 0.25) for bound in BUCKETS
        }
        assert each.refused == {"queue": 1}
        assert (each.live_heap_bytes, each.waiting, each.expected_bytes) == (5, 3, 7)
        assert each.memory == MemoryUse(1, 2**40, LimitSource.CGROUP_V1)
        assert each.draining and each.has_worked
        assert each.breaker(9.0) is BreakerState.OPEN
        assert each.breaker(10.0) is BreakerState.HALF_OPEN
        assert each.releases(("gc", "malloc_trim")) == (
            ReleaseCount("gc", 1, 2), ReleaseCount("malloc_trim", 3, 4),
        )  # fmt: skip
        version, points = each.points()
        assert not version % 2 and points == [*meter.points]
