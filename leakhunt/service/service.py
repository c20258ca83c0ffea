"""A service: started by us on a free port, or one that ran already; until it can be used."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import psutil

from leakhunt.agent.autostart import variables_for
from leakhunt.errors import ScenarioFailed, UsageError
from leakhunt.runner.memory_limit import MemoryLimit
from leakhunt.runner.process_log import opened_log
from leakhunt.runner.reaper import Reaper
from leakhunt.service.process_tree import Identity, Tree
from leakhunt.text.message import Message, Text, message

_POLL_SECONDS = 0.1
_ANSWER_SECONDS = 10.0
_STOP_SECONDS = 10.0
# When a process began is told by the clock, which is set now and then.
_CLOCK_SECONDS = 2.0
_LOG_TAIL_BYTES = 4096
_LONGEST_FACT = 200
_MAX_FACTS_BYTES = 64 << 10
PORT = "{port}"
_PYTHON = "{python}"


@dataclass(frozen=True, slots=True)
class Start:
    """How a service is started: its command, with ``{port}`` and ``{python}`` to be filled in.

    `ready` is the path that answers once it can be used: with 2xx, or anything below 500 where it
    is empty. `facts` is a path whose JSON object has texts about the service, or empty. With
    `agent` the agent starts in every Python process of it.
    """

    command: Sequence[str]
    folder: Path
    ready: str = ""
    facts: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    agent: bool = True


class Service:
    """A running service: its process tree, and how it ended if it is ours to know."""

    def __init__(
        self, tree: Tree, process: subprocess.Popen[bytes] | None, log: Path | None, leave: bool
    ) -> None:
        self.tree = tree
        self.log = log
        self._process = process
        self._leave = leave
        # A service that never came up is ended in any case.
        self.was_ready = False

    def is_alive(self) -> bool:
        """Whether its first process lives."""
        if self._process is not None:
            return self._process.poll() is None
        return self.tree.is_alive()

    @property
    def exit_code(self) -> int | None:
        """How it ended, as `subprocess` has it; None where it lives or was not started by us."""
        return None if self._process is None else self._process.poll()

    def stop(self) -> None:
        """End it and all below it, gently at first; nothing if it was not ours or shall stay."""
        if self._process is None:
            return
        if self._leave and self.was_ready and self.is_alive():
            return
        below = self.tree.pids()[1:]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pid in below:  # what left the group
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def start(
    wanted: Start, port: int, log: Path, limit: MemoryLimit, reaper: Reaper | None
) -> Service:
    """Start a service; it may not be ready yet. It ends with `reaper`; None: it is left running.

    Raises:
        CannotWrite: its log cannot be written.
        ScenarioFailed: it ended at once.
    """
    command = [
        word.replace(PORT, str(port)).replace(_PYTHON, sys.executable) for word in wanted.command
    ]
    leave = reaper is None
    environment = {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "PORT": str(port),
        **wanted.variables,
    }
    with opened_log(log) as stream:
        process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "leakhunt.service.launcher"),
                "0" if leave else str(os.getpid()),
                *command,
            ],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=wanted.folder,
            env={
                **environment,
                **(variables_for(environment) if wanted.agent else {}),
                **(reaper.variables if reaper is not None else {}),
            },
        )
    if reaper is not None:
        reaper.watch(process.pid, limit.group)
    assert process.stdin is not None
    try:
        limit.enter(process.pid)
        tree = Tree(process.pid)
    except BaseException:
        process.kill()
        process.wait()
        raise
    with contextlib.suppress(BrokenPipeError):  # it died at once: its exit status tells how
        process.stdin.write(b"\n")
        process.stdin.close()
    return Service(tree, process, log, leave)


def attach(pid: int) -> Service:
    """A service that runs already.

    Raises:
        UsageError: there is no such process, or it is not ours to read.
    """
    try:
        tree = Tree(pid)
        tree.read()
    except (psutil.NoSuchProcess, ProcessLookupError):
        raise UsageError(
            message(
                "soak.no-such-pid",
                "--pid {pid}: process not found. List processes with 'ps'",
                pid=pid,
            )
        ) from None
    except (psutil.AccessDenied, PermissionError):
        raise UsageError(
            message(
                "soak.pid-unreadable",
                "--pid {pid}: permission denied. Run leakhunt as the user of the process",
                pid=pid,
            )
        ) from None
    return Service(tree, None, None, leave=True)


def same(identity: Identity) -> Service:
    """The service that a soak to be resumed was about.

    Raises:
        UsageError: it has ended.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        tree = Tree(identity.pid)
        moved = abs(tree.identity.created - identity.created)
        if moved <= _CLOCK_SECONDS and tree.is_alive():
            return Service(tree, None, None, leave=True)
    raise UsageError(
        message(
            "soak.cannot-resume",
            "the service of this soak (process {pid}) has ended. Start a new soak",
            pid=identity.pid,
        )
    )


