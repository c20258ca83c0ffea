"""Checks of what any door may be given: numbers above their least value, and seconds."""

from __future__ import annotations

from math import isfinite

from leakhunt.amounts import parse_duration
from leakhunt.errors import UsageError
from leakhunt.model.options import MINIMUMS
from leakhunt.text.message import message


def refuse_too_small(**values: object) -> None:
    """Check numbers by `MINIMUMS`; what is no number, such as None or a size as text, passes.

    Raises:
        UsageError: one is smaller.
    """
    for name, value in values.items():
        if isinstance(value, int | float) and value < MINIMUMS[name]:
            raise UsageError(
                message(
                    "argument.too-small",
                    "{name}={value}: expected {least} or more",
                    name=name,
                    value=value,
                    least=MINIMUMS[name],
                )
            )


def refuse_wrong_timeout(timeout: float) -> None:
    """Check a time in seconds.

    Raises:
        UsageError: it is not above 0, or has no end.
    """
    if not isfinite(timeout) or timeout <= 0:
        raise UsageError(
            message(
                "argument.timeout",
                "--timeout {timeout}: expected a number of seconds",
                timeout=timeout,
            )
        )


def positive_seconds(given: float | str) -> float:
    """A time in seconds, from a number or a text like ``90s``.

    Raises:
        UsageError: it is not above 0, or has no end.
    """
    seconds = parse_duration(given) if isinstance(given, str) else float(given)
    if not 0 < seconds < float("inf"):
        raise UsageError(
            message("argument.above-nothing", "{given}: times must be above 0", given=given)
        )
    return seconds
