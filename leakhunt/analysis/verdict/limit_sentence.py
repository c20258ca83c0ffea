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


def kill_sentence(told: KillForecast, work: Work, kinds: Set[Kind], reason: Text = _UNEVEN) -> Text:
    """Whether and when; with the remedy, where it is retained memory of these `kinds` that kills.

    `reason` says why nothing can be said, where that is so.
    """
    remedies = [remedy for kind, remedy in _REMEDIES.items() if kind in kinds]
    return sentences([_when(told, work, reason), *remedies])


def _when(told: KillForecast, work: Work, reason: Text) -> Message:
    if told.limit_bytes is None:
        return message("kill.unknown_limit", "Unknown: {reason}", reason=reason)
    values: dict[str, Any] = {
        "limit": word(told.limit),
        "size": Amount(told.limit_bytes),
        "series": _TITLES.get(told.series) or short_title(told.series),
    }
    if told.outlook is Outlook.UNKNOWN or told.used_bytes is None:
        del values["series"]
        return message(
            "kill.unknown",
            "Unknown for {limit} ({size}): {reason}",
            reason=reason,
            **values,
        )
    values["used"] = Amount(told.used_bytes)
    told_of = {
        Outlook.KILLED: _killed,
        Outlook.EXCEEDED: _exceeded,
        Outlook.AT_PACE: _at_pace,
        Outlook.SLOWING: _slowing,
    }.get(told.outlook, _not_within)
    return told_of(told, work, values)


def _killed(told: KillForecast, work: Work, values: dict[str, Any]) -> Message:
    return message(
        "kill.killed",
        "Killed by {limit} ({size}) after {calls}: {series} was {used}",
        calls=Count(told.calls or 0, work),
        **values,
    )


def _exceeded(told: KillForecast, work: Work, values: dict[str, Any]) -> Message:
    return message(
        "kill.exceeded",
        "{limit} ({size}) is exceeded after {calls}: {series} ends at {used}",
        calls=Count(told.calls or 0, work),
        **values,
    )


def _at_pace(told: KillForecast, work: Work, values: dict[str, Any]) -> Message:
    said = message(
        "kill.at_pace",
        "{limit} ({size}) lasts {calls_ahead} at this pace",
        limit=values["limit"],
        size=values["size"],
        calls_ahead=_calls_ahead(told, work),
    )
    return _with_series(_with_time(said, told), values)


def _slowing(told: KillForecast, work: Work, values: dict[str, Any]) -> Message:
    if told.calls is None:
        return message(
            "kill.slowing_beyond",
            "{limit} ({size}) lasts more than {soonest}: {series} is at {used}, growth slows down",
            soonest=Count(told.calls_soonest or 0, work),
            **values,
        )
    said = message(
        "kill.slowing",
        "{limit} ({size}) lasts {calls_ahead}, growth slows down",
        limit=values["limit"],
        size=values["size"],
        calls_ahead=_calls_ahead(told, work),
    )
    return _with_series(_with_time(said, told), values)


def _not_within(told: KillForecast, work: Work, values: dict[str, Any]) -> Message:
    within = Count(told.calls_soonest or 0, work)
    if told.outlook is Outlook.LEVELLED:
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


def _with_series(said: Message, values: dict[str, Any]) -> Message:
    return message(
        "kill.with_series",
        "{said}; {series} is at {used}",
        said=said,
        series=values["series"],
        used=values["used"],
    )


def _with_time(said: Message, told: KillForecast) -> Message:
    if told.seconds is None:
        return said
    return message("kill.with_time", "{said}, {seconds}", said=said, seconds=Seconds(told.seconds))


def _calls_ahead(told: KillForecast, work: Work) -> Message:
    values = {"calls": Count(told.calls or 0, work), "soonest": told.calls_soonest}
    if told.calls_latest is None:
        return message("verdict.calls_ahead_open", "about {calls} ({soonest:,} to never)", **values)
    return message(
        "verdict.calls_ahead",
        "about {calls} ({soonest:,} to {latest:,})",
        latest=told.calls_latest,
        **values,
    )
