"""The nouns of claims: what a field report says, how it is checked, and what came of it.

A scenario's ``claims.toml`` says what is claimed (`Claim`), by which `Check`s it is measured, and
which `ClaimRun`s these need; from the runs come `ClaimMeasurement` and `ClaimVerdict`. Frozen,
standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum

from leakhunt.model.kinds import Kind
from leakhunt.model.run import Ending
from leakhunt.model.series import LIVE_HEAP
from leakhunt.text.language import mark
from leakhunt.text.message import Text

# What is measured where a check names no series.
DEFAULT_SERIES = LIVE_HEAP


class About(StrEnum):
    """What a check is about: the effect that is claimed, or what is blamed for it."""

    EFFECT = mark("effect")
    CAUSE = mark("cause")


class CheckAnswer(StrEnum):
    """Whether what was measured keeps to the limits of a check."""

    HOLDS = mark("holds")
    DOES_NOT_HOLD = mark("does not hold")
    INCONCLUSIVE = mark("inconclusive")
    NOT_MEASURED = mark("not measured")


class ClaimVerdict(StrEnum):
    """What became of a claim."""

    REPRODUCED = mark("reproduced")
    NOT_REPRODUCED = mark("not reproduced")
    OTHER_CAUSE = mark("reproduced, other cause")
    INCONCLUSIVE = mark("inconclusive")
    NOT_MEASURED = mark("not measured")


class LimitKind(Enum):
    """What a measure comes to, and how a limit of it is written."""

    RATE = "50 MB/call"
    SIZE = "5 MB"
    SHARE = "70 %"
    RATIO = "1.3"
    SECONDS = "2 s"
    MILLISECONDS = "50 ms"
    COUNT = "10"
    WORD = "killed"


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure that a check can name: what it comes to, and its keys beside run and variant.

    `title` has ``{series}``, ``{names}`` and ``{instrument}`` where it is of one. `needs` must be
    there and `takes` may be; where a word is measured, it is one of `words`. Of a run whose own
    code failed, only what is `of_crash` can be told: everything else was cut off by that. How it is
    measured is in `leakhunt.analysis.claims.measures`, by the same name.
    """

    title: str
    limit: LimitKind
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    of_crash: bool = False


MEASURES: Mapping[str, Measure] = {
    "growth": Measure(mark("growth of {series}"), LimitKind.RATE, ("series",)),
    "total_growth": Measure(
        mark("growth of {series}, total"), LimitKind.SIZE, ("series", "from_call", "to_call")
    ),
    "spread": Measure(mark("spread of {series}"), LimitKind.SIZE, ("series",)),
    "peak": Measure(mark("peak of {series} above the start"), LimitKind.SIZE, ("series",)),
    "saving": Measure(
        mark("growth of {series} saved"), LimitKind.SHARE, ("series",), ("reference",)
    ),
    "peak_saving": Measure(
        mark("peak of {series} saved"), LimitKind.SHARE, ("series",), ("reference",)
    ),
    "time_ratio": Measure(mark("time per call"), LimitKind.RATIO, ("reference",)),
    "time_per_minute": Measure(mark("time per minute of audio"), LimitKind.SECONDS, ("series",)),
    "slowdown": Measure(
        mark("time per call, last tenth of the calls compared with the first"), LimitKind.RATIO
    ),
    "falls": Measure(mark("steps at which {series} falls"), LimitKind.SHARE, ("series",)),
    "differing": Measure(mark("results that differ"), LimitKind.SHARE, ("reference",)),
    "worst_difference": Measure(
        mark("largest difference of a result"), LimitKind.MILLISECONDS, ("reference",)
    ),
    "verdict": Measure(mark("class of the run"), LimitKind.WORD, words=tuple(map(str, Kind))),
    "ending": Measure(
        mark("outcome of the run"), LimitKind.WORD, words=tuple(map(str, Ending)), of_crash=True
    ),
    "calls_done": Measure(mark("calls before the end"), LimitKind.COUNT, of_crash=True),
    "suspect": Measure(
        mark("share of the growth of suspects with {names}"), LimitKind.SHARE, needs=("names",)
    ),
    "largest_finding": Measure(
        mark("largest finding of {instrument} with {names}"),
        LimitKind.SIZE,
        needs=("names", "instrument"),
    ),
    "failed": Measure(mark("failed requests"), LimitKind.SHARE),
}


