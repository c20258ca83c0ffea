"""The command line without the start of an interpreter: a process that has imported it forks.

``python -m leakhunt`` spends half a second of processor time on imports before it does anything.
Here a server imports them once; each command is a fork of it, with arguments, folder, environment
and standard streams of its own, and ends through the interpreter's end like any other.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

# What the verbs load when they are used.
_VERBS = ("run", "hunt", "list", "gate", "baseline", "compare", "report", "schema", "claims")
_MODULES = (
    "leakhunt.cli.main",
    "leakhunt.cli.evaluate",
    *(f"leakhunt.cli.{verb}" for verb in _VERBS),
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "jinja2",
)
# An interpreter reads these when it starts, so they need one that starts with them.
_READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_")
# As an interpreter has them that nobody told to ignore any.
_HANDLERS: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
    signal.SIGCHLD: signal.SIG_DFL,
}
_NUMBER_BYTES = 8
# No exit code: the command was killed since it took too long.
_TIMED_OUT = 1 << 40


class ForkServer:
    """Runs commands of leakhunt; `stop` ends the server."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            # -P: what the tests import is not in the way of what a command imports.
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # threads do not outlast a fork
            )

    def run(
        self,
        arguments: Sequence[object],
        cwd: Path,
        env: Mapping[str, str] | None = None,
        timeout: float = 300.0,
        errors: str = "strict",
    ) -> subprocess.CompletedProcess[str]:
        """Run ``leakhunt *arguments``; output, error output and exit code come back as text.

        Raises:
            subprocess.TimeoutExpired: it took longer, and was killed.
        """
        words = [str(word) for word in arguments]
        variables = dict(os.environ if env is None else env)
        command = [sys.executable, "-m", "leakhunt", *words]
        if _needs_an_interpreter(variables):
            return subprocess.run(
                command, cwd=cwd, env=variables, capture_output=True, text=True, errors=errors,
                timeout=timeout, check=False,
            )  # fmt: skip
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
            order = {"arguments": words, "cwd": str(cwd), "env": variables, "timeout": timeout}
            text = json.dumps(order).encode()
            number = len(text).to_bytes(_NUMBER_BYTES, "little")
            socket.send_fds(self._socket, [number], [out.fileno(), error.fileno()])
            self._socket.sendall(text)
            answer = _received(self._socket, _NUMBER_BYTES)
            code = int.from_bytes(answer, "little", signed=True)
            texts = [_text_of(stream, errors) for stream in (out, error)]
        if code == _TIMED_OUT:
            raise subprocess.TimeoutExpired(command, timeout, *texts)
        return subprocess.CompletedProcess(command, code, *texts)

    def stop(self) -> None:
        """End the server, when nothing runs any more."""
        self._socket.close()
        self._process.wait()


def _needs_an_interpreter(variables: Mapping[str, str]) -> bool:
    names = {*variables} | {*os.environ}
    return any(
        variables.get(name) != os.environ.get(name)
        for name in names
        if name.startswith(_READ_AT_START)
    )


def _text_of(stream: IO[bytes], errors: str) -> str:
    """What was written to it, as ``subprocess.run(text=True)`` reads it."""
    stream.seek(0)
    return stream.read().decode(errors=errors).replace("\r\n", "\n").replace("\r", "\n")


def _received(source: socket.socket, length: int) -> bytes:
    parts = b""
    while len(parts) < length:
        part = source.recv(length - len(parts))
        if not part:
            raise EOFError("the fork server is gone")
        parts += part
    return parts


def _serve(source: socket.socket) -> None:
    for name in _MODULES:
        importlib.import_module(name)
    gc.freeze()
    while True:
        number, descriptors, _, _ = socket.recv_fds(source, _NUMBER_BYTES, 2)
        if not number:
            return
        length = int.from_bytes(number, "little")
        order = json.loads(_received(source, length))
        child = os.fork()
        if not child:
            source.close()
            _become(order, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        code = _waited(child, order["timeout"])
        source.sendall(code.to_bytes(_NUMBER_BYTES, "little", signed=True))


def _waited(child: int, timeout: float) -> int:
    """The exit code of a child as `subprocess` has it."""
    ended = os.pidfd_open(child)
    ready, _, _ = select.select([ended], [], [], timeout)
    os.close(ended)
    if not ready:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if ready else _TIMED_OUT


def _become(order: Mapping[str, Any], descriptors: Sequence[int]) -> NoReturn:
    """Be the command."""
    for number, handler in _HANDLERS.items():
        signal.signal(number, handler)
    for at, descriptor in enumerate(descriptors, start=1):
        os.dup2(descriptor, at)
        os.close(descriptor)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    tempfile.tempdir = None
    sys.path.insert(0, order["cwd"])
    import leakhunt
    from leakhunt.cli.main import main

    sys.argv = [str(Path(leakhunt.__file__).with_name("__main__.py")), *order["arguments"]]
    raise SystemExit(main())


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
