"""Measure a service under load: ``soak``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leakhunt.api.arguments import PathLike, path_of, renderers_of, target_of
from leakhunt.engine import soak as soaking
from leakhunt.engine.argument_types import checks_arguments
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.formats import BY_DEFAULT
from leakhunt.engine.soak import SoakResult
from leakhunt.engine.soak_request import Load, SoakRequest
from leakhunt.model.options import (
    SEED,
    SERVICE_TIMEOUT_SECONDS,
)


@checks_arguments
def soak(  # noqa: PLR0913 - the options of the verb, by name
    target: PathLike | None = None,
    *,
    load: Load,
    variants: Sequence[str] = (),
    command: str | None = None,
    pid: int | None = None,
    url: str | None = None,
    ready: str = "",
    options: Mapping[str, str] | None = None,
    hunt: bool = False,
    resolve: bool = False,
    memory_limit: int | str | None = None,
    limit: int | str | None = None,
    seed: int = SEED,
    timeout: float = SERVICE_TIMEOUT_SECONDS,
    leave_running: bool = False,
    agent: bool = True,
    resume: PathLike | None = None,
    out: PathLike | None = None,
    formats: str | None = BY_DEFAULT,
    events: Events | None = None,
) -> SoakResult:
    """Put a running service under real load, watch it from outside and inside, and report.

    One of `target`, `command`, `pid` and `resume` says which. Linux only.

    Args:
        target: a service of ``leakhunt list``, or a service.toml.
        load: who sends which requests, and until when: ``Load("load.py", users=4)``; of a service
            of ``leakhunt list``, ``Load()`` is its own.
        variants: those of the target that are soaked, one after the other; default: all.
        command: a service that is started, with ``{port}`` where its port goes.
        pid: a service that runs already, and listens at `url`.
        url: where the service listens; default: this machine, at the port it was given.
        ready: a path that answers 2xx once the service can be used.
        options: of a described service, by name.
        hunt: if memory grows, repeat with instruments in the service to find the cause.
        resolve: extend the soak while the verdict is inconclusive.
        memory_limit: bytes or a size; ``"+1 GiB"`` is above its memory when ready.
        limit: as for `run`.
        seed: of the requests.
        timeout: seconds without an answer before the service counts as hung.
        leave_running: leave the service of `command` running at the end.
        agent: start the in-process agent in every Python process of the service.
        resume: the run file of a soak whose service still runs, to resume.
        out: as for `run`.
        formats: as for `run`.
        events: as for `run`.

    Raises:
        LeakhuntError: as for `run`; also where no service could be soaked.
        KeyboardInterrupt: the user ended it before anything was measured.
    """
    events = events or SILENT
    request = SoakRequest(
        None if target is None else target_of(target, variants),
        load=load,
        command=command,
        pid=pid,
        url=url,
        ready=ready,
        options=options or {},
        hunt=hunt,
        resolve=resolve,
        memory_limit=memory_limit,
        limit=limit,
        seed=seed,
        timeout=timeout,
        leave_running=leave_running,
        agent=agent,
        resume=path_of(resume),
    )
    return soaking.soak(request, renderers_of(formats, events), events, out=path_of(out))
