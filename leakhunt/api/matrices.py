"""Many runs: ``matrix``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from leakhunt.api.arguments import PathLike, path_of
from leakhunt.engine import matrix as making
from leakhunt.engine.argument_types import checks_arguments
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.formats import matrix_renderers_named
from leakhunt.engine.matrix import MatrixRequest, MatrixResult
from leakhunt.model.matrix import FALSE_DISCOVERY_RATE, ON_LOCAL


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
