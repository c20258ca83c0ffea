"""The process that has collected a project (`prepared`), and the workers that are forks of it."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO

from leakhunt.errors import ScenarioFailed
from leakhunt.pytest_plugin.prepared import ANSWER, ORDER
from leakhunt.runner.memory_limit import MemoryLimit
from leakhunt.runner.process_log import opened_log
from leakhunt.runner.reaper import Reaper
from leakhunt.runner.supervisor import send, worker_environment
from leakhunt.text.message import message
from leakhunt.worker.protocol import Order, write_order


class PreparedPytest:
    """Starts when the first test is to be run; `stop` ends it. Its log goes to `folder`."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / f"prepared-{os.getpid()}.log"
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._reaper: Reaper | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    @contextmanager
    def start(
        self, order: Order, log: Path, limit: MemoryLimit | None = None
    ) -> Iterator[ForkedWorker]:
        """A fork for an order, and nothing of what it has started once this ends."""
        del limit  # a fork is in the group of all others
        try:
            orders = self._socket or self._begin(order)
            requests, to_worker = os.pipe()
            with opened_log(log) as stream, open(requests, "rb"):
                given = [requests, stream.fileno(), order.describes_to]
                socket.send_fds(orders, [ORDER], given)
        except (OSError, EOFError) as error:
            raise self._failed() from error
        finally:
            os.close(order.describes_to)
        with open(to_worker, "wb") as stdin:
            worker = ForkedWorker(orders, stdin, self._number())
            send(worker, write_order(order))
            try:
                yield worker
            finally:
                worker.end()

    def stop(self) -> None:
        """End it."""
        if self._socket is not None:
            self._socket.close()
        if self._reaper is not None:
            self._reaper.end()
        if self._process is not None:
            self._process.wait()
        if self._scratch is not None:
            self._scratch.cleanup()

    def _begin(self, order: Order) -> socket.socket:
        """Start it, and wait until it has collected.

        Raises:
            EOFError: it ended before.
        """
        assert order.test is not None
        ours, theirs = socket.socketpair()
        self._reaper = Reaper()
        with theirs, opened_log(self._log) as stream:
            words = ["-P", "-m", "leakhunt.pytest_plugin.prepared", str(theirs.fileno())]
            self._process = subprocess.Popen(
                [sys.executable, *words],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**worker_environment(order), **self._reaper.variables},
                pass_fds=[theirs.fileno()],
            )
        self._reaper.watch(self._process.pid)
        self._socket = ours
        # What tests write goes to a folder that outlives the first of them.
        self._scratch = tempfile.TemporaryDirectory(prefix="leakhunt-", ignore_cleanup_errors=True)
        options = {**order.test.options, "basetemp": str(Path(self._scratch.name) / "tmp")}
        test = replace(order.test, options=options)
        request = {"supervisor": os.getpid(), "test": asdict(test)}
        ours.sendall(json.dumps(request).encode() + b"\n")
        self._number()
        return ours

    def _number(self) -> int:
        assert self._socket is not None
        return received(self._socket)

    def _failed(self) -> ScenarioFailed:
        return ScenarioFailed(
            message(
                "pytest.prepared-ended",
                "pytest in the worker ended before the tests were run. See {log}",
                log=str(self._log),
            )
        )


class ForkedWorker:
    """A worker that another process has forked, and waits for."""

    def __init__(self, orders: socket.socket, stdin: IO[bytes], pid: int) -> None:
        self._orders = orders
        self.stdin: IO[bytes] | None = stdin
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """How it ended; None: it runs."""
        if self.returncode is None and self._has_answer(0):
            self.returncode = received(self._orders)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """How it ended, once it has.

        Raises:
            subprocess.TimeoutExpired: it takes longer.
        """
        if self.returncode is None:
            if not self._has_answer(timeout):
                raise subprocess.TimeoutExpired(["worker"], timeout or 0.0)
            self.returncode = received(self._orders)
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """Send it a signal, if it is there."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """Kill it, and what it has started: it leads a process group of its own."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.send_signal(signal.SIGKILL)  # it may not lead one yet
        self.wait()

    def _has_answer(self, timeout: float | None) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._orders, selectors.EVENT_READ)
            return bool(selector.select(timeout))


def received(source: socket.socket) -> int:
    """The next number.

    Raises:
        EOFError: the process that would send it has ended.
    """
    parts = b""
    while len(parts) < ANSWER.size:
        part = source.recv(ANSWER.size - len(parts))
        if not part:
            raise EOFError("the prepared pytest has ended")
        parts += part
    (number,) = ANSWER.unpack(parts)
    return int(number)
