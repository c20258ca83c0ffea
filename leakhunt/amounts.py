"""Bytes, seconds and rates, read from people and written for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leakhunt.errors import UsageError
from leakhunt.model.plan import Work
from leakhunt.model.series import Unit
from leakhunt.text.interval import lower_bound
from leakhunt.text.language import mark, ntr, tr
from leakhunt.text.message import message
from leakhunt.text.number import three_digits

_BINARY = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
_DECIMAL = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SCALES = _BINARY | _DECIMAL
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<scale>[A-Za-z]*)")
# What the kernel's interfaces take: a signed 64-bit number.
_MAX_BYTES = 2**63
_EXAMPLES = {
    Unit.BYTES: "4 KiB/call",
    Unit.BLOCKS: "0.5 blocks/call",
    Unit.COUNT: "0.1/call",
    Unit.NANOSECONDS: "9/call",
}
_SYMBOLS = {Unit.BLOCKS: mark("blocks"), Unit.COUNT: "", Unit.BYTES: "B", Unit.NANOSECONDS: "ns"}
# What exactly one of a unit is called, where that is another word.
_SINGULAR = {Unit.BLOCKS: mark("block")}


def parse_size(text: str) -> int:
    """Bytes from ``512``, ``4 KiB``, ``1.5GiB`` (powers of 1024) or ``4 MB`` (powers of 1000).

    Raises:
        UsageError: the text is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    scale = _SCALES.get(match["scale"].upper()) if match else None
    size = float(match["number"]) * scale if match and scale else 0.0
    if not 1 <= size < _MAX_BYTES:
        raise UsageError(
            message(
                "amount.invalid-size",
                "invalid size {text!r}; examples: '512 MiB', '1.5 GB'",
                text=text,
            )
        )
    return round(size)


_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>s|m|min|h|d|)")
_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_LONGEST_SECONDS = 366 * 86400


def parse_duration(text: str) -> float:
    """Seconds from ``90``, ``90s``, ``10m``, ``1.5h`` or ``3d``.

    Raises:
        UsageError: the text is no duration, or one above a year.
    """
    match = _DURATION.fullmatch(text.strip())
    seconds = float(match["number"]) * _SECONDS[match["unit"]] if match else 0.0
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise UsageError(
            message(
                "amount.invalid-duration",
                "invalid duration {text!r}; examples: '90s', '10m', '72h'",
                text=text,
            )
        )
    return seconds


def parse_rate(text: str, unit: Unit) -> float:
    """Units per call for a series of `unit`: ``4 KiB/call``, ``256/call``, ``0.5 blocks/call``.

    A request is the call of a soak: ``4 KiB/request``.

    Raises:
        UsageError: the text is no rate per call, or one in another unit.
    """
    amount, slash, per = text.partition("/")
    if not _SIZE.fullmatch(amount.strip()) or not slash or per.strip() not in list(Work):
        raise UsageError(
            message(
                "amount.invalid-rate",
                "invalid growth rate {text!r}; example: {examples!r}",
                text=text,
                examples=_EXAMPLES[unit],
            )
        )
    rate = amount_in(unit, amount)
    if rate is None:
        raise UsageError(
            message(
                "amount.invalid-rate-in-unit",
                "invalid growth rate {text!r} for a series in {unit}; example: {examples!r}",
                text=text,
                unit=unit,
                examples=_EXAMPLES[unit],
            )
        )
    return rate


