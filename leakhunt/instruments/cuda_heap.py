"""CUDA memory: PyTorch's allocator history, the live blocks by the stack that asked for them."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from leakhunt.errors import MissingRequirement
from leakhunt.instruments import Call, InstrumentedRun
from leakhunt.model.attribution import Finding, FindingKind, Instrument
from leakhunt.text.message import Text, message

# The allocator's events that are kept; the live blocks do not depend on it.
MAX_EVENTS = 100_000
SUFFIX = ".cuda-snapshot.pickle"
_LIVE = "active_allocated"

Stack = tuple[tuple[str, int, str], ...]


def make(run: InstrumentedRun) -> CudaHeap:
    """The allocator's history.

    Raises:
        MissingRequirement: there is no CUDA device in use here.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        raise MissingRequirement(
            message(
                "instrument.no-cuda",
                "instrument cuda: torch found no CUDA device. Use a machine with a GPU",
            )
        )
    return CudaHeap(run, torch.cuda.memory)


class CudaHeap:
    """Live blocks at each mark, and the snapshot for PyTorch's own viewer at the end."""

    caveats: Sequence[Text] = ()

    def __init__(self, run: InstrumentedRun, memory: Any) -> None:
        self._places = run.places
        self._memory = memory
        self._file = run.capture.with_suffix(SUFFIX)
        self._calls: list[int] = []
        self._counted: list[Mapping[Stack, tuple[int, int]]] = []

    def start(self, call: Call) -> Call:
        """Record who asks for memory from here on."""
        self._memory._record_memory_history(
            enabled="all", context="all", stacks="python", max_entries=MAX_EVENTS
        )
        return call

    def mark(self, calls: int) -> None:
        """Live blocks and bytes by stack."""
        self._calls.append(calls)
        self._counted.append(live_blocks(self._memory._snapshot()))

    def findings(self) -> Iterator[Finding]:
        """Every stack with more bytes alive at the last mark than at the first."""
        self._memory._dump_snapshot(str(self._file))
        self._memory._record_memory_history(enabled=None)
        if not self._counted:
            return
        for stack, (_, size) in self._counted[-1].items():
            counted = [marked.get(stack, (0, 0)) for marked in self._counted]
            if stack and size > counted[0][1]:
                yield Finding(
                    instrument=Instrument.CUDA,
                    sort=FindingKind.SITE,
                    what="CUDA",
                    calls=tuple(self._calls),
                    counts=tuple(count for count, _ in counted),
                    sizes=tuple(size for _, size in counted),
                    stack=self._places.frames(stack),
                    key=str(stack),
                    facts={"snapshot": Path(self._file).name},
                )


def live_blocks(snapshot: Mapping[str, Any]) -> dict[Stack, tuple[int, int]]:
    """Count and bytes of the live blocks of an allocator snapshot, by stack, innermost first.

    The stack is empty for blocks from before the recording. The layout is that of
    ``torch.cuda.memory._snapshot()``: segments of blocks, each with ``state``, ``size``,
    ``requested_size`` and ``frames``.
    """
    found: dict[Stack, list[int]] = defaultdict(lambda: [0, 0])
    for segment in snapshot["segments"]:
        for block in segment["blocks"]:
            if block["state"] == _LIVE:
                stack = tuple(
                    (frame["filename"], frame["line"], frame["name"])
                    for frame in block.get("frames", ())
                )
                found[stack][0] += 1
                found[stack][1] += block.get("requested_size", block["size"])
    return {stack: (count, size) for stack, (count, size) in found.items()}
