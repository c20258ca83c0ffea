"""Signals to end do what Ctrl-C does."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn


def signals_are_interrupts() -> None:
    """From now on a signal to end does what Ctrl-C does: what was measured is reported."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _as_interrupt)


def _as_interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """End as Ctrl-C does: what was measured is reported."""
    raise KeyboardInterrupt
