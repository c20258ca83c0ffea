"""leakhunt: whether a machine-learning service in Python leaks memory, what leaks, what helps.

A scenario file imports `variant` from here. `load` reads a run file, `load_all` a folder of them;
`judge_series` judges any series of readings, `judge` a run. Everything else is reached by the
command ``leakhunt`` or through the modules named in ARCHITECTURE.md. Importing this loads none of
torch, matplotlib, numpy and pandas.
"""

from typing import TYPE_CHECKING, Any

from leakhunt.scenario import Context, variant

if TYPE_CHECKING:
    from leakhunt.loaded import load, load_all
    from leakhunt.verdict import judge, judge_series

__all__ = ["Context", "__version__", "judge", "judge_series", "load", "load_all", "variant"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """What reads and judges, once it is asked for: a measured process must not load its needs."""
    if name in ("judge", "judge_series"):
        from leakhunt import verdict

        return getattr(verdict, name)
    if name in ("load", "load_all"):
        from leakhunt import loaded

        return getattr(loaded, name)
    raise AttributeError(f"module 'leakhunt' has no attribute {name!r}")
