"""A service that is ready, under its limit, with the load on it: what a soak is about."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import psutil

from leakhunt.amounts import format_seconds
from leakhunt.engine.events import Events
from leakhunt.engine.settings import soak_plan
from leakhunt.engine.soak_request import SoakEffort
from leakhunt.engine.soak_target import Target
from leakhunt.engine.visits import Visits, visits
from leakhunt.errors import ScenarioFailed, UsageError
from leakhunt.model.series import CGROUP, RSS
from leakhunt.runner.memory_limit import AddressSpaceLimit, MemoryLimit, memory_limit
from leakhunt.runner.reaper import Reaper
from leakhunt.service.load_generator import LoadProcess, RequestedLoad
from leakhunt.service.loop import Subject
from leakhunt.service.service import (
    PORT,
    Service,
    attach,
    facts_of,
    free_port,
    refuse_taken,
    start,
    wait_until_ready,
    without_userinfo,
)
from leakhunt.storage import run_file as store
from leakhunt.text.message import message

# How long a service may take to end where leakhunt was killed.
_GRACE_SECONDS = 2.0


@contextmanager
def under_load(
    target: Target, effort: SoakEffort, folder: Path, name: str, events: Events
) -> Iterator[Subject]:
    """The service, ready, and its load, for a run file of that name; both end with this."""
    log = folder / f"{name}.log"
    with (
        _limited(target, effort) as limit,
        _running(target, effort, limit, log) as (service, url),
        caller_of(target, effort) as caller,
    ):
        events.noted(
            message("soak.waiting", "{name}: waiting until {url} is ready ...", name=name, url=url)
        )
        ready = target.start.ready if target.start is not None else ""
        seconds = wait_until_ready(service, url, ready, effort.timeout_seconds, limit)
        facts = facts_of(url, target.start.facts) if target.start is not None else {}
        in_force = _at_last(limit, effort, service)
        with load_on(target, effort, url, folder / f"{name}.load.log") as load:
            yield Subject(
                plan=soak_plan(target, effort, without_userinfo(url), in_force.size_bytes),
                service=service,
                load=load,
                run_file=folder / f"{name}{store.SUFFIX}",
                limit=in_force,
                facts={**facts, "ready after": format_seconds(seconds)},
                caller=caller,
            )


def caller_of(target: Target, effort: SoakEffort) -> AbstractContextManager[Visits | None]:
    """What brings the agent into a service that runs already; it ends with the soak."""
    return visits() if target.start is None and effort.agent else nullcontext()


@contextmanager
def _limited(target: Target, effort: SoakEffort) -> Iterator[MemoryLimit]:
    """The limit that the service is started under; above its baseline, as high as the machine."""
    if effort.limit_bytes is not None and target.start is None:
        raise UsageError(
            message(
                "soak.limit-needs-start",
                "--memory-limit works only for services that leakhunt starts. Remove it",
            )
        )
    size = psutil.virtual_memory().total if effort.above_baseline else effort.limit_bytes
    limit = memory_limit(size)
    try:
        yield limit
    finally:
        limit.remove()


@contextmanager
def _running(
    target: Target, effort: SoakEffort, limit: MemoryLimit, log: Path
) -> Iterator[tuple[Service, str]]:
    """The service, started if it does not run yet, and where it listens."""
    if target.start is None:
        assert target.pid is not None
        yield attach(target.pid), target.url
        return
    with ExitStack() as stack:
        begun = replace(target.start, agent=effort.agent)
        if not effort.leave_running:  # what it leaves behind goes with it
            made = tempfile.TemporaryDirectory(prefix="leakhunt-", ignore_cleanup_errors=True)
            own = {"TMPDIR": stack.enter_context(made)}
            begun = replace(begun, variables={**own, **begun.variables})
        port = free_port()
        if PORT not in target.url:
            refuse_taken(target.url)
        reaper = None if effort.leave_running else stack.enter_context(Reaper(_GRACE_SECONDS))
        service = start(begun, port, log, limit, reaper)
        stack.callback(service.stop)
        yield service, target.url.replace(PORT, str(port))


def _at_last(limit: MemoryLimit, effort: SoakEffort, service: Service) -> MemoryLimit:
    """The limit in force, now that the service holds what it holds without load."""
    if not effort.above_baseline or effort.limit_bytes is None:
        return limit
    try:
        memory = service.tree.read()
    except ProcessLookupError:
        raise ScenarioFailed(
            message("soak.ended-when-ready", "the service ended as soon as it was ready")
        ) from None
    base = memory.get(CGROUP, memory[RSS])
    if isinstance(limit, AddressSpaceLimit):
        base = service.tree.address_space_bytes()
    return limit.moved(base + effort.limit_bytes, service.tree.identity.pid)


@contextmanager
def load_on(target: Target, effort: SoakEffort, url: str, log: Path) -> Iterator[LoadProcess]:
    demand = RequestedLoad(
        locustfile=target.locustfile,
        target=url,
        users=effort.users,
        variables=target.variables,
        locust_options=effort.locust_options,
    )
    with (
        tempfile.TemporaryDirectory(prefix="leakhunt-") as scratch,
        LoadProcess(demand, Path(scratch), log) as load,
    ):
        yield load
