"""The table of a suite, as lines of a terminal: what leaks first, then what is not known."""

from __future__ import annotations

from collections.abc import Iterator

from leakhunt.amounts import format_amount, format_interval, format_rate, format_seconds
from leakhunt.model.series import short_title
from leakhunt.model.suite import Suite, SuiteStatus, SuiteTest
from leakhunt.text.language import mark, ntr, tr

_HEADINGS = {
    SuiteStatus.INCONCLUSIVE: mark("Inconclusive"),
    SuiteStatus.BELOW_TOLERANCE: mark("Below the tolerance"),
    SuiteStatus.NOT_REPEATED: mark("Not repeated"),
}


def title(suite: Suite) -> str:
    """How many tests leak, in one line."""
    return tr(
        "leakhunt: {leaking:d} of {tests:d} tests leak",
        leaking=len(suite.having(SuiteStatus.LEAK)),
        tests=len(suite.tests),
    )


def lines(suite: Suite) -> Iterator[str]:
    """The tests that leak, those that are open, and how many do not leak."""
    for each in suite.having(SuiteStatus.LEAK):
        yield tr("Leak  {test}", test=each.test)
        yield f"      {growth(each)}"
        yield f"      {retained_by(each)}"
    for status, heading in _HEADINGS.items():
        tests = suite.having(status)
        if tests:
            yield tr("{heading} ({count:d})", heading=tr(heading), count=len(tests))
        for each in tests:
            reason = growth(each) if each.rate is not None else each.reason
            yield tr("  {test}: {reason}", test=each.test, reason=reason)
    yield _clean(suite)


def growth(test: SuiteTest) -> str:
    """``live heap 1.02 [1.01, 1.03] KiB/call, 507 repeats``."""
    if test.unit is None or test.rate is None or test.rate_low is None or test.rate_high is None:
        return str(test.reason)
    low, high = (format_amount(bound, test.unit) for bound in (test.rate_low, test.rate_high))
    return tr(
        "{series} {rate} in {repeats:,} repeats",
        series=short_title(test.series),
        rate=format_interval(format_rate(test.rate, test.unit), low, high),
        repeats=test.repeats,
    )


def retained_by(test: SuiteTest) -> str:
    """Who retains it, with the line."""
    if not test.suspect:
        return tr("no suspect found")
    if test.line is None or f"{test.file}:{test.line}" in str(test.suspect):
        return tr("suspect: {title}", title=test.suspect)
    return tr(
        "suspect: {title} ({file}:{line:d})", title=test.suspect, file=test.file, line=test.line
    )


def _clean(suite: Suite) -> str:
    tests = suite.having(SuiteStatus.NO_LEAK)
    limits = [each.detection_limit for each in tests if each.detection_limit is not None]
    seconds = format_seconds(sum(each.seconds for each in suite.tests))
    if not limits:
        return ntr(
            "No leak: {n} test. Measured in {seconds}",
            "No leak: {n} tests. Measured in {seconds}",
            len(tests),
            seconds=seconds,
        )
    return ntr(
        "No leak: {n} test (detection limit at most {limit:,.0f} B/call, 95 % power)."
        " Measured in {seconds}",
        "No leak: {n} tests (detection limit at most {limit:,.0f} B/call, 95 % power)."
        " Measured in {seconds}",
        len(tests),
        limit=max(limits),
        seconds=seconds,
    )
