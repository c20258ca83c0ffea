"""What the kernel's log says of a process that it killed, where it may be read."""

from __future__ import annotations

import os
import re


def kernel_log_line(pid: int) -> str | None:
    """What the kernel's log says of killing `pid`, where it may be read."""
    try:
        descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    found = None
    pattern = re.compile(rf"[Kk]illed process {pid} \(.*")
    try:
        while True:
            try:
                record = os.read(descriptor, 8192).decode("utf-8", "replace")
            except BlockingIOError:
                return found
            except OSError:  # EPIPE: the record was overwritten while we read; go on
                continue
            match = pattern.search(record)
            if match:
                found = match[0].partition("\n")[0]
    finally:
        os.close(descriptor)
