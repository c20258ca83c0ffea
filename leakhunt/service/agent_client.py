"""The soak's end of the inside view: asks the processes of a service that listen."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from leakhunt import agent
from leakhunt.errors import ScenarioFailed
from leakhunt.model.series import LIVE_HEAP, PYTHON_BLOCKS, SERIES, Series, Unit
from leakhunt.probes.cuda import CudaProbe
from leakhunt.probes.heap import LiveHeapProbe
from leakhunt.probes.python_blocks import PythonBlocksProbe
from leakhunt.storage.run_file import read_text
from leakhunt.text.message import Message, Text, message

_SERIES = {
    series.name: series
    for kind in (LiveHeapProbe, PythonBlocksProbe, CudaProbe)
    for series in kind.series
}
# A collection in a large service takes a quarter of a second; one that is stuck is not waited for.
_PATIENCE_SECONDS = 30.0
_LONGEST_ANSWER_BYTES = 1 << 16
# What a block of Python's allocator has in the mean, to set blocks beside bytes.
_BLOCK_BYTES = 64


@dataclass(frozen=True, slots=True)
class _Line:
    """An open line to one process."""

    socket: socket.socket

    def ask(self, words: str) -> dict[str, Any] | None:
        """What it tells; None if it does not (any more).

        Interrupted, it hangs up: the answer to come would be read as that to the next question.
        """
        try:
            self.socket.sendall(words.encode("utf-8", "surrogateescape") + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                part = self.socket.recv(_LONGEST_ANSWER_BYTES)
                if not part:
                    return None
                answer += part
        except OSError:
            return None
        except BaseException:
            self.socket.close()
            raise
        facts: dict[str, Any] = json.loads(answer)
        return facts


class Caller(Protocol):
    """Brings the agent into processes that do not listen by themselves."""

    def call(self, pid: int) -> socket.socket | None:
        """A line to the agent in a process; None: it cannot be brought in."""

    def why_not(self) -> Message | None:
        """Why it could not be brought into any process; None: it could, or nobody tried."""


class ListeningAgents:
    """The processes of a service that listen; which those are may change.

    Those that do not are called by `caller`, if there is one.
    """

    def __init__(self, caller: Caller | None = None) -> None:
        self._caller = caller
        self._lines: dict[int, _Line] = {}

    def close(self) -> None:
        """Hang up."""
        for line in self._lines.values():
            line.socket.close()
        self._lines.clear()

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that listen."""
        return tuple(self._lines)

    def find(self, pids: Sequence[int]) -> int:
        """Call those of these processes that listen; how many do."""
        for gone in self._lines.keys() - set(pids):
            self._lines.pop(gone).socket.close()
        for pid in pids:
            if pid not in self._lines and (line := self._called(pid)) is not None:
                self._lines[pid] = line
        return len(self._lines)

    def why_not(self) -> Message | None:
        """Why the caller could not bring the agent in; None without one."""
        return self._caller.why_not() if self._caller is not None else None

    def _called(self, pid: int) -> _Line | None:
        line = _call(pid)
        if line is not None or self._caller is None:
            return line
        brought = self._caller.call(pid)
        if brought is None:
            return None
        brought.settimeout(_PATIENCE_SECONDS)
        return _Line(brought)

    def series(self) -> tuple[Series, ...]:
        """What `ask("numbers")` tells at present, as series."""
        numbers = self.ask("numbers")
        return tuple(series for name, series in _SERIES.items() if name in numbers)

    def ask(self, word: str) -> Mapping[str, int]:
        """The sums over all processes that listen; empty where none does."""
        return summed(self.ask_each(word))

    def ask_each(self, word: str) -> dict[int, dict[str, int]]:
        """What each process that listens says, by its number."""
        answers: dict[int, dict[str, int]] = {}
        for pid, line in self._open().items():
            facts = line.ask(word)
            if facts is None:
                self._lines.pop(pid).socket.close()
            elif "error" not in facts:
                answers[pid] = {name: int(value) for name, value in facts.items()}
        return answers

    def allocators(self) -> list[dict[str, Any]]:
        """What each of them says of its allocator; one of an older leakhunt says nothing."""
        answers = [line.ask("allocator") or {} for line in self._open().values()]
        return [each for each in answers if "error" not in each]

    def live_sizes(self) -> dict[int, int]:
        """About how much is live in each process that listens."""
        return {
            pid: values.get(LIVE_HEAP, 0) + _BLOCK_BYTES * values.get(PYTHON_BLOCKS, 0)
            for pid, values in self.ask_each("numbers").items()
        }

    def grew_most(self, before: Mapping[int, int]) -> int | None:
        """The process that has grown most since its size was `before`; None: there is none.

        Of such as were not there before, or did not grow, the largest.
        """
        now = self.live_sizes()
        grown = {pid: now[pid] - before[pid] for pid in now.keys() & before.keys()}
        growing = [pid for pid, size in grown.items() if size > 0]
        if growing:
            return max(growing, key=grown.__getitem__)
        return max(now, key=now.__getitem__, default=None)

    def _open(self) -> dict[int, _Line]:
        """The lines; whom an interrupt hung up on is called again."""
        for pid in [pid for pid, line in self._lines.items() if line.socket.fileno() < 0]:
            del self._lines[pid]
            if (line := self._called(pid)) is not None:
                self._lines[pid] = line
        return dict(self._lines)

    def ask_one(self, pid: int, words: str, patience_seconds: float) -> dict[str, Any]:
        """What one process says to some words.

        Raises:
            ScenarioFailed: it says that it cannot, or nothing.
        """
        line = self._lines[pid]
        line.socket.settimeout(patience_seconds)
        answer = line.ask(words)
        if answer is None or "error" in answer:
            silent = message("soak.silent", "no answer")
            raise ScenarioFailed(
                message(
                    "soak.not-watched",
                    "the in-process agent could not be instrumented: {reason}",
                    reason=str(answer["error"]) if answer is not None else silent,
                )
            )
        return answer


def summed(each: Mapping[int, Mapping[str, int]]) -> dict[str, int]:
    """The sums over all processes."""
    sums: Counter[str] = Counter()
    for values in each.values():
        sums.update(values)
    return dict(sums)


def _call(pid: int) -> _Line | None:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.settimeout(_PATIENCE_SECONDS)
    try:
        line.connect(agent.address(pid))
    except OSError:
        line.close()
        return None
    return _Line(line)


NO_INSIDE = message(
    "soak.no-agent",
    "the service does not run the agent. To measure live memory, add 'from leakhunt import"
    " agent' and 'agent.listen()' to the service",
)
_NO_CUDA = message("soak.no-cuda", "the service uses no CUDA")


def unavailable(
    series: Sequence[Series],
    allocators: Sequence[Mapping[str, Any]] = (),
    no_inside: Message = NO_INSIDE,
) -> dict[str, Text]:
    """Why the series of live memory are not read, where they are not; by name.

    `allocators` are what the processes that listen say of theirs; where none does, `no_inside` is
    why.
    """
    read = {each.name for each in series}
    missing = {name for name, each in _SERIES.items() if each.unit is not Unit.COUNT} - read
    if read & {LIVE_HEAP, PYTHON_BLOCKS}:
        reasons = [read_text(each[LIVE_HEAP]) for each in allocators if LIVE_HEAP in each]
        why = {LIVE_HEAP: reasons[0]} if reasons and LIVE_HEAP in missing else {}
        return why | {name: _NO_CUDA for name in sorted(missing) if SERIES[name].is_on_gpu}
    return dict.fromkeys(sorted(missing), no_inside)
