"""Numbers and times as other tools write them."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf, isfinite, isnan, nan

_SCALES = {
    "": 1, "b": 1, "byte": 1, "bytes": 1,
    "k": 1 << 10, "kib": 1 << 10, "kb": 1000,
    "m": 1 << 20, "mib": 1 << 20, "mb": 1000**2,
    "g": 1 << 30, "gib": 1 << 30, "gb": 1000**3,
}  # fmt: skip
_NOTHING = ("", "nan", "null", "none", "na", "n/a", "-", "inf", "-inf", "+inf")
# Unix times above these are in milliseconds, microseconds and nanoseconds: no memory was measured
# after the year 5000.
_LARGE = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))


def scale_of(unit: str) -> int | None:
    """Bytes in a unit such as ``MiB``; None: it is none."""
    return _SCALES.get(unit.strip().lower())


def number_in(text: str) -> float | None:
    """A number; NaN where it says that there is none, None where it is neither."""
    word = text.strip()
    if word.lower() in _NOTHING:
        return nan
    try:
        value = float(word)
    except ValueError:
        return None
    return value if isfinite(value) else nan


def size_in(text: str) -> float | None:
    """Bytes: a number, or one with a unit such as ``12.5 MiB``."""
    plain = number_in(text)
    if plain is not None:
        return plain
    word = text.strip()
    digits = len(word.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    scale, number = scale_of(word[digits:]), number_in(word[:digits])
    return None if scale is None or number is None else number * scale


def time_in(text: str) -> float | None:
    """Seconds: of a number (Unix time in s, ms, µs or ns, or since a start), or of ISO 8601."""
    number = number_in(text)
    if number is not None:
        return None if isnan(number) else in_seconds(number)
    try:
        when = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def in_seconds(number: float) -> float:
    """A time in seconds, whichever of the usual units it has."""
    for least, scale in _LARGE:
        if least <= number < inf:
            return number * scale
    return number
