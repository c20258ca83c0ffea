"""``python -m leakhunt.engine.adapters``: asks one tool about one workload."""

from __future__ import annotations

import contextlib
import json
import os
import sys

from leakhunt.engine.adapters.tools import TOOLS, workload_of


def main() -> int:
    """Read what is asked for, ask the tool, and answer on the last line of standard output."""
    order = json.loads(sys.stdin.readline())
    with contextlib.redirect_stdout(sys.stderr):
        answer = TOOLS[order["tool"]].ask(workload_of(order["workload"]), int(order["calls"]))
    sys.stdout.write(f"\n{json.dumps(answer)}\n")
    sys.stdout.flush()
    os._exit(0)  # threads that a workload left would keep the process


if __name__ == "__main__":
    main()
