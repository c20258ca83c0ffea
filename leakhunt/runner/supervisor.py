"""The parent's side: start a worker, limit it, watch it, and write down how it ended.

Never imports the scenario or a framework. Whatever happens to the worker is an outcome in its run
file, not an error of ours.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Protocol

from leakhunt.analysis.attribution.windows import next_window
from leakhunt.analysis.verdict.schedule import next_phase
from leakhunt.errors import BY_EXIT_CODE, CannotWrite, ScenarioFailed
from leakhunt.model.plan import Plan
from leakhunt.model.run import Ending, Outcome
from leakhunt.runner.kernel_log import kernel_log_line
from leakhunt.runner.memory_limit import MemoryLimit, memory_bounds, memory_limit
from leakhunt.runner.process_log import opened_log
from leakhunt.runner.reaper import Reaper
from leakhunt.storage import run_file, run_writer
from leakhunt.storage.follow import Tail
from leakhunt.text.message import Text, english, joined, mentions, message
from leakhunt.worker.description import describe_process
from leakhunt.worker.protocol import Order, write_go, write_order, write_phase

# How often the run file is looked at; a worker that pauses waits so long for its answer.
POLL_SECONDS = 0.02
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
# How long a worker that was asked to stop may take for its last call and for settling.
GRACE_SECONDS = 20.0
# How long the stack of a hung worker takes to reach its log.
DUMP_SECONDS = 1.0
DISK_FULL = "run.disk-full"
BY_THE_USER = message("run.by-the-user", "interrupted by the user")
HAD_TO_BE_KILLED = message(
    "run.had-to-be-killed", "interrupted by the user; the worker had to be killed"
)

# Told what the run file says at every look at it, also where nothing is new.
Progress = Callable[[Tail], None]


class WorkerProcess(Protocol):
    """A worker as its supervisor knows it: a `subprocess.Popen`, or a fork that others wait for."""

    pid: int
    stdin: IO[bytes] | None
    returncode: int | Any

    def poll(self) -> int | None:
        """How it ended; None: it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """How it ended, once it has."""

    def send_signal(self, sig: int) -> None:
        """Send it a signal."""

    def terminate(self) -> None:
        """Ask it to end."""


