"""The nouns of ``leakhunt bisect``: versions that were measured, and the boundary between two."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leakhunt.model.series import Unit
from leakhunt.model.verdict import Status
from leakhunt.text.language import mark
from leakhunt.text.message import Text

# A version whose verdict stays inconclusive is measured so often, then left out.
MAX_RUNS_OF_A_VERSION = 3


class Direction(StrEnum):
    """What happened at the boundary."""

    INTRODUCED = mark("introduced")
    ENDED = mark("ended")


@dataclass(frozen=True, slots=True)
class BisectStep:
    """A version that was looked at, in the order of looking.

    `status` None: it could not be measured, for the `reason`. `confidence` is the chance that its
    class is right; None: it has none. `rate` is in the `unit` of `series`, of its last run.
    """

    version: str
    place: int
    status: Status | None
    runs: int
    confidence: float | None = None
    reason: Text = ""
    series: str = ""
    unit: Unit | None = None
    rate: float | None = None
    rate_low: float | None = None
    rate_high: float | None = None
    seconds: float = 0.0
    folder: str = ""

    @property
    def is_decided(self) -> bool:
        """Whether it leaks or not."""
        return self.status in (Status.LEAK, Status.NO_LEAK)


@dataclass(frozen=True, slots=True)
class BisectReport:
    """Where the growth began or ended among `versions`, which stand in their order.

    `last` is the last version before the boundary and `first` the first behind it; empty: no
    boundary was found. `between` are those in between of which nothing is known. `confidence` is
    the chance that all steps that led there are right, at least. `suspect` retains the growth.
    """

    scenario: str
    variant: str
    subject: str
    versions: tuple[str, ...]
    good: str
    bad: str
    direction: Direction
    steps: tuple[BisectStep, ...]
    generator: str
    last: str = ""
    first: str = ""
    between: tuple[str, ...] = ()
    confidence: float | None = None
    suspect: Text = ""
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def runs(self) -> int:
        """How many runs were made."""
        return sum(step.runs for step in self.steps)

    @property
    def is_found(self) -> bool:
        """Whether there is a boundary."""
        return bool(self.first)
