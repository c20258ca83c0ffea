"""Numbers that are no amount of anything: three digits, written out."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ROUNDED = re.compile(r"\{(\w+):\.([23])g\}")


def two_digits(value: float) -> str:
    """``0.12``, ``48``, ``100``."""
    return _written_out(value, 2)


def three_digits(value: float) -> str:
    """``0.123``, ``48.2``, ``7,730``."""
    return _written_out(value, 3)


def with_numbers(template: str, values: Mapping[str, object]) -> str:
    """A template of `str.format` with the large numbers written out that it has in ``.3g``."""

    def number(found: re.Match[str]) -> str:
        value = values.get(found[1])
        digits = int(found[2])
        if not isinstance(value, int | float) or not _is_large(value, digits):
            return found[0]
        return _written_out(value, digits)

    return _ROUNDED.sub(number, template)


def _written_out(value: float, digits: int) -> str:
    rounded = f"{value:.{digits}g}"
    return f"{float(rounded):,.0f}" if _is_large(value, digits) else rounded


def _is_large(value: float, digits: int) -> bool:
    """Whether it is rounded to more digits before the point, which ``g`` has an exponent for."""
    return abs(value) >= float(10**digits) - 0.5
