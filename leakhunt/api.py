"""The verbs from Python: the same names, defaults, checks and errors as on the command line.

    import leakhunt
    result = leakhunt.run("fsmn-vad:naive,chunked", calls=400)
    print(result.verdict("naive").sentence)
    result = leakhunt.run(my_handler, calls=200, in_process=True)

Nothing here prints, ends the process or handles a signal. What is wrong with a request is a
`leakhunt.errors.LeakhuntError`, of the kind that the verb's exit code tells. An interrupt (Ctrl-C)
ends a measurement: the result then holds what was measured by then, and `interrupted` is true;
before the first call it is a KeyboardInterrupt. Results are immutable.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from leakhunt.engine import baselines as saving
from leakhunt.engine import claims as claiming
from leakhunt.engine import evaluate as evaluating
from leakhunt.engine import gate as gating
from leakhunt.engine import hunt as hunting
from leakhunt.engine import report as reports
from leakhunt.engine import run as running
from leakhunt.engine import soak as soaking
from leakhunt.engine.argument_types import checks_arguments
from leakhunt.engine.baselines import BaselineResult
from leakhunt.engine.claims import ClaimsResult
from leakhunt.engine.compare import CompareResult, compare_into, compare_places
from leakhunt.engine.evaluate import EvaluationRequest, EvaluationResult
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.executors.in_process import InProcess, scenario_of
from leakhunt.engine.formats import BY_DEFAULT, GATE_FILES, renderers_named
from leakhunt.engine.gate import GateRequest, GateRun
from leakhunt.engine.hunt import HuntRequest
from leakhunt.engine.report import ReportResult
from leakhunt.engine.run import RunResult
from leakhunt.engine.settings import RunRequest, settings_for
from leakhunt.engine.soak import SoakResult
from leakhunt.engine.soak_request import Load, SoakRequest
from leakhunt.errors import UsageError
from leakhunt.model.baseline import Baseline
from leakhunt.model.options import BUDGET_SECONDS, PAIRS, SERVICE_TIMEOUT_SECONDS, TIMEOUT_SECONDS
from leakhunt.model.scenario import Scenario
from leakhunt.reporting.registry import RunRenderer
from leakhunt.scenario import find
from leakhunt.storage.baseline_folder import DEFAULT_PLACE
from leakhunt.storage.schema_files import SCHEMAS, schema_text
from leakhunt.text.message import message

PathLike: TypeAlias = str | os.PathLike[str]
Target: TypeAlias = str | os.PathLike[str] | Callable[..., Any]


@checks_arguments
def run(  # noqa: PLR0913 - the options of the verb, by name
    target: Target,
    *,
    variants: Sequence[str] = (),
    calls: int | None = None,
    warmup: int | None = None,
    calls_per_sample: int | None = None,
    collect: str = "auto",
    resolve: bool = False,
    budget: float = BUDGET_SECONDS,
    device: str = "auto",
    options: Mapping[str, str] | None = None,
    threads: int | None = None,
    seed: int = 0,
    memory_limit: int | str | None = None,
    limit: int | str | None = None,
    concurrency: int | None = None,
    timeout: float = TIMEOUT_SECONDS,
    hunt: bool = True,
    jobs: int = 1,
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
        calls: so many per variant; None: as many as the verdict needs.
        warmup: of `calls`, so many are not judged; None: a quarter.
        calls_per_sample: memory is read after so many calls; None: by the time that they take,
            with `calls` after each.
        collect: whether ``gc.collect()`` comes before each reading: ``auto``, ``always``,
            ``never``.
        resolve: go on until the verdict is no longer inconclusive.
        budget: seconds for the calls of a variant where something grows; 0: no more than a verdict
            needs.
        device: ``cpu``, ``cuda``, or ``auto``.
        options: the scenario's own, by name.
        threads: of numeric libraries; None: the cores there are.
        seed: of the inputs.
        memory_limit: a worker above so many bytes (or a size such as ``"2 GiB"``) is ended.
        limit: the memory of a container to come (bytes or a size): nothing enforces it, and the
            report says when it would be reached.
        concurrency: calls at the same time that the recommended memory limit allows for; None: 1.
        timeout: a worker without a new sample for so many seconds has hung.
        hunt: where something grows, run it again under an instrument that names what keeps it.
        jobs: variants that are measured at the same time; bytes stay as they are, times do not.
        in_process: call the function `target` in this process, which may be any callable. Nothing
            is limited then, what other threads keep shows as well, and Ctrl-C comes in the middle
            of a call.
        out: a new or empty folder for run files and the report; None: ``reports/<when>-<name>``,
            as the verb has it.
        formats: the files of the report, such as ``"html,json"``; None: none but run files.
        events: is told of the progress; see `leakhunt.engine.events.Events`.

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
        "" if in_process else _target(target, variants),
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
    renderers = _renderers(formats, events)
    if not in_process:
        return running.run(request, renderers, events, out=_path(out), hunt=hunt, jobs=jobs)
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
    settings = settings_for(request, found, found.variants)
    here = InProcess(target)
    return running.run_as(settings, renderers, events, out=_path(out), executor=here, hunt=False)


@checks_arguments
def hunt(  # noqa: PLR0913 - the options of the verb, by name
    target: Target,
    *,
    variants: Sequence[str] = (),
    instruments: Sequence[str] = (),
    remedies: Sequence[str] = (),
    pairs: int = PAIRS,
    until_ceiling: bool = False,
    calls: int | None = None,
    warmup: int | None = None,
    calls_per_sample: int | None = None,
    collect: str = "auto",
    resolve: bool = False,
    budget: float = BUDGET_SECONDS,
    device: str = "auto",
    options: Mapping[str, str] | None = None,
    threads: int | None = None,
    seed: int = 0,
    memory_limit: int | str | None = None,
    limit: int | str | None = None,
    concurrency: int | None = None,
    timeout: float = TIMEOUT_SECONDS,
    out: PathLike | None = None,
    formats: str | None = BY_DEFAULT,
    events: Events | None = None,
) -> RunResult:
    """Measure as `run` does; where something grows, find out who keeps it, and try remedies.

    Suspects are in ``result.report.entries[0].attribution``, what remedies saved in
    ``result.report.trials``.

    Args:
        target: as for `run`; a function has to be importable, since instruments need a process of
            their own.
        variants: those of the target that are measured; default: all.
        instruments: used in this order, also where nothing grows: ``tracemalloc``, ``memray``,
            ``objgraph``, ``cuda``, ``resources``, ``lines``; default: those that see what grows.
        remedies: tried before and after, interleaved: ``NAME=VALUE,...`` (environment),
            ``option:NAME=VALUE``, ``variant:NAME``, ``allocators`` (glibc's settings and those
            that are installed, in ``result.report.allocators``), or the id of a known cause.
        pairs: of a remedy, so many pairs of runs; 2 or more.
        until_ceiling: verify a bounded cache by a run past its ceiling.
        calls: so many per variant; None: as many as the verdict needs.
        warmup: of `calls`, so many are not judged; None: a quarter.
        calls_per_sample: memory is read after so many calls.
        collect: whether ``gc.collect()`` comes before each reading, as for `run`.
        resolve: go on until the verdict is no longer inconclusive.
        budget: seconds for the calls of a variant where something grows; 0: no more than a verdict
            needs.
        device: ``cpu``, ``cuda``, or ``auto``.
        options: the scenario's own, by name.
        threads: of numeric libraries; None: the cores there are.
        seed: of the inputs.
        memory_limit: a worker above so many bytes (or a size such as ``"2 GiB"``) is ended.
        limit: the memory of a container to come (bytes or a size): nothing enforces it, and the
            report says when it would be reached.
        concurrency: calls at the same time that the recommended memory limit allows for; None: 1.
        timeout: a worker without a new sample for so many seconds has hung.
        out: a new or empty folder for run files and the report, as for `run`.
        formats: the files of the report; None: none but run files.
        events: is told of the progress; see `leakhunt.engine.events.Events`.

    Raises:
        LeakhuntError: as for `run`; also where an instrument or a remedy makes no sense here.
        KeyboardInterrupt: the user ended it before anything was measured.
    """
    events = events or SILENT
    measured = RunRequest(
        _target(target, variants),
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
    request = HuntRequest(measured, tuple(instruments), tuple(remedies), pairs, until_ceiling)
    return hunting.hunt(request, _renderers(formats, events), events, out=_path(out))


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
    seed: int = 0,
    timeout: float = SERVICE_TIMEOUT_SECONDS,
    leave_running: bool = False,
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
        hunt: where it grows, do it again with instruments in the service.
        resolve: go on until the verdict is no longer inconclusive.
        memory_limit: bytes or a size; ``"+1 GiB"`` is above what the service holds when ready.
        limit: the memory of a container to come (bytes or a size): nothing enforces it, and the
            report says when it would be reached.
        seed: of the requests.
        timeout: a service that is not ready, or answers nothing, for so many seconds has hung.
        leave_running: do not end a service that `command` started.
        resume: the run file of a soak whose service still runs: go on with it.
        out: as for `run`.
        formats: as for `run`.
        events: as for `run`.

    Raises:
        LeakhuntError: as for `run`; also where no service could be soaked.
        KeyboardInterrupt: the user ended it before anything was measured.
    """
    events = events or SILENT
    request = SoakRequest(
        None if target is None else _target(target, variants),
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
        resume=_path(resume),
    )
    return soaking.soak(request, _renderers(formats, events), events, out=_path(out))


