"""What stays of every call, by the stacks that it came from: what a flame graph draws."""

from __future__ import annotations

from dataclasses import dataclass

from leakhunt.model.attribution import Frame, Instrument


@dataclass(frozen=True, slots=True)
class FlameStack:
    """What one stack leaves per call: its frames, the outermost first, and the bytes and blocks."""

    frames: tuple[Frame, ...]
    bytes_per_call: float
    blocks_per_call: float


@dataclass(frozen=True, slots=True)
class Flame:
    """All that an instrument saw stay, over so many `calls`; the largest stack first.

    `capture` is memray's own file of the longest window, beside the run file, for its viewer;
    empty: it left none.
    """

    instrument: Instrument
    calls: int
    stacks: tuple[FlameStack, ...]
    capture: str = ""

    @property
    def bytes_per_call(self) -> float:
        """What all stacks come to."""
        return sum(stack.bytes_per_call for stack in self.stacks)
