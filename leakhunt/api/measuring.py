"""Measure a scenario: ``run`` and ``hunt``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leakhunt.api.arguments import PathLike, Target, path_of, renderers_of, target_of
from leakhunt.engine import hunt as hunting
from leakhunt.engine import retained as retaining
from leakhunt.engine import run as running
from leakhunt.engine.argument_types import checks_arguments
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.executors.in_process import InProcess, scenario_of
from leakhunt.engine.formats import BY_DEFAULT, retained_renderers_named
from leakhunt.engine.hunt import HuntRequest
from leakhunt.engine.retained import RetainedResult
from leakhunt.engine.run import RunResult
from leakhunt.engine.settings import RunRequest, settings_for
from leakhunt.errors import UsageError
from leakhunt.model.options import (
    AUTO,
    BUDGET_SECONDS,
    PAIRS,
    SEED,
    TIMEOUT_SECONDS,
)
from leakhunt.text.message import message


@checks_arguments
def run(  # noqa: PLR0913 - the options of the verb, by name
    target: Target,
    *,
    variants: Sequence[str] = (),
    calls: int | None = None,
    warmup: int | None = None,
    calls_per_sample: int | None = None,
    collect: str = AUTO,
    resolve: bool = False,
    budget: float = BUDGET_SECONDS,
    device: str = AUTO,
    options: Mapping[str, str] | None = None,
    threads: int | None = None,
    seed: int = SEED,
    memory_limit: int | str | None = None,
    limit: int | str | None = None,
    concurrency: int | None = None,
    timeout: float = TIMEOUT_SECONDS,
    hunt: bool = True,
    jobs: int | None = None,
    in_process: bool = False,
    out: PathLike | None = None,
    formats: str | None = BY_DEFAULT,
    events: Events | None = None,
) -> RunResult:
    """Measure the variants of a scenario, one fresh process each, and report on them.

    Args:
        target: a built-in scenario's name, ``name:variant,...``, a file, ``file.py:function``,
            ``package.module:function``, or a function of a module (see `in_process`).
        variants: those of the target that are measured; default: all.
        calls: calls per variant; None: until the verdict is clear.
        warmup: warm-up calls among `calls`, excluded from the verdict; None: a quarter.
        calls_per_sample: calls per sample; None: from their duration, and 1 with `calls`.
        collect: ``gc.collect()`` before each reading: ``auto``, ``always``, ``never``.
        resolve: extend the run while the verdict is inconclusive.
        budget: seconds for the calls of a variant where memory grows; 0: no longer than the
            verdict needs.
        device: ``cpu``, ``cuda``, or ``auto``.
        options: options of the scenario, by name.
        threads: threads of numeric libraries; None: the number of cores.
        seed: seed of the inputs.
        memory_limit: memory limit of a worker, in bytes or as a size such as ``"2 GiB"``.
        limit: memory limit to forecast against (bytes or a size), not enforced.
        concurrency: calls at the same time, for the recommended memory limit; None: 1.
        timeout: seconds without a sample before the worker is killed as hung.
        hunt: where memory grows, run again under an instrument to find what retains it.
        jobs: variants measured at the same time: bytes stay exact, times do not; None: as many as
            the scenario says (``JOBS``), one on a GPU.
        in_process: call the function `target` in this process, which may be any callable. Nothing
            is limited then, memory of other threads is counted too, and Ctrl-C interrupts a call.
        out: a new or empty folder for run files and the report; None: ``reports/<when>-<name>``,
            as the verb has it.
        formats: the files of the report, such as ``"html,json"``; None: run files only.
        events: receives the progress; see `leakhunt.engine.events.Events`.

    Raises:
        UsageError: the request makes no sense, or names what is not there.
        MissingRequirement: what the scenario or a format needs is not installed here.
        BadFile: the file that is named is no scenario.
        CannotWrite: the disk does not take the results.
        ScenarioFailed: the scenario's own code failed before anything was measured.
        KeyboardInterrupt: the user ended it before anything was measured.
    """
    events = events or SILENT
    request = RunRequest(
        "" if in_process else target_of(target, variants),
        calls=calls,
        warmup=warmup,
        calls_per_sample=calls_per_sample,
        collect=collect,
        resolve=resolve,
        budget=budget,
        device=device,
        options=options or {},
        threads=threads,
        seed=seed,
        memory_limit=memory_limit,
        limit=limit,
        concurrency=concurrency,
        timeout=timeout,
    )
    renderers = renderers_of(formats, events)
    if not in_process:
        return running.run(request, renderers, events, out=path_of(out), hunt=hunt, jobs=jobs)
    if not callable(target) or variants:
        raise UsageError(
            message(
                "in-process.needs-function",
                "in_process needs a function of this process as its target",
            )
        )
    if memory_limit is not None:
        raise UsageError(
            message(
                "in-process.no-memory-limit",
                "in_process cannot limit memory. Remove memory_limit",
            )
        )
    found = scenario_of(target)
    settings = settings_for(request, found, found.variants, in_process=True)
    here = InProcess(target)
    return running.run_as(settings, renderers, events, out=path_of(out), executor=here, hunt=False)


@checks_arguments
def hunt(  # noqa: PLR0913 - the options of the verb, by name
    target: Target,
    *,
    variants: Sequence[str] = (),
    instruments: Sequence[str] = (),
    remedies: Sequence[str] = (),
    pairs: int = PAIRS,
    until_ceiling: bool = False,
    flame: bool = False,
    calls: int | None = None,
    warmup: int | None = None,
    calls_per_sample: int | None = None,
    collect: str = AUTO,
    resolve: bool = False,
    budget: float = BUDGET_SECONDS,
    device: str = AUTO,
    options: Mapping[str, str] | None = None,
    threads: int | None = None,
    seed: int = SEED,
    memory_limit: int | str | None = None,
    limit: int | str | None = None,
    concurrency: int | None = None,
    timeout: float = TIMEOUT_SECONDS,
    out: PathLike | None = None,
    formats: str | None = BY_DEFAULT,
    events: Events | None = None,
) -> RunResult:
    """Measure as `run` does; where memory grows, find the leak suspects, and try fixes.

    Suspects are in ``result.report.entries[0].attribution``, the savings of fixes in
    ``result.report.trials``.

    Args:
        target: as for `run`; a function has to be importable, since instruments need a process of
            their own.
        variants: as for `run`.
        instruments: used in this order, also where nothing grows: ``tracemalloc``, ``memray``,
            ``objgraph``, ``cuda``, ``resources``, ``lines``, ``garbage``; default: those that see
            what grows, and ``garbage`` where there is much cyclic garbage.
        remedies: tried before and after, interleaved: ``NAME=VALUE,...`` (environment),
            ``option:NAME=VALUE``, ``variant:NAME``, ``allocators`` (glibc's settings and those
            that are installed, in ``result.report.allocators``), ``gc:freeze`` (after setup),
            ``gc:off``, ``gc:50000,20,20`` (the collector's thresholds), or the id of a known cause.
        pairs: pairs of runs for each remedy; 2 or more.
        until_ceiling: verify a bounded cache by running past its ceiling.
        flame: write flame graphs of retained memory too: ``flame.html``,
            ``flame.speedscope.json``, and memray's captures are among the files.
        calls: as for `run`.
        warmup: as for `run`.
        calls_per_sample: as for `run`.
        collect: as for `run`.
        resolve: as for `run`.
        budget: as for `run`.
        device: as for `run`.
        options: as for `run`.
        threads: as for `run`.
        seed: as for `run`.
        memory_limit: as for `run`.
        limit: as for `run`.
        concurrency: as for `run`.
        timeout: as for `run`.
        out: as for `run`.
        formats: as for `run`.
        events: as for `run`.

    Raises:
        LeakhuntError: as for `run`; also where an instrument or a remedy makes no sense here.
        KeyboardInterrupt: the user ended it before anything was measured.
    """
    events = events or SILENT
    measured = RunRequest(
        target_of(target, variants),
        calls=calls,
        warmup=warmup,
        calls_per_sample=calls_per_sample,
        collect=collect,
        resolve=resolve,
        budget=budget,
        device=device,
        options=options or {},
        threads=threads,
        seed=seed,
        memory_limit=memory_limit,
        limit=limit,
        concurrency=concurrency,
        timeout=timeout,
    )
    request = HuntRequest(
        measured, tuple(instruments), tuple(remedies), pairs, until_ceiling, flame
    )
    return hunting.hunt(request, renderers_of(formats, events), events, out=path_of(out))


@checks_arguments
def retained(  # noqa: PLR0913 - the options of the verb, by name
    target: Target,
    *,
    variants: Sequence[str] = (),
    calls: int | None = None,
    device: str = AUTO,
    options: Mapping[str, str] | None = None,
    threads: int | None = None,
    seed: int = SEED,
    memory_limit: int | str | None = None,
    timeout: float = TIMEOUT_SECONDS,
    out: PathLike | None = None,
    formats: str | None = BY_DEFAULT,
    events: Events | None = None,
) -> RetainedResult:
    """Who retains how much of a settled process: ``leakhunt hunt --retained``.

    ``result.report.heaps[0].holders`` are the largest holders, by what would be freed with each.

    Args:
        target: as for `hunt`.
        variants: as for `run`.
        calls: calls per variant before the heap is read; None: 20.
        device: as for `run`.
        options: as for `run`.
        threads: as for `run`.
        seed: as for `run`.
        memory_limit: as for `run`.
        timeout: as for `run`.
        out: as for `run`.
        formats: the files of the report: ``html``, ``png``, ``json``; None: run files only.
        events: as for `run`.

    Raises:
        LeakhuntError: as for `run`.
        KeyboardInterrupt: the user ended it before anything was measured.
    """
    request = RunRequest(
        target_of(target, variants),
        calls=calls,
        device=device,
        options=options or {},
        threads=threads,
        seed=seed,
        memory_limit=memory_limit,
        timeout=timeout,
    )
    renderers = retained_renderers_named(formats) if formats is not None else ()
    return retaining.retained(request, renderers, events or SILENT, out=path_of(out))
