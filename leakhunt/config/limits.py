"""Limits as people write them: a rate, a size, a share, seconds, a ratio or a count."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite

from leakhunt.amounts import parse_rate
from leakhunt.errors import UsageError
from leakhunt.model.claims import ClaimLimit, LimitKind
from leakhunt.model.series import SERIES, Unit

_SECONDS: Mapping[str, float] = {
    "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "days": 86_400,
}  # fmt: skip
_NUMBER = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<word>\D*)")


def parse_limit(written: object, kind: LimitKind, series: str) -> ClaimLimit | None:
    """The limit that `written`, a text or a number, says of a measure; None: it says none.

    Amounts of `series` come out in its unit, shares as parts of one, times in seconds or, for
    `LimitKind.MILLISECONDS`, milliseconds. A minus sign may come first.
    """
    if isinstance(written, bool) or not isinstance(written, str | int | float):
        return None
    text = str(written).strip()
    sign = -1.0 if text.startswith("-") else 1.0
    amount = _amount(text.removeprefix("-").strip(), kind, series)
    if amount is None or not isfinite(amount):
        return None
    return ClaimLimit(sign * amount, text)


def _amount(text: str, kind: LimitKind, series: str) -> float | None:
    if kind in (LimitKind.RATE, LimitKind.SIZE):
        whole = text if kind is LimitKind.RATE else f"{text}/call"
        try:
            return parse_rate(whole, SERIES[series].unit if series in SERIES else Unit.BYTES)
        except UsageError:
            return None
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    number, word = float(match["number"]), match["word"].strip()
    if kind is LimitKind.SHARE:
        return _share(number, word)
    if kind in (LimitKind.SECONDS, LimitKind.MILLISECONDS):
        scale = _SECONDS.get(word)
        thousand = 1000 if kind is LimitKind.MILLISECONDS else 1
        return None if scale is None else number * scale * thousand
    return None if word else number


def _share(number: float, word: str) -> float | None:
    """``70 %`` or 0.7; a bare number above 1 may be meant as either."""
    if word == "%":
        return number / 100
    return None if word or number > 1 else number
