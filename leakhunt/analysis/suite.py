"""What a run of a repeated test comes to. Pure."""

from __future__ import annotations

from dataclasses import replace

from leakhunt.amounts import Seconds
from leakhunt.analysis.verdict.effort import FIRST_SAMPLES, elapsed_seconds
from leakhunt.analysis.verdict.schedule import EARLIEST_CLEAN
from leakhunt.model.attribution import Suspect
from leakhunt.model.report import JudgedRun
from leakhunt.model.series import LIVE_HEAP, PYTHON_BLOCKS
from leakhunt.model.suite import SuiteStatus, SuiteTest
from leakhunt.model.verdict import Status, Trend, Verdict
from leakhunt.text.message import Text, mentions, message

_STATUSES = {
    Status.LEAK: SuiteStatus.LEAK,
    Status.NO_LEAK: SuiteStatus.NO_LEAK,
    Status.INCONCLUSIVE: SuiteStatus.INCONCLUSIVE,
}
# Fewer Python blocks per repeat, in any stretch of the run, are no growth of each repeat.
_MIN_BLOCKS = 0.5
_BELOW = SuiteStatus.BELOW_TOLERANCE
# Where pytest's own code is.
_PYTEST = ("_pytest/", "pluggy/")
# A test without growth needs so many repeats, at the least.
MIN_REPEATS = FIRST_SAMPLES + EARLIEST_CLEAN


def suite_test(entry: JudgedRun, seconds: float) -> SuiteTest:
    """What a test comes to that was repeated, and looked into for `seconds` altogether."""
    run, verdict = entry.run, entry.verdict
    status = _STATUSES[verdict.status]
    reason: Text = verdict.sentence
    if status is SuiteStatus.INCONCLUSIVE and (slow := _slow(entry)) is not None:
        status, reason = SuiteStatus.NOT_REPEATED, slow
    if status is SuiteStatus.NO_LEAK and _left_blocks(verdict) is not None:
        status = SuiteStatus.BELOW_TOLERANCE
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
    if status is SuiteStatus.LEAK:
        return _with_suspect(_with_growth(made, _leaking(verdict)), entry)
    return _with_growth(made, _left_blocks(verdict)) if made.status is _BELOW else made


def not_repeated(test: str, reason: Text, repeats: int, seconds: float) -> SuiteTest:
    """A test that could not be repeated for long enough."""
    return SuiteTest(test, SuiteStatus.NOT_REPEATED, reason, repeats, seconds)


def _left_blocks(verdict: Verdict) -> Trend | None:
    """Python blocks that collections leave of each repeat, below the tolerance in bytes."""
    trend = verdict.trends.get(PYTHON_BLOCKS)
    if trend is None or not mentions(trend.reason, "verdict.left_in_bytes"):
        return None
    return trend if (trend.rate_low or 0.0) >= _MIN_BLOCKS else None


def _leaking(verdict: Verdict) -> Trend | None:
    leaking = [each for each in verdict.trends.values() if each.status is Status.LEAK]
    leaking.sort(key=lambda trend: trend.series != LIVE_HEAP)  # bytes say more than blocks
    return next(iter(leaking), None)


def _with_growth(made: SuiteTest, trend: Trend | None) -> SuiteTest:
    if trend is None:
        return made
    return replace(
        made,
        series=trend.series,
        unit=trend.unit,
        rate=trend.rate,
        rate_low=trend.rate_low,
        rate_high=trend.rate_high,
    )


def _with_suspect(made: SuiteTest, entry: JudgedRun) -> SuiteTest:
    suspects = entry.attribution.suspects if entry.attribution is not None else ()
    if not suspects:
        return made
    first = next((each for each in suspects if not _is_pytest_own(each)), suspects[0])
    frame = first.where or next(iter(first.stack), None)
    if frame is None:
        return replace(made, suspect=first.title)
    return replace(made, suspect=first.title, file=frame.file, line=frame.line)


def _is_pytest_own(suspect: Suspect) -> bool:
    """Whether it stands in what runs the test: what a leak retains may have been made there."""
    place = suspect.where or suspect.holder
    return place is not None and place.file.startswith(_PYTEST)


def _slow(entry: JudgedRun) -> Text | None:
    """That a test is too slow for its time; None: it is not."""
    run, taken = entry.run, elapsed_seconds(entry.run)
    if run.calls_done >= MIN_REPEATS or not taken or not run.calls_done:
        return None
    each = taken / run.calls_done
    return message(
        "suite.slow",
        "slower than the budget: {each} per repeat; {needed:d} repeats need {budget}",
        each=Seconds(each),
        needed=MIN_REPEATS,
        budget=Seconds(each * MIN_REPEATS),
    )
