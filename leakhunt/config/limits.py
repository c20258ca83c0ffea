"""Limits as people write them: a rate, a size, a share, seconds, a ratio or a count."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from math import isfinite

from leakhunt.amounts import parse_rate
from leakhunt.errors import UsageError
from leakhunt.model.claims import ClaimLimit
from leakhunt.model.series import SERIES, Unit


class Quantity(Enum):
    """What a measure comes to, and how a limit of it is written."""

    RATE = "50 MB/call"
    SIZE = "5 MB"
    SHARE = "70 %"
    RATIO = "1.3"
    SECONDS = "2 s"
    MILLISECONDS = "50 ms"
    COUNT = "10"
    WORD = "killed"


_SECONDS: Mapping[str, float] = {
    "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "days": 86_400,
}  # fmt: skip
_NUMBER = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<word>\D*)")


def parse_limit(written: object, quantity: Quantity, series: str) -> ClaimLimit | None:
    """The limit that `written`, a text or a number, says of a measure; None: it says none.

    Amounts of `series` come out in its unit, shares as parts of one, times in seconds or, for
    `Quantity.MILLISECONDS`, milliseconds. A minus sign may come first.
    """
    if isinstance(written, bool) or not isinstance(written, str | int | float):
        return None
    text = str(written).strip()
    sign = -1.0 if text.startswith("-") else 1.0
    amount = _amount(text.removeprefix("-").strip(), quantity, series)
    if amount is None or not isfinite(amount):
        return None
    return ClaimLimit(sign * amount, text)


def _amount(text: str, quantity: Quantity, series: str) -> float | None:
    if quantity in (Quantity.RATE, Quantity.SIZE):
        whole = text if quantity is Quantity.RATE else f"{text}/call"
        try:
            return parse_rate(whole, SERIES[series].unit if series in SERIES else Unit.BYTES)
        except UsageError:
            return None
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    number, word = float(match["number"]), match["word"].strip()
    if quantity is Quantity.SHARE:
        return _share(number, word)
    if quantity in (Quantity.SECONDS, Quantity.MILLISECONDS):
        scale = _SECONDS.get(word)
        thousand = 1000 if quantity is Quantity.MILLISECONDS else 1
        return None if scale is None else number * scale * thousand
    return None if word else number


def _share(number: float, word: str) -> float | None:
    """``70 %`` or 0.7; a bare number above 1 may be meant as either."""
    if word == "%":
        return number / 100
    return None if word or number > 1 else number
