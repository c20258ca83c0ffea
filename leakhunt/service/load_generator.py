"""The load: Locust in a process of its own, whose numbers are read from shared memory.

Locust patches the standard library for its green threads, so it must not be in our process.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from leakhunt.errors import ScenarioFailed
from leakhunt.model.routes import RequestOutcome, Route
from leakhunt.runner.process_log import opened_log
from leakhunt.runner.reaper import Reaper
from leakhunt.service.shared_counters import Counters
from leakhunt.text.message import message

# What Locust's side finds in its environment: where to count, where to leave errors and kinds.
COUNTERS = "LEAKHUNT_COUNTERS"
ERRORS = "LEAKHUNT_ERRORS"
KINDS = "LEAKHUNT_KINDS"
# ... and with whom it ends, by the number of the process.
SUPERVISOR = "LEAKHUNT_SUPERVISOR"
# ... and what the built-in upload does.
UPLOAD_PATH = "LEAKHUNT_UPLOAD_PATH"
UPLOAD_FIELD = "LEAKHUNT_UPLOAD_FIELD"
AUDIO = "LEAKHUNT_AUDIO"
EXPECT = "LEAKHUNT_EXPECT"
# ... and what the locustfile of a described service is told.
KIND = "LEAKHUNT_LOAD"
SEED = "LEAKHUNT_SEED"

_COUNTING = Path(__file__).with_name("locust_plugin.py")
UPLOAD = Path(__file__).with_name("upload_locustfile.py")
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.02
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class RequestedLoad:
    """What load is asked for: who sends requests (`users`), by which file, told what.

    `locust_options` are further words for Locust's command line, such as those of its distributed
    mode.
    """

    locustfile: Path
    target: str
    users: int
    variables: Mapping[str, str] = field(default_factory=dict)
    locust_options: Sequence[str] = ()


class LoadEnded(ScenarioFailed):
    """Locust ended by itself: without load there is nothing more to measure."""


class LoadProcess:
    """Locust while it runs. Requests flow from the moment this is made."""

    def __init__(self, demand: RequestedLoad, folder: Path, log: Path) -> None:
        counters, self._errors = folder / "counters", folder / "errors.json"
        self._kinds = folder / "kinds.json"
        self.counters = Counters.create(counters)
        self._log = log
        self._reaper = Reaper()
        with opened_log(log) as stream:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "locust", "--headless", "--only-summary"),
                    *("-f", f"{demand.locustfile},{_COUNTING}", "--host", demand.target),
                    *("--users", str(demand.users), "--spawn-rate", str(demand.users)),
                    *("--stop-timeout", "1", *demand.locust_options),
                ],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={
                    **os.environ,
                    **demand.variables,
                    **self._reaper.variables,
                    COUNTERS: str(counters),
                    ERRORS: str(self._errors),
                    KINDS: str(self._kinds),
                    SUPERVISOR: str(os.getpid()),
                },
            )
        self._reaper.watch(self._process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._reaper.end()
        self.counters.close()

    def wait_until_it_runs(self) -> None:
        """Return once Locust counts.

        Raises:
            ScenarioFailed: it ended, or did not begin in a minute.
        """
        deadline = time.monotonic() + _START_SECONDS
        while not self.counters.beats:
            self.check()
            if time.monotonic() > deadline:
                raise ScenarioFailed(
                    message(
                        "soak.load-did-not-start",
                        "the load did not start; see {log}",
                        log=self._log,
                    )
                )
            time.sleep(_POLL_SECONDS)

    def check(self) -> None:
        """Whether Locust is still at work.

        Raises:
            LoadEnded: it is not.
        """
        if self._process.poll() is not None:
            raise LoadEnded(
                message(
                    "soak.locust-ended",
                    "the load generator stopped (Locust exit code {code}); see {log}",
                    code=self._process.returncode,
                    log=self._log,
                )
            )

    def errors(self) -> list[tuple[str, int]]:
        """What failed requests said and how often, most first."""
        try:
            listed = json.loads(self._errors.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        return [(str(text), int(times)) for text, times in listed]

    def kinds(self) -> list[Route]:
        """The kinds of requests that there were so far, in the order of their counters."""
        try:
            listed = json.loads(self._kinds.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        return [
            Route(method, name[:_LONGEST_NAME], RequestOutcome(outcome))
            for method, name, outcome in listed
        ]