@checks_arguments
def report(
    *places: PathLike,
    limit: int | str | None = None,
    out: PathLike | None = None,
    formats: str | None = BY_DEFAULT,
    events: Events | None = None,
) -> ReportResult:
    """The report on run files, or on folders of them, made again.

    Its files go to `out`; None: to the folder of the first run file, where they are replaced.
    With ``formats=None`` none are written. `limit` is the memory (bytes or a size) that the runs
    are set against, in place of what their plans say. Damaged files in a folder are left out, and
    `events` are told so.

    Raises:
        UsageError: there is nothing of this name.
        BadFile: a file that is named is no run file.
        NothingMeasured: there is no run file.
        CannotWrite: the disk does not take the report.
    """
    if not places:
        raise UsageError(
            message("argument.missing-run-file", "missing run file. Pass a run file or a folder")
        )
    events = events or SILENT
    named = [os.fspath(place) for place in places]
    return reports.report_again(
        named, _renderers(formats, events), events, out=_path(out), limit=limit
    )


@checks_arguments
def compare(
    *places: PathLike,
    labels: Sequence[str] = (),
    despite_differences: bool = False,
    out: PathLike | None = None,
) -> CompareResult:
    """The runs of two or more versions, packages or machines compared; the first is the baseline.

    `labels` are what to call each place; `despite_differences`: conclude although the environments
    differ. The files of the comparison are written to the new folder `out` only if one is named.

    Raises:
        UsageError: fewer than two places, one that does not exist, or labels that do not fit.
        BadFile: a file that is named is no run file.
        NothingMeasured: a place has no measured run, or they have no variant in common.
        CannotWrite: the disk does not take the files.
    """
    if out is not None:
        return compare_into(_path(out), places, labels, despite_differences)
    return CompareResult(compare_places(places, labels, despite_differences))


