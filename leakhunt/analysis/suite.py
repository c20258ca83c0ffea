"""What a run of a repeated test comes to. Pure."""

from __future__ import annotations

from dataclasses import replace

from leakhunt.amounts import Seconds
from leakhunt.analysis.verdict.effort import FIRST_SAMPLES, elapsed_seconds
from leakhunt.analysis.verdict.schedule import EARLIEST_CLEAN
from leakhunt.model.report import JudgedRun
from leakhunt.model.series import LIVE_HEAP
from leakhunt.model.suite import SuiteStatus, SuiteTest
from leakhunt.model.verdict import Status
from leakhunt.text.message import Text, message

_STATUSES = {
    Status.LEAK: SuiteStatus.LEAK,
    Status.NO_LEAK: SuiteStatus.NO_LEAK,
    Status.INCONCLUSIVE: SuiteStatus.INCONCLUSIVE,
}
# A test without growth needs so many repeats, at the least.
FEWEST_REPEATS = FIRST_SAMPLES + EARLIEST_CLEAN


def suite_test(entry: JudgedRun, seconds: float) -> SuiteTest:
    """What a test comes to that was repeated, and looked into for `seconds` altogether."""
    run, verdict = entry.run, entry.verdict
    status = _STATUSES[verdict.status]
    reason: Text = verdict.sentence
    if status is SuiteStatus.INCONCLUSIVE and (slow := _slow(entry)) is not None:
        status, reason = SuiteStatus.NOT_REPEATED, slow
    live = verdict.trends.get(LIVE_HEAP)
    made = SuiteTest(
        run.plan.test,
        status,
        reason,
        run.calls_done,
        seconds,
        detection_limit=live.detection_limit if live is not None else None,
        run_file=run.file,
    )
    return _with_growth(made, entry) if status is SuiteStatus.LEAK else made


def not_repeated(test: str, reason: Text, repeats: int, seconds: float) -> SuiteTest:
    """A test that could not be repeated for long enough."""
    return SuiteTest(test, SuiteStatus.NOT_REPEATED, reason, repeats, seconds)


def _with_growth(made: SuiteTest, entry: JudgedRun) -> SuiteTest:
    leaking = [each for each in entry.verdict.trends.values() if each.status is Status.LEAK]
    leaking.sort(key=lambda trend: trend.series != LIVE_HEAP)  # bytes say more than blocks
    if leaking:
        trend = leaking[0]
        made = replace(
            made,
            series=trend.series,
            unit=trend.unit,
            rate=trend.rate,
            rate_low=trend.rate_low,
            rate_high=trend.rate_high,
        )
    suspects = entry.attribution.suspects if entry.attribution is not None else ()
    if not suspects:
        return made
    frame = suspects[0].where or next(iter(suspects[0].stack), None)
    if frame is None:
        return replace(made, suspect=suspects[0].title)
    return replace(made, suspect=suspects[0].title, file=frame.file, line=frame.line)


def _slow(entry: JudgedRun) -> Text | None:
    """That a test is too slow for its time; None: it is not."""
    run, taken = entry.run, elapsed_seconds(entry.run)
    if run.calls_done >= FEWEST_REPEATS or not taken or not run.calls_done:
        return None
    each = taken / run.calls_done
    return message(
        "suite.slow",
        "slower than the budget: {each} per repeat; {needed:d} repeats need {budget}",
        each=Seconds(each),
        needed=FEWEST_REPEATS,
        budget=Seconds(each * FEWEST_REPEATS),
    )
