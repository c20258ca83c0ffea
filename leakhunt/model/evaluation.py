"""The nouns of ``leakhunt truth``: a run of a workload that is known, and what many come to."""

from __future__ import annotations

from dataclasses import dataclass

from leakhunt.model.kinds import Kind
from leakhunt.model.verdict import Status


@dataclass(frozen=True, slots=True)
class Hunted:
    """What a hunt of a known workload found: the first suspect, and whether it is the culprit.

    `culprit` and `cause` are the truth, empty where there is none. `share` is what the suspects
    explain of the growth; None where that is no memory.
    """

    culprit: str
    cause: str
    suspects: int
    first: str
    names_culprit: bool
    found_cause: str
    share: float | None
    instruments: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """The culprit first, of the right cause; or nobody suspected where nobody is to blame."""
        if not self.culprit:
            return self.suspects == 0
        return self.names_culprit and self.found_cause == self.cause


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a workload of known truth, and what the verdict said.

    `expect` are the right answers, `rate` the true growth a call (0: none). `found_rate` is the
    verdict's, in the unit of the series that shows it best; None where it found no leak.
    """

    scenario: str
    variant: str
    seed: int
    expect: tuple[Kind, ...]
    rate: float
    status: Status
    kind: Kind
    found_rate: float | None
    calls: int
    samples: int
    hunted: Hunted | None = None

    @property
    def leaks(self) -> bool:
        """Whether the workload leaks, in truth."""
        return self.expect[0].is_leak

    @property
    def is_right(self) -> bool:
        """A leak found, in the right class and, if hunted, with its culprit; or no false alarm."""
        if self.hunted is not None and not self.hunted.is_right:
            return False
        if self.leaks:
            return self.status is Status.LEAK and self.kind in self.expect
        return self.status is not Status.LEAK


@dataclass(frozen=True, slots=True)
class Score:
    """What many trials come to.

    `false_alarms` of `clean_runs` were called a leak; `false_alarm_bound` is what the true share
    can be at most, with 95 %. Of `leaking_runs`, `found` were called a leak and `classed` also put
    in the right class; `median_calls` and `median_samples` is what a found leak took, and
    `median_clean_samples` a clean verdict.
    """

    clean_runs: int
    false_alarms: int
    false_alarm_bound: float
    certified: int
    leaking_runs: int
    found: int
    classed: int
    median_calls: float
    median_samples: float
    median_clean_samples: float