def amount_in(unit: Unit, text: str) -> float | None:
    """The amount that `text` says of a series in `unit`: ``4 KiB``, ``2``, ``0.5 blocks``.

    None: it is no amount, or one in another unit.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        return None
    word = match["scale"]
    if unit is Unit.BYTES:
        scale = _SCALES.get(word.upper())
    else:
        scale = 1 if word in ("", "count", str(unit), _SINGULAR.get(unit)) else None
    return None if scale is None else float(match["number"]) * scale


_CALL_TIME = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>s|ms|[uµμ]s|ns)")
# Micro has two signs, which look the same.
_CALL_SECONDS = {"s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}


def seconds_in(text: str) -> float | None:
    """The seconds of a call that ``1.5 s``, ``50 ms``, ``3 µs`` (or ``us``) or ``80 ns`` say.

    None: it is no such time.
    """
    match = _CALL_TIME.fullmatch(text.strip())
    return float(match["number"]) * _CALL_SECONDS[match["unit"]] if match else None


def format_bytes(size: float) -> str:
    """``0 B``, ``-312 B``, ``64.1 KiB``, ``1.25 GiB``: three digits or a little more."""
    magnitude = abs(size)
    for power, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if magnitude >= power:
            scaled = size / power
            return f"{scaled:.{1 if abs(scaled) >= 10 else 2}f} {name}"
    if magnitude and magnitude < 10 and size != round(size):
        return f"{round(size, 1) + 0.0:.1f} B"  # what rounds to nothing has no sign
    return f"{size:.0f} B" if round(size) else "0 B"


def format_seconds(seconds: float) -> str:  # noqa: PLR0911 - a unit each
    """``3.2 µs``, ``18.4 ms``, ``1.25 s``, ``2 min 5 s``, ``3 h 20 min``, ``4.5 days``."""
    if seconds < 1e-3:
        return f"{three_digits(seconds * 1e6)} µs"
    if seconds < 1:
        return f"{three_digits(seconds * 1e3)} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return tr("{minutes} min {rest} s", minutes=minutes, rest=rest)
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return tr("{hours} h {minutes} min", hours=hours, minutes=minutes)
    days = hours / 24
    if days < 10:
        return tr("{days:.1f} days", days=days)
    return tr("{days:,.0f} days", days=days)


def format_amount(amount: float, unit: Unit) -> str:
    """A number of a series with its unit, for people."""
    if unit is Unit.BYTES:
        return format_bytes(amount)
    if unit is Unit.NANOSECONDS:
        sign = "-" if amount < 0 else ""
        return sign + format_seconds(abs(amount) / 1e9)
    number = three_digits(amount)
    symbol = _SINGULAR.get(unit, _SYMBOLS[unit]) if number in ("1", "-1") else _SYMBOLS[unit]
    return f"{number} {tr(symbol)}".strip()


_PER = {
    Work.CALL: mark("{rate}/call"),
    Work.REQUEST: mark("{rate}/request"),
    Work.SECOND: mark("{rate}/s"),
}


def format_rate(rate: float, unit: Unit, work: Work = Work.CALL) -> str:
    """`format_amount` per call or request: ``64.1 KiB/call``."""
    return tr(_PER[work], rate=format_amount(rate, unit))


def format_interval(estimate: str, low: str, high: str) -> str:
    """``4.01 [4.00, 4.02] KiB/call``: three figures in one unit; else each has its own.

    The estimate may be a rate, its bounds are amounts: ``4.01 KiB/call``, ``4.00 KiB``.
    """
    number, _, rate_unit = estimate.partition(" ")
    (high_number, _, unit), low_number = high.partition(" "), lower_bound(low, high)
    if low_number != low and re.match(rf"{re.escape(unit)}(?!\w)", rate_unit):
        return f"{number} [{low_number}, {high_number}] {rate_unit}"
    return f"{estimate} [{low}, {high}]"


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of a series as a value of a message: ``64.1 KiB``, ``12 blocks``."""

    value: float
    unit: Unit = Unit.BYTES

    def __str__(self) -> str:
        return format_amount(self.value, self.unit)

    def to_json(self) -> Any:
        """``{"value": 65638.4, "unit": "bytes"}``."""
        return {"value": self.value, "unit": self.unit.value}


@dataclass(frozen=True, slots=True)
class Rate:
    """Growth per call or request as a value of a message: ``64.1 KiB/call``."""

    value: float
    unit: Unit = Unit.BYTES
    work: Work = Work.CALL

    def __str__(self) -> str:
        return format_rate(self.value, self.unit, self.work)

    def to_json(self) -> Any:
        """``{"value": 65638.4, "unit": "bytes", "per": "call"}``."""
        return {"value": self.value, "unit": self.unit.value, "per": self.work.value}


@dataclass(frozen=True, slots=True)
class Seconds:
    """A time as a value of a message: ``18.4 ms``, ``6 h 28 min``."""

    value: float

    def __str__(self) -> str:
        return format_seconds(self.value)

    def to_json(self) -> Any:
        """``{"value": 0.0184, "unit": "s"}``."""
        return {"value": self.value, "unit": "s"}


@dataclass(frozen=True, slots=True)
class Count:
    """So many calls or requests as a value of a message: ``1 call``, ``389,430 requests``."""

    value: float
    work: Work = Work.CALL

    def __str__(self) -> str:
        number = f"{self.value:,.0f}"
        if self.work is Work.SECOND:
            return format_seconds(self.value)
        if self.work is Work.REQUEST:
            return ntr("{number} request", "{number} requests", round(self.value), number=number)
        return ntr("{number} call", "{number} calls", round(self.value), number=number)

    def to_json(self) -> Any:
        """``{"value": 389430, "unit": "call"}``."""
        return {"value": self.value, "unit": self.work.value}


def quantity_from(recorded: Mapping[str, Any]) -> Amount | Rate | Seconds | Count | None:
    """The quantity that `to_json` of one of these wrote; None: it is none of theirs."""
    value, unit, per = recorded.get("value"), recorded.get("unit"), recorded.get("per")
    if isinstance(value, bool) or not isinstance(value, int | float) or not isinstance(unit, str):
        return None
    if unit == "s":
        return Seconds(value)
    if unit in list(Work):
        return Count(value, Work(unit))
    if unit not in list(Unit) or per not in (None, *Work):
        return None
    return Amount(value, Unit(unit)) if per is None else Rate(value, Unit(unit), Work(per))