@checks_arguments
def gate(  # noqa: PLR0913 - the options of the verb, by name
    *runs: PathLike,
    policy: PathLike | None = None,
    scenarios: Sequence[str] = (),
    against: str | None = None,
    against_python: str = "",
    pairs: int = PAIRS,
    baselines: PathLike | None = None,
    no_baseline: bool = False,
    jobs: int = 1,
    max_growth: str | None = None,
    series: str | None = None,
    limit: int | str | None = None,
    out: PathLike | None = None,
    formats: str = GATE_FILES,
    events: Events | None = None,
) -> GateRun:
    """Measure what the policy names, or take run files, and check the budgets.

    The result has the answer for all (``result.answer``), one for each variant
    (``result.variants``), and the verb's ``result.exit_code``.

    Args:
        runs: run files, or folders of them, that are checked in place of measuring.
        policy: the file with the budgets; None: the nearest ``leakhunt.toml`` or
            ``pyproject.toml``, here or above.
        scenarios: those of the policy that are measured, as ``NAME[:VARIANT,...]``; default: all.
        against: a git revision of the code that is measured as well, interleaved; then only what
            got worse counts.
        against_python: the interpreter for that revision, of an environment with its packages.
        pairs: of `against`, so many pairs of runs.
        baselines: the folder of baselines; None: the policy's.
        no_baseline: compare with no baseline.
        jobs: so many variants are measured at a time; times then say little.
        max_growth: one budget for `runs`, such as ``"4 KiB/call"``, in place of a policy.
        series: what `max_growth` is of; None: the live heap.
        limit: the memory of a container to come (bytes or a size): a variant that would fill it is
            noted.
        out: a new or empty folder for run files and reports; None: ``reports/<when>-gate``, and
            for `runs` none: then nothing is written.
        formats: the files that are written, of the gate and of each scenario's report.
        events: is told of the progress; see `leakhunt.engine.events.Events`.

    Raises:
        UsageError: the request makes no sense, or names what is not there.
        BadFile: the policy, a baseline or a run file that is named is damaged.
        MissingRequirement: git, or what a format needs, is not there.
        CannotWrite: the disk does not take the results.
    """
    request = GateRequest(
        runs=_names(runs),
        policy=_path(policy),
        scenarios=tuple(scenarios),
        against=against,
        against_python=against_python,
        pairs=pairs,
        baselines=_path(baselines),
        no_baseline=no_baseline,
        jobs=jobs,
        max_growth=max_growth,
        series=series,
        limit=limit,
        out=_path(out),
        formats=formats,
    )
    return gating.gate(request, events or SILENT)