def wait_until_ready(
    service: Service, url: str, ready: str, timeout_seconds: float, limit: MemoryLimit
) -> float:
    """Return once it answers: the seconds that took. `limit` is what it runs under.

    Raises:
        ScenarioFailed: it ended, or does not answer in time, or with errors only.
    """
    address = urljoin(url, ready or "/")
    started = time.monotonic()
    answer: Text = message("soak.nothing", "nothing")
    while (waited := time.monotonic() - started) < timeout_seconds:
        if not service.is_alive():
            raise ScenarioFailed(_ended_early(service, limit))
        status, answer = _answer(address, min(_ANSWER_SECONDS, timeout_seconds - waited))
        if status is not None and (status < 300 if ready else status < 500):
            service.was_ready = True
            return time.monotonic() - started
        time.sleep(_POLL_SECONDS)
    raise ScenarioFailed(
        message(
            "soak.not-ready",
            "{address} was not ready within {seconds:g} s (last answer: {said}){log}. Raise"
            " --timeout, or choose another path with --ready",
            address=address,
            seconds=timeout_seconds,
            said=answer,
            log=_log_text(service.log),
        )
    )


def facts_of(url: str, path: str) -> dict[str, str]:
    """The texts that a service tells of itself by JSON, by name; none where it has no `path`.

    Raises:
        ScenarioFailed: it does not answer, or with something else.
    """
    if not path:
        return {}
    address = urljoin(url, path)
    try:
        with _opener().open(address, timeout=_ANSWER_SECONDS) as answer:
            document = json.loads(answer.read(_MAX_FACTS_BYTES))
    except (OSError, ValueError, HTTPException) as error:
        raise ScenarioFailed(
            message(
                "soak.no-facts",
                "{address}: no facts in JSON ({error})",
                address=address,
                error=error,
            )
        ) from error
    texts = document.items() if isinstance(document, dict) else ()
    return {
        name: text[:_LONGEST_FACT]
        for name, text in texts
        if isinstance(text, str) and name != "status"
    }


def _opener() -> urllib.request.OpenerDirector:
    """No proxy of the environment: a service is asked where it is."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _answer(address: str, seconds: float) -> tuple[int | None, str]:
    """The status of an answer, and what to say of it."""
    try:
        with _opener().open(address, timeout=max(seconds, 0.1)) as answer:
            return answer.status, str(answer.status)
    except urllib.error.HTTPError as error:
        return error.code, f"{error.code} {error.reason}"
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        return None, getattr(reason, "strerror", None) or str(reason) or type(error).__name__


def _ended_early(service: Service, limit: MemoryLimit) -> Message:
    code = service.exit_code
    if code is None:
        how: Text = message(
            "soak.unknown-exit", "unknown exit status: leakhunt did not start the service"
        )
    elif code < 0:
        how = limit.kernel_words() or signal.Signals(-code).name
    else:
        how = message("soak.exit-code", "exit code {code}", code=code)
    last_line = _last_words(service.log)
    return message(
        "soak.ended-early",
        "the service ended before it was ready ({how}){told}{log}",
        how=how,
        told=f": {last_line}" if last_line else "",
        log=_log_text(service.log),
    )


def _log_text(log: Path | None) -> Text:
    return message("soak.see-log", "; see {log}", log=log) if log is not None else ""


def _last_words(log: Path | None) -> str:
    """The last line of a log: most often the error."""
    if log is None:
        return ""
    with open(log, "rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(stream.tell() - _LOG_TAIL_BYTES, 0))
        lines = stream.read().decode("utf-8", "replace").splitlines()
    spoken = [line.strip() for line in lines if line.strip()]
    return re.sub(r"[^\x20-\x7e\u00a0-\uffff]", "", spoken[-1])[:_LONGEST_FACT] if spoken else ""


def checked_url(url: str) -> str:
    """`url`, if requests can be sent there; it may hold ``{port}``.

    Raises:
        UsageError: it is no address of HTTP.
    """
    try:
        parts = urlsplit(url.replace(PORT, "1"))
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        known = False
    if not known:
        raise UsageError(
            message(
                "soak.url",
                "--url {url!r}: invalid address; example: 'http://127.0.0.1:8000'",
                url=without_userinfo(url),
            )
        )
    return url


def without_userinfo(url: str) -> str:
    """An address without its user and password, which are nobody else's business."""
    return re.sub(r"//[^/@]*@", "//", url)


def refuse_taken(url: str) -> None:
    """See that nobody listens yet where a service is to be started.

    Raises:
        UsageError: somebody does; the load would go there.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    with contextlib.suppress(OSError), socket.create_connection((parts.hostname, port), 1.0):
        raise UsageError(
            message(
                "soak.address-taken",
                "{url}: already in use. Stop that process, or write {port} in --command",
                url=without_userinfo(url),
                port=PORT,
            )
        )


def free_port() -> int:
    """A port of the loopback that nobody listens on at present."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def words(command: str) -> tuple[str, ...]:
    """A command line in its words, as a shell would have them.

    Raises:
        UsageError: a quotation that does not end, or nothing.
    """
    try:
        found = tuple(shlex.split(command))
    except ValueError as error:
        raise UsageError(
            message(
                "soak.command-quotes",
                "--command {command!r}: {error}. Fix the quoting",
                command=command,
                error=error,
            )
        ) from None
    if not found:
        raise UsageError(
            message(
                "soak.command-empty", "--command is empty. Pass the command that starts the service"
            )
        )
    return found
