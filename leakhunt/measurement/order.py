"""What the supervisor tells a worker, as one JSON object on the worker's standard input."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from leakhunt.scenario import Context


@dataclass(frozen=True, slots=True)
class Order:
    """One worker's task.

    `run_file` is where it appends; for a `prepare` order it is where the answer goes. `function`
    is the variant's function in the scenario file; `devices` are those the scenario knows; `warmup`
    is the number of calls after which the judged ones begin.
    """

    prepare: bool
    supervisor: int
    scenario_file: str
    function: str
    devices: tuple[str, ...]
    run_file: Path
    warmup: int
    context: Context


def write_order(order: Order) -> bytes:
    """The order as JSON."""
    return json.dumps(asdict(order), default=str).encode()


def read_order(data: bytes) -> Order:
    """The order that `write_order` wrote."""
    fields: dict[str, Any] = json.loads(data)
    context = fields.pop("context")
    context["scratch"] = Path(context["scratch"])
    context["folder"] = Path(context["folder"])
    fields["run_file"] = Path(fields["run_file"])
    fields["devices"] = tuple(fields["devices"])
    return Order(**fields, context=Context(**context))
