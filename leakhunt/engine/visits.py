"""Visits to the processes of a service that runs already, for as long as it is soaked."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from leakhunt.errors import LeakhuntError
from leakhunt.injection.target import examine
from leakhunt.injection.visit import attached
from leakhunt.text.message import Message, Text, message

# A soak does not wait longer for a process that runs no bytecode: it sees the outside of it.
_PATIENCE_SECONDS = 10.0


class Visits:
    """Attaches to processes as they are asked for, each once."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._visited: set[int] = set()
        self._reasons: dict[int, Text] = {}

    def call(self, pid: int) -> socket.socket | None:
        """A line to the agent in a process; None: it cannot be brought in."""
        if pid in self._visited or pid in self._reasons:
            return None
        try:
            visit = self._stack.enter_context(
                attached(examine(pid), patience_seconds=_PATIENCE_SECONDS)
            )
        except LeakhuntError as error:
            self._reasons[pid] = error.text
            return None
        self._visited.add(pid)
        return visit.line

    def why_not(self) -> Message | None:
        """Why it could not be brought into any process; None: it could, or nobody tried."""
        if self._visited or not self._reasons:
            return None
        return message(
            "soak.not-attached",
            "the agent could not be attached: {reason}",
            reason=next(iter(self._reasons.values())),
        )


@contextmanager
def visits() -> Iterator[Visits | None]:
    """Visits that all end with this; None where no process can be visited."""
    if sys.platform != "linux":
        yield None
        return
    with ExitStack() as stack:
        yield Visits(stack)
