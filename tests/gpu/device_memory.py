"""What the driver, PyTorch's allocator and the host say of one another: readings on a GPU, as JSON.

Each reading has a process of its own, since a CUDA context is made once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

MIB = 1 << 20


def devices(torch: Any, driver_used: Callable[[], Sequence[int]]) -> dict[str, Any]:
    """Every visible device: 64 MiB on each, and what the driver counts beyond what is reserved.

    The latter is the CUDA context. Another process on the card would be counted with it.
    """
    before = driver_used()
    found = []
    for index in range(torch.cuda.device_count()):
        tensor = torch.ones(64 * MIB, dtype=torch.uint8, device=f"cuda:{index}")
        torch.cuda.synchronize(index)
        free, total = torch.cuda.mem_get_info(index)
        statistics = torch.cuda.memory_stats(index)
        reserved = statistics["reserved_bytes.all.current"]
        found.append(
            {
                "device": index,
                "name": torch.cuda.get_device_name(index),
                "total_bytes": total,
                "used_bytes": total - free,
                "allocated_bytes": statistics["allocated_bytes.all.current"],
                "reserved_bytes": reserved,
                "context_bytes": driver_used()[index] - before[index] - reserved,
            }
        )
        del tensor
    return {"devices": found}


def fragmentation(torch: Any) -> dict[str, Any]:
    """Every second of 64 blocks is freed, and the cache emptied: what stays between the others."""
    blocks = [torch.ones(3 * MIB, dtype=torch.uint8, device="cuda") for _ in range(64)]
    full = _allocator(torch)
    del blocks[::2]
    halved = _allocator(torch)
    torch.cuda.empty_cache()
    emptied = _allocator(torch)
    blocks.clear()
    torch.cuda.empty_cache()
    return {"full": full, "halved": halved, "emptied": emptied, "freed": _allocator(torch)}


def _allocator(torch: Any) -> dict[str, int]:
    statistics = torch.cuda.memory_stats()
    names = ("allocated_bytes", "reserved_bytes", "inactive_split_bytes", "segment")
    return {name: statistics[f"{name}.all.current"] for name in names}


def pinned(torch: Any, resident: Callable[[], int]) -> dict[str, Any]:
    """64 blocks of 1 MiB of page-locked host memory: what of it RSS and PyTorch count."""
    torch.cuda.init()
    before, host_before = resident(), dict(torch.cuda.host_memory_stats())
    blocks = [torch.ones(MIB, dtype=torch.uint8, pin_memory=True) for _ in range(64)]
    size = sum(each.numel() for each in blocks)
    grown, host = resident() - before, dict(torch.cuda.host_memory_stats())
    blocks.clear()
    freed = resident() - before
    names = sorted(name for name in host if name.endswith("_bytes.current"))
    return {
        "pinned_bytes": size,
        "rss_grown_bytes": grown,
        "rss_after_free_bytes": freed,
        "torch_grown_bytes": {name: host[name] - host_before.get(name, 0) for name in names},
    }


def _driver_used() -> list[int]:
    """Bytes in use on each device, by nvidia-smi: asking makes no context."""
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    if visible := os.environ.get("CUDA_VISIBLE_DEVICES"):
        command += ["-i", visible]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [int(line) * MIB for line in output.split()]


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("reading", choices=("devices", "fragmentation", "pinned"))
    reading = parser.parse_args().reading
    import torch

    if reading == "devices":
        found = devices(torch, _driver_used)
    elif reading == "fragmentation":
        found = fragmentation(torch)
    else:
        found = pinned(torch, _resident)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