@dataclass(frozen=True, slots=True)
class ClaimRun:
    """A run that claims need: `command` is a leakhunt command line without ``leakhunt``.

    `device` is ``cuda`` where it can only be made with a GPU, else empty.
    """

    name: str
    command: str
    device: str = ""


@dataclass(frozen=True, slots=True)
class ClaimLimit:
    """A limit as it was written, and the number it comes to, in the unit of what is measured."""

    amount: float
    text: str


@dataclass(frozen=True, slots=True)
class Check:
    """One figure of a claim: the `measure` of a `variant` in a `run`, and the limits it must keep.

    An empty `variant` is the only one of its run, an empty `reference` that of the scenario. What
    else a measure takes: `names` (part of a chain, a line or a cause), `instrument`, and the calls
    between which growth is told. `words` stand in place of limits where a word is measured.
    `claimed` is the figure as the field report put it.
    """

    run: str
    measure: str
    variant: str = ""
    series: str = DEFAULT_SERIES
    reference: str = ""
    names: str = ""
    instrument: str = ""
    from_call: int | None = None
    to_call: int | None = None
    at_least: ClaimLimit | None = None
    at_most: ClaimLimit | None = None
    words: tuple[str, ...] = ()
    claimed: str = ""
    about: About = About.EFFECT


@dataclass(frozen=True, slots=True)
class Claim:
    """What a field report says, in one line, and how it is checked.

    `source` is where it says so; `note` is what a reader of the result must know. `not_measured`
    stands in place of checks: why no program can measure it here.
    """

    id: str
    claim: str
    source: str
    checks: tuple[Check, ...]
    note: str = ""
    not_measured: str = ""


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims about a scenario, as read from its ``claims.toml``, and the runs they need."""

    scenario: str
    runs: tuple[ClaimRun, ...]
    claims: tuple[Claim, ...]

    def needed(self, claim: Claim) -> tuple[ClaimRun, ...]:
        """The runs of this claim's checks, in the order of the file."""
        names = {check.run for check in claim.checks}
        return tuple(run for run in self.runs if run.name in names)


@dataclass(frozen=True, slots=True)
class ClaimMeasurement:
    """A figure, what it lies between (99 %, where it is an estimate), and all of it in words.

    `value` is None where it cannot be told, and `text` then says why. `low` and `high` are None
    where nothing is known that way; both are the value itself where that was counted. `unit` is
    ``bytes/call``, ``bytes``, ``share``, ``ratio``, ``s``, ``ms``, ``count``, ``word`` or the like.
    """

    value: float | str | None
    low: float | None
    high: float | None
    unit: str
    text: Text


@dataclass(frozen=True, slots=True)
class JudgedCheck:
    """A check, what was measured (None: nothing was), and what that says of it.

    `reason` says why there is no answer, where there is none.
    """

    check: Check
    answer: CheckAnswer
    measured: ClaimMeasurement | None
    reason: Text = ""


@dataclass(frozen=True, slots=True)
class JudgedClaim:
    """A claim of a `scenario` and what became of it; `runs` are those that its checks need."""

    scenario: str
    claim: Claim
    verdict: ClaimVerdict
    checks: tuple[JudgedCheck, ...]
    runs: tuple[ClaimRun, ...]


@dataclass(frozen=True, slots=True)
class MadeRun:
    """A run that claims needed and where it is.

    `folder` is relative to the folder of all results; `page` is the address of its report from
    there, empty without one. `reason` says why nothing came of it; empty: something did. `facts`
    are what its run files say of the inputs (the weights first of all), and its device.
    """

    run: ClaimRun
    folder: str
    page: str = ""
    reason: Text = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckedScenario:
    """The claims about one scenario, judged, and the runs they were judged by."""

    name: str
    runs: tuple[MadeRun, ...]
    claims: tuple[JudgedClaim, ...]


@dataclass(frozen=True, slots=True)
class ClaimsReport:
    """What a renderer of claims gets. `interrupted`: not all runs that are needed were made."""

    scenarios: tuple[CheckedScenario, ...]
    generator: str
    interrupted: bool = False

    @property
    def claims(self) -> tuple[JudgedClaim, ...]:
        """Those of all scenarios."""
        return tuple(claim for scenario in self.scenarios for claim in scenario.claims)
