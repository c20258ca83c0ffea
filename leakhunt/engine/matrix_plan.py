"""From what is asked for to the cells of a matrix, and from a cell to what carries it out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cache
from math import isfinite
from pathlib import Path

from leakhunt.amounts import parse_size
from leakhunt.config.matrix_file import MatrixFile, read_matrix
from leakhunt.engine.argument_checks import refuse_too_small, refuse_wrong_timeout
from leakhunt.engine.cells import CellOrder
from leakhunt.engine.environments import PackageSet
from leakhunt.engine.settings import RunRequest
from leakhunt.engine.versions import versions_matching
from leakhunt.errors import UsageError
from leakhunt.model.allocators import GLIBC, JEMALLOC, MIMALLOC, TCMALLOC
from leakhunt.model.matrix import (
    FALSE_DISCOVERY_RATE,
    INSTALLED,
    ON_LOCAL,
    Axis,
    AxisKind,
    Cell,
    MatrixPlan,
)
from leakhunt.model.options import BUDGET_SECONDS, DEVICES, SEED, TIMEOUT_SECONDS
from leakhunt.model.scenario import Scenario
from leakhunt.scenario import find
from leakhunt.text.message import message
from leakhunt.text.suggest import hint

MATRIX_FILE = ".toml"
_ALLOCATORS = (GLIBC, JEMALLOC, TCMALLOC, MIMALLOC)
_WITH_KEY = (AxisKind.ENVIRONMENT, AxisKind.PACKAGE, AxisKind.OPTION)
_ALONE = tuple(kind for kind in AxisKind if kind not in _WITH_KEY)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOUD = re.compile(r"[A-Z][A-Z0-9_]*")
_VERSION_AXIS = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?P<which>==\s*[\w.]+\.\*)")
_PACKAGE = re.compile(r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?")
# What a matrix may have at most: more is a slip, such as a range of calls.
MAX_CELLS = 20_000


@dataclass(frozen=True, slots=True)
class MatrixRequest:
    """What ``matrix`` is asked for.

    `target` is a scenario as for ``run``, a TOML file that describes a matrix, or the folder of a
    matrix that was begun: it goes on. `vary` are axes as ``NAME=VALUE,...``, `exclude` cells as
    ``NAME=VALUE,...`` that are left out. `requirements` are installed for each cell; one such as
    ``funasr==1.3.*`` is an axis of all published versions that match. `on` is ``local``, ``ray`` or
    ``ray://HOST:PORT``; `jobs` cells at a time (None: as many as do not disturb each other).
    """

    target: str
    _: KW_ONLY
    vary: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    isolated: bool = False
    repeats: int | None = None
    seed: int | None = None
    calls: int | None = None
    budget: float | None = None
    device: str | None = None
    threads: int | None = None
    memory_limit: str | None = None
    timeout: float | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    hunt: bool = True
    jobs: int | None = None
    on: str = ON_LOCAL
    fdr: float = FALSE_DISCOVERY_RATE
    plan_only: bool = False


def plan_of_request(request: MatrixRequest) -> MatrixPlan:
    """The plan that a request asks for, with every version that it names by a pattern.

    Raises:
        LeakhuntError: it makes no sense, or names what is not there.
    """
    _refuse_wrong(request)
    file = None
    if request.target.endswith(MATRIX_FILE):
        file = read_matrix(Path(request.target))
    plan = _merged(request, file)
    plan = _with_axes(plan, _written(request, file))
    count = sum(1 for _ in plan.cells)
    if not 0 < count <= MAX_CELLS:
        raise UsageError(
            message(
                "matrix.cells",
                "the matrix has {count:,} cells: expected 1 to {most:,}. Change axes or exclusions",
                count=count,
                most=MAX_CELLS,
            )
        )
    return plan


def order_of(plan: MatrixPlan, cell: Cell) -> CellOrder:
    """What carries out a cell."""
    given: dict[AxisKind, str] = {}
    options, variables = dict(plan.options), dict(plan.environment)
    requirements = list(plan.requirements)
    for axis in plan.axes:
        value = cell.values[axis.name]
        if axis.kind is AxisKind.OPTION:
            options[axis.key] = value
        elif axis.kind is AxisKind.ENVIRONMENT:
            variables[axis.key] = value
        elif axis.kind is AxisKind.PACKAGE:
            requirements += [] if value == INSTALLED else [f"{axis.key}=={value}"]
        else:
            given[axis.kind] = value
    threads = given.get(AxisKind.THREADS) or plan.threads
    calls = given.get(AxisKind.CALLS) or plan.calls
    request = RunRequest(
        f"{plan.target}:{given[AxisKind.VARIANT]}",
        calls=int(calls) if calls else None,
        budget=BUDGET_SECONDS if plan.budget is None else plan.budget,
        device=given.get(AxisKind.DEVICE) or plan.device,
        options=options,
        threads=int(threads) if threads else 1,
        seed=cell.seed,
        memory_limit=given.get(AxisKind.MEMORY_LIMIT) or plan.memory_limit or None,
        timeout=plan.timeout,
    )
    return CellOrder(
        cell.name,
        request,
        PackageSet(
            tuple(requirements),
            given.get(AxisKind.PYTHON, ""),
            plan.isolated,
            _extra_of(request.target) if plan.isolated or AxisKind.PYTHON in given else "",
        ),
        {name: value for name, value in variables.items() if value},
        facts={"cell": cell.name, **{f"axis {k}": v or "-" for k, v in cell.values.items()}},
        allocator=given.get(AxisKind.ALLOCATOR, ""),
    )


@cache
def _extra_of(target: str) -> str:
    return find.find(target)[0].extra or ""


def _refuse_wrong(request: MatrixRequest) -> None:
    refuse_too_small(
        repeats=request.repeats,
        seed=request.seed,
        calls=request.calls,
        threads=request.threads,
        jobs=request.jobs,
    )
    if request.timeout is not None:
        refuse_wrong_timeout(request.timeout)
    for name, value, least in (("budget", request.budget, 0.0), ("fdr", request.fdr, 0.0)):
        most = 1.0 if name == "fdr" else float("inf")
        if value is not None and not (isfinite(value) and least <= value <= most):
            raise UsageError(
                message("matrix.invalid-number", "--{name} {value}: invalid value", name=name,
                        value=value)
            )  # fmt: skip


def _merged(request: MatrixRequest, file: MatrixFile | None) -> MatrixPlan:
    """The plan without axes; what the command line says comes before the file."""
    described = file or MatrixFile(request.target, Path(), ())
    fixed, _ = _requirements((*described.requirements, *request.requirements))
    memory_limit = request.memory_limit or described.memory_limit
    if memory_limit:
        parse_size(memory_limit)
    options = {**described.options, **request.options}
    for name in described.environment:
        _refuse_no_variable(name)
    device = request.device or described.device or MatrixPlan("", ()).device
    _one_of("device", device, DEVICES)
    return MatrixPlan(
        target=_placed(described.scenario, described.folder),
        axes=(),
        exclude=(*described.exclude, *map(_excluded, request.exclude)),
        requirements=fixed,
        isolated=request.isolated or described.isolated,
        repeats=request.repeats or described.repeats or 1,
        seed=next((each for each in (request.seed, described.seed) if each is not None), SEED),
        calls=request.calls or described.calls,
        budget=request.budget if request.budget is not None else described.budget,
        device=device,
        threads=request.threads or described.threads,
        memory_limit=memory_limit,
        timeout=request.timeout or described.timeout or TIMEOUT_SECONDS,
        options=options,
        environment=described.environment,
        hunt=request.hunt and described.hunt,
    )


def _placed(target: str, folder: Path) -> str:
    """The target with the whole path of its file: a matrix goes on from elsewhere, too."""
    place, names = find.split_target(target)
    path = folder / place
    if place in {each.name for each in find.builtin()} or not path.exists():
        return target
    return f"{path.resolve()}:{names}" if names else str(path.resolve())


def _requirements(
    words: Iterable[str],
) -> tuple[tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]:
    """Those that are the same for every cell, and axes of versions."""
    from packaging.requirements import InvalidRequirement, Requirement

    fixed, axes = [], []
    for word in words:
        if found := _VERSION_AXIS.fullmatch(word.strip()):
            axes.append((f"{AxisKind.PACKAGE}.{found['name']}", (found["which"],)))
            continue
        try:
            fixed.append(str(Requirement(word)))
        except InvalidRequirement as error:
            raise UsageError(
                message(
                    "matrix.invalid-requirement",
                    "--with {word!r}: invalid requirement; examples: 'funasr==1.3.*', 'numpy<2.2'",
                    word=word,
                )
            ) from error
    return tuple(fixed), tuple(axes)


def _written(request: MatrixRequest, file: MatrixFile | None) -> list[tuple[str, tuple[str, ...]]]:
    """The axes as they were written: names and values."""
    requirements = file.requirements if file is not None else ()
    _, versions = _requirements((*requirements, *request.requirements))
    axes = [*(file.axes if file is not None else ()), *versions]
    for word in request.vary:
        name, equals, values = word.partition("=")
        if not (equals and name.strip()):
            raise UsageError(
                message(
                    "matrix.invalid-axis",
                    "--vary {word!r}: expected NAME=VALUE,VALUE, such as threads=1,2",
                    word=word,
                )
            )
        axes.append((name.strip(), tuple(value.strip() for value in values.split(","))))
    return axes


def _excluded(word: str) -> Mapping[str, str]:
    pairs = [pair.partition("=") for pair in word.split(",")]
    if not all(name and equals for name, equals, _ in pairs):
        raise UsageError(
            message(
                "matrix.invalid-exclusion",
                "--exclude {word!r}: expected NAME=VALUE,NAME=VALUE",
                word=word,
            )
        )
    return {name.strip(): value.strip() for name, _, value in pairs}


def _with_axes(plan: MatrixPlan, written: Sequence[tuple[str, tuple[str, ...]]]) -> MatrixPlan:
    """The plan with its axes, each with a meaning; the first are variants, which it names no more.

    Raises:
        LeakhuntError: an axis, a value or an exclusion makes no sense.
    """
    variants = next((values for name, values in written if name == AxisKind.VARIANT), None)
    place, names = find.split_target(plan.target)
    if variants is not None and names:
        raise UsageError(
            message(
                "matrix.variants-twice",
                "{target}: variants are named twice. Remove them, or the axis variant",
                target=place,
            )
        )
    target = plan.target if variants is None else f"{place}:{','.join(variants)}"
    scenario, found = find.find(target)
    find.settle_options(scenario, plan.options)
    axes = [_axis(name, values, scenario) for name, values in written]
    if variants is None:
        axes.insert(0, Axis(AxisKind.VARIANT, tuple(each.name for each in found)))
    for number, axis in enumerate(axes):
        if any(axis.name == other.name for other in axes[:number]):
            raise UsageError(
                message(
                    "matrix.axis-twice",
                    "axis {name} is given twice. Put all values into one",
                    name=axis.name,
                )
            )
    exclude = tuple(_exclusion(each, axes, scenario) for each in plan.exclude)
    return replace(plan, target=place, axes=tuple(axes), exclude=exclude)


def _exclusion(
    words: Mapping[str, str], axes: Sequence[Axis], scenario: Scenario
) -> Mapping[str, str]:
    """An exclusion by the names of the axes; one that names what is not there is a slip."""
    values = {axis.name: axis.values for axis in axes}
    named = {}
    for word, value in words.items():
        kind, key = _meaning(word, scenario)
        name = Axis(kind, (), key).name
        if value not in values.get(name, ()):
            raise UsageError(
                message(
                    "matrix.excludes-nothing",
                    "exclude {name}={value}: there is no such axis and value. Axes: {axes}",
                    name=word,
                    value=value,
                    axes=", ".join(values),
                )
            )
        named[name] = value
    return named


def _axis(name: str, values: tuple[str, ...], scenario: Scenario) -> Axis:
    kind, key = _meaning(name, scenario)
    if kind is AxisKind.PACKAGE:
        values = tuple(version for value in values for version in _versions(key, value))
    axis = Axis(kind, values, key)
    for value in values:
        _check_value(axis, value, scenario)
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise UsageError(
            message(
                "matrix.value-twice",
                "axis {name}: value {value!r} is given twice. Remove one",
                name=axis.name,
                value=twice,
            )
        )
    return axis


def _meaning(name: str, scenario: Scenario) -> tuple[AxisKind, str]:
    """What an axis of this name changes.

    Raises:
        UsageError: nothing.
    """
    kind, dot, key = name.partition(".")
    if dot and key and kind in _WITH_KEY:
        return AxisKind(kind), key
    if name in _ALONE:
        return AxisKind(name), ""
    options = [each.name for each in scenario.options]
    if name in options:
        return AxisKind.OPTION, name
    if _LOUD.fullmatch(name):
        return AxisKind.ENVIRONMENT, name
    known = (*_ALONE, *options, "env.NAME", "package.NAME")
    raise UsageError(
        message(
            "matrix.unknown-axis",
            "axis {name!r} not found{hint}. Known axes: {known}",
            name=name,
            hint=hint(name, known),
            known=", ".join(known),
        )
    )


def _check_value(axis: Axis, value: str, scenario: Scenario) -> None:
    """Refuse a value that no cell could have.

    Raises:
        UsageError: it makes no sense for that axis.
    """
    match axis.kind:
        case AxisKind.OPTION:
            find.settle_options(scenario, {axis.key: value})
        case AxisKind.ENVIRONMENT:
            _refuse_no_variable(axis.key)
        case AxisKind.DEVICE:
            _one_of(axis.name, value, DEVICES)
        case AxisKind.ALLOCATOR:
            _one_of(axis.name, value, _ALLOCATORS)
        case AxisKind.MEMORY_LIMIT:
            parse_size(value)
        case AxisKind.THREADS | AxisKind.CALLS:
            if not (value.isdecimal() and value.isascii() and 0 < int(value) < 10**9):
                raise UsageError(
                    message(
                        "matrix.expected-number",
                        "axis {name}: expected a whole number, 1 or more, got {value!r}",
                        name=axis.name,
                        value=value,
                    )
                )
        case AxisKind.PYTHON if not value:
            _one_of(axis.name, value, ("3.11", "3.12", "3.13", "3.14"))
        case _:
            pass


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UsageError(
            message(
                "matrix.unknown-value",
                "{name}: unknown value {value!r}{hint}. Known values: {known}",
                name=name,
                value=value,
                hint=hint(value, known),
                known=", ".join(known),
            )
        )


def _refuse_no_variable(name: str) -> None:
    if not _VARIABLE.fullmatch(name):
        raise UsageError(
            message(
                "matrix.no-variable",
                "invalid environment variable {name!r}; example: 'OMP_NUM_THREADS'",
                name=name,
            )
        )


def _versions(package: str, value: str) -> Iterator[str]:
    """One version, or those that a pattern or a range stands for."""
    from packaging.version import InvalidVersion, Version

    if not _PACKAGE.fullmatch(package):
        raise UsageError(
            message(
                "matrix.no-package", "invalid package name {name!r}; example: 'numpy'", name=package
            )
        )
    if value == INSTALLED:
        yield value
        return
    if value.endswith(".*") and not value.startswith(("=", "!", "<", ">", "~")):
        value = f"=={value}"
    try:
        Version(value)
    except InvalidVersion:
        yield from versions_matching(package, value)
    else:
        yield value
