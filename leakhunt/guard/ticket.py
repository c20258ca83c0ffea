"""A request that was let in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Ticket:
    """A request that was let in; it is given back by `Guard.finish`, once."""

    started: float
    used_bytes: int
    expected_bytes: int
    body_bytes: int
    is_probe: bool = False
    is_open: bool = True
