"""The runs that one command left, as checks of claims look at them."""

from __future__ import annotations

from dataclasses import dataclass

from leakhunt.model.claims import Check, ClaimMeasurement
from leakhunt.model.report import JudgedRun, Report
from leakhunt.model.run import Run
from leakhunt.text.message import Text, message


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a run of a claims file left: judged, and run by run, watched ones among them.

    `missing` says why there is nothing to look at; empty: there is.
    """

    report: Report | None = None
    runs: tuple[Run, ...] = ()
    missing: Text = ""


@dataclass(frozen=True, slots=True)
class MeasureContext:
    """What a measure is asked: of which run, beside which reference, by which check.

    `reference` is None where it was not run; `runs` are all of the same command.
    """

    check: Check
    entry: JudgedRun
    reference: JudgedRun | None
    runs: tuple[Run, ...]

    @property
    def run(self) -> Run:
        """The run that is measured."""
        return self.entry.run

    @property
    def unit(self) -> str:
        """The unit of the check's series; empty where it was not read."""
        return _unit(self.run, self.check.series)

    @property
    def is_cut_short(self) -> bool:
        """Whether it ended before its time, so that it may have gone on to more."""
        return self.run.outcome.ending != "ok"


def _unit(run: Run, series: str) -> str:
    return next((str(each.unit) for each in run.series if each.name == series), "")


def not_measurable(reason: Text, unit: str = "") -> ClaimMeasurement:
    """Nothing that can be told, and why."""
    return ClaimMeasurement(None, None, None, unit, reason)


def no_series(context: MeasureContext) -> ClaimMeasurement:
    """The check's series was not read."""
    series = context.check.series
    return not_measurable(
        message("claims.no-series", "{series} was not recorded in this run", series=series)
    )


def exactly(value: float, unit: str, text: Text) -> ClaimMeasurement:
    """What was counted, and not estimated."""
    return ClaimMeasurement(value, value, value, unit, text)
