"""How a service under load came to its end, told as an outcome."""

from __future__ import annotations

import signal
import time

from leakhunt.amounts import format_bytes
from leakhunt.model.run import Ending, Outcome, Run
from leakhunt.model.series import CGROUP, RSS
from leakhunt.runner.kernel_log import kernel_log_line
from leakhunt.runner.memory_limit import MemoryLimit
from leakhunt.soak.service import Service
from leakhunt.text.language import mark

_POLL_SECONDS = 0.005
# How long the kernel may take to tell that a process is gone.
_LAST_BREATH_SECONDS = 1.0
_FROM_OUTSIDE = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")


def death(service: Service, limit: MemoryLimit, run: Run, requests: int) -> Outcome:
    """How a service ended after so many `requests`, of which `run` has the last sample."""
    code = _exit_code(service)
    kernel = limit.kernel_words() or kernel_log_line(service.tree.identity.pid)
    if kernel is not None:
        told = _killed_for_memory(run, limit, requests)
        return Outcome(Ending.KILLED, told, "SIGKILL", kernel, code)
    if code is None:
        told = mark("the service is gone; how it ended cannot be read, it was not started here")
        return Outcome(Ending.CRASHED, placed(told, requests))
    if code < 0:
        name = signal.Signals(-code).name
        ending = Ending.KILLED if name in _FROM_OUTSIDE else Ending.CRASHED
        return Outcome(ending, placed(name, requests), name, None, code)
    told = mark("the service left with exit code {code}").format(code=code)
    return Outcome(Ending.CRASHED, placed(told, requests), exit_code=code)


def _exit_code(service: Service) -> int | None:
    deadline = time.monotonic() + _LAST_BREATH_SECONDS
    while service.exit_code is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return service.exit_code


def _killed_for_memory(run: Run, limit: MemoryLimit, requests: int) -> str:
    series = next((name for name in (CGROUP, RSS) if run.samples.get(name)), None)
    size = mark("an unknown size") if series is None else format_bytes(run.samples[series][-1])
    told = mark("killed by the OOM killer after request {requests:d} at {size}").format(
        requests=requests, size=size
    )
    if limit.size_bytes is None:
        return told
    return mark("{told} of {limit}").format(told=told, limit=format_bytes(limit.size_bytes))


def placed(told: str, requests: int) -> str:
    """What happened, and after which request; in English, as a run file has it."""
    if not requests:
        return mark("{how} before the first request").format(how=told)
    return mark("{how} after request {requests:d}").format(how=told, requests=requests)
