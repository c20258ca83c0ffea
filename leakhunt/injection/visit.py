"""A visit: the agent in a running process for as long as we are connected, and nothing of it after.

with attached(target) as visit:
    numbers = visit.ask("numbers")
"""

from __future__ import annotations

import ast
import ctypes
import json
import os
import re
import secrets
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from leakhunt.agent import importing, standalone
from leakhunt.errors import MissingRequirement, ScenarioFailed, UsageError
from leakhunt.injection.target import VisitTarget, gone
from leakhunt.injection.ways import Way, brought_in, first_way
from leakhunt.text.message import Text, message

# How long the target may take to run our text: until its main thread runs bytecode.
PATIENCE_SECONDS = 60.0
# So long after the first try, another thread is looked for.
_FIRST_SECONDS = 3.0
_POLL_SECONDS = 0.01
_ANSWER_SECONDS = 120.0
_END_SECONDS = 10.0
_LENGTH = struct.Struct("<I")
_NEW_NET = 0x40000000  # CLONE_NEWNET of setns(2)
_CALLED = "leakhunt_visit"
# In a thread of its own: it takes some milliseconds. A module that is not there fails where it is
# needed.
_BEGIN = f"""
exec(compile(IMPORTING, {standalone.FILE!r}, 'exec'))
try:
    import_unforked(*MODULES)
except ImportError:
    pass
exec(compile(SOURCE, {standalone.FILE!r}, 'exec'))
"""
# What the agent imports below its head.
_LATER = ("_ctypes",)


class Visit:
    """The agent in a process, which answers as long as it is asked. `way` is how it got in."""

    def __init__(self, target: VisitTarget, way: Way, line: socket.socket) -> None:
        self.target, self.way = target, way
        self._line = line
        self._file: BinaryIO = line.makefile("rb")
        # Its number in its own namespace.
        self.thread: int = json.loads(self._file.readline())["thread"]

    def ask(self, word: str, patience_seconds: float = _ANSWER_SECONDS) -> dict[str, Any]:
        """What the agent says to a word.

        Raises:
            ScenarioFailed: it says that it cannot, or the process ended, or it does not answer.
        """
        answer = self._asked(word, patience_seconds)
        if "error" in answer:
            raise ScenarioFailed(
                message(
                    "attach.cannot",
                    "process {pid}: the agent failed at {word}: {reason}",
                    pid=self.target.pid,
                    word=word.partition(" ")[0],
                    reason=str(answer["error"]),
                )
            )
        return answer

    def stream(self, word: str, patience_seconds: float = _ANSWER_SECONDS) -> Iterator[bytes]:
        """The pieces that the agent sends to a word; as for `ask`."""
        self.ask(word, patience_seconds)
        try:
            while length := _LENGTH.unpack(self._read(_LENGTH.size))[0]:
                yield self._read(length)
        except OSError:
            raise self._lost() from None

    def load(self, source: str) -> None:
        """Bring further words: source text that defines `WORDS`; what its `end` does comes last."""
        self.ask(f"load {json.dumps([_modules(source), source])}")

    @property
    def line(self) -> socket.socket:
        """The line to the agent, for whoever asks by himself what `ask` would."""
        return self._line

    def close(self) -> None:
        """Hang up: the agent ends."""
        self._file.close()
        self._line.close()

    def _read(self, length: int) -> bytes:
        data = self._file.read(length)
        if len(data) < length:
            raise ConnectionResetError
        return data

    def _asked(self, word: str, patience_seconds: float) -> dict[str, Any]:
        try:
            self._line.settimeout(patience_seconds)
            self._line.sendall(word.encode("utf-8", "surrogateescape") + b"\n")
            line = self._file.readline()
        except OSError:
            raise self._lost() from None
        if not line:
            raise self._lost()
        facts: dict[str, Any] = json.loads(line)
        return facts

    def _lost(self) -> ScenarioFailed:
        if not _ends_within(self.target, 0.5):
            return ScenarioFailed(
                message(
                    "attach.silent",
                    "process {pid}: the agent does not answer any more",
                    pid=self.target.pid,
                )
            )
        return ScenarioFailed(ended(self.target.pid))


def ended(pid: int) -> Text:
    """What is said of a process that ended meanwhile."""
    return message("attach.ended", "process {pid} ended during the visit", pid=pid)


@contextmanager
def attached(
    target: VisitTarget, *, way: Way | None = None, patience_seconds: float = PATIENCE_SECONDS
) -> Iterator[Visit]:
    """The agent in `target`; it is gone when this ends, also where we are killed in it.

    Raises:
        UsageError: the process has ended, or another leakhunt is attached.
        MissingRequirement: the agent cannot be brought in.
        ScenarioFailed: the process runs no bytecode for so long.
    """
    with _place_to_come_to(target) as listener:
        visit = _called_in(target, listener, way or first_way(target), patience_seconds)
        try:
            yield visit
        finally:
            visit.close()
            _wait_for_the_end(visit)