@checks_arguments
def check_claims(
    *scenarios: PathLike,
    ids: Sequence[str] = (),
    out: PathLike | None = None,
    formats: str | None = BY_DEFAULT,
    events: Events | None = None,
) -> ClaimsResult:
    """Check the claims of field reports by measuring: ``result.claims``, each with a verdict.

    `scenarios` are built-in ones, folders with a ``claims.toml``, or such files; default: all
    built-in ones that have claims. `ids` are the claims that are checked; default: all. Each run
    that they need is made once, into a folder of its own below `out` (None:
    ``reports/<when>-claims``); with the folder of a check before, its whole runs are kept.
    `formats` are the files of the report on each run; the table of claims is always written as
    JSON, for programs.

    Raises:
        UsageError: there is no such scenario or claim.
        BadFile: a file of claims is none.
        CannotWrite: the disk does not take the results, or `out` holds files that are not ours.
    """
    events = events or SILENT
    renderers = _renderers(formats, events)
    return claiming.check_claims(_names(scenarios), ids, renderers, events, out=_path(out))


@checks_arguments
def save_baseline(
    *runs: PathLike,
    into: PathLike = DEFAULT_PLACE,
    despite_leak: bool = False,
    events: Events | None = None,
) -> BaselineResult:
    """Save run files, or folders of them, as baselines for `gate`, in the folder `into`.

    Several runs of a variant are repeats, whose spread is saved too. With `despite_leak` what leaks
    is saved as well; new runs may then leak as much. Where one is refused, nothing is written.

    Raises:
        UsageError: there is a baseline already, a run is there twice, or leaks.
        BadFile: a file that is named is no run file.
        NothingMeasured: there is no measured run, or one is no baseline.
        CannotWrite: the disk does not take one.
    """
    return saving.save_baseline(_names(runs), Path(into), despite_leak, events or SILENT)


