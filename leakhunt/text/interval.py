"""Two bounds in a text: ``57.2 to 59.2 KiB``, with a unit after each only where they differ."""

from __future__ import annotations

import re
from typing import Any

# What the bounds of an interval are called in a text, and what stands between them in English.
_PAIRS = (("low", "high"), ("least", "most"))
_BOUND = re.compile(r"([+-]?[\d.,]+) ([^\d\s]\D*)")


def lower_bound(low: str, high: str) -> str:
    """`low` as it stands before `high`: without its unit where `high` has the same one."""
    first, second = _BOUND.fullmatch(low), _BOUND.fullmatch(high)
    return first[1] if first and second and first[2] == second[2] else low


def with_one_unit(template: str, values: dict[str, Any]) -> dict[str, Any]:
    """The `values` of a template that names an interval, such as ``({low} to {high})``."""
    for low, high in _PAIRS:
        if f"{{{low}}} to {{{high}}}" in template:
            values = values | {low: lower_bound(str(values[low]), str(values[high]))}
    return values