def _called_in(
    target: VisitTarget, listener: socket.socket, way: Way, patience_seconds: float
) -> Visit:
    token = secrets.token_hex(16)

    def text(place: tuple[int, int, int]) -> bytes:
        return _text(_name(target), token, place)

    since = time.monotonic()
    with brought_in(target, text, way) as again:
        is_tried_again = False
        while (waited := time.monotonic() - since) < patience_seconds:
            line = _come(listener)
            if line is not None:
                return _begun(target, way, line, token)
            if not target.is_alive():
                raise gone(target.pid)
            if waited > _FIRST_SECONDS and not is_tried_again:
                is_tried_again = again()
    raise ScenarioFailed(
        message(
            "attach.no-bytecode",
            "process {pid}: its main thread ran no Python code for {seconds:g} s (a long call of C"
            " code?). Nothing was changed. Try again later",
            pid=target.pid,
            seconds=patience_seconds,
        )
    )


def _name(target: VisitTarget) -> str:
    """Where the agent finds us, in its network namespace; it is taken while we are attached."""
    return f"leakhunt-attach-{target.own_pid}"


def _text(name: str, token: str, place: tuple[int, int, int]) -> bytes:
    """One expression, which leaves no name where it is run, and starts a thread at once."""
    source = Path(standalone.__file__).read_text(encoding="utf-8")
    space = {
        "__name__": _CALLED,
        "ORDER": (name, token, place),
        "IMPORTING": Path(importing.__file__).read_text(encoding="utf-8"),
        "MODULES": (*_modules(source), *_LATER),
        "SOURCE": source,
    }
    text = f"__import__('_thread').start_new_thread(exec, ({_BEGIN!r}, {space!r}))\n"
    return text.encode("ascii", "backslashreplace")  # whatever the encoding is there


def _modules(source: str) -> list[str]:
    """What a source text imports at its head."""
    body = ast.parse(source).body
    names = [alias.name for each in body if isinstance(each, ast.Import) for alias in each.names]
    return names + [str(each.module) for each in body if isinstance(each, ast.ImportFrom)]


def _come(listener: socket.socket) -> socket.socket | None:
    """Who comes within moments; None: nobody."""
    listener.settimeout(_POLL_SECONDS)
    try:
        return listener.accept()[0]
    except TimeoutError:
        return None


def _begun(target: VisitTarget, way: Way, line: socket.socket, token: str) -> Visit:
    line.settimeout(_ANSWER_SECONDS)
    try:
        line.sendall(token.encode())
        return Visit(target, way, line)
    except (OSError, ValueError):
        line.close()
        raise gone(target.pid) from None


@contextmanager
def _place_to_come_to(target: VisitTarget) -> Iterator[socket.socket]:
    """Where the agent will come to: a name in its network namespace, which only one can have.

    Raises:
        UsageError: another leakhunt has it.
        MissingRequirement: we may not enter the namespace.
    """
    found: list[socket.socket | OSError] = []

    def listen() -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(f"\0{_name(target)}")
            listener.listen()
            found.append(listener)
        except OSError as error:
            listener.close()
            found.append(error)

    if _network(target.pid) == _network("self"):
        listen()
    else:  # only a thread goes there, and ends there

        def listen_there() -> None:
            if _enter_network(target):
                listen()

        thread = threading.Thread(target=listen_there)
        thread.start()
        thread.join()
    match found:
        case [socket.socket() as listener]:
            with listener:
                yield listener
        case [OSError()]:
            raise UsageError(
                message(
                    "attach.busy",
                    "process {pid}: another leakhunt is attached. Wait until it has ended",
                    pid=target.pid,
                )
            )
        case _:
            raise MissingRequirement(
                message(
                    "attach.network",
                    "process {pid} is in another network namespace, which leakhunt may not enter."
                    " Run leakhunt in its container, or as root on the host",
                    pid=target.pid,
                )
            )


def _network(pid: int | str) -> str:
    with suppress(OSError):
        return os.fspath(Path(f"/proc/{pid}/ns/net").readlink())
    return ""


def _enter_network(target: VisitTarget) -> bool:
    """Have this thread enter the target's network namespace; whether it is there."""
    with suppress(OSError):
        place = os.open(f"/proc/{target.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            ctypes.CDLL(None).setns(place, _NEW_NET)
        finally:
            os.close(place)
    return _network("thread-self") == _network(target.pid)


def _ends_within(target: VisitTarget, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while target.is_alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _wait_for_the_end(visit: Visit) -> None:
    """Wait until the agent's thread is gone."""
    deadline = time.monotonic() + _END_SECONDS
    while _runs(visit) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _runs(visit: Visit) -> bool:
    """Whether the agent's thread is there, by the number that it has in its own namespace."""
    if not visit.target.is_alive():
        return False
    own = re.compile(rf"^NSpid:.*\s{visit.thread}$", re.MULTILINE)
    for status in Path("/proc", str(visit.target.pid), "task").glob("*/status"):
        with suppress(OSError):
            if own.search(status.read_text(encoding="utf-8", errors="replace")):
                return True
    return False
