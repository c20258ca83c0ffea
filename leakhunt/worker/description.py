"""What a process that is to be measured says of itself: its environment, and its probes.

Only the process itself knows: another one may have another interpreter, allocator or environment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from leakhunt.environment import describe_environment
from leakhunt.model.allocators import ALLOCATOR, PYTHON_ALLOCATOR
from leakhunt.model.series import DURATION, SERIES
from leakhunt.probes import choose
from leakhunt.probes.allocator import python_allocator, serving


def describe_process(
    device: str, inputs: Sequence[str], variables: Mapping[str, str]
) -> dict[str, Any]:
    """Fields for the header of a run file, of the process that this is called in.

    `inputs` are the series that say how big a call's input is; `variables` are the environment that
    the calls are made in.
    """
    chosen = choose(device)
    read = (*chosen.series, *(SERIES[name].series for name in (*inputs, DURATION)))
    return {
        "environment": {
            **describe_environment(variables),
            ALLOCATOR: str(serving()),
            PYTHON_ALLOCATOR: python_allocator(),
        },
        "series": [asdict(series) for series in read],
        "unavailable": dict(chosen.unavailable),
    }
