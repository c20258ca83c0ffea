"""The nouns of ``leakhunt matrix``: axes, cells, what became of each, and what follows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product

from leakhunt.model.kinds import Kind
from leakhunt.model.options import AUTO, SEED, TIMEOUT_SECONDS
from leakhunt.model.report import JudgedRun
from leakhunt.model.series import Unit
from leakhunt.model.verdict import Status
from leakhunt.text.language import mark
from leakhunt.text.message import Text

# The share of the cells called a leak that may be false, in the mean.
FALSE_DISCOVERY_RATE = 0.05
# Where the cells of a matrix are carried out, by default.
ON_LOCAL = "local"
# A value of an axis of packages or allocators: as it is installed here.
INSTALLED = "installed"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9.]+")
_LONGEST_NAME = 60


class AxisKind(StrEnum):
    """What an axis changes."""

    VARIANT = "variant"
    DEVICE = "device"
    THREADS = "threads"
    CALLS = "calls"
    MEMORY_LIMIT = "memory_limit"
    PYTHON = "python"
    ALLOCATOR = "allocator"
    ENVIRONMENT = "env"
    PACKAGE = "package"
    OPTION = "option"


class CellEnd(StrEnum):
    """What became of a cell; each has one of these in the end."""

    MEASURED = mark("measured")
    KILLED = mark("killed")
    FAILED = mark("failed")
    NOT_INSTALLED = mark("not installed")
    NOT_POSSIBLE = mark("not possible here")
    LOST = mark("node lost")
    NOT_RUN = mark("not run")


@dataclass(frozen=True, slots=True)
class Axis:
    """What varies: `key` is the variable, package or option of a kind that has many."""

    kind: AxisKind
    values: tuple[str, ...]
    key: str = ""

    @property
    def name(self) -> str:
        """How it is written: ``threads``, ``lengths``, ``env.MALLOC_ARENA_MAX``."""
        if self.kind is AxisKind.OPTION and self.key not in list(AxisKind):
            return self.key
        return f"{self.kind}.{self.key}" if self.key else str(self.kind)


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of values, by the names of their axes; `repeat` counts from 1."""

    name: str
    values: Mapping[str, str]
    repeat: int
    seed: int

    @property
    def words(self) -> str:
        """``variant=naive threads=2``."""
        shown = (f"{name}={value or '-'}" for name, value in self.values.items())
        return " ".join(shown)


@dataclass(frozen=True, slots=True)
class MatrixPlan:
    """All that decides which cells there are, and how each is measured.

    `target` is as for ``run``, without variants where these are an axis. A cell that has all
    values of one of `exclude` is left out. `requirements` are installed for each cell. `isolated`:
    packages come from the index alone; else those that are named are laid over what is here.
    """

    target: str
    axes: tuple[Axis, ...]
    exclude: tuple[Mapping[str, str], ...] = ()
    requirements: tuple[str, ...] = ()
    isolated: bool = False
    repeats: int = 1
    seed: int = SEED
    calls: int | None = None
    budget: float | None = None
    device: str = AUTO
    threads: int | None = None
    memory_limit: str = ""
    timeout: float = TIMEOUT_SECONDS
    options: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    hunt: bool = True

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every cell, in the order of the axes."""
        return tuple(self._cells())

    @property
    def excluded(self) -> int:
        """How many combinations are left out."""
        return sum(1 for values in self._combinations() if self._is_excluded(values))

    def axis(self, kind: AxisKind) -> Axis | None:
        """The first axis of that kind."""
        return next((each for each in self.axes if each.kind is kind), None)

    def _combinations(self) -> Iterator[Mapping[str, str]]:
        names = [axis.name for axis in self.axes]
        for values in product(*(axis.values for axis in self.axes)):
            yield dict(zip(names, values, strict=True))

    def _is_excluded(self, values: Mapping[str, str]) -> bool:
        return any(
            all(values.get(name) == value for name, value in each.items()) for each in self.exclude
        )

    def _cells(self) -> Iterator[Cell]:
        number = 0
        for values in self._combinations():
            if self._is_excluded(values):
                continue
            for repeat in range(1, self.repeats + 1):
                number += 1
                words = [value or "none" for value in values.values()]
                words += [f"r{repeat}"] if self.repeats > 1 else []
                short = _NOT_IN_NAMES.sub("-", "-".join(words))[:_LONGEST_NAME].strip("-.")
                yield Cell(f"{number:03d}-{short}", values, repeat, self.seed + repeat - 1)


@dataclass(frozen=True, slots=True)
class CellRecord:
    """What is noted beside the run file of a cell: how it was carried out, or why it was not.

    `attempts`: how often it was begun, which is more than once where a node was lost.
    """

    end: CellEnd
    reason: Text = ""
    seconds: float = 0.0
    attempts: int = 1
    node: str = ""
    cpu_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class CellResult:
    """A cell with all that follows from its run; None where nothing can be told.

    `status` is after the correction for many looks, `status_alone` that of the run by itself.
    `p_value` is of the growth above the tolerance by chance, `q_value` the false discovery rate
    at which the cell is still called a leak. `rate` and its bounds are in the `unit` of `series`.
    `suspect` is who retains the growth; `suspect_of` the cell that was hunted, where that is
    another one that grows alike.
    """

    cell: Cell
    record: CellRecord
    entry: JudgedRun | None = None
    status: Status | None = None
    status_alone: Status | None = None
    kind: Kind | None = None
    sentence: Text = ""
    series: str = ""
    unit: Unit | None = None
    rate: float | None = None
    rate_low: float | None = None
    rate_high: float | None = None
    p_value: float | None = None
    q_value: float | None = None
    seconds_per_call: float | None = None
    peak_rss_bytes: int | None = None
    calls: int = 0
    suspect: Text = ""
    suspect_of: str = ""
    run_file: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it is neither a leak nor none."""
        return self.status not in (Status.LEAK, Status.NO_LEAK)


@dataclass(frozen=True, slots=True)
class AxisEffect:
    """What an axis does: the median growth rate (bytes per call) and the leaks of each value."""

    axis: str
    values: tuple[str, ...]
    rates: tuple[float | None, ...]
    leaks: tuple[int, ...]
    cells: tuple[int, ...]
    decides: bool


@dataclass(frozen=True, slots=True)
class MatrixReport:
    """What a matrix came to: every cell of the plan, in its order.

    `explanation` says what decides between leak and no leak. `results_by_interest` are the same
    cells, what matters most first. `jobs` were carried out at a time, `on` local or ray.
    """

    plan: MatrixPlan
    results: tuple[CellResult, ...]
    effects: tuple[AxisEffect, ...]
    explanation: tuple[Text, ...]
    false_discovery_rate: float
    generator: str
    on: str = ON_LOCAL
    jobs: int = 1
    seconds: float = 0.0
    title: str = ""
    withdrawn: int = 0

    @property
    def results_by_interest(self) -> tuple[CellResult, ...]:
        """Leaks first, the fastest growing before the others; then what is open, then the rest."""

        def order(result: CellResult) -> tuple[int, float]:
            if result.status is Status.LEAK:
                return 0, -(result.rate or 0.0)
            return (1 if result.is_open else 2), 0.0

        return tuple(sorted(self.results, key=order))

    def having(self, status: Status) -> tuple[CellResult, ...]:
        """The cells with this status."""
        return tuple(each for each in self.results if each.status is status)
