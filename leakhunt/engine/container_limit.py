"""The limit of a container to come, which runs are set against and nothing enforces.

It stands in the plan of a run, and can be another when the run is judged again.
"""

from __future__ import annotations

from dataclasses import replace

from leakhunt.amounts import parse_size
from leakhunt.engine.argument_checks import refuse_too_small
from leakhunt.model.run import Run


def limit_bytes(limit: int | str | None) -> int | None:
    """The bytes of a limit that was given as such, or as a size; None: none was.

    Raises:
        UsageError: it is negative, or no size.
    """
    refuse_too_small(limit=limit)
    return parse_size(limit) if isinstance(limit, str) and limit else (limit or None)


def with_limit(run: Run, size: int | None) -> Run:
    """A run that is set against a limit of this size; None: as it was planned."""
    return run if size is None else replace(run, plan=replace(run.plan, limit_bytes=size))
