"""Probes read numbers about the process they live in. One file a source.

To add one: a class with `series` and `read`, named in `_KINDS`, and a row in
`leakhunt.model.series.SERIES`. A probe is built inside the worker,
before the first call; what it needs it allocates there, and `read` keeps nothing, so that the
instrument does not show up in its own readings.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from leakhunt.model.series import Series
from leakhunt.probes.cuda import CudaProbe
from leakhunt.probes.heap import LiveHeapProbe
from leakhunt.probes.peaks import PeakRssProbe, costly_series
from leakhunt.probes.process import ChildrenProbe, DescriptorsProbe, RssProbe, ThreadsProbe
from leakhunt.probes.python_blocks import PythonBlocksProbe
from leakhunt.text.message import Text


class Probe(Protocol):
    """A source of one or more series."""

    series: ClassVar[tuple[Series, ...]]

    @classmethod
    def unavailable(cls) -> Text | None:
        """Why this probe cannot read here, in a few words; None if it can."""

    def read(self, into: array[int], at: int) -> None:
        """Write one reading for each of `series` into `into`, from index `at` on."""


@runtime_checkable
class PeakProbe(Probe, Protocol):
    """A probe of what was reached since `reset`."""

    def reset(self) -> None:
        """Begin anew: before the first call of a sample."""


_Kinds = tuple[type[Probe], ...]
_KINDS: _Kinds = (
    RssProbe,
    LiveHeapProbe,
    PythonBlocksProbe,
    ThreadsProbe,
    DescriptorsProbe,
    ChildrenProbe,
    PeakRssProbe,
)


@dataclass(frozen=True, slots=True)
class Choice:
    """The probes that can read here, and why the others cannot (by series name)."""

    kinds: _Kinds
    unavailable: Mapping[str, Text]

    @property
    def series(self) -> tuple[Series, ...]:
        """The series of the chosen probes, in the order of a sample."""
        return tuple(series for kind in self.kinds for series in kind.series)


def choose(device: str) -> Choice:
    """The default probes for a worker on this machine and `device`. Imports no framework.

    What is costly to read in this process (`costly_series`) is not read.
    """
    costly = costly_series()
    kinds: _Kinds = (*_KINDS, CudaProbe) if device == "cuda" else _KINDS
    unavailable = {
        series.name: reason
        for kind in kinds
        if (reason := kind.unavailable()) is not None
        for series in kind.series
    }
    wanted = tuple(
        kind
        for kind in kinds
        if kind.unavailable() is None and not any(one.name in costly for one in kind.series)
    )
    return Choice(wanted, {**costly, **unavailable})
