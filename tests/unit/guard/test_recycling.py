"""When a worker is handed over, whose turn it is, and the settings that follow from a rate."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

from leakhunt.errors import UsageError
from leakhunt.guard import (
    Guard,
    GuardConfig,
    Recycler,
    RecyclingConfig,
    Ticket,
    private_bytes,
    recommend,
)
from leakhunt.guard.accepting import note_event_loop, stop_accepting
from leakhunt.guard.gunicorn_hooks import pre_request
from leakhunt.guard.sockets import listening_sockets
from leakhunt.guard.worker_turn import Turn

MIB = 1 << 20


class Worker:
    """A recycler whose end is an event; nothing waits longer than it must."""

    def __init__(self, folder: Path, chance: float = 0.0, **config: Any) -> None:
        self.ended = threading.Event()
        self.now = 0.0
        self.guard = Guard(
            GuardConfig(max_concurrency=8, queue_seconds=0, request_bytes=1),
            clock=lambda: self.now,
        )
        quick = {"drain_seconds": 0.0, "settle_seconds": 0.0, "settled_requests": 3}
        self.recycler = Recycler(
            self.guard,
            RecyclingConfig(**({"max_bytes": "+100 MiB"} | quick | config)),
            end=self.ended.set,
            turn=Turn(4711, 0.0, folder),
            chance=lambda: chance,
        )
        self.guard._on_watch.clear()  # the test says what the process holds

    def serve(self, requests: int, rss: int) -> None:
        for _ in range(requests):
            ticket = self.guard.try_admit()
            assert isinstance(ticket, Ticket)
            self.guard.finish(ticket)
        self.recycler.look(rss * MIB)


def test_a_worker_that_has_grown_is_handed_over_once(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    worker.serve(3, 500)
    worker.serve(1, 599)
    assert not worker.guard.draining
    worker.serve(1, 600)
    assert worker.guard.draining
    assert worker.ended.wait(20)
    worker.ended.clear()
    worker.serve(1, 700)
    assert not worker.ended.wait(0.1)


def test_it_waits_for_the_requests_at_work(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    worker.serve(3, 500)
    ticket = worker.guard.try_admit()
    assert isinstance(ticket, Ticket)
    worker.recycler.look(700 * MIB)
    assert not worker.ended.wait(0.2)
    worker.guard.finish(ticket)
    assert worker.ended.wait(20)


def test_what_it_takes_to_be_ready_is_no_growth(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    worker.recycler.look(100 * MIB)  # nothing served: still loading
    worker.serve(1, 800)
    worker.serve(2, 500)
    assert worker.recycler.threshold_bytes == 600 * MIB
    assert not worker.guard.draining


def test_workers_draw_thresholds_of_their_own(tmp_path: Path) -> None:
    thresholds = []
    for chance in (0.0, 0.5, 1.0):
        worker = Worker(tmp_path, chance, jitter=0.2)
        worker.serve(3, 500)
        thresholds.append(worker.recycler.threshold_bytes)
    assert thresholds == [600 * MIB, 590 * MIB, 580 * MIB]


def test_a_threshold_may_be_a_size_of_its_own(tmp_path: Path) -> None:
    worker = Worker(tmp_path, max_bytes="1 GiB")
    worker.serve(3, 500)
    assert worker.recycler.threshold_bytes == 1024 * MIB


def test_a_full_container_is_reason_to_go_early(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    worker.serve(3, 500)
    worker.guard.refuse_until_well()
    worker.recycler.look(520 * MIB)  # a fresh one would hold hardly less
    assert not worker.guard.draining
    worker.recycler.look(526 * MIB)
    assert worker.ended.wait(20)


def refuse_for(worker: Worker, seconds: int, rss: int) -> None:
    worker.guard.refuse_until_well()
    for _ in range(seconds):
        worker.recycler.look(rss * MIB)
        worker.now += 1.0
    worker.recycler.look(rss * MIB)


def test_a_container_that_stays_full_is_reason_for_one_that_never_settled(tmp_path: Path) -> None:
    """Of workers that refuse nearly all, none serves its first requests: all would stay so."""
    worker = Worker(tmp_path)
    worker.recycler.look(400 * MIB)
    worker.serve(1, 426)
    refuse_for(worker, 29, 426)
    assert not worker.guard.draining
    refuse_for(worker, 2, 426)
    assert worker.ended.wait(20)


def test_what_the_first_request_left_is_given_back(tmp_path: Path) -> None:
    """Nobody looks before it: what is fresh is what the process held when it began."""
    worker = Worker(tmp_path)
    begun = worker.guard.rss_bytes() // MIB
    worker.serve(1, begun + 80)
    refuse_for(worker, 31, begun + 80)
    assert worker.ended.wait(20)


def test_a_forked_worker_is_as_fresh_as_what_it_was_forked_from(tmp_path: Path) -> None:
    """It is looked at for the first time after its first request."""
    worker = Worker(tmp_path)
    worker.recycler.look(10 * MIB)
    worker.recycler._pid = -1
    worker.serve(1, 60)
    refuse_for(worker, 31, 60)
    assert worker.ended.wait(20)


@pytest.mark.parametrize(("most", "rss"), [("+100 MiB", 424), ("100 MiB", 400)])
def test_a_worker_that_gives_nothing_back_stays_in_a_full_container(
    tmp_path: Path, most: str, rss: int
) -> None:
    worker = Worker(tmp_path, max_bytes=most)
    worker.recycler.look(400 * MIB)
    worker.serve(1, rss)
    refuse_for(worker, 100, rss)
    assert not worker.guard.draining


def test_the_time_between_two_requests_is_not_spent_refusing(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    worker.recycler.look(400 * MIB)
    worker.serve(1, 450)
    worker.now = 3600.0
    refuse_for(worker, 1, 450)
    worker.now = 7200.0
    worker.recycler.look(450 * MIB)
    assert not worker.guard.draining


def test_as_long_serving_as_refusing_is_no_reason(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    worker.recycler.look(400 * MIB)
    worker.serve(1, 450)
    for _ in range(10):
        refuse_for(worker, 20, 450)
        worker.guard.breaker.reset()
        worker.now += 20.0
        worker.recycler.look(450 * MIB)
    assert not worker.guard.draining


def test_refused_requests_are_looked_at_as_well() -> None:
    now = [0.0]
    guard = Guard(GuardConfig(max_concurrency=1, queue_seconds=0), clock=lambda: now[0])
    looks: list[int] = []
    guard.watch(looks.append)
    assert isinstance(guard.admit(), Ticket)
    for _ in range(30):
        guard.admit()
        now[0] += 0.1
    assert len(looks) == 3


def test_one_worker_at_a_time_and_a_pause_between(tmp_path: Path) -> None:
    first, second = Turn(1, 0.0, tmp_path), Turn(1, 0.0, tmp_path)
    other_parent = Turn(2, 0.0, tmp_path)
    assert first.take()
    assert not second.take()
    assert other_parent.take()
    first.end()
    assert first._file is not None
    first._file.close()  # as when the process ends
    assert not Turn(1, 1000.0, tmp_path).take()
    assert Turn(1, 0.0, tmp_path).take()


def test_a_turn_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from leakhunt.guard.worker_turn import Turn\n"
        "assert Turn(1, 0.0, Path(sys.argv[1])).take()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert Turn(1, 0.0, tmp_path).take()


def test_a_folder_that_takes_no_file_holds_nobody_up(tmp_path: Path) -> None:
    assert Turn(1, 0.0, tmp_path / "gone").take()
    (tmp_path / f"leakhunt-guard-{os.getuid()}-1.lock").symlink_to(tmp_path / "elsewhere")
    assert Turn(1, 0.0, tmp_path).take()
    assert not (tmp_path / "elsewhere").exists()


def test_listening_sockets_are_found_and_no_others() -> None:
    with socket.socket() as listener, socket.socket() as idle, socket.socket() as client:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client.connect(listener.getsockname())
        found = listening_sockets()
        assert listener.fileno() in found
        assert not {idle.fileno(), client.fileno()} & set(found)
    assert listener.fileno() not in listening_sockets()


@pytest.mark.skipif(sys.platform != "linux", reason="listening sockets are found on Linux")
@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_a_worker_stops_accepting_and_goes_on_answering(kind: str) -> None:
    make = asyncio.new_event_loop if kind == "asyncio" else pytest.importorskip(kind).new_event_loop
    accepted: list[asyncio.StreamWriter] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    async def serve(own: socket.socket, others: socket.socket) -> None:
        note_event_loop()
        server = await asyncio.start_server(echo, sock=own)
        reader, writer = await asyncio.open_connection(*others.getsockname())
        assert await asyncio.to_thread(stop_accepting)
        with socket.create_connection(others.getsockname()) as late:
            writer.write(b"still here")
            assert await reader.read(100) == b"still here"
            # It waits for another worker, which has the same socket.
            others.settimeout(10)
            taken, peer = await asyncio.to_thread(others.accept)
            with taken:
                assert peer == late.getsockname()
        assert len(accepted) == 1
        writer.close()
        await writer.wait_closed()
        await accepted[0].wait_closed()
        server.close()  # as the worker does at its end

    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        own.listen()
        with own.dup() as others:
            loop = make()
            try:
                loop.run_until_complete(serve(own, others))
            finally:
                loop.close()
    assert stop_accepting() == 0


class Request:
    closes = False

    def force_close(self) -> None:
        self.closes = True


def test_gunicorn_closes_connections_of_a_draining_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leakhunt.guard.process_guards._GUARDS", weakref.WeakSet())
    worker, request = Worker(tmp_path), Request()
    pre_request(None, request)
    assert not request.closes
    worker.guard.draining = True
    pre_request(None, request)
    assert request.closes


@pytest.mark.parametrize(
    "config",
    [
        {"max_bytes": "much"},
        {
            "max_bytes": "+",
        },
        {"jitter": 1.0},
    ],
)
def test_settings_that_mean_nothing_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        RecyclingConfig(**({"max_bytes": 1} | config))


FIGURES: dict[str, Any] = {
    "limit_bytes": 4000 * MIB,
    "workers": 2,
    "fresh_bytes": 500 * MIB,
    "growth_bytes_per_request": 0.5 * MIB,
    "request_bytes": 100 * MIB,
    "concurrency": 2,
    "shared_bytes": 300 * MIB,
}


def test_workers_at_their_largest_fit_with_a_fresh_one_beside() -> None:
    advice = recommend(**FIGURES, requests_per_second=10)
    assert advice.max_requests is not None
    latest = advice.max_requests + advice.max_requests_jitter
    largest = 500 + 0.5 * latest + 2 * 100
    assert 300 + 2 * largest + 500 <= 0.9 * 4000
    assert 300 + 2 * (largest + 1) + 500 > 0.9 * 4000 - 2  # and no room is left over
    assert advice.max_memory_per_child_bytes == 1200 * MIB
    assert advice.seconds == pytest.approx(advice.max_requests * 2 / 10)
    assert advice.max_requests_jitter == pytest.approx(0.1 * latest, abs=1)


def test_what_does_not_grow_is_not_recycled_by_a_count() -> None:
    assert recommend(**{**FIGURES, "growth_bytes_per_request": 0}).max_requests is None


def test_workers_that_do_not_fit_are_told() -> None:
    with pytest.raises(UsageError, match="6 workers do not fit"):
        recommend(**{**FIGURES, "workers": 6})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_what_a_fresh_child_holds_for_itself_grows_as_it_touches_pages() -> None:
    shared = [object() for _ in range(400_000)]
    asking, answering = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        try:
            os.read(asking[0], 1)
            held = list(shared)  # its reference counts are written: the pages become its own
            os.write(answering[1], b"x")
            os.read(asking[0], 1)
            del held
        finally:
            os._exit(0)
    try:
        fresh = private_bytes(child)
        os.write(asking[1], b"x")
        os.read(answering[0], 1)
        touched = private_bytes(child)
    finally:
        os.write(asking[1], b"x")
        os.waitpid(child, 0)
    assert touched - fresh > 5 * MIB
