"""Bytes, seconds and rates, read from people and written for people."""

from __future__ import annotations

import re

from leakhunt.errors import UsageError
from leakhunt.language import mark, tr
from leakhunt.model import Unit

_BINARY = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
_DECIMAL = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SCALES = _BINARY | _DECIMAL
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<scale>[A-Za-z]*)")
# What the kernel's interfaces take: a signed 64-bit number.
_MOST_BYTES = 2**63
_EXAMPLES = {
    Unit.BYTES: "4 KiB/call",
    Unit.BLOCKS: "0.5 blocks/call",
    Unit.COUNT: "0.1/call",
    Unit.NANOSECONDS: "9/call",
}
_SYMBOLS = {Unit.BLOCKS: mark("blocks"), Unit.COUNT: "", Unit.BYTES: "B", Unit.NANOSECONDS: "ns"}


def parse_size(text: str) -> int:
    """Bytes from ``512``, ``4 KiB``, ``1.5GiB`` (powers of 1024) or ``4 MB`` (powers of 1000).

    Raises:
        UsageError: the text is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    scale = _SCALES.get(match["scale"].upper()) if match else None
    size = float(match["number"]) * scale if match and scale else 0.0
    if not 1 <= size < _MOST_BYTES:
        raise UsageError(tr("{text!r} is no size; write it like '512 MiB' or '1.5 GB'", text=text))
    return round(size)


def parse_rate(text: str, unit: Unit) -> float:
    """Units per call for a series of `unit`: ``4 KiB/call``, ``256/call``, ``0.5 blocks/call``.

    Raises:
        UsageError: the text is no rate per call, or one in another unit.
    """
    amount, slash, per = text.partition("/")
    match = _SIZE.fullmatch(amount.strip())
    if match is None or not slash or per.strip() != "call":
        raise UsageError(
            tr(
                "{text!r} is no growth per call; write it like {examples!r}",
                text=text,
                examples=_EXAMPLES[unit],
            )
        )
    word = match["scale"]
    if unit is Unit.BYTES:
        scale = _SCALES.get(word.upper())
    else:
        scale = 1 if word in ("", "count", str(unit)) else None
    if scale is None:
        raise UsageError(
            tr(
                "{text!r} is no growth per call of a series in {unit}; write it like {examples!r}",
                text=text,
                unit=unit,
                examples=_EXAMPLES[unit],
            )
        )
    return float(match["number"]) * scale


def format_bytes(size: float) -> str:
    """``0 B``, ``-312 B``, ``64.1 KiB``, ``1.25 GiB``: three digits or a little more."""
    magnitude = abs(size)
    for power, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if magnitude >= power:
            scaled = size / power
            return f"{scaled:.{1 if abs(scaled) >= 10 else 2}f} {name}"
    if magnitude and magnitude < 10 and size != round(size):
        return f"{size:.1f} B"
    return f"{size:.0f} B" if round(size) else "0 B"


def format_seconds(seconds: float) -> str:
    """``3.2 µs``, ``18.4 ms``, ``1.25 s``, ``2 min 5 s``, ``3 h 20 min``, ``12 days``."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return tr("{minutes} min {rest} s", minutes=minutes, rest=rest)
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return tr("{hours} h {minutes} min", hours=hours, minutes=minutes)
    return tr("{days:,} days", days=hours // 24)


def format_amount(amount: float, unit: Unit) -> str:
    """A number of a series with its unit, for people."""
    if unit is Unit.BYTES:
        return format_bytes(amount)
    if unit is Unit.NANOSECONDS:
        sign = "-" if amount < 0 else ""
        return sign + format_seconds(abs(amount) / 1e9)
    return f"{amount:.3g} {tr(_SYMBOLS[unit])}".strip()


def format_rate(rate: float, unit: Unit) -> str:
    """`format_amount` per call: ``64.1 KiB/call``."""
    return tr("{rate}/call", rate=format_amount(rate, unit))
