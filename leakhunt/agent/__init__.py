"""The inside view of a running service: two lines in it, and ``leakhunt soak`` sees what is live.

A service that ``leakhunt soak --command`` starts needs none: the agent starts by itself
(`autostart`).

::

    from leakhunt import agent

    agent.listen()

A thread then waits for a soak on a socket that only processes of the same user may ask. It costs
that thread and a descriptor, and reads nothing until it is asked. Forked workers listen as well,
each for itself. Nothing is imported but the standard library until a soak asks; then psutil.

From outside, nobody can tell memory that is live from memory that malloc keeps. Asked for a full
reading, the service collects garbage and trims malloc, as a measured process does at its pauses;
what other threads write to standard error within those milliseconds may be lost.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leakhunt.model.series import CUDA_ALLOCATED, CUDA_RESERVED, LIVE_HEAP, PYTHON_BLOCKS

if TYPE_CHECKING:
    from leakhunt.instruments import ActiveInstrument

_LOG = logging.getLogger(__name__)
_LONGEST_REQUEST_BYTES = 4096
# struct ucred of unix(7): pid, uid, gid.
_CREDENTIALS = struct.Struct("iII")
_RETRY_SECONDS = 1.0
THREAD_NAME = "leakhunt-inside"
# Held while something is read: no thread but this one lives on in a child that is forked meanwhile.
_AT_WORK = threading.RLock()
_held: list[bool] = []
_FORK_SECONDS = 2.0


def address(pid: int) -> str:
    """The socket of a process: an abstract one, which is gone with the process."""
    return f"\0leakhunt-inside-{pid}"


def listen() -> bool:
    """Answer soaks from now on; True if it does.

    Never raises: where it cannot listen, it says so in the log, and the service is as it was.
    """
    if sys.platform != "linux":
        _LOG.warning("leakhunt.agent: needs Linux's abstract sockets; a soak sees the outside")
        return False
    if _guest_listens() or any(each.name == THREAD_NAME for each in threading.enumerate()):
        return True
    if not _start():
        return False
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_start_in_child
    )
    return True


def _before_fork() -> None:
    """A child of a process that is just importing something would wait for that for ever."""
    _held[:] = [_AT_WORK.acquire(timeout=_FORK_SECONDS)]


def _after_fork() -> None:
    if _held.pop():
        _AT_WORK.release()


def _start_in_child() -> None:
    _AT_WORK._at_fork_reinit()  # type: ignore[attr-defined]
    _start()


def _guest_listens() -> bool:
    """Whether `leakhunt soak` has started an agent in this process already."""
    guest = sys.modules.get("leakhunt_guest_agent")
    return guest is not None and os.getpid() in guest._listening


def _start() -> bool:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(address(os.getpid()))
        listener.listen()
    except OSError as error:
        listener.close()
        _LOG.warning("leakhunt.agent: cannot listen (%s); a soak sees the outside only", error)
        return False
    threading.Thread(target=_accept, args=(listener,), name=THREAD_NAME, daemon=True).start()
    return True


def _accept(listener: socket.socket) -> None:
    while True:
        try:
            asker, _ = listener.accept()
        except OSError as error:  # out of descriptors, most likely
            _LOG.warning("leakhunt.agent: could not answer (%s)", error)
            time.sleep(_RETRY_SECONDS)
            continue
        threading.Thread(target=_answer, args=(asker,), name=THREAD_NAME, daemon=True).start()


def _answer(asker: socket.socket) -> None:
    """Answer one soak until it hangs up: a line of JSON for each word."""
    with asker, contextlib.suppress(OSError):  # it hung up
        if not _is_ours(asker):
            return
        with _AT_WORK:
            answers = _answers()
        with asker.makefile("rb", buffering=_LONGEST_REQUEST_BYTES) as lines:
            while line := lines.readline(_LONGEST_REQUEST_BYTES):
                asker.sendall(_response(answers, line.strip().decode("utf-8", "surrogateescape")))


def _is_ours(asker: socket.socket) -> bool:
    """Whether the process at the other end belongs to the same user, or to root."""
    credentials = asker.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(credentials)[1] in (0, os.getuid())


def _response(answers: Mapping[str, Callable[..., Any]], line: str) -> bytes:
    """What is said to a line: a word, and after a blank what it is about."""
    word, _, about = line.partition(" ")
    if word not in answers:
        return json.dumps({"error": f"unknown word {word!r}"}).encode() + b"\n"
    try:
        with _AT_WORK:
            answer = answers[word](about) if about else answers[word]()
        return json.dumps(answer, default=_as_json).encode() + b"\n"
    except Exception as error:  # a reading that fails is no failure of the service
        _LOG.warning("leakhunt.agent: could not read (%s)", error)
        return json.dumps({"error": f"{type(error).__name__}: {error}"}).encode() + b"\n"


def _as_json(value: Any) -> Any:
    from leakhunt.text.record import as_json

    return as_json(value)


def _answers() -> dict[str, Callable[..., Any]]:
    """What can be asked for, by its word; loaded with the first soak."""
    from leakhunt.probes.cuda import empty_framework_caches
    from leakhunt.worker import readings

    def emptied() -> Mapping[str, int]:
        empty_framework_caches()
        return readings.full_reading("emptied").values

    def trimmed() -> Mapping[str, int]:
        readings.trim_malloc()
        return readings.whole_reading("trimmed").values

    active = _InstrumentInService()
    return {
        "allocator": _allocator,
        "watch": active.activate,
        "mark": active.mark,
        "findings": active.findings,
        "numbers": _numbers_reader(),
        "start": lambda: readings.start_reading().values,
        "look": lambda: readings.full_reading("look").values,
        "look_collected": lambda: readings.collected_reading().values,
        "emptied": emptied,
        "trimmed": trimmed,
    }


def _allocator() -> dict[str, Any]:
    """What serves malloc, and why it does not say what is in use, if it does not."""
    from leakhunt.model.allocators import ALLOCATOR, PYTHON_ALLOCATOR
    from leakhunt.probes.allocator import python_allocator, serving

    found = serving()
    facts: dict[str, Any] = {ALLOCATOR: str(found), PYTHON_ALLOCATOR: python_allocator()}
    return facts if found.unavailable is None else {**facts, LIVE_HEAP: found.unavailable}


class _InstrumentInService:
    """An instrument at work in this process, for a soak that asks who keeps what grows."""

    _instrument: ActiveInstrument

    def activate(self, about: str) -> dict[str, int]:
        """Start an instrument, named with the file that it may leave a capture in."""
        from leakhunt.instruments import InstrumentedRun, instrument_for
        from leakhunt.instruments.frames import Places
        from leakhunt.model.attribution import Instrument

        name, _, capture = about.partition(" ")
        self._instrument = instrument_for(
            InstrumentedRun(
                instrument=Instrument(name),
                state=None,
                module=sys.modules["__main__"],
                places=Places(str(Path.cwd() / "service")),
                capture=Path(capture),
            )
        )
        self._instrument.start(lambda state, item: None)
        return {}

    def mark(self, requests: str) -> dict[str, int]:
        """Count what is alive after so many requests."""
        self._instrument.mark(int(requests))
        return {}

    def findings(self) -> dict[str, Any]:
        """Stop, and say what was found."""
        return {
            "findings": list(self._instrument.findings()),
            "caveats": list(self._instrument.caveats),
        }


def _numbers_reader() -> Callable[[], dict[str, int]]:
    """The cheap numbers, by series: some microseconds, and nothing is kept."""
    from leakhunt.probes.allocator import serving

    live_bytes = serving().live_bytes

    def read() -> dict[str, int]:
        blocks = sys.getallocatedblocks()
        values = {PYTHON_BLOCKS: blocks} if blocks else {}  # none with PYTHONMALLOC=malloc
        if live_bytes is not None:
            values[LIVE_HEAP] = live_bytes()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
            values[CUDA_ALLOCATED] = torch.cuda.memory_allocated()
            values[CUDA_RESERVED] = torch.cuda.memory_reserved()
        return values

    return read
