"""GPU memory by process, as the driver counts it, through NVML."""

from __future__ import annotations

from collections.abc import Collection


def is_read() -> bool:
    """Whether there is a driver that tells."""
    try:
        import pynvml
    except ImportError:
        return False
    try:
        pynvml.nvmlInit()
        _used_bytes(())
    except pynvml.NVMLError:
        return False
    return True


def used_bytes(pids: Collection[int], before: int) -> int:
    """What these processes hold on all GPUs; `before` where the driver does not answer just now.

    A container may hide their numbers; then it is 0.
    """
    import pynvml

    try:
        return _used_bytes(pids)
    except pynvml.NVMLError:
        return before


def _used_bytes(pids: Collection[int]) -> int:
    import pynvml

    return sum(
        process.usedGpuMemory or 0
        for index in range(pynvml.nvmlDeviceGetCount())
        for process in pynvml.nvmlDeviceGetComputeRunningProcesses(
            pynvml.nvmlDeviceGetHandleByIndex(index)
        )
        if process.pid in pids
    )
