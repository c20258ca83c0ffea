"""The live heap: bytes that malloc has handed out and that were not freed."""

from __future__ import annotations

from array import array
from typing import ClassVar

import psutil

from leakhunt.model.series import LIVE_HEAP, SERIES, Series
from leakhunt.text.message import Text, message


class LiveHeapProbe:
    """``psutil.heap_info``: in-use bytes of malloc's heaps and of its own mmaps (mallinfo2)."""

    series: ClassVar[tuple[Series, ...]] = (SERIES[LIVE_HEAP].series,)

    @classmethod
    def unavailable(cls) -> Text | None:
        """Why the allocator cannot be asked here (musl, old psutil), or None."""
        if hasattr(psutil, "heap_info"):
            return None
        return message(
            "probe.no-mallinfo2",
            "the C library does not report malloc in use (no mallinfo2)",
        )

    def read(self, into: array[int], at: int) -> None:
        """Bytes."""
        info = psutil.heap_info()
        into[at] = info.heap_used + info.mmap_used
