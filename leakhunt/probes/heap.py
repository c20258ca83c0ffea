"""The live heap: bytes that malloc has handed out and that were not freed."""

from __future__ import annotations

from array import array
from typing import ClassVar

from leakhunt.model.series import LIVE_HEAP, SERIES, Series
from leakhunt.probes.allocator import serving
from leakhunt.text.message import Text


class LiveHeapProbe:
    """Bytes in use, as the allocator says that serves this process (glibc: mallinfo2)."""

    series: ClassVar[tuple[Series, ...]] = (SERIES[LIVE_HEAP].series,)

    @classmethod
    def unavailable(cls) -> Text | None:
        """Why the allocator cannot be asked here (musl, mimalloc), or None."""
        return serving().unavailable

    def __init__(self) -> None:
        live_bytes = serving().live_bytes
        assert live_bytes is not None, "an allocator that cannot be asked has no probe"
        self._live_bytes = live_bytes

    def read(self, into: array[int], at: int) -> None:
        """Bytes."""
        into[at] = self._live_bytes()
