"""Soaking one service after the other, and reporting on them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
from rich.console import Console

from leakhunt.amounts import format_seconds
from leakhunt.analysis.attribution.instrument_choice import next_instrument
from leakhunt.analysis.verdict import judge
from leakhunt.analysis.verdict.load_summary import mostly_failed
from leakhunt.cli.display import Display, Displays
from leakhunt.cli.summary import show
from leakhunt.engine.report import report_on, write_report
from leakhunt.engine.run import exit_code
from leakhunt.engine.soak_target import SoakOptions, Target, target_of
from leakhunt.environment import available_cores
from leakhunt.errors import NothingMeasured, ScenarioFailed, UsageError
from leakhunt.model.plan import Load, Plan
from leakhunt.model.report import Report
from leakhunt.model.run import Ending, Outcome, Run
from leakhunt.model.series import CGROUP, RSS
from leakhunt.reporting.registry import Renderer
from leakhunt.runner.memory_limit import AddressSpaceLimit, MemoryLimit, NoLimit, memory_limit
from leakhunt.soak.instrumented import USABLE, hunt, hunting_plan
from leakhunt.soak.load_generator import Demand, LoadProcess
from leakhunt.soak.loop import Subject, identity_of, resume, soak
from leakhunt.soak.service import (
    PORT,
    Service,
    attach,
    facts_of,
    free_port,
    refuse_taken,
    same,
    start,
    wait_until_ready,
    without_userinfo,
)
from leakhunt.storage import run_file as store
from leakhunt.text.language import tr


@dataclass(frozen=True, slots=True)
class SoakEffort:
    """How much load, for how long, and under which limit.

    `limit_bytes` is above what the service holds once it is ready where `above_baseline`.
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


def soak_all(
    found: Sequence[Target],
    effort: SoakEffort,
    folder: Path,
    renderers: Sequence[Renderer],
    console: Console,
    displays: Displays,
) -> int:
    """Soak one after the other into `folder`, report, and return the exit code.

    Raises:
        LeakhuntError: not one of them could be soaked, or the disk does not take the results.
    """
    outcomes: list[Outcome] = []
    failures: list[ScenarioFailed] = []
    with displays(max(len(each.variant) for each in found)) as display:
        for each in found:
            try:
                outcomes.append(_soak_one(each, effort, folder, console, display))
                if effort.hunt and outcomes[-1].ending is not Ending.INTERRUPTED:
                    outcomes += _hunt(each, effort, folder, console, display)
            except ScenarioFailed as error:
                failures.append(error)
                if len(found) > 1:
                    console.print(f"{each.variant}: {error}", markup=False, soft_wrap=True)
            except KeyboardInterrupt:  # while a service was not ready yet
                if not outcomes:
                    raise
                outcomes.append(Outcome(Ending.INTERRUPTED))
            if outcomes and outcomes[-1].ending is Ending.INTERRUPTED:
                break
    if not outcomes:
        raise failures[0]
    code = _report(folder, outcomes, renderers, console)
    return code or (failures[0].exit_code if failures else 0)


def _report(
    folder: Path, outcomes: Sequence[Outcome], renderers: Sequence[Renderer], console: Console
) -> int:
    runs = [store.load(file) for file in store.find_run_files([str(folder)])]
    report = report_on(runs, str(folder))
    show(console, report, write_report(report, folder, renderers))
    return exit_code(outcomes, [run.calls_done for run in runs]) or _landed(report.here)


def _landed(report: Report) -> int:
    """The exit code of a load that hardly landed; 0 if it did."""
    hardly = any(mostly_failed(entry.landing) for entry in report.entries)
    return NothingMeasured.exit_code if hardly else 0


def _soak_one(
    target: Target, effort: SoakEffort, folder: Path, console: Console, display: Display
) -> Outcome:
    with _under_load(target, effort, folder, target.variant, console) as subject:
        outcome = soak(subject, display.variant(target.variant, subject.plan.calls))
    display.ended(target.variant, outcome)
    return outcome


def _hunt(
    target: Target, effort: SoakEffort, folder: Path, console: Console, display: Display
) -> list[Outcome]:
    """Watch the service by the instruments that see what it grew by, until that is explained.

    What comes back is the outcome that ended it before, if one did.
    """
    run = store.load(folder / f"{target.variant}{store.SUFFIX}")
    watched: list[Run] = []
    unlimited = replace(effort, limit_bytes=None, above_baseline=False, leave_running=False)
    while instrument := next_instrument(run, judge(run), watched, USABLE):
        name = f"{target.variant}.{instrument}"
        with _under_load(target, unlimited, folder, name, console) as subject:
            plan = hunting_plan(run, instrument)
            display.variant(name, plan.calls, tr("looking through what was seen"))
            outcome = hunt(replace(subject, plan=plan))
        display.ended(name, outcome)
        if outcome.ending is not Ending.OK:
            return [outcome]
        watched.append(store.load(folder / f"{name}{store.SUFFIX}"))
    return []