# Starts a worker for an order, with its output in the log and under the limit; nothing of what it
# started is left afterwards.
Starter = Callable[[Order, Path, MemoryLimit | None], AbstractContextManager[WorkerProcess]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a scenario's ``prepare`` settled: the device in use and facts for every header."""

    device: str
    facts: Mapping[str, str]


def prepare(order: Order, answer: Path, log: Path, timeout_seconds: float | None) -> Prepared:
    """Run the scenario's ``prepare`` in a process of its own.

    Raises:
        LeakhuntError: what the scenario said is wrong, under its own kind.
        ScenarioFailed: it ended without an answer.
    """
    try:
        with _started(order, log) as worker:
            worker.wait(timeout_seconds)
    except subprocess.TimeoutExpired:
        raise ScenarioFailed(
            message(
                "run.prepare-timeout",
                "prepare() did not finish within {timeout_seconds:g} s. See {log}, or"
                " raise --timeout",
                timeout_seconds=timeout_seconds,
                log=str(log),
            )
        ) from None
    try:
        facts: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ScenarioFailed(
            message(
                "run.prepare-no-answer",
                "prepare() ended without a result ({how}); see {log}",
                how=_how(worker.returncode),
                log=str(log),
            )
        ) from None
    if "error" in facts:
        raise BY_EXIT_CODE.get(facts["exit_code"], ScenarioFailed)(
            run_file.read_text(facts["error"])
        )
    return Prepared(facts["device"], facts["facts"])


def measure(  # noqa: PLR0913 - what is done, where, and by whom
    plan: Plan,
    order: Order,
    log: Path,
    facts: Mapping[str, str],
    progress: Progress,
    *,
    start: Starter | None = None,
) -> Outcome:
    """Run one variant in a fresh process; its run file is whole when this returns.

    `start` starts it; None: as an interpreter of its own.

    Ctrl-C (KeyboardInterrupt) asks the worker to stop, lets it settle, and ends as an outcome.

    Raises:
        CannotWrite: the disk does not take the run file (every sample so far is in it).
    """
    run_writer.refuse_existing(order.run_file)
    limit = memory_limit(plan.memory_limit_bytes)
    try:
        started = time.monotonic()
        work = _Work(plan, order, limit, facts, progress, started)
        outcome = _carried_out(work, log, start or _started)
        run_writer.finish(order.run_file, outcome, time.monotonic() - started)
        if mentions(outcome.reason, DISK_FULL):
            raise CannotWrite(
                message(
                    "run.samples-are-safe",
                    "{reason}. All samples so far are in {run_file}: free some space, then run"
                    " 'leakhunt report {parent}'",
                    reason=outcome.reason,
                    run_file=str(order.run_file),
                    parent=str(order.run_file.parent),
                )
            )
    finally:
        limit.remove()
        run_writer.ballast_of(order.run_file).unlink(missing_ok=True)
    return outcome


def header_of(
    plan: Plan, limit: MemoryLimit, facts: Mapping[str, str], described: Mapping[str, Any]
) -> dict[str, Any]:
    """The header of a run file; `described` is what the process that makes the calls told."""
    return {
        "started_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "plan": asdict(plan),
        "facts": {**facts, "memory limit": limit.name},
        **described,
        "limits": memory_bounds(limit),
    }


@dataclass(frozen=True, slots=True)
class _Work:
    """A run at work; `started` is when, by the monotonic clock."""

    plan: Plan
    order: Order
    limit: MemoryLimit
    facts: Mapping[str, str]
    progress: Progress
    started: float

    def begin(self, described: Mapping[str, Any] | None) -> None:
        """Write the header; None: the worker did not get as far as describing itself."""
        if described is None:  # it makes no call either
            order = self.order
            described = describe_process(self.plan.device, order.inputs, worker_environment(order))
        header = header_of(self.plan, self.limit, self.facts, described)
        run_writer.create(self.order.run_file, header)


def _carried_out(work: _Work, log: Path, start: Starter) -> Outcome:
    answers, to_us = os.pipe()
    order = replace(work.order, describes_to=to_us)
    with open(answers, "rb") as stream, start(order, log, work.limit) as worker:
        return _supervised(worker, work, stream)


def _supervised(worker: WorkerProcess, work: _Work, stream: IO[bytes]) -> Outcome:
    try:
        described = _description(stream, work.plan.timeout_seconds)
    except KeyboardInterrupt:
        work.begin(None)
        return _interrupt(worker)
    work.begin(described)
    try:
        send(worker, write_go())
        return _supervise(worker, work)
    except KeyboardInterrupt:
        return _interrupt(worker)


def _description(stream: IO[bytes], timeout_seconds: float | None) -> Mapping[str, Any] | None:
    """What the worker says of itself; None: it ended before it could, or takes too long."""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        line = stream.readline() if selector.select(timeout_seconds) else b""
    return json.loads(line) if line.endswith(b"\n") else None


@contextmanager
def _started(
    order: Order, log: Path, limit: MemoryLimit | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The worker, and nothing of what it has started once this ends."""
    with Reaper() as reaper, _start(order, log, limit, reaper) as worker:
        try:
            yield worker
        finally:
            _kill_group(worker)


def _start(
    order: Order, log: Path, limit: MemoryLimit | None, reaper: Reaper
) -> subprocess.Popen[bytes]:
    passed = [order.describes_to] if order.describes_to >= 0 else []
    try:
        with opened_log(log) as stream:
            worker = subprocess.Popen(
                [order.interpreter or sys.executable, "-P", "-m", "leakhunt.worker.__main__"],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**worker_environment(order), **reaper.variables},
                pass_fds=passed,
            )
    finally:
        for descriptor in passed:  # the worker's end of the pipe
            os.close(descriptor)
    reaper.watch(worker.pid, None if limit is None else limit.group)
    # The worker waits for its order, so it is under the limit before it allocates anything.
    if limit is not None:
        limit.enter(worker.pid)
    send(worker, write_order(order))
    return worker


def send(worker: WorkerProcess, line: bytes) -> None:
    """Write a line to a worker's channel."""
    assert worker.stdin is not None
    if worker.stdin.closed:
        return
    try:
        worker.stdin.write(line)
        worker.stdin.flush()
    except BrokenPipeError:  # it died meanwhile: its exit status tells how
        with contextlib.suppress(BrokenPipeError):  # what is left unsent is flushed again
            worker.stdin.close()


def worker_environment(order: Order) -> dict[str, str]:
    """The variables that a worker is started with."""
    threads = str(order.context.threads)
    return {
        **os.environ,
        **order.environment,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "PYTHONHASHSEED": str(order.context.seed % 2**32),
        "PYTHONUNBUFFERED": "1",
    }


def _supervise(worker: WorkerProcess, work: _Work) -> Outcome:
    plan, order, progress = work.plan, work.order, work.progress
    with Tail(order.run_file) as tail:
        last_news = work.started
        answered = last_rss = 0
        while worker.poll() is None:
            time.sleep(POLL_SECONDS)
            last_rss = max(last_rss, _rss_of(worker.pid))
            is_news = tail.follow()
            progress(tail)
            if is_news:
                last_news = time.monotonic()
                last_rss = 0
                if tail.pauses > answered:
                    answered = tail.pauses
                    _answer(worker, order)
            elif plan.timeout_seconds and time.monotonic() - last_news > plan.timeout_seconds:
                return _hung(worker, tail, plan.timeout_seconds)
        if tail.follow():
            last_rss = 0
        progress(tail)
        return replace(_ended(worker, tail, work.limit), last_rss_bytes=last_rss or None)


def _rss_of(pid: int) -> int:
    """RSS of the worker as it is seen from outside; 0 where it is gone, or not told."""
    try:
        return int(Path("/proc", str(pid), "statm").read_bytes().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0


def _answer(worker: WorkerProcess, order: Order) -> None:
    """Tell a worker that has paused how to go on, from what its run file says."""
    run = run_file.load(order.run_file)
    send(worker, write_phase(next_phase(run) if order.instrument is None else next_window(run)))


def _hung(worker: WorkerProcess, tail: Tail, seconds: float) -> Outcome:
    worker.send_signal(signal.SIGUSR1)  # faulthandler writes every thread's stack to the log
    time.sleep(DUMP_SECONDS)
    silent = message("run.no-sample", "no sample for {seconds:g} s", seconds=seconds)
    dumped = message("run.stack-in-log", "the log contains the stack at that moment")
    return Outcome(Ending.TIMEOUT, joined((_placed(silent, tail), dumped), "; ", ""))


def _interrupt(worker: WorkerProcess) -> Outcome:
    assert worker.stdin is not None
    try:
        worker.terminate()
        worker.stdin.close()  # it may be waiting for its next phase
        worker.wait(GRACE_SECONDS)
    except (KeyboardInterrupt, subprocess.TimeoutExpired):
        return Outcome(Ending.INTERRUPTED, HAD_TO_BE_KILLED)
    return Outcome(Ending.INTERRUPTED, BY_THE_USER)


def _ended(worker: WorkerProcess, tail: Tail, limit: MemoryLimit) -> Outcome:
    code = worker.returncode
    if "disk-full" in tail.notes:
        return Outcome(
            Ending.INTERRUPTED,
            _placed(disk_full(tail.notes["disk-full"]), tail),
            exit_code=code,
        )
    if code < 0:
        name = english(_how(code))
        kernel = limit.kernel_words() or kernel_log_line(worker.pid)
        reason = _placed(_how(code), tail)
        reason = joined((reason, kernel), "; ", "") if kernel else reason
        ending = Ending.KILLED if name in _FROM_OUTSIDE else Ending.CRASHED
        return Outcome(ending, reason, name, kernel, code)
    if code or ("stopped" not in tail.notes and not tail.settled):
        exit_text = message("run.exit-code", "exited with code {code}", code=code)
        how = tail.notes.get("error", exit_text)
        reason = _placed(how, tail)
        if "advice" in tail.notes:
            reason = joined((reason, tail.notes["advice"]), ". ", "")
        return Outcome(Ending.CRASHED, reason, exit_code=code)
    if "stopped" in tail.notes:
        return Outcome(
            Ending.INTERRUPTED,
            _placed(message("run.asked-to-stop", "asked to stop"), tail),
            exit_code=code,
        )
    return Outcome(Ending.OK, exit_code=code)


_FROM_OUTSIDE = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")


def disk_full(error: Text) -> Text:
    """That the disk is full, as the system says it."""
    return message(DISK_FULL, "the disk is full ({error})", error=error)


def _placed(how: Text, tail: Tail) -> Text:
    """`how` a run ended, and after which call."""
    if not tail.calls:
        return message("run.before-the-first-call", "{how} before the first call", how=how)
    if not tail.planned:
        return message("run.after-call", "{how} after call {calls:d}", how=how, calls=tail.calls)
    return message(
        "run.after-call-of",
        "{how} after call {calls:d} of {planned:d}",
        how=how,
        calls=tail.calls,
        planned=tail.planned,
    )


def _how(code: int) -> Text:
    """What a process ended by: its signal, or the code it left with."""
    if code >= 0:
        return message("run.code", "exit code {code}", code=code)
    try:
        return signal.Signals(-code).name
    except ValueError:
        return message("run.signal", "signal {number}", number=-code)


def _kill_group(worker: WorkerProcess) -> None:
    """End the worker and whatever it started: it leads a process group of its own."""
    with contextlib.suppress(ProcessLookupError):  # all of it may be gone already
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
