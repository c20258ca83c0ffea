"""A pool of processes for jobs: a time-out ends the process, so that its memory comes back.

A thread cannot be ended: a pool of threads whose results are no longer waited for is still full.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import psutil

from leakhunt.errors import LeakhuntError
from leakhunt.text.message import message

Result = TypeVar("Result")
_END_SECONDS = 5.0
_POLL_SECONDS = 0.2


class JobTimedOut(LeakhuntError, TimeoutError):
    """A job took longer than it may; its process was ended."""


class JobCrashed(LeakhuntError):
    """The process of a job ended by itself, or was killed."""


class JobsFull(LeakhuntError):
    """As many jobs wait as may."""


@dataclass(frozen=True, slots=True)
class JobPoolConfig:
    """How many processes, how long a job may take, and how many may wait.

    A process is replaced after `max_jobs`, or when its RSS is above `max_bytes` after a job.
    `start_method` is one of multiprocessing's; a fork of a process with threads may hang.
    """

    workers: int = 2
    timeout_seconds: float = 300.0
    max_waiting: int = 16
    max_jobs: int | None = None
    max_bytes: int | None = None
    start_method: str = "spawn"


@dataclass(slots=True)
class _Job:
    future: Future[Any]
    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    timeout_seconds: float


class JobPool:
    """Runs functions that can be pickled in processes of its own. Safe for threads.

    ``with JobPool(JobPoolConfig(workers=2)) as pool: pool.submit(work, 1).result()``
    """

    def __init__(self, config: JobPoolConfig | None = None) -> None:
        self.config = config or JobPoolConfig()
        self._context: Any = multiprocessing.get_context(self.config.start_method)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._places = threading.BoundedSemaphore(self.config.workers + self.config.max_waiting)
        self._is_closed = False
        self._slots = [_Slot(self) for _ in range(self.config.workers)]

    def submit(
        self, call: Callable[..., Result], *arguments: Any, timeout_seconds: float | None = None
    ) -> Future[Result]:
        """The future of a call. A cancelled one that has started ends its process.

        Raises:
            JobsFull: as many jobs wait as may, or the pool is closed.
        """
        if self._is_closed or not self._places.acquire(blocking=False):
            raise JobsFull(
                message("guard.jobs-full", "the job pool is full or closed. Try again later")
            )
        future: Future[Result] = Future()
        future.add_done_callback(lambda _: self._places.release())
        limit = self.config.timeout_seconds if timeout_seconds is None else timeout_seconds
        self._jobs.put(_Job(future, call, arguments, limit))
        return future

    def close(self, *, wait_seconds: float = _END_SECONDS) -> None:
        """Take no more jobs; those that wait are cancelled, those at work have `wait_seconds`."""
        if self._is_closed:
            return
        self._is_closed = True
        with contextlib.suppress(queue.Empty):
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    job.future.cancel()
        for _ in self._slots:
            self._jobs.put(None)
        deadline = time.monotonic() + wait_seconds
        for slot in self._slots:
            slot.join(max(deadline - time.monotonic(), 0))

    def __enter__(self) -> JobPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that live now."""
        return tuple(pid for slot in self._slots if (pid := slot.pid) is not None)

    def next_job(self) -> _Job | None:
        """For the slots: the next job; None: the pool is closed."""
        return self._jobs.get()

    def start_process(self) -> tuple[BaseProcess, Connection]:
        """For the slots: a fresh process and the connection to it."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        return process, ours


class _Slot:
    """A thread that minds one process."""

    def __init__(self, pool: JobPool) -> None:
        self._pool = pool
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._done = 0
        self._thread = threading.Thread(target=self._run, name="leakhunt-jobs", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None else None

    def join(self, seconds: float) -> None:
        """Wait for the end; then end the process, whatever it does."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._end()

    def _run(self) -> None:
        while (job := self._pool.next_job()) is not None:
            if not job.future.set_running_or_notify_cancel():
                continue
            try:
                self._work(job)
            except Exception as error:  # no process could be started, or the call not be sent
                if not job.future.done():
                    job.future.set_exception(error)
                self._end()
        self._end()

    def _work(self, job: _Job) -> None:
        if self._process is None or not self._process.is_alive():
            self._end()
            self._process, self._connection = self._pool.start_process()
        assert self._connection is not None
        self._connection.send((job.call, job.arguments))
        if not self._connection.poll(job.timeout_seconds):
            self._end()
            job.future.set_exception(
                JobTimedOut(
                    message(
                        "guard.job-timed-out",
                        "the job took longer than {seconds:g} s; its process was ended",
                        seconds=job.timeout_seconds,
                    )
                )
            )
            return
        try:
            is_well, value, rss_bytes = self._connection.recv()
        except EOFError:
            code = self._exit_code()
            self._end()
            job.future.set_exception(
                JobCrashed(
                    message(
                        "guard.job-crashed", "the job's process ended (exit code {code})", code=code
                    )
                )
            )
            return
        self._done += 1
        if self._is_spent(rss_bytes):
            self._end()
        if is_well:
            job.future.set_result(value)
        else:
            job.future.set_exception(value)

    def _exit_code(self) -> int | None:
        assert self._process is not None
        self._process.join(_END_SECONDS)
        return self._process.exitcode

    def _is_spent(self, rss_bytes: int) -> bool:
        config = self._pool.config
        has_done_enough = config.max_jobs is not None and self._done >= config.max_jobs
        return has_done_enough or (config.max_bytes is not None and rss_bytes > config.max_bytes)

    def _end(self) -> None:
        process, self._process = self._process, None
        connection, self._connection = self._connection, None
        self._done = 0
        if connection is not None:
            connection.close()
        if process is not None:
            process.kill()
            process.join(_END_SECONDS)


def _serve(connection: Connection) -> None:
    """In the process: one job after another, until the other end is closed."""
    me = psutil.Process()
    while True:
        try:
            call, arguments = connection.recv()
        except (EOFError, OSError):
            return
        except Exception as error:  # what was sent cannot be unpickled here
            _send(connection, (False, error, me.memory_info().rss))
            continue
        try:
            answer: tuple[bool, Any] = (True, call(*arguments))
        except BaseException as error:
            answer = (False, error)
        _send(connection, (*answer, me.memory_info().rss))


def _send(connection: Connection, answer: tuple[bool, Any, int]) -> None:
    try:
        connection.send(answer)
    except Exception as error:  # a result that cannot be pickled
        connection.send((False, JobCrashed(f"{type(error).__name__}: {error}"), answer[2]))
