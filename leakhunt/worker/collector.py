"""The collector of a worker as a remedy sets it, once the scenario is set up.

It goes by an environment variable, as every remedy does that changes no code.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping

from leakhunt.model.options import COLLECTOR_OFF, COLLECTOR_VARIABLE, FREEZE


def set_collector(variables: Mapping[str, str]) -> None:
    """Freeze what there is, switch automatic collections off, or set their thresholds."""
    setting = variables.get(COLLECTOR_VARIABLE, "")
    if setting == FREEZE:
        gc.collect()
        gc.freeze()
    elif setting == COLLECTOR_OFF:
        gc.disable()
    elif setting:
        gc.set_threshold(*map(int, setting.split(",")))
