"""From the runs of all cells to the report on a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from leakhunt.amounts import Rate, Seconds
from leakhunt.analysis.matrix.explain import effects, explanation
from leakhunt.analysis.matrix.significance import joined, p_value, q_values
from leakhunt.analysis.report import assemble
from leakhunt.model.kinds import Kind
from leakhunt.model.matrix import (
    FALSE_DISCOVERY_RATE,
    ON_LOCAL,
    Cell,
    CellRecord,
    CellResult,
    MatrixPlan,
    MatrixReport,
)
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Run
from leakhunt.model.series import LIVE_HEAP, RSS, leak_series
from leakhunt.model.verdict import Status, Trend, Verdict
from leakhunt.text.message import Text, message

# Cells whose rates are no further apart grow alike: one of them is hunted.
ALIKE = 1.5
# More groups of leaking cells are not hunted.
MAX_HUNTED = 6


@dataclass(frozen=True, slots=True)
class CellEvidence:
    """What a cell left: `runs` are the measured one and those under instruments."""

    cell: Cell
    record: CellRecord
    runs: tuple[Run, ...] = ()
    run_file: str = ""


def matrix_report(  # noqa: PLR0913 - what was done, and how
    plan: MatrixPlan,
    evidence: Sequence[CellEvidence],
    generator: str,
    *,
    rate: float = FALSE_DISCOVERY_RATE,
    on: str = ON_LOCAL,
    jobs: int = 1,
    seconds: float = 0.0,
) -> MatrixReport:
    """The report on these cells; of those called a leak, the share `rate` may be false."""
    judged = [_judged(each, generator) for each in evidence]
    corrected = _with_suspects(_corrected(judged, rate))
    withdrawn = sum(
        each.status_alone is Status.LEAK and each.status is not Status.LEAK for each in corrected
    )
    return MatrixReport(
        plan=plan,
        results=tuple(corrected),
        effects=effects(plan.axes, corrected),
        explanation=explanation(plan.axes, corrected),
        false_discovery_rate=rate,
        generator=generator,
        on=on,
        jobs=jobs,
        seconds=seconds,
        title=_title(plan, judged),
        withdrawn=withdrawn,
    )


def to_hunt(results: Sequence[CellResult]) -> list[Cell]:
    """The cells that are worth a hunt: one of each group of leaking cells that grow alike."""
    chosen: list[CellResult] = []
    for each in results:
        if each.status_alone is Status.LEAK and not any(_alike(each, other) for other in chosen):
            chosen.append(each)
    return [each.cell for each in chosen[:MAX_HUNTED]]


def _title(plan: MatrixPlan, results: Sequence[CellResult]) -> str:
    """The scenario; where nothing was measured, the last part of what names it."""
    for each in results:
        if each.entry is not None:
            return each.entry.run.plan.scenario
    return plan.target.rstrip("/").rpartition("/")[2]


def _judged(evidence: CellEvidence, generator: str) -> CellResult:
    result = CellResult(evidence.cell, evidence.record, run_file=evidence.run_file)
    if not any(run.plan.is_measured and run.samples_done for run in evidence.runs):
        return result
    entry = next(iter(assemble(evidence.runs, generator).entries))
    verdict, run = entry.verdict, entry.run
    trend = leading(verdict)
    return replace(
        result,
        entry=entry,
        status=verdict.status,
        status_alone=verdict.status,
        kind=verdict.kind,
        sentence=verdict.sentence,
        series=trend.series if trend else "",
        unit=trend.unit if trend else None,
        rate=trend.rate if trend else None,
        rate_low=trend.rate_low if trend else None,
        rate_high=trend.rate_high if trend else None,
        p_value=p_value(run),
        seconds_per_call=entry.cost.median_seconds if entry.cost else None,
        peak_rss_bytes=max(run.samples[RSS], default=None) if RSS in run.samples else None,
        calls=run.calls_done,
        suspect=_first_suspect(entry),
    )


def leading(verdict: Verdict) -> Trend | None:
    """The series that shows best what a run does: one that leaks, else the live heap."""
    read = [verdict.trends[name] for name in leak_series() if name in verdict.trends]
    leaking = [trend for trend in read if trend.status is Status.LEAK]
    known = [trend for trend in read if trend.rate is not None]
    first = next(iter(leaking), None) or verdict.trends.get(LIVE_HEAP)
    return first if first is not None and first.rate is not None else next(iter(known), None)


def _first_suspect(entry: JudgedRun) -> Text:
    growing = entry.attribution.growing if entry.attribution is not None else ()
    return growing[0].title if growing else ""


def _corrected(results: Sequence[CellResult], rate: float) -> list[CellResult]:
    """The results with their q-values; a leak that does not pass is inconclusive."""
    of_cell: dict[tuple[tuple[str, str], ...], list[float]] = {}
    for each in results:
        if each.p_value is not None:
            of_cell.setdefault(_place(each), []).append(each.p_value)
    found = q_values([joined(each) for each in of_cell.values()])
    q_of: Mapping[tuple[tuple[str, str], ...], float] = dict(zip(of_cell, found, strict=True))
    return [_with_q(each, q_of.get(_place(each)), rate) for each in results]


def _place(result: CellResult) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(result.cell.values.items()))


def _with_q(result: CellResult, q_value: float | None, rate: float) -> CellResult:
    if result.p_value is None:  # counted exactly, or too short
        return result
    result = replace(result, q_value=q_value)
    if result.status is Status.LEAK and q_value is not None and q_value > rate:
        return replace(result, status=Status.INCONCLUSIVE, kind=Kind.INCONCLUSIVE)
    return result


def _alike(one: CellResult, other: CellResult) -> bool:
    """Whether two cells grow alike, of the same kind and at about the same rate."""
    if one.kind is not other.kind or one.series != other.series:
        return False
    low, high = sorted((one.rate or 0.0, other.rate or 0.0))
    return high <= low * ALIKE


def _with_suspects(results: Sequence[CellResult]) -> list[CellResult]:
    """Cells that were not hunted have the suspect of one that grows alike, and say of which."""
    hunted = [each for each in results if each.suspect and each.status is Status.LEAK]

    def suspected(result: CellResult) -> CellResult:
        if result.suspect or result.status is not Status.LEAK:
            return result
        other = next((each for each in hunted if _alike(result, each)), None)
        if other is None:
            return result
        return replace(result, suspect=other.suspect, suspect_of=other.cell.name)

    return [suspected(each) for each in results]


def seconds_each(results: Sequence[CellRecord]) -> float | None:
    """What a cell takes, in the median; None: none has been carried out."""
    taken = [each.seconds for each in results if each.seconds]
    return median(taken) if taken else None


def cell_sentence(result: CellResult) -> Text:
    """What a cell came to, in a few words: ``leak, 4.00 KiB/call (8.1 s)``."""
    seconds = Seconds(result.record.seconds)
    if result.status is None:
        reason = result.record.reason
        end = result.record.end
        if not reason:
            return message("matrix.told-end", "{end} ({seconds})", end=end, seconds=seconds)
        return message(
            "matrix.told-reason", "{end}: {reason} ({seconds})",
            end=end, reason=reason, seconds=seconds,
        )  # fmt: skip
    if result.status is Status.LEAK and result.rate is not None and result.unit is not None:
        return message(
            "matrix.told-leak", "{kind}, {rate} ({seconds})",
            kind=result.kind, rate=Rate(result.rate, result.unit), seconds=seconds,
        )  # fmt: skip
    return message("matrix.told", "{kind} ({seconds})", kind=result.kind, seconds=seconds)
