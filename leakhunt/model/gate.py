"""The nouns of ``leakhunt gate``: budgets, what is accepted, and the answers on runs.

Frozen, standard library only. A `Policy` (what is gated, in `leakhunt.model.policy`) says what to
measure; a `GateResult` is all that is to be told about it, and the only argument of its renderers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum, StrEnum

from leakhunt.model.attribution import Suspect
from leakhunt.model.comparison import Metric, Mismatch
from leakhunt.model.report import JudgedRun
from leakhunt.model.series import Unit
from leakhunt.text.language import mark, tr
from leakhunt.text.message import Text

# The name of the budget that is about time and no series.
SECONDS_PER_CALL = "seconds_per_call"


class GateAnswer(IntEnum):
    """The gate's answers, which are also its exit codes; printed, an answer is its word."""

    WITHIN_BUDGET = 0
    OVER_BUDGET = 1
    INCONCLUSIVE = 3
    NOT_MEASURED = 4

    def __str__(self) -> str:
        return tr(WORDS[self])


# The answers as words.
WORDS = {
    GateAnswer.WITHIN_BUDGET: mark("within budget"),
    GateAnswer.OVER_BUDGET: mark("over budget"),
    GateAnswer.INCONCLUSIVE: mark("inconclusive"),
    GateAnswer.NOT_MEASURED: mark("not measured"),
}
# Which answer of several is the answer for all: a run over budget first, then what was not seen.
_GRAVEST_FIRST = (
    GateAnswer.OVER_BUDGET,
    GateAnswer.NOT_MEASURED,
    GateAnswer.INCONCLUSIVE,
    GateAnswer.WITHIN_BUDGET,
)


def gravest(answers: Sequence[GateAnswer]) -> GateAnswer:
    """The answer for all of them; nothing measured if there are none."""
    return next((answer for answer in _GRAVEST_FIRST if answer in answers), GateAnswer.NOT_MEASURED)


class Extent(StrEnum):
    """What the amount of a budget is counted over."""

    CALL = "call"
    RUN = "total"
    # A share of what the baseline takes; for time only.
    SHARE = "share"


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `amount` of `series`, per call or in a whole run.

    `amount` is in the series' unit; for ``seconds_per_call`` in seconds. `more`: it is counted on
    top of what the baseline (or the revision it is held against) has; with `Extent.SHARE` then as
    a share of that, 0.2 for ``+20 %``. `text` is how it was written.
    """

    series: str
    amount: float
    extent: Extent
    more: bool
    text: str


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An accepted suspect, by its fingerprint, for a `reason`, `until` that day.

    `up_to`: if it retains at most that many bytes per call; None: any amount. `where` is the
    ``file:line`` of the entry. `variants`: the only ones where it is accepted; empty: all of the
    scenario.
    """

    fingerprint: str
    reason: str
    until: date
    where: str
    up_to: float | None = None
    variants: tuple[str, ...] = ()

    def applies_to(self, variant: str) -> bool:
        """Whether the suspect is accepted in that variant."""
        return not self.variants or variant in self.variants


@dataclass(frozen=True, slots=True)
class Terms:
    """What a variant is held to: `budgets` (none: no leak), what is accepted, and the day it is."""

    budgets: tuple[Budget, ...]
    accepted: tuple[Acceptance, ...]
    today: date


@dataclass(frozen=True, slots=True)
class BaselineDifference:
    """What differs from the baseline, and the facts that forbid to say so.

    `refusal` says why there is nothing to hold against it though there should be.
    """

    lines: tuple[Metric, ...] = ()
    mismatches: tuple[Mismatch, ...] = ()
    refusal: Text = ""


@dataclass(frozen=True, slots=True)
class BudgetResult:
    """The answer on one budget.

    `estimate`, `low` and `high` (99 %, one-sided each) are in the unit of the budget's amount and
    are compared with it. `detection_limit`: growth that is found with 95 % power. None: it cannot
    be calculated. `reason` says it in a sentence.
    """

    budget: Budget
    unit: Unit
    answer: GateAnswer
    reason: Text
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    detection_limit: float | None = None


@dataclass(frozen=True, slots=True)
class VariantResult:
    """The answer on one variant of a scenario.

    `entries` are its measured runs (the repeats of the last attempt), the ones with suspects among
    them if it was hunted; `attempts` says how often it was measured, longer each time. `suspects`
    are those that count; `accepted` those that are accepted, whose growth is not counted.
    `mismatches` are the facts for which a baseline could not be held against it. `reason` says why
    it could not be measured at all, if so; else it is empty.
    """

    scenario: str
    variant: str
    answer: GateAnswer
    checks: tuple[BudgetResult, ...]
    entries: tuple[JudgedRun, ...] = ()
    attempts: int = 1
    suspects: tuple[Suspect, ...] = ()
    accepted: tuple[tuple[Suspect, Acceptance], ...] = ()
    mismatches: tuple[Mismatch, ...] = ()
    reason: Text = ""

    @property
    def name(self) -> str:
        """``scenario:variant``, as it is named on the command line."""
        return f"{self.scenario}:{self.variant}"


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages on a scenario that were written: paths with slashes from where the gate's lie.

    Empty where there is none. `comparison` is that with the revision that was measured beside.
    """

    scenario: str
    report: str = ""
    comparison: str = ""


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a renderer of the gate gets.

    `policy` is the file with the budgets, as it was named; `against` the baseline's file or the
    revision that was measured beside, empty where there is none. `notes` are further lines, such as
    an acceptance that has run out. `generator` names the program and version. `pages` are those on
    the scenarios, of each that has some.
    """

    variants: tuple[VariantResult, ...]
    policy: str
    against: str
    notes: tuple[Text, ...]
    generator: str
    pages: tuple[Pages, ...] = ()

    @property
    def answer(self) -> GateAnswer:
        """The answer for all of them."""
        return gravest([variant.answer for variant in self.variants])