@contextmanager
def _under_load(
    target: Target, effort: SoakEffort, folder: Path, name: str, console: Console
) -> Iterator[Subject]:
    """The service, ready, and its load, for a run file of that name; both end with this."""
    log = folder / f"{name}.log"
    with _limited(target, effort) as limit, _running(target, effort, limit, log) as (service, url):
        console.print(
            tr("{name}: waiting until {url} is ready ...", name=name, url=url),
            markup=False,
            highlight=False,
        )
        ready = target.start.ready if target.start is not None else ""
        seconds = wait_until_ready(service, url, ready, effort.timeout_seconds, limit)
        told = facts_of(url, target.start.facts) if target.start is not None else {}
        in_force = _at_last(limit, effort, service)
        with _load(target, effort, url, folder / f"{name}.load.log") as load:
            yield Subject(
                plan=_plan(target, effort, url, in_force),
                service=service,
                load=load,
                run_file=folder / f"{name}{store.SUFFIX}",
                limit=in_force,
                facts={**told, "ready after": format_seconds(seconds)},
            )


@contextmanager
def _limited(target: Target, effort: SoakEffort) -> Iterator[MemoryLimit]:
    """The limit that the service is started under; above its baseline, as high as the machine."""
    if effort.limit_bytes is not None and target.start is None:
        raise UsageError(tr("--memory-limit is for services that leakhunt starts; leave it out"))
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
        begun = target.start
        if not effort.leave_running:  # what it leaves behind goes with it
            made = tempfile.TemporaryDirectory(prefix="leakhunt-", ignore_cleanup_errors=True)
            own = {"TMPDIR": stack.enter_context(made)}
            begun = replace(begun, variables={**own, **begun.variables})
        port = free_port()
        if PORT not in target.url:
            refuse_taken(target.url)
        service = start(begun, port, log, limit, effort.leave_running)
        stack.callback(service.stop)
        yield service, target.url.replace(PORT, str(port))


def _at_last(limit: MemoryLimit, effort: SoakEffort, service: Service) -> MemoryLimit:
    """The limit at its height, now that the service holds what it holds without load."""
    if not effort.above_baseline or effort.limit_bytes is None:
        return limit
    try:
        held = service.tree.read()
    except ProcessLookupError:
        raise ScenarioFailed(tr("the service ended as soon as it was ready")) from None
    base = held.get(CGROUP, held[RSS])
    if isinstance(limit, AddressSpaceLimit):
        base = service.tree.address_space_bytes()
    return limit.moved(base + effort.limit_bytes, service.tree.identity.pid)


@contextmanager
def _load(target: Target, effort: SoakEffort, url: str, log: Path) -> Iterator[LoadProcess]:
    demand = Demand(
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


def _plan(target: Target, effort: SoakEffort, url: str, limit: MemoryLimit) -> Plan:
    return Plan(
        scenario=target.name,
        variant=target.variant,
        calls=effort.requests,
        warmup=None,
        seed=effort.seed,
        threads=available_cores(),
        device="cpu",
        options=target.options,
        result_kind="equal",
        reference=target.reference,
        source=target.source,
        calls_per_sample=None,
        resolve=effort.resolve,
        memory_limit_bytes=limit.size_bytes,
        timeout_seconds=effort.timeout_seconds,
        load=Load(
            target=without_userinfo(url),
            service=target.command,
            requests_from=target.requests_from,
            users=effort.users,
            duration_seconds=effort.duration_seconds,
        ),
    )


def _load_log(run_file: Path) -> Path:
    return run_file.with_name(f"{run_file.name.removesuffix(store.SUFFIX)}.load.log")


def go_on(
    run_file: Path,
    wanted: SoakOptions,
    effort: SoakEffort,
    renderers: Sequence[Renderer],
    console: Console,
    displays: Displays,
) -> int:
    """Go on with a soak that ended while its service runs.

    Raises:
        LeakhuntError: there is nothing to go on with.
    """
    run = store.load(run_file)
    target = target_of(run, wanted)
    identity = identity_of(run)
    if identity is None or run.plan.load is None:
        raise UsageError(tr("{file}: is no soak; --resume goes on with one", file=run_file))
    service = same(identity)
    lasting = replace(run.plan.load, duration_seconds=effort.duration_seconds)
    plan = replace(run.plan, calls=effort.requests or run.plan.calls, load=lasting)
    same_effort = replace(effort, users=run.plan.load.users)
    with (
        displays(len(target.variant)) as display,
        _load(target, same_effort, target.url, _load_log(run_file)) as load,
    ):
        subject = Subject(plan, service, load, run_file, NoLimit(), {})
        outcome = resume(subject, display.variant(target.variant, plan.calls))
        display.ended(target.variant, outcome)
    return _report(run_file.parent, [outcome], renderers, console)
