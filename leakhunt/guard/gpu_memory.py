"""Free memory of the GPU, where torch uses one."""

from __future__ import annotations

import sys

from leakhunt.guard.config import GuardConfig

_READ_SECONDS = 1.0


class GpuMemory:
    """Free memory of the default GPU, read once a second. Not safe for threads."""

    def __init__(self, config: GuardConfig) -> None:
        self._config = config
        self._read_at = float("-inf")
        self._free_bytes: int | None = None

    def free_bytes(self, now: float) -> int | None:
        """Free bytes; None without a GPU that is in use, or where it does not matter."""
        if not self._config.min_gpu_free:
            return None
        if now - self._read_at >= _READ_SECONDS:
            self._read_at, self._free_bytes = now, gpu_free_bytes()
        return self._free_bytes


def is_gpu_short(free_bytes: int | None, config: GuardConfig) -> bool:
    """Whether less is free than the configuration asks for."""
    least = config.min_gpu_free
    assert not isinstance(least, str)
    return free_bytes is not None and free_bytes < least


def gpu_free_bytes() -> int | None:
    """Free memory of the default GPU, as the driver says; None where torch does not use one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    free: int = torch.cuda.mem_get_info()[0]
    return free
