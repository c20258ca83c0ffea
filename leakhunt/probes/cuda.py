"""PyTorch's CUDA allocator: allocated <= active <= reserved <= what the driver gave."""

from __future__ import annotations

import sys
from array import array
from typing import ClassVar

from leakhunt.model.series import (
    CUDA_ACTIVE,
    CUDA_ALLOCATED,
    CUDA_RESERVED,
    PEAK_CUDA,
    SERIES,
    Series,
)
from leakhunt.text.message import Text


class CudaProbe:
    """Bytes of the default device, from ``torch.cuda.memory_stats``; no other GPU is read.

    The memory of a device is a limit of its own: a sum over devices has none to be compared with.
    """

    series: ClassVar[tuple[Series, ...]] = (
        SERIES[CUDA_ALLOCATED].series,
        SERIES[CUDA_RESERVED].series,
        SERIES[CUDA_ACTIVE].series,
        SERIES[PEAK_CUDA].series,
    )

    @classmethod
    def unavailable(cls) -> Text | None:
        """None: it is only chosen for a worker on a CUDA device, where torch is loaded."""
        return None

    def __init__(self) -> None:
        import torch

        torch.cuda.init()
        self._statistics = torch.cuda.memory_stats
        self.reset = torch.cuda.reset_peak_memory_stats

    def read(self, into: array[int], at: int) -> None:
        """Bytes, four readings."""
        statistics = self._statistics()
        into[at] = statistics.get("allocated_bytes.all.current", 0)
        into[at + 1] = statistics.get("reserved_bytes.all.current", 0)
        into[at + 2] = statistics.get("active_bytes.all.current", 0)
        into[at + 3] = statistics.get("allocated_bytes.all.peak", 0)


def empty_framework_caches() -> None:
    """Ask the frameworks that are loaded to hand back what they keep for later."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
