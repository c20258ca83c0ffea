"""PyTorch's CUDA allocator: allocated <= active <= reserved <= what the driver gave."""

from __future__ import annotations

from array import array
from typing import ClassVar

from leakhunt.model.series import Series, Unit
from leakhunt.text.language import mark
from leakhunt.text.message import Text

_OTHERS = mark("the CUDA context (200 to 1000 MB), NCCL and libraries with allocators of their own")


class CudaProbe:
    """Current bytes of the default device, from ``torch.cuda.memory_stats``."""

    series: ClassVar[tuple[Series, ...]] = (
        Series("cuda_allocated", Unit.BYTES, mark("CUDA allocated (tensors)"), _OTHERS),
        Series("cuda_reserved", Unit.BYTES, mark("CUDA reserved (held from the driver)"), _OTHERS),
        Series("cuda_active", Unit.BYTES, mark("CUDA active (tensors and pending frees)"), _OTHERS),
    )

    @classmethod
    def unavailable(cls) -> Text | None:
        """None: it is only chosen for a worker on a CUDA device, where torch is loaded."""
        return None

    def __init__(self) -> None:
        import torch

        torch.cuda.init()
        self._statistics = torch.cuda.memory_stats

    def read(self, into: array[int], at: int) -> None:
        """Bytes, three readings."""
        statistics = self._statistics()
        into[at] = statistics.get("allocated_bytes.all.current", 0)
        into[at + 1] = statistics.get("reserved_bytes.all.current", 0)
        into[at + 2] = statistics.get("active_bytes.all.current", 0)
