"""What ``soak`` is asked for: the service, the load on it, and how long it lasts; checked.

request = SoakRequest(command="uvicorn app:app --port {port}", load=Load(locustfile="load.py"))
effort = effort_of(request)                  # raises UsageError, MissingRequirement
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from math import isfinite
from pathlib import Path

from leakhunt.amounts import parse_duration, parse_size
from leakhunt.engine.argument_checks import refuse_too_small, refuse_wrong_timeout
from leakhunt.engine.container_limit import limit_bytes
from leakhunt.errors import MissingRequirement, UsageError
from leakhunt.model import options as defaults
from leakhunt.text.message import message


@dataclass(frozen=True, slots=True)
class Load:
    """The load on a service: requests of a locustfile, or recordings that are uploaded.

    `users` send requests at the same time, until there were so many `requests`, or for so long
    (`duration`: seconds, or text such as ``"10m"``); without either, until the verdict is known.
    A folder of recordings, `audio`, is posted to the path `post` as the form's `field`; `expect` is
    a pattern that every answer holds. `locust_options` are further words for Locust. `by_route`:
    the tasks of the locustfile take turns, so that growth is told by route.
    """

    locustfile: str | Path | None = None
    _: KW_ONLY
    audio: str | Path | None = None
    post: str | None = None
    field: str = defaults.UPLOAD_FIELD
    expect: str = ""
    users: int = defaults.USERS
    requests: int | None = None
    duration: float | str | None = None
    locust_options: tuple[str, ...] = ()
    by_route: bool = False


@dataclass(frozen=True, slots=True)
class SoakRequest:
    """What is put under load, and what comes of it; every door builds one.

    One of: `target`, a service of ``leakhunt list`` or a service.toml, as
    ``NAME_OR_FILE[:VARIANT,...]``; `command`, which is started, with ``{port}`` where its port
    goes; `pid`, which runs already and listens at `url`; or `resume`, the run file of a soak whose
    service still runs.

    `ready` is a path that answers 2xx once the service can be used; one that is not ready, or
    answers nothing, for `timeout` seconds has hung. `memory_limit` is bytes or a size; ``"+1 GiB"``
    is above what the service holds once it is ready. With `hunt`, where it grows, the load comes
    again with instruments in the service; with `resolve` it goes on until the verdict is no longer
    inconclusive. `leave_running`: a service that was started is not ended.
    `limit` (bytes or a size) is the memory of a container to come, which nothing enforces. `agent`:
    every Python process of a service that is started gets the in-process agent.
    """

    target: str | None = None
    _: KW_ONLY
    command: str | None = None
    pid: int | None = None
    url: str | None = None
    ready: str = ""
    load: Load = Load()
    options: Mapping[str, str] = field(default_factory=dict)
    hunt: bool = False
    resolve: bool = False
    memory_limit: int | str | None = None
    seed: int = defaults.SEED
    timeout: float = defaults.SERVICE_TIMEOUT_SECONDS
    leave_running: bool = False
    resume: str | Path | None = None
    limit: int | str | None = None
    agent: bool = True


@dataclass(frozen=True, slots=True)
class SoakEffort:
    """How much load, for how long, and under which limit; checked.

    `limit_bytes` is above what the service holds once it is ready where `above_baseline`.
    `planned_limit_bytes` is that of a container to come, and not enforced.
    """

    users: int
    requests: int | None
    duration_seconds: float | None
    resolve: bool
    limit_bytes: int | None
    above_baseline: bool
    timeout_seconds: float
    seed: int
    hunt: bool
    leave_running: bool
    locust_options: tuple[str, ...]
    planned_limit_bytes: int | None = None
    agent: bool = True
    by_route: bool = False


def effort_of(request: SoakRequest) -> SoakEffort:
    """How much is asked for.

    Raises:
        UsageError: it makes no sense.
        MissingRequirement: a service cannot be soaked on this system.
    """
    if sys.platform != "linux":
        raise MissingRequirement(
            message(
                "soak.needs-linux",
                "soak needs Linux: it reads the service through /proc",
            )
        )
    _refuse_wrong_values(request)
    load, limit = request.load, request.memory_limit
    size, above = (limit or None), False
    if isinstance(limit, str) and limit:
        size, above = parse_size(limit.removeprefix("+")), limit.startswith("+")
    duration = load.duration
    return SoakEffort(
        users=load.users,
        requests=load.requests,
        duration_seconds=parse_duration(duration) if isinstance(duration, str) else duration,
        resolve=request.resolve,
        limit_bytes=size if isinstance(size, int) else None,
        above_baseline=above,
        timeout_seconds=request.timeout,
        seed=request.seed,
        hunt=request.hunt,
        leave_running=request.leave_running,
        locust_options=tuple(load.locust_options),
        planned_limit_bytes=limit_bytes(request.limit),
        agent=request.agent,
        by_route=load.by_route,
    )


def _refuse_wrong_values(request: SoakRequest) -> None:
    refuse_wrong_timeout(request.timeout)
    if request.hunt and (request.pid is not None or request.resume is not None):
        raise UsageError(
            message(
                "soak.hunt-needs-restart",
                "--hunt restarts the service with instruments: use --command or a described"
                " service",
            )
        )
    load = request.load
    refuse_too_small(
        users=load.users, requests=load.requests, pid=request.pid,
        seed=request.seed, memory_limit=request.memory_limit,
    )  # fmt: skip
    duration = load.duration
    if isinstance(duration, int | float) and not (isfinite(duration) and duration > 0):
        raise UsageError(
            message(
                "argument.duration",
                "duration={duration}: expected a number of seconds above 0",
                duration=duration,
            )
        )
