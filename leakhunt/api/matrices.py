"""Many runs: ``matrix``, ``bisect`` and ``benchmark``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from leakhunt.api.arguments import PathLike, path_of
from leakhunt.engine import benchmark as benching
from leakhunt.engine import bisection as searching
from leakhunt.engine import matrix as making
from leakhunt.engine.argument_types import checks_arguments
from leakhunt.engine.benchmark import BenchmarkRequest, BenchmarkResult
from leakhunt.engine.bisection import BisectRequest, BisectResult
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.formats import (
    benchmark_renderers_named,
    bisect_renderers_named,
    matrix_renderers_named,
)
from leakhunt.engine.matrix import MatrixRequest, MatrixResult
from leakhunt.model.benchmark import CALLS
from leakhunt.model.bisection import MAX_RUNS_OF_A_VERSION
from leakhunt.model.matrix import FALSE_DISCOVERY_RATE, ON_LOCAL
from leakhunt.model.options import AUTO, BUDGET_SECONDS, SEED, TIMEOUT_SECONDS


@checks_arguments
def matrix(  # noqa: PLR0913 - the options of the verb, by name
    target: PathLike,
    *,
    vary: Mapping[str, Sequence[str]] | None = None,
    requirements: Sequence[str] = (),
    exclude: Sequence[str] = (),
    isolated: bool = False,
    repeats: int | None = None,
    seed: int | None = None,
    calls: int | None = None,
    budget: float | None = None,
    device: str | None = None,
    threads: int | None = None,
    memory_limit: str | None = None,
    timeout: float | None = None,
    options: Mapping[str, str] | None = None,
    hunt: bool = True,
    jobs: int | None = None,
    on: str = ON_LOCAL,
    fdr: float = FALSE_DISCOVERY_RATE,
    plan_only: bool = False,
    out: PathLike | None = None,
    formats: str = "all",
    events: Events | None = None,
) -> MatrixResult:
    """Measure every combination of the values of some axes, and report on all of them.

    Args:
        target: a scenario as for `run`, a TOML file that describes a matrix, or the folder of a
            matrix that was begun, which then goes on.
        vary: axes and their values: ``{"threads": ["1", "2"], "package.funasr": ["1.3.*"]}``.
        requirements: packages that are installed for every cell; ``"funasr==1.3.*"`` is an axis of
            all published versions that match.
        exclude: cells that are left out: ``"variant=naive,threads=2"``.
        isolated: install all packages of a cell anew, not over those that are installed here.
        repeats: runs of each combination, each with a seed of its own; None: 1, or the file's.
        seed: seed of the first repeat; None: 0.
        calls: calls per cell; None: until the verdict is clear.
        budget: seconds for the calls of a cell where memory grows; None: as `run`.
        device: ``cpu``, ``cuda``, or ``auto``; None: auto.
        threads: threads of a cell; None: 1.
        memory_limit: memory limit of a worker, such as ``"2 GiB"``.
        timeout: seconds without a sample before a worker is killed as hung.
        options: options of the scenario, by name.
        hunt: run one of each group of cells that grow alike again under instruments.
        jobs: cells at the same time; None: as many as the first one leaves room for.
        on: ``local``, ``ray``, or ``ray://HOST:PORT``.
        fdr: the share of the cells called a leak that may be false.
        plan_only: only tell `events` the plan; nothing is measured or written.
        out: a new folder, or that of the same matrix; None: ``reports/<when>-matrix``.
        formats: the files of the report: ``"html,json"``.
        events: receives the progress; see `leakhunt.engine.events.Events`.

    Raises:
        UsageError: the request makes no sense, or names what is not there.
        BadFile: the file of the matrix, or its plan, is damaged.
        MissingRequirement: uv, Ray, or what a format needs is not installed.
        CannotWrite: the disk does not take the results, or another matrix is in the folder.
    """
    events = events or SILENT
    request = MatrixRequest(
        os.fspath(target),
        vary=tuple(f"{name}={','.join(values)}" for name, values in (vary or {}).items()),
        requirements=tuple(requirements),
        exclude=tuple(exclude),
        isolated=isolated,
        repeats=repeats,
        seed=seed,
        calls=calls,
        budget=budget,
        device=device,
        threads=threads,
        memory_limit=memory_limit,
        timeout=timeout,
        options=options or {},
        hunt=hunt,
        jobs=jobs,
        on=on,
        fdr=fdr,
        plan_only=plan_only,
    )
    return making.matrix(request, matrix_renderers_named(formats, events), events, out=path_of(out))


@checks_arguments
def bisect(  # noqa: PLR0913 - the options of the verb, by name
    target: PathLike,
    *,
    good: str,
    bad: str,
    package: str = "",
    repo: PathLike = "",
    requirements: Sequence[str] = (),
    isolated: bool = False,
    calls: int | None = None,
    budget: float = BUDGET_SECONDS,
    device: str = AUTO,
    options: Mapping[str, str] | None = None,
    threads: int | None = None,
    seed: int = SEED,
    memory_limit: str | None = None,
    timeout: float = TIMEOUT_SECONDS,
    most_runs: int = MAX_RUNS_OF_A_VERSION,
    hunt: bool = True,
    out: PathLike | None = None,
    formats: str = "all",
    events: Events | None = None,
) -> BisectResult:
    """Find the version of a package, or the commit, that introduced a leak or ended it.

    The boundary is between ``result.report.last`` and ``result.report.first``.

    Args:
        target: one variant of a scenario, as for `run`.
        good: a version, or a revision, that does not leak.
        bad: one that does, whichever of the two is newer.
        package: the package whose published versions are tried; or `repo`.
        repo: the git checkout whose commits are tried; or `package`.
        requirements: further packages that are installed for every version.
        isolated: install all packages of a version anew, not over those that are installed here.
        calls: calls per run; None: until the verdict is clear.
        budget: seconds for the calls of a run where memory grows.
        device: ``cpu``, ``cuda``, or ``auto``.
        options: options of the scenario, by name.
        threads: threads of a run; None: 1.
        seed: seed of the first run of a version.
        memory_limit: memory limit of a worker, such as ``"2 GiB"``.
        timeout: seconds without a sample before a worker is killed as hung.
        most_runs: runs of a version whose verdict stays inconclusive.
        hunt: run the leaking version beside the boundary again, to find what retains the memory.
        out: a new folder; None: ``reports/<when>-bisect``.
        formats: the files of the report: ``"html,json"``.
        events: receives the progress; see `leakhunt.engine.events.Events`.

    Raises:
        UsageError: the request makes no sense, or names what is not there.
        BadFile: the file that is named is no scenario.
        MissingRequirement: uv or git is not installed.
        CannotWrite: the disk does not take the results.
    """
    request = BisectRequest(
        os.fspath(target),
        good,
        bad,
        package=package,
        repo=os.fspath(repo),
        requirements=tuple(requirements),
        isolated=isolated,
        calls=calls,
        budget=budget,
        device=device,
        options=options or {},
        threads=threads,
        seed=seed,
        memory_limit=memory_limit,
        timeout=timeout,
        most_runs=most_runs,
        hunt=hunt,
    )
    return searching.bisect(
        request, bisect_renderers_named(formats), events or SILENT, out=path_of(out)
    )


@checks_arguments
def benchmark(  # noqa: PLR0913 - the options of the verb, by name
    *packages: str,
    tools: Sequence[str] = (),
    adapters: Mapping[str, str] | None = None,
    listed: PathLike | None = None,
    calls: int = CALLS,
    budget: float = BUDGET_SECONDS,
    timeout: float = TIMEOUT_SECONDS,
    out: PathLike | None = None,
    formats: str = "all",
    events: Events | None = None,
) -> BenchmarkResult:
    """Compare leak detectors on published packages, a leaking and a fixed version of each.

    Args:
        packages: those of the list that are tried; default: all.
        tools: the tools that are asked; default: leakhunt and all others that are installed.
        adapters: further tools: a command by its name (`leakhunt.engine.adapters` says what it
            is given and answers).
        listed: a list of packages in place of the built-in one.
        calls: calls for tools that need a number.
        budget: seconds for leakhunt's calls where memory grows.
        timeout: seconds until a tool has to answer.
        out: a new folder, or that of a benchmark before; None: ``reports/<when>-benchmark``.
        formats: the files of the report: ``"html,json"``.
        events: receives the progress; see `leakhunt.engine.events.Events`.

    Raises:
        UsageError: a package or a tool is not known.
        BadFile: the list is damaged.
        MissingRequirement: uv is not installed.
        CannotWrite: the disk does not take the results.
    """
    request = BenchmarkRequest(
        packages,
        tools=tuple(tools),
        adapters=adapters or {},
        listed=path_of(listed),
        calls=calls,
        budget=budget,
        timeout=timeout,
    )
    return benching.benchmark(
        request, benchmark_renderers_named(formats), events or SILENT, out=path_of(out)
    )
