"""Measure a service under load, ``soak``, or what runs: ``attach``, ``watch``, ``analyze``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leakhunt.api.arguments import PathLike, names_of, path_of, renderers_of, target_of
from leakhunt.engine import analyze as analyzing
from leakhunt.engine import attach as attaching
from leakhunt.engine import soak as soaking
from leakhunt.engine import watch as watching
from leakhunt.engine.analyze import SINCE, AnalyzeRequest, AnalyzeResult
from leakhunt.engine.argument_types import checks_arguments
from leakhunt.engine.attach import AttachRequest, AttachResult
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.formats import BY_DEFAULT, analyze_renderers_named, attach_renderers_named
from leakhunt.engine.soak import SoakResult
from leakhunt.engine.soak_request import Load, SoakRequest
from leakhunt.engine.watch import INTERVAL, WAIT, WatchRequest, WatchResult
from leakhunt.foreign.prometheus import TIMEOUT_SECONDS
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


@checks_arguments
def watch(  # noqa: PLR0913 - the options of the verb, by name
    process: int | str | None = None,
    *,
    command: Sequence[str] = (),
    interval: float | str = INTERVAL,
    duration: float | str | None = None,
    wait: float | str = WAIT,
    limit: int | str | None = None,
    attach: bool = False,
    alert_command: str | None = None,
    webhook: str | None = None,
    out: PathLike | None = None,
    formats: str | None = BY_DEFAULT,
    events: Events | None = None,
) -> WatchResult:
    """Follow a process and all below it from outside, for days, in constant memory. Linux only.

    Args:
        process: a PID, or a part of a command line that one process has.
        command: the words of a command that is started and followed instead.
        interval: distance of two readings at first; a long watch takes them further apart.
        duration: end after so long; None: with the process.
        wait: wait so long for a process that takes the place of one that ended.
        limit: as for `run`.
        attach: at an alarm, look into the process that takes most.
        alert_command: is run at an alarm, with the facts as JSON on its standard input.
        webhook: gets the facts of an alarm as a POST.
        out: as for `run`; the folder of a watch is gone on with.
        formats: as for `run`.
        events: as for `run`.

    Raises:
        UsageError: there is no such process, or the request makes no sense.
        ScenarioFailed: the process may not be read.
        CannotWrite: the disk does not take the results.
    """
    events = events or SILENT
    request = WatchRequest(
        None if process is None else str(process),
        tuple(command),
        interval=interval,
        duration=duration,
        wait=wait,
        limit=limit,
        attach=attach,
        alert_command=alert_command,
        webhook=webhook,
    )
    return watching.watch(request, renderers_of(formats, events), events, out=path_of(out))


@checks_arguments
def analyze(  # noqa: PLR0913 - the options of the verb, by name
    *files: PathLike,
    form: str | None = None,
    prometheus: str | None = None,
    query: str | None = None,
    since: float | str = SINCE,
    step: float | str | None = None,
    limit: int | str | None = None,
    limit_query: str | None = None,
    timeout: float | str = TIMEOUT_SECONDS,
    start_query: str | None = None,
    token_file: PathLike | None = None,
    user_file: PathLike | None = None,
    ca_file: PathLike | None = None,
    out: PathLike | None = None,
    formats: str | None = "all",
    events: Events | None = None,
) -> AnalyzeResult:
    """Judge memory over time that something else has measured.

    Args:
        files: of other tools: CSV, Parquet, psrecord, mprof, readings of a memory cgroup.
        form: the format of the files; None: it is told by what they look like.
        prometheus: the address of a Prometheus server, instead of files.
        query: what the server is asked for: memory in bytes.
        since: from so long ago until now.
        step: distance of two points; None: as fine as is of use.
        limit: memory limit of each instance: bytes or a size.
        limit_query: gives the memory limit of each instance.
        timeout: longest wait for an answer.
        start_query: gives when the process of each instance started; None:
            ``process_start_time_seconds`` with the labels of `query`, if there is such a metric.
        token_file: holds a bearer token for the server; None: that of the variable
            ``LEAKHUNT_PROMETHEUS_TOKEN``, if it is set.
        user_file: holds a line ``user:password``; None: ``LEAKHUNT_PROMETHEUS_USER``.
        ca_file: certificate authorities that are trusted, in PEM format; None: the system's.
        out: as for `run`.
        formats: as for `run`.
        events: as for `run`.

    Raises:
        UsageError: the request or the query makes no sense.
        BadFile: a file, or what answers, is not what it should be.
        MissingRequirement: the server is not reached, or Parquet without pyarrow.
        NothingMeasured: there is nothing to judge.
        CannotWrite: the disk does not take the results.
    """
    events = events or SILENT
    request = AnalyzeRequest(
        names_of(files),
        form=form,
        prometheus=prometheus,
        query=query,
        since=since,
        step=step,
        limit=limit,
        limit_query=limit_query,
        timeout=timeout,
        start_query=start_query,
        token_file=path_of(token_file),
        user_file=path_of(user_file),
        ca_file=path_of(ca_file),
    )
    chosen = analyze_renderers_named(formats) if formats else ()
    return analyzing.analyze(request, chosen, events, out=path_of(out))


@checks_arguments
def attach(  # noqa: PLR0913 - the options of the verb, by name
    process: int | str,
    *,
    duration: float | str | None = None,
    touch: bool = True,
    trace: float | str | None = None,
    limit: int | str | None = None,
    diff: float | str | None = None,
    memray: bool = True,
    deep: bool = False,
    out: PathLike | None = None,
    formats: str | None = BY_DEFAULT,
    events: Events | None = None,
) -> AttachResult:
    """Look into a running CPython process, which needs no change, and leave it as it was.

    An agent is brought in by ``sys.remote_exec`` or ptrace, and is gone at the end. Linux only.

    Args:
        process: a PID, a name, or a part of a command line that one process has.
        duration: watch it for this long (seconds, or ``"10m"``), for a verdict; None: look once.
        touch: collect garbage and trim malloc in it, to see what that gives back.
        trace: at the end, trace allocations for this long.
        limit: as for `run`.
        diff: look at it twice, this far apart, and compare the looks; not with `duration`.
        memray: trace with memray where it can be loaded in the process; it sees C code, too.
        deep: list all objects in one pause, also those that only C code refers to.
        out: as for `run`.
        formats: as for `run`.
        events: as for `run`.

    Raises:
        UsageError: there is no such process, it is no Python, is stopped, or is attached already.
        MissingRequirement: it cannot be attached: rights, an old Python, another interpreter.
        ScenarioFailed: it ended, or ran no bytecode, before anything was read.
        CannotWrite: the disk does not take the results.
        KeyboardInterrupt: the user ended it before anything was read.
    """
    events = events or SILENT
    request = AttachRequest(
        str(process),
        duration=duration,
        touch=touch,
        trace=trace,
        limit=limit,
        diff=diff,
        memray=memray,
        deep=deep,
    )
    files = attach_renderers_named(formats) if formats else ()
    return attaching.attach(request, files, renderers_of(formats, events), events, out=path_of(out))
