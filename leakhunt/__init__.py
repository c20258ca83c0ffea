"""leakhunt: whether a machine-learning service in Python leaks memory, what leaks, what helps.

A scenario file imports `variant` from here. `judge_series` judges any series of readings, `judge` a
run read by `leakhunt.store.load`; both are pure. Everything else is reached by the command
``leakhunt`` or through the modules named in ARCHITECTURE.md. Importing this loads none of torch,
matplotlib and numpy.
"""

from typing import TYPE_CHECKING, Any

from leakhunt.scenario import Context, variant

if TYPE_CHECKING:
    from leakhunt.verdict import judge, judge_series

__all__ = ["Context", "__version__", "judge", "judge_series", "variant"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """The judges, once they are asked for: a measured process must not load what they need."""
    if name in ("judge", "judge_series"):
        from leakhunt import verdict

        return getattr(verdict, name)
    raise AttributeError(f"module 'leakhunt' has no attribute {name!r}")
