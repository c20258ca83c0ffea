"""The one place that says whether a process is killed, and what helps: messages."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from leakhunt.amounts import Amount, Count, Seconds
from leakhunt.model.kinds import Kind
from leakhunt.model.plan import Work
from leakhunt.model.series import short_title
from leakhunt.model.verdict import KillForecast, Outlook
from leakhunt.text.message import Message, Text, message, sentences, word

# What a killer counts and no series of the samples is.
_TITLES = {
    "address_space": message("kill.address_space", "address space"),
    "cuda_device_used": message("kill.gpu_memory", "GPU memory"),
}
_UNEVEN = message("kill.uneven", "growth is too uneven")
_REMEDIES = {
    Kind.ALLOCATOR_RETENTION: message(
        "kill.remedy_malloc",
        "Freed memory fills it: call malloc_trim(0), set MALLOC_ARENA_MAX=2, preload jemalloc, or"
        " use few input shapes",
    ),
    Kind.CUDA_RETENTION: message(
        "kill.remedy_cuda",
        "Cached CUDA blocks fill it: set PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True, call"
        " torch.cuda.empty_cache(), or use few input shapes",
    ),
}


def kill_sentence(
    forecast: KillForecast, work: Work, kinds: Set[Kind], reason: Text = _UNEVEN
) -> Text:
    """Whether and when; with the remedy, where it is retained memory of these `kinds` that kills.

    `reason` says why nothing can be said, where that is so.
    """
    remedies = [remedy for kind, remedy in _REMEDIES.items() if kind in kinds]
    return sentences([_when(forecast, work, reason), *remedies])


def _when(forecast: KillForecast, work: Work, reason: Text) -> Message:
    if forecast.limit_bytes is None:
        return message("kill.unknown_limit", "Unknown: {reason}", reason=reason)
    values: dict[str, Any] = {
        "limit": word(forecast.limit),
        "size": Amount(forecast.limit_bytes),
        "series": _TITLES.get(forecast.series) or short_title(forecast.series),
    }
    if forecast.outlook is Outlook.UNKNOWN or forecast.used_bytes is None:
        del values["series"]
        return message(
            "kill.unknown",
            "Unknown for {limit} ({size}): {reason}",
            reason=reason,
            **values,
        )
    values["used"] = Amount(forecast.used_bytes)
    describe = {
        Outlook.KILLED: _killed,
        Outlook.EXCEEDED: _exceeded,
        Outlook.AT_PACE: _at_pace,
        Outlook.SLOWING: _slowing,
    }.get(forecast.outlook, _not_within)
    return describe(forecast, work, values)


def _killed(forecast: KillForecast, work: Work, values: dict[str, Any]) -> Message:
    return message(
        "kill.killed",
        "Killed by {limit} ({size}) after {calls}: {series} was {used}",
        calls=Count(forecast.calls or 0, work),
        **values,
    )


def _exceeded(forecast: KillForecast, work: Work, values: dict[str, Any]) -> Message:
    return message(
        "kill.exceeded",
        "{limit} ({size}) is exceeded after {calls}: {series} ends at {used}",
        calls=Count(forecast.calls or 0, work),
        **values,
    )


def _at_pace(forecast: KillForecast, work: Work, values: dict[str, Any]) -> Message:
    sentence = message(
        "kill.at_pace",
        "{limit} ({size}) lasts {calls_ahead} at this pace",
        limit=values["limit"],
        size=values["size"],
        calls_ahead=_calls_ahead(forecast, work),
    )
    return _with_series(_with_time(sentence, forecast, work), values)


def _slowing(forecast: KillForecast, work: Work, values: dict[str, Any]) -> Message:
    if forecast.calls is None:
        return message(
            "kill.slowing_beyond",
            "{limit} ({size}) lasts more than {soonest}: {series} is at {used}, growth slows down",
            soonest=Count(forecast.calls_soonest or 0, work),
            **values,
        )
    sentence = message(
        "kill.slowing",
        "{limit} ({size}) lasts {calls_ahead}, growth slows down",
        limit=values["limit"],
        size=values["size"],
        calls_ahead=_calls_ahead(forecast, work),
    )
    return _with_series(_with_time(sentence, forecast, work), values)


def _not_within(forecast: KillForecast, work: Work, values: dict[str, Any]) -> Message:
    within = Count(forecast.calls_soonest or 0, work)
    if forecast.outlook is Outlook.LEVELLED:
        return message(
            "kill.levelled",
            "{limit} ({size}) is not reached within {within}: {series} levelled off at {used}",
            within=within,
            **values,
        )
    return message(
        "kill.not_within",
        "{limit} ({size}) is not reached within {within}: {series} is at {used}",
        within=within,
        **values,
    )


def _with_series(sentence: Message, values: dict[str, Any]) -> Message:
    return message(
        "kill.with_series",
        "{said}; {series} is at {used}",
        said=sentence,
        series=values["series"],
        used=values["used"],
    )


def _with_time(sentence: Message, forecast: KillForecast, work: Work) -> Message:
    if forecast.seconds is None or work is Work.SECOND:
        return sentence
    return message(
        "kill.with_time", "{said}, {seconds}", said=sentence, seconds=Seconds(forecast.seconds)
    )


def _calls_ahead(forecast: KillForecast, work: Work) -> Message:
    values: dict[str, Any] = {"calls": Count(forecast.calls or 0, work)}
    if work is Work.SECOND:
        return _time_ahead(forecast, values)
    values["soonest"] = forecast.calls_soonest
    if forecast.calls_latest is None:
        return message("verdict.calls_ahead_open", "about {calls} ({soonest:,} to never)", **values)
    return message(
        "verdict.calls_ahead",
        "about {calls} ({soonest:,} to {latest:,})",
        latest=forecast.calls_latest,
        **values,
    )


def _time_ahead(forecast: KillForecast, values: dict[str, Any]) -> Message:
    values["soonest"] = Count(forecast.calls_soonest or 0, Work.SECOND)
    if forecast.calls_latest is None:
        return message("verdict.time_ahead_open", "about {calls} ({soonest} to never)", **values)
    return message(
        "verdict.time_ahead",
        "about {calls} ({soonest} to {latest})",
        latest=Count(forecast.calls_latest, Work.SECOND),
        **values,
    )
