"""The tests of a suite, each repeated: which leak, and which could not be repeated."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leakhunt.model.series import Unit
from leakhunt.text.language import mark
from leakhunt.text.message import Text


class SuiteStatus(StrEnum):
    """What can be said of a test.

    `NOT_REPEATED`: too few repeats, for the reason given. `BELOW_TOLERANCE`: Python blocks stay of
    each repeat, fewer bytes than a leak is; an object that a test loses once may be lost often by a
    service.
    """

    LEAK = mark("leak")
    INCONCLUSIVE = mark("inconclusive")
    NOT_REPEATED = mark("not repeated")
    BELOW_TOLERANCE = mark("below tolerance")
    NO_LEAK = mark("no leak")


@dataclass(frozen=True, slots=True)
class SuiteTest:
    """A test of a suite: `test` is its node id.

    Of a test that leaks, or grows below the tolerance, `rate` is what `series` grows by, in its
    `unit` per repeat, with 99 % bounds; else `rate` is None, and `detection_limit` is the smallest
    leak of the live heap that is found with 95 % power. `suspect` is what retains the growth,
    allocated at `line` of `file`; empty where nobody is suspected. `seconds` is how long measuring
    it took, suspects included.
    `run_file` is the evidence; empty where it is not kept.
    """

    test: str
    status: SuiteStatus
    reason: Text
    repeats: int
    seconds: float
    series: str = ""
    unit: Unit | None = None
    rate: float | None = None
    rate_low: float | None = None
    rate_high: float | None = None
    detection_limit: float | None = None
    suspect: Text = ""
    file: str = ""
    line: int | None = None
    run_file: str = ""


@dataclass(frozen=True, slots=True)
class Suite:
    """All tests of a session of pytest's, in their order; each had `budget_seconds`."""

    generator: str
    budget_seconds: float
    tests: tuple[SuiteTest, ...]

    def having(self, *statuses: SuiteStatus) -> tuple[SuiteTest, ...]:
        """The tests with one of these statuses."""
        return tuple(each for each in self.tests if each.status in statuses)
