"""leakhunt: whether a machine-learning service in Python leaks memory, what leaks, what helps.

A scenario file imports `variant` from here. `load` reads a run file, `load_all` a folder of them;
`judge_series` judges any series of readings, `judge` a run. Everything else is reached by the
command ``leakhunt`` or through the modules named in ARCHITECTURE.md. Importing this loads none of
torch, matplotlib, numpy and pandas; next to nothing, since every run of pytest does so where the
plugin is installed.

PYTEST_DONT_REWRITE: a worker has imported this before pytest starts in it, and pytest would warn.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leakhunt.analysis.verdict import judge, judge_series
    from leakhunt.engine.loaded_run import load, load_all
    from leakhunt.scenario.contract import Context, variant

__all__ = ["Context", "__version__", "judge", "judge_series", "load", "load_all", "variant"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Each once it is asked for: a measured process must not load what reads and judges needs."""
    if name in ("Context", "variant"):
        from leakhunt.scenario import contract

        return getattr(contract, name)
    if name in ("judge", "judge_series"):
        from leakhunt.analysis import verdict

        return getattr(verdict, name)
    if name in ("load", "load_all"):
        from leakhunt.engine import loaded_run

        return getattr(loaded_run, name)
    raise AttributeError(f"module 'leakhunt' has no attribute {name!r}")
