"""Descriptors, threads, child processes and temporary files: what is open, since when, from where.

The interpreter's audit events (and ``Thread.start``) say who opens what; after each call what is
new is matched with the last event of its kind. What C code opens by itself has no stack.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial, wraps
from pathlib import Path, PurePath
from typing import Any

import psutil

from leakhunt.instruments import Call, InstrumentedRun
from leakhunt.model.attribution import Finding, FindingKind, Instrument
from leakhunt.text.language import mark
from leakhunt.text.message import Text, message

# Which audit events tell of which kind of resource. Descriptors are told apart by what is opened:
# by the first part of the link in /proc/self/fd, or as a file.
_EVENTS = {
    "open": "file",
    "sqlite3.connect": "file",
    "socket.__new__": "socket:",
    "os.pipe": "pipe:",
    "os.memfd_create": "/memfd:",
    "subprocess.Popen": mark("child process"),
    "os.posix_spawn": mark("child process"),
    "os.fork": mark("child process"),
    "tempfile.mkstemp": mark("temporary file"),
    "tempfile.mkdtemp": mark("temporary file"),
}
_NO_DESCRIPTORS = message(
    "instrument.no-descriptors", "open descriptors cannot be listed on this system"
)
_FRAMES = 25
_DESCRIPTORS = Path("/proc/self/fd")
_SPECIAL = ("socket:", "pipe:", "/memfd:")

Stack = tuple[tuple[str, int, str], ...]
# A key, the kind, a name and a way to ask whether it is still there.
_Entry = tuple[Any, str, str, Any]


@dataclass(frozen=True, slots=True)
class _Opened:
    """An audit event: what was asked for, and by whom."""

    kind: str
    name: str
    stack: Stack


@dataclass
class _OpenResource:
    """Something that was opened in a watched call."""

    kind: str
    name: str
    since: int
    stack: Stack
    is_open: Any = field(repr=False, default=None)


def make(run: InstrumentedRun) -> Resources:
    """The resources of this process."""
    return Resources(run)


class Resources:
    """After each call: what is there that was not, and which event made it."""

    caveats: Sequence[Text] = ()

    def __init__(self, run: InstrumentedRun) -> None:
        self._places = run.places
        self._events: list[_Opened] = []
        self._listening = False
        self._call = 0
        self._known: set[Any] = set()
        self._held: list[_OpenResource] = []
        self._calls: list[int] = []
        self._counted: list[dict[tuple[str, Text, Stack], int]] = []
        if not _DESCRIPTORS.is_dir():
            self.caveats = (_NO_DESCRIPTORS,)

    def start(self, call: Call) -> Call:
        """Listen to audit events, in the calls only."""
        sys.addaudithook(self._hear)
        self._hear_of_threads()
        self._known = {key for key, _, _, _ in self._there()}

        @wraps(call)
        def instrumented(state: Any, item: Any) -> Any:
            self._events.clear()
            self._listening = True
            try:
                return call(state, item)
            finally:
                self._listening = False
                self._call += 1
                self._take_note()

        return instrumented

    def _hear_of_threads(self) -> None:
        """Starting a thread raises no audit event in Python 3.11."""
        original = threading.Thread.start

        def start(thread: threading.Thread) -> None:
            if self._listening:
                self._note("thread", _without_number(thread.name))
            original(thread)

        threading.Thread.start = start  # type: ignore[method-assign, assignment]
        self._unhear = partial(setattr, threading.Thread, "start", original)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._listening and event in _EVENTS:
            self._note(_EVENTS[event], _resource_name(arguments))

    def _note(self, kind: str, name: str) -> None:
        """Keep who opened it: the stack above the hook that heard of it."""
        self._listening = False  # what is done here raises events of its own
        try:
            frame = sys._getframe(2)
            summary = traceback.StackSummary.extract(
                traceback.walk_stack(frame), limit=_FRAMES, lookup_lines=False
            )
            stack = tuple((f.filename, f.lineno or 0, f.name) for f in summary)
            self._events.append(_Opened(kind, name, stack))
        finally:
            self._listening = True

    def _take_note(self) -> None:
        """Match what is new with the events of the call."""
        there = list(self._there())
        new = [entry for entry in there if entry[0] not in self._known]
        # What has gone is forgotten: its number comes again.
        self._known = {key for key, _, _, _ in there}
        for each in new:
            stack = self._stack_of(each, new)
            _, kind, name, is_open = each
            self._held.append(_OpenResource(kind, name, self._call, stack, is_open))
        for event in self._events:
            if event.kind == "temporary file" and os.path.exists(event.name):  # noqa: PTH110
                name = Path(event.name).parent.name + "/..."
                exists = _Exists(event.name)
                self._held.append(_OpenResource(event.kind, name, self._call, event.stack, exists))
        self._events.clear()

    def _stack_of(self, entry: _Entry, new: Sequence[_Entry]) -> Stack:
        """The stack of the event that made it; none where that could be several."""
        source = _source_of(entry)
        events = [each for each in self._events if each.kind == source]
        if source == "file":
            events = [each for each in events if _is_same_file(entry[2], each.name)]
        elif source == "thread":
            events = [each for each in events if each.name == entry[2]]
        events = [each for each in events if not _is_within(each, events)]
        if len({each.stack for each in events}) == 1:
            return events[0].stack
        alike = [each for each in new if _source_of(each) == source]
        return events[alike.index(entry)].stack if len(alike) == len(events) else ()

    def _there(self) -> Iterator[_Entry]:
        """A key, the kind, a name and a way to ask whether it is still there."""
        for number in sorted(_descriptors()):
            try:
                status = os.fstat(number)
                name = os.readlink(_DESCRIPTORS / str(number))  # noqa: PTH115
            except OSError:
                continue
            identity = (status.st_dev, status.st_ino)
            yield (number, identity), mark("descriptor"), name, _SameFile(number, identity)
        for thread in threading.enumerate():
            yield (
                ("thread", thread.ident, id(thread)),
                mark("thread"),
                _without_number(thread.name),
                thread.is_alive,
            )
        # To list the children goes through all processes: only where one was started.
        if any(event.kind == "child process" for event in self._events):
            for child in psutil.Process().children():
                key = (child.pid, child.create_time())
                yield key, "child process", _name_of(child), child.is_running

    def mark(self, calls: int) -> None:
        """How many are still open, by kind, name and stack."""
        self._held = [held for held in self._held if held.is_open()]
        self._calls.append(calls)
        counted: dict[tuple[str, Text, Stack], int] = defaultdict(int)
        for held in self._held:
            counted[held.kind, _kind_of_name(held.name), held.stack] += 1
        self._counted.append(counted)

    def findings(self) -> Iterator[Finding]:
        """Everything of which there is more at the last mark than at the first."""
        self._unhear()
        if not self._counted:
            return
        for kind, name, stack in self._counted[-1]:
            counts = tuple(marked.get((kind, name, stack), 0) for marked in self._counted)
            if counts[-1] <= counts[0]:
                continue
            since = min(
                held.since
                for held in self._held
                if (held.kind, _kind_of_name(held.name), held.stack) == (kind, name, stack)
            )
            yield Finding(
                instrument=Instrument.RESOURCES,
                sort=FindingKind.RESOURCE,
                what=kind,
                calls=tuple(self._calls),
                counts=counts,
                sizes=(0,) * len(counts),
                stack=self._places.frames(stack),
                facts={"name": name, "since_call": since},
            )


@dataclass(frozen=True, slots=True)
class _SameFile:
    """Whether a descriptor still leads to the same thing."""

    number: int
    identity: tuple[int, int]

    def __call__(self) -> bool:
        try:
            status = os.fstat(self.number)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self.identity


@dataclass(frozen=True, slots=True)
class _Exists:
    """Whether a path is still there."""

    path: str

    def __call__(self) -> bool:
        return os.path.lexists(self.path)


def _descriptors() -> Iterator[int]:
    try:
        names = os.listdir(_DESCRIPTORS)  # noqa: PTH208
    except OSError:
        return
    yield from map(int, names)


def _resource_name(arguments: tuple[Any, ...]) -> str:
    """The first argument of an event, if it is a path: the object itself may be half made."""
    name = arguments[0] if arguments else ""
    if isinstance(name, bytes):
        return os.path.realpath(os.fsdecode(name))
    if type(name) is str or isinstance(name, PurePath):
        return os.path.realpath(name)
    return ""


def _source_of(entry: _Entry) -> str:
    """Which kind of event makes it."""
    _, kind, name, _ = entry
    if kind != "descriptor":
        return kind
    return next((start for start in _SPECIAL if name.startswith(start)), "file")


def _is_within(event: _Opened, events: Sequence[_Opened]) -> bool:
    """Whether another event came while this one was not done: an opener called by open()."""
    length = len(event.stack)
    return any(len(each.stack) > length and each.stack[-length:] == event.stack for each in events)


def _is_same_file(link: str, opened: str) -> bool:
    """Whether a link of /proc/self/fd is what was opened; of a folder, a nameless file in it."""
    path = link.removesuffix(" (deleted)")
    return path == opened or (path != link and path.startswith(opened + "/#"))


def _kind_of_name(name: str) -> Text:
    """``socket:[123]`` -> ``socket``; of a deleted or a numbered file its folder's last part."""
    if name.endswith("]") and ":[" in name:
        return name.partition(":[")[0]
    if name.startswith("/dev/"):
        return name
    if name.startswith("/"):
        return message("instrument.file-in", "a file in {name}/", name=Path(name).parent.name)
    return name


def _without_number(name: str) -> str:
    """``Thread-12 (wait)`` -> ``Thread (wait)``, so that threads of one kind are one."""
    return " ".join(word.rstrip("0123456789_").rstrip("-") for word in name.split())


def _name_of(child: psutil.Process) -> str:
    try:
        return str(child.name())
    except psutil.Error:
        return "ended"
