"""pytest that has collected the project and waits: each test is run in a fork of it.

``python -m leakhunt.pytest_plugin.prepared FD``: on that socket come a `TestItem` without a test,
and after it one order after the other, each with three descriptors: the channel of the worker, its
log, and where it describes itself. To each order two answers go back: the process, and how it
ended. What a test does is seen by no other: it begins as pytest is after collecting.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import pytest

from leakhunt.errors import ScenarioFailed
from leakhunt.pytest_plugin.common import MEASURES
from leakhunt.pytest_plugin.repeats import repeat
from leakhunt.pytest_plugin.worker import config_of
from leakhunt.storage.run_writer import Appender
from leakhunt.text.message import message
from leakhunt.worker.__main__ import end_with, leave, obey
from leakhunt.worker.loop import stop_on_sigterm
from leakhunt.worker.protocol import Channel, Order, TestItem

# An answer: one number. An order is one byte, with its descriptors.
ANSWER = struct.Struct("<q")
ORDER = b"o"
_DESCRIPTORS = 3


def main() -> int:
    """Collect, serve, and end with whoever asked."""
    orders = socket.socket(fileno=int(sys.argv[1]))
    with orders.makefile("rb") as stream:
        request: Mapping[str, Any] = json.loads(stream.readline())
    end_with(request["supervisor"])
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    lists = {name: tuple(request["test"][name]) for name in ("earlier", "path", "arguments")}
    config = config_of(TestItem(**request["test"] | lists))
    config.pluginmanager.register(_Prepared(orders), MEASURES)
    return int(config.hook.pytest_cmdline_main(config=config))


class _Prepared:
    """In place of pytest's own loop over the tests."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """One fork for each order, until there is none."""
        items = {item.nodeid: item for item in session.items}
        # Shared with the forks, and looked through by none of their collections.
        gc.collect()
        gc.freeze()
        self._orders.sendall(ANSWER.pack(len(items)))
        while True:
            word, descriptors, _, _ = socket.recv_fds(self._orders, len(ORDER), _DESCRIPTORS)
            if not word:
                return True
            child = os.fork()
            if not child:
                self._orders.close()
                _work(items, descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            self._orders.sendall(ANSWER.pack(child))
            _, status = os.waitpid(child, 0)
            self._orders.sendall(ANSWER.pack(os.waitstatus_to_exitcode(status)))


def _work(items: Mapping[str, pytest.Item], descriptors: Sequence[int]) -> NoReturn:
    """Be the worker of an order."""
    os.setsid()
    request, log, described = descriptors
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    channel = Channel(os.fdopen(request, "rb"))
    supervisor = os.getppid()
    end_with(supervisor)

    def carry(order: Order, channel: Channel, appender: Appender) -> None:
        assert order.test is not None
        item = items.get(order.test.node)
        if not isinstance(item, pytest.Function):
            raise ScenarioFailed(message("pytest.not-collected", "the test could not be collected"))
        repeat(item, order, channel.next_phase, appender, stop_on_sigterm())

    order = replace(channel.order(), supervisor=supervisor, describes_to=described)
    leave(obey(order, channel, carry))


if __name__ == "__main__":
    leave(main())
