"""Signals to end do what Ctrl-C does."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn


def signals_are_interrupts() -> None:
    """From now on a signal to end does what Ctrl-C does: what was measured is reported."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), _as_interrupt)


def _as_interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """End as Ctrl-C does: what was measured is reported."""
    raise KeyboardInterrupt
