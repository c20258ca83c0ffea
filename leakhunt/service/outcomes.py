"""How a service under load came to its end, told as an outcome."""

from __future__ import annotations

import signal
import time

from leakhunt.amounts import Amount
from leakhunt.model.run import Ending, Outcome, Run
from leakhunt.model.series import CGROUP, RSS
from leakhunt.runner.kernel_log import kernel_log_line
from leakhunt.runner.memory_limit import MemoryLimit
from leakhunt.service.service import Service
from leakhunt.text.message import Text, message

_POLL_SECONDS = 0.005
# How long the kernel may take to tell that a process is gone.
_LAST_BREATH_SECONDS = 1.0
_FROM_OUTSIDE = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")


def death(service: Service, limit: MemoryLimit, run: Run, requests: int) -> Outcome:
    """How a service ended after so many `requests`, of which `run` has the last sample."""
    code = _exit_code(service)
    kernel = limit.kernel_words() or kernel_log_line(service.tree.identity.pid)
    if kernel is not None:
        reason = _killed_for_memory(run, limit, requests)
        return Outcome(Ending.KILLED, reason, "SIGKILL", kernel, code)
    if code is None:
        reason = message(
            "soak.gone",
            "the service ended; exit status unknown, because leakhunt did not start it",
        )
        return Outcome(Ending.CRASHED, placed(reason, requests))
    if code < 0:
        name = signal.Signals(-code).name
        ending = Ending.KILLED if name in _FROM_OUTSIDE else Ending.CRASHED
        return Outcome(ending, placed(name, requests), name, None, code)
    reason = message("soak.exit-code", "the service exited with code {code}", code=code)
    return Outcome(Ending.CRASHED, placed(reason, requests), exit_code=code)


def _exit_code(service: Service) -> int | None:
    deadline = time.monotonic() + _LAST_BREATH_SECONDS
    while service.exit_code is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return service.exit_code


def _killed_for_memory(run: Run, limit: MemoryLimit, requests: int) -> Text:
    series = next((name for name in (CGROUP, RSS) if run.samples.get(name)), None)
    unknown = message("soak.unknown-size", "an unknown size")
    reason = message(
        "soak.oom-killed",
        "killed by the OOM killer after request {requests:d} at {size}",
        requests=requests,
        size=unknown if series is None else Amount(run.samples[series][-1]),
    )
    if limit.size_bytes is None:
        return reason
    return message(
        "soak.of-limit", "{told} of {limit}", told=reason, limit=Amount(limit.size_bytes)
    )


def placed(reason: Text, requests: int) -> Text:
    """What happened, and after which request."""
    if not requests:
        return message(
            "soak.before-the-first-request", "{how} before the first request", how=reason
        )
    return message(
        "soak.after-request", "{how} after request {requests:d}", how=reason, requests=requests
    )
