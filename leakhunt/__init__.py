"""leakhunt: whether a machine-learning service in Python leaks memory, what leaks, what helps.

    import leakhunt
    result = leakhunt.run("service.py:handle", calls=400)
    print(result.verdict().sentence)

The verbs of the command line are functions here (`leakhunt.api`), with the same names and defaults:
`run`, `hunt`, `retained` (``hunt --retained``), `soak` (its load is a `Load`), `attach`,
`watch`, `analyze`, `report`, `compare`, `gate`, `check_claims`, `matrix`, `bisect`, `benchmark`,
`evaluate` (``leakhunt truth``), `scenarios` (``list``), `schema`; and `save_baseline`,
`update_baseline` and `baselines`.
`load` reads a run file, `load_all` a folder of them; `judge_series` judges any series of readings,
`judge` a run. A scenario file imports `variant` from here.

Importing this loads none of torch, matplotlib, numpy and pandas; next to nothing, since every run
of pytest does so where the plugin is installed.

PYTEST_DONT_REWRITE: a worker has imported this before pytest starts in it, and pytest would warn.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leakhunt.analysis.verdict import judge, judge_series
    from leakhunt.api import (
        analyze,
        attach,
        baselines,
        benchmark,
        bisect,
        check_claims,
        compare,
        evaluate,
        gate,
        hunt,
        matrix,
        report,
        retained,
        run,
        save_baseline,
        scenarios,
        schema,
        soak,
        update_baseline,
        watch,
    )
    from leakhunt.engine.loaded_run import load, load_all
    from leakhunt.engine.soak_request import Load
    from leakhunt.errors import LeakhuntError
    from leakhunt.scenario.contract import Context, variant

__all__ = [
    "Context",
    "LeakhuntError",
    "Load",
    "__version__",
    "analyze",
    "attach",
    "baselines",
    "benchmark",
    "bisect",
    "check_claims",
    "compare",
    "evaluate",
    "gate",
    "hunt",
    "judge",
    "judge_series",
    "load",
    "load_all",
    "matrix",
    "report",
    "retained",
    "run",
    "save_baseline",
    "scenarios",
    "schema",
    "soak",
    "update_baseline",
    "variant",
    "watch",
]
__version__ = "0.1.0"

# Where each is; a measured process must not load what reads and judges needs.
_PLACES = {
    "leakhunt.scenario.contract": ("Context", "variant"),
    "leakhunt.engine.soak_request": ("Load",),
    "leakhunt.errors": ("LeakhuntError",),
    "leakhunt.analysis.verdict": ("judge", "judge_series"),
    "leakhunt.engine.loaded_run": ("load", "load_all"),
    "leakhunt.api": (
        "analyze",
        "attach",
        "baselines",
        "benchmark",
        "bisect",
        "check_claims",
        "compare",
        "evaluate",
        "gate",
        "hunt",
        "matrix",
        "report",
        "retained",
        "run",
        "save_baseline",
        "scenarios",
        "schema",
        "soak",
        "update_baseline",
        "watch",
    ),
}


def load_ipython_extension(shell: Any) -> None:
    """What ``%load_ext leakhunt`` calls: `leakhunt.api.notebook` has the magic ``%%leakhunt``."""
    from leakhunt.api.notebook import load_ipython_extension as load

    load(shell)


def __getattr__(name: str) -> Any:
    """Each once it is asked for."""
    for module, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'leakhunt' has no attribute {name!r}")
