"""The library of graphs: loaded before anything is watched."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module

from leakhunt.errors import MissingRequirement
from leakhunt.model.attribution import Instrument
from leakhunt.text.message import message


def require_rustworkx(instrument: Instrument) -> None:
    """Load it before anything is watched.

    Raises:
        MissingRequirement: it is not installed.
    """
    try:
        import rustworkx  # noqa: F401
    except ImportError as error:
        raise MissingRequirement(
            message(
                "instrument.no-rustworkx",
                "instrument {instrument}: {error}. Install with: pip install rustworkx",
                instrument=str(instrument),
                error=str(error),
            )
        ) from error


def load_libraries() -> None:
    """Load what the search through all objects needs, as far as it is there.

    Under tracing it would take ten times as long.
    """
    for name in ("numpy", "rustworkx"):
        with suppress(ImportError):
            import_module(name)
