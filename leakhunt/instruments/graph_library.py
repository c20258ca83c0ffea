"""The library of graphs, for the instruments that cannot do without it."""

from __future__ import annotations

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
