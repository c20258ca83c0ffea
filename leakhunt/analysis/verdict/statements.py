"""What a verdict says of its series, of the time to a limit, and of how the run ended: messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from leakhunt.amounts import Amount, Count, Rate
from leakhunt.analysis.verdict.series import MIN_SAMPLES
from leakhunt.model.kinds import Kind
from leakhunt.model.plan import Work
from leakhunt.model.run import Ending, Run
from leakhunt.model.series import RSS, SERIES, Unit, short_title
from leakhunt.model.verdict import Trend
from leakhunt.text.message import Message, Text, joined, message

# What a verdict of a leak begins with: where it is.
LEADS = {
    Kind.PYTHON_LEAK: message("verdict.leak_in_python", "Leak (Python)"),
    Kind.NATIVE_LEAK: message("verdict.leak_in_native_code", "Leak (native code)"),
    Kind.CUDA_LEAK: message("verdict.leak_in_cuda", "Leak (CUDA)"),
    Kind.MAPPING_GROWTH: message(
        "verdict.leak_in_mappings", "Leak (mappings outside malloc and Python)"
    ),
    Kind.RESOURCE_GROWTH: message(
        "verdict.leak_of_resources", "Leak (file descriptors, threads or child processes)"
    ),
}

# A reason that begins with a verb, after series whose title is a plural; by the reason's id.
_PLURAL_REASONS = {
    "verdict.grows_but": message(
        "verdict.series_grow_but", "{series} grow by {rate}, but {why}; needs another {needed}"
    ),
    "verdict.left_every_time": message(
        "verdict.series_left_every_time",
        "{series} grow by {rate} after gc.collect(), at every interim check",
    ),
    "verdict.left_slows_down": message(
        "verdict.series_left_slow_down",
        "{series} grow by {rate} after gc.collect(), slowing down: warm-up or a filling cache",
    ),
    "verdict.left_in_bytes": message(
        "verdict.series_left_in_bytes", "{series} grow by {rate} after gc.collect()"
    ),
}


def growths(trends: Sequence[Trend], work: Work) -> Text:
    """How fast each grows."""
    return joined([growth(trend, work) for trend in trends], "; ", "")


def growth(trend: Trend, work: Work) -> Message:
    """``live heap grows by 4.00 KiB/call (3.98 to 4.02 KiB), linear``."""
    assert trend.rate is not None and trend.rate_low is not None and trend.rate_high is not None
    values = {
        "title": short_title(trend.series),
        "rate": Rate(trend.rate, trend.unit, work),
        "low": Amount(trend.rate_low, trend.unit),
        "high": Amount(trend.rate_high, trend.unit),
        "shape": trend.shape,
    }
    if trend.rate_in_bytes:
        return message(
            "verdict.grow_in_bytes",
            "{title} grow by {rate}, {in_bytes} ({low} to {high}), {shape}",
            in_bytes=Rate(trend.rate_in_bytes, Unit.BYTES, work),
            **values,
        )
    if _is_plural(trend):
        return message(
            "verdict.grow", "{title} grow by {rate} ({low} to {high}), {shape}", **values
        )
    return message("verdict.grows", "{title} grows by {rate} ({low} to {high}), {shape}", **values)


def reasons(trends: Sequence[Trend]) -> Text:
    """Each reason once, after the series it holds for; all series need no list."""
    by_reason: dict[Text, list[Trend]] = {}
    for trend in trends:
        by_reason.setdefault(trend.reason, []).append(trend)
    if len(by_reason) == 1 and len(trends) > 1:
        return trends[0].reason
    return joined([_about(group) for group in by_reason.values()], "; ", "")


def undecided(trends: Sequence[Trend]) -> Message:
    """Why these series are inconclusive."""
    if trends[0].samples < MIN_SAMPLES:
        return message(
            "verdict.too_short", "Inconclusive: too few samples ({reason})", reason=reasons(trends)
        )
    return message("verdict.inconclusive", "Inconclusive ({reason})", reason=reasons(trends))


def _about(trends: Sequence[Trend]) -> Message:
    """The reason that these series have in common, after their titles."""
    titles, reason = tuple(short_title(trend.series) for trend in trends), trends[0].reason
    if isinstance(reason, Message) and (len(trends) > 1 or _is_plural(trends[0])):
        whole = _PLURAL_REASONS.get(reason.id)
        if whole is not None:
            return replace(whole, values={"series": titles, **reason.values})
    return message("verdict.series_reason", "{series}: {reason}", series=titles, reason=reason)


def _is_plural(trend: Trend) -> bool:
    return trend.series in SERIES and SERIES[trend.series].is_plural


def bounds(trends: Sequence[Trend], work: Work) -> Text:
    """What each grows by at most."""
    return joined([bound(trend, work) for trend in trends], "; ", "")


def bound(trend: Trend, work: Work) -> Message:
    """``live heap: at most 12 B/call (detection limit 256 B/call, 95 % power)``.

    The reason instead, where it is clean for another one than its bound: blocks are, by their
    bytes.
    """
    title = short_title(trend.series)
    if trend.upper_bound is None or trend.upper_bound > trend.tolerance:
        return _about([trend])
    most = Rate(trend.upper_bound, trend.unit, work)
    if trend.detection_limit is None:
        return message(
            "verdict.bound", "{title}: at most {upper_bound}", title=title, upper_bound=most
        )
    return message(
        "verdict.bound_with_power",
        "{title}: at most {upper_bound} (detection limit {detection_limit}, 95 % power)",
        title=title,
        upper_bound=most,
        detection_limit=Rate(trend.detection_limit, trend.unit, work),
    )


def ending(run: Run) -> Iterator[Message]:
    """How the run ended, and what RSS came to by then; nothing if it ended by itself."""
    outcome = run.outcome
    if outcome.ending is Ending.OK:
        return
    yield message(
        "verdict.ended_early",
        "Ended early ({ending}): {reason}",
        ending=outcome.ending,
        reason=outcome.reason,
    )
    if rss := run.samples.get(RSS):
        yield message(
            "verdict.rss_until_then",
            "RSS went from {first} to {last} in {calls}",
            calls=Count(run.calls_done, run.plan.work),
            first=Amount(rss[0]),
            last=Amount(rss[-1]),
        )