@checks_arguments
def update_baseline(
    *runs: PathLike,
    into: PathLike = DEFAULT_PLACE,
    despite_leak: bool = False,
    events: Events | None = None,
) -> BaselineResult:
    """Replace the baselines of the variants in `runs`; ``result.changes`` says what differs.

    Raises:
        LeakhuntError: as `save_baseline`; there must be a baseline of this environment already.
    """
    return saving.update_baseline(_names(runs), Path(into), despite_leak, events or SILENT)


@checks_arguments
def baselines(place: PathLike = DEFAULT_PLACE) -> tuple[Baseline, ...]:
    """The baselines in a folder or a file, by environment.

    Raises:
        UsageError: there is no such place.
        BadFile: a file is damaged, or not where it belongs.
        NothingMeasured: there is none.
    """
    return saving.baselines_at(Path(place))


@checks_arguments
def evaluate(  # noqa: PLR0913 - the options of the verb, by name
    *targets: str,
    repeats: int = 1,
    clean_repeats: int = 1,
    hunt: bool = False,
    jobs: int | None = None,
    out: PathLike | None = None,
    events: Events | None = None,
) -> EvaluationResult:
    """Run workloads whose truth is known: how often the verdict is right (``leakhunt truth``).

    Without targets the built-in leak zoo. Leaking workloads are run `repeats` times, others
    `clean_repeats` times, `jobs` at a time (None: as many as there are cores); with `hunt` the
    first suspect has to be the culprit. `out` is a new JSON file for the trials.

    Raises:
        LeakhuntError: a workload is not there, none says what to expect, or the disk does not take
            the file.
        KeyboardInterrupt: the user ended it.
    """
    request = EvaluationRequest(targets, repeats, clean_repeats, hunt, jobs)
    return evaluating.evaluate(request, events or SILENT, out=_path(out))


@checks_arguments
def scenarios(*names: str) -> tuple[Scenario, ...]:
    """Scenarios with their variants and options, read without running them; default: built-in ones.

    Raises:
        UsageError: there is no such scenario.
        BadFile: a file is no scenario.
    """
    return tuple(map(find.listed, names)) if names else tuple(find.builtin())


@checks_arguments
def schema(name: str) -> str:
    """The JSON Schema of a file.

    Args:
        name: ``report``, ``claims``, ``compare``, ``gate``, ``run-file`` or ``policy``.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in SCHEMAS:
        raise UsageError(
            message(
                "argument.unknown-value",
                "{name}={value!r}: unknown value. Use one of {choices}",
                name="name",
                value=name,
                choices=", ".join(SCHEMAS),
            )
        )
    return schema_text(name)


def _names(places: Sequence[PathLike]) -> tuple[str, ...]:
    return tuple(os.fspath(place) for place in places)


def _path(place: PathLike | None) -> Path | None:
    return None if place is None else Path(place)


def _renderers(formats: str | None, events: Events) -> tuple[RunRenderer, ...]:
    return renderers_named(formats, events) if formats is not None else ()


def _target(target: Target, variants: Sequence[str]) -> str:
    """What names the target for a fresh process.

    Raises:
        UsageError: it is a function that no fresh process can import.
    """
    if not isinstance(target, str | os.PathLike):
        if variants:
            raise UsageError(
                message("argument.function-variants", "a function has no variants. Remove variants")
            )
        return _importable(target)
    named = os.fspath(target)
    return f"{named}:{','.join(variants)}" if variants else named


def _importable(function: Callable[..., Any]) -> str:
    """``file.py:function``, where the file gives that function to whoever imports it."""
    name = getattr(function, "__qualname__", "")
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    if (
        module is None
        or module.__name__ == "__main__"
        or not name.isidentifier()
        or getattr(module, name, None) is not function
    ):
        raise UsageError(
            message(
                "argument.cannot-import",
                "{function}: a fresh process cannot import it. Move it to a module, or use"
                " in_process=True",
                function=name or repr(function),
            )
        )
    file = inspect.getsourcefile(module) if getattr(module, "__file__", None) else None
    if file is None:
        raise UsageError(
            message(
                "argument.no-source",
                "{function}: its module has no Python source",
                function=name,
            )
        )
    return f"{file}:{name}"
