"""Numbers that are no amount of anything: three digits, written out."""

from __future__ import annotations

import re
from collections.abc import Mapping

# What would be rounded to four digits, which ``.3g`` has an exponent for.
_LARGE = 999.5
_ROUNDED = re.compile(r"\{(\w+):\.([23])g\}")


def three_digits(value: float) -> str:
    """``0.123``, ``48.2``, ``7,730``."""
    return _written_out(value, 3)


def with_numbers(template: str, values: Mapping[str, object]) -> str:
    """A template of `str.format` with the large numbers written out that it has in ``.3g``."""

    def number(found: re.Match[str]) -> str:
        value = values.get(found[1])
        if not isinstance(value, int | float) or abs(value) < _LARGE:
            return found[0]
        return _written_out(value, int(found[2]))

    return _ROUNDED.sub(number, template)


def _written_out(value: float, digits: int) -> str:
    rounded = f"{value:.{digits}g}"
    return rounded if abs(value) < _LARGE else f"{float(rounded):,.0f}"
