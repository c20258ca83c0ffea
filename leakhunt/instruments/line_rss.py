"""The variant's lines: memory-profiler's table of what RSS grows by at each.

Only the variant's own function is watched: memory-profiler mixes up the lines of two.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from functools import wraps
from typing import Any

from leakhunt.instruments import Call, InstrumentedRun
from leakhunt.model.attribution import Finding, FindingKind, Instrument
from leakhunt.text.message import Text

_MIB = 1 << 20
# The line of the ``def`` and of its decorators.
_AROUND = "<module>"


def make(run: InstrumentedRun) -> Lines:
    """memory-profiler on the variant's function."""
    return Lines(run)


class Lines:
    """RSS before and after every line of the variant's function, added up."""

    caveats: Sequence[Text] = ()

    def __init__(self, run: InstrumentedRun) -> None:
        from memory_profiler import LineProfiler

        self._places = run.places
        self._profiler = LineProfiler(backend="psutil")
        self._calls: list[int] = []
        self._counted: list[dict[tuple[str, int], tuple[int, int]]] = []

    def start(self, call: Call) -> Call:
        """Watch the lines of the variant's function."""
        self._profiler.add_function(inspect.unwrap(call))
        profiler = self._profiler

        @wraps(call)
        def instrumented(state: Any, item: Any) -> Any:
            profiler.enable_by_count()
            try:
                return call(state, item)
            finally:
                profiler.disable_by_count()

        return instrumented

    def mark(self, calls: int) -> None:
        """What each line came to so far: bytes, and how often it ran."""
        self._calls.append(calls)
        self._counted.append(
            {
                (file, line): (round(measured[0] * _MIB), measured[2])
                for file, lines in self._profiler.code_map.items()
                for line, measured in lines
                if measured
            }
        )

    def findings(self) -> Iterator[Finding]:
        """Every line that ran in the watched calls."""
        for (file, line), (_, runs) in (self._counted[-1] if self._counted else {}).items():
            counted = [marked.get((file, line), (0, 0)) for marked in self._counted]
            frame = self._places.frame(file, line)
            if frame is None or frame.function == _AROUND or runs == counted[0][1]:
                continue
            yield Finding(
                instrument=Instrument.LINES,
                sort=FindingKind.LINE,
                what="RSS",
                calls=tuple(self._calls),
                counts=tuple(count for _, count in counted),
                sizes=tuple(size for size, _ in counted),
                stack=(frame,),
            )
