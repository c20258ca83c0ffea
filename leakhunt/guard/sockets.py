"""The server sockets of this process: what makes workers peers, and what a worker leaves."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


def listening_sockets() -> list[int]:
    """The descriptors of the listening stream sockets. Linux only; elsewhere none."""
    return [each.descriptor for each in _server_sockets() if each.listens]


def server_sockets() -> frozenset[int]:
    """The stream sockets that a server listens on or is about to, by their numbers in the kernel.

    A process that inherits one has the same number. uvicorn's workers get theirs bound, and listen
    once the app is loaded.
    """
    return frozenset(each.number for each in _server_sockets())


@dataclass(frozen=True, slots=True)
class _ServerSocket:
    descriptor: int
    number: int
    listens: bool


def _server_sockets() -> Iterator[_ServerSocket]:
    folder = Path("/proc/self/fd")
    for name in os.listdir(folder) if folder.exists() else ():  # noqa: PTH208 - numbers
        with contextlib.suppress(OSError):
            descriptor = int(name)
            status = os.fstat(descriptor)
            if not stat.S_ISSOCK(status.st_mode):
                continue
            with socket.socket(fileno=os.dup(descriptor)) as copy:
                listens = bool(copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
                is_server = listens or _is_bound(copy)
            if is_server:
                yield _ServerSocket(descriptor, status.st_ino, listens)


def _is_bound(copy: socket.socket) -> bool:
    """Whether it has a name, and no other end."""
    if copy.type != socket.SOCK_STREAM:
        return False
    name = copy.getsockname()
    if not (name[1] if copy.family in (socket.AF_INET, socket.AF_INET6) else name):
        return False
    try:
        copy.getpeername()
    except OSError:
        return True
    return False
