"""``watch``: a process tree is followed from outside, for days, until it or the user ends it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from pathlib import Path

from leakhunt.engine.alerts import Alerts
from leakhunt.engine.argument_checks import positive_seconds
from leakhunt.engine.attach import AttachRequest, attach
from leakhunt.engine.container_limit import limit_bytes
from leakhunt.engine.events import SILENT, Events, RunStart
from leakhunt.engine.report import report_of, write_files
from leakhunt.engine.run import FolderResult, exit_code
from leakhunt.environment import available_cores, describe_environment_of_service
from leakhunt.errors import LeakhuntError, MissingRequirement, UsageError
from leakhunt.injection.outside import memory_bounds_of
from leakhunt.model.plan import Plan, PlannedWatch
from leakhunt.model.report import Report
from leakhunt.model.run import ADDRESS_SPACE
from leakhunt.model.series import RSS
from leakhunt.reporting.registry import RunRenderer
from leakhunt.service.process_tree import Tree
from leakhunt.service.watch import BootClock, Watch, WatchClock, WatchEvent, WatchHooks, WatchPlace
from leakhunt.service.watched_tree import (
    ProcessBirth,
    ProcessName,
    TreeSource,
    WatchReading,
    birth_of,
    command_of,
)
from leakhunt.storage import run_file as store
from leakhunt.storage.folders import new_folder
from leakhunt.text.message import Text, message

VARIANT = "watch"
INTERVAL = "10s"
WAIT = "10m"
_STOP_SECONDS = 10.0
_LONGEST = 3600.0
_CODE = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """What is watched; every door builds one.

    `process` is a PID or a part of a command line, or `command` is started; `interval` lies between
    two readings at first. `duration`: it ends after so long; None: with the process. `wait`:
    another process is waited for so long where the one before has ended. `attach`: at an alarm it
    is looked into. `limit` is the memory of a container to come; None: the limits in force.
    """

    process: str | None = None
    command: Sequence[str] = ()
    _: KW_ONLY
    interval: float | str = INTERVAL
    duration: float | str | None = None
    wait: float | str = WAIT
    limit: int | str | None = None
    attach: bool = False
    alert_command: str | None = None
    webhook: str | None = None


@dataclass(frozen=True, slots=True)
class WatchResult(FolderResult):
    """The report on what was watched."""

    report: Report


def watch(
    request: WatchRequest,
    renderers: Sequence[RunRenderer] = (),
    events: Events = SILENT,
    *,
    out: Path | None = None,
    clock: WatchClock | None = None,
) -> WatchResult:
    """Watch a process tree; where `out` has the file of a watch already, that is gone on with.

    Raises:
        LeakhuntError: the request makes no sense, there is no such process, or it may not be read.
        CannotWrite: the disk does not take the results (every sample so far is in the run file).
    """
    if sys.platform != "linux":
        raise MissingRequirement(message("watch.needs-linux", "watch needs Linux"))
    alerts = Alerts.of(request.alert_command, request.webhook)
    interval = positive_seconds(request.interval)
    if not 1 <= interval <= _LONGEST:
        raise UsageError(
            message("watch.interval", "--interval: expected 1s to 1h, got {given}",
                    given=request.interval)
        )  # fmt: skip
    duration = None if request.duration is None else positive_seconds(request.duration)
    with _subject(request) as subject:
        folder = _folder(out, subject.name)
        plan = _plan(subject, interval, limit_bytes(request.limit))
        place = WatchPlace(
            plan,
            folder / f"{VARIANT}{store.SUFFIX}",
            duration,
            0.0 if request.command else positive_seconds(request.wait),
            describe_environment_of_service(subject.source.variables, False),
        )
        alarm = _Alarm(alerts, request.attach, folder, events)
        hooks = WatchHooks(
            limits=limits_of_tree,
            shown=partial(events.sampled, VARIANT),
            on_alarm=alarm.raise_alarm,
            noted=events.noted,
        )
        events.started(RunStart(VARIANT, None if duration is None else int(duration)))
        outcome = Watch(place, subject.source, clock or BootClock(), hooks).carry_out()
        events.ended(VARIANT, outcome)
    run = store.load(place.run_file)
    report = report_of([run], str(folder))
    return WatchResult(
        folder=folder,
        outcomes=(outcome,),
        files=tuple(write_files(report, folder, renderers)),
        exit_code=exit_code([outcome], [run.calls_done]),
        report=report,
    )


def _folder(out: Path | None, name: str) -> Path:
    """A new folder, or that of a watch which is gone on with."""
    if out is not None and (out / f"{VARIANT}{store.SUFFIX}").exists():
        return out
    return new_folder(out, f"watch-{name}")


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is watched, as it was asked for, and a name for it."""

    source: TreeSource
    asked: str
    name: str
    is_ours: bool = False


@contextlib.contextmanager
def _subject(request: WatchRequest) -> Iterator[_Subject]:
    if (request.process is None) == (not request.command):
        raise UsageError(
            message("watch.one-of", "watch needs a PID, a name, or a command after --: one of them")
        )
    if request.process is None:
        with _started(request.command) as (birth, code):
            source = TreeSource(birth, lambda: None, code)
            line = " ".join(request.command)
            yield _Subject(source, line[:200], _plain(Path(request.command[0]).name), is_ours=True)
        return
    birth, find = _found(request.process)
    name = _plain(Path((command_of(birth.pid).split() or [request.process])[0]).name)
    yield _Subject(TreeSource(birth, find), request.process, name)


def _found(process: str) -> tuple[ProcessBirth, Callable[[], ProcessBirth | None]]:
    """The process of that number or name, and what finds the one that takes its place."""
    if not process.isdigit():
        name = ProcessName(process)
        return name.only(), name.newest
    birth = birth_of(int(process))
    if birth is None:
        raise UsageError(
            message("watch.no-process", "process {pid}: not found. Check the PID", pid=int(process))
        )
    line = command_of(birth.pid)
    alike = ProcessName(line, whole=True)
    return birth, (alike.newest if line else lambda: None)


@contextlib.contextmanager
def _started(
    command: Sequence[str],
) -> Iterator[tuple[ProcessBirth, Callable[[], int | None]]]:
    """A command of ours, which ends with the block."""
    try:
        process = subprocess.Popen(command, start_new_session=True)
    except OSError as error:
        raise UsageError(
            message(
                "watch.cannot-start",
                "{command}: {reason}. Check the command",
                command=command[0],
                reason=str(error.strerror),
            )
        ) from error
    try:
        birth = birth_of(process.pid)
        if birth is None:
            code = process.wait()
            raise UsageError(
                message(
                    "watch.ended-at-once",
                    "{command}: exited with code {code} at once",
                    command=command[0],
                    code=code,
                )
            )
        yield birth, process.poll
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for name in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, name)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)


def _plain(name: str) -> str:
    return _CODE.sub("-", name).strip("-.") or "process"


def _plan(subject: _Subject, interval: float, limit: int | None) -> Plan:
    return Plan(
        scenario=subject.name,
        variant=VARIANT,
        calls=None,
        warmup=None,
        seed=0,
        threads=available_cores(),
        device="cpu",
        options={},
        result_kind="equal",
        reference=VARIANT,
        calls_per_sample=None,
        limit_bytes=limit,
        watch=PlannedWatch(subject.asked, interval, subject.is_ours),
    )


def limits_of_tree(reading: WatchReading) -> Mapping[str, int]:
    """What stops the processes from growing: the most that counts, by what sets it."""
    pid = reading.birth.pid
    bounds = dict(memory_bounds_of(pid))
    own = bounds.pop(ADDRESS_SPACE, None)
    counted = reading.counted_bytes
    rss = _rss_of(pid)
    limits = {name: size - rss + counted for name, size in bounds.items()}
    if own is not None:
        with contextlib.suppress(Exception):  # it has just ended
            limits[ADDRESS_SPACE] = own - Tree(pid).address_space_bytes() + counted
    return limits


def _rss_of(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc", str(pid), "statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


@dataclass(slots=True)
class _Alarm:
    """What is done at an alarm; a process is looked into once in its life."""

    alerts: Alerts
    attaches: bool
    folder: Path
    events: Events
    looked_into: int = 0

    def raise_alarm(self, event: WatchEvent) -> Text | None:
        """Tell everybody, look inside; what came of it."""
        forecast = event.verdict.forecast
        facts = {
            "pid": event.reading.birth.pid,
            "largest_pid": event.reading.largest,
            "rss_bytes": event.reading.values.get(RSS),
            "status": str(event.verdict.status),
            "kind": str(event.verdict.kind),
            "seconds_left": None if forecast is None else forecast.calls,
            "folder": str(self.folder),
        }
        for text in self.alerts.raised(str(event.text), facts):
            self.events.noted(text, warning=True)
        if not self.attaches or self.looked_into == event.reading.largest:
            return None
        self.looked_into = event.reading.largest
        return self._look_into(event.reading.largest)

    def _look_into(self, pid: int) -> Text:
        number = 1 + sum(1 for _ in self.folder.glob("attach-*"))
        folder = self.folder / f"attach-{number}"
        try:
            attach(AttachRequest(str(pid), touch=False), out=folder)
        except LeakhuntError as error:
            text = message(
                "watch.not-attached", "could not look into process {pid}: {reason}",
                pid=pid, reason=error.text,
            )  # fmt: skip
            self.events.noted(text, warning=True)
            return text
        text = message(
            "watch.attached", "looked into process {pid}: {folder}", pid=pid, folder=folder.name
        )
        self.events.noted(text)
        return text
