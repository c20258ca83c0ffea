"""What memray's capture of a visited process says, read in a process of its own.

Memray names C functions by the files that the captured process had mapped. Those of a container lie
below another root, which has to be entered: ours may have other files of the same names. And the
symbols of all libraries take memory that leakhunt itself had better not have.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from leakhunt.agent import standalone
from leakhunt.instruments.distributions import read_records
from leakhunt.instruments.frames import Places
from leakhunt.instruments.native_frames import shared_objects
from leakhunt.instruments.native_sites import (
    records_in,
    shown_stacks,
    site_finding,
    sites_of,
)

_MAX_SITES = 200
_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class CaptureOrder:
    """What is read: a capture of a stretch between two `calls`.

    `main` is the file of the process's main module, `root` its root (empty: it is ours).
    """

    capture: str
    main: str
    calls: tuple[int, int]
    root: str = ""


class UnreadableCaptureError(Exception):
    """A capture that could not be read, and the last line about it."""


def read_capture(order: CaptureOrder) -> Sequence[Mapping[str, Any]]:
    """The sites of a capture as records of a run file, the largest first; without the agent's own.

    Raises:
        UnreadableCaptureError: it cannot be read, or the root not be entered.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "leakhunt.injection.capture_reader"],
            input=json.dumps(asdict(order)),
            capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise UnreadableCaptureError(str(error)) from error
    if done.returncode:
        raise UnreadableCaptureError(done.stderr.strip().rpartition("\n")[2])
    records: list[dict[str, Any]] = json.loads(done.stdout)
    return records


def _sites(order: CaptureOrder) -> list[dict[str, Any]]:
    import memray  # noqa: F401 - while its files are there

    capture = Path(order.capture)
    read_records()
    objects = shared_objects(capture)
    # The directory stays where it is: the capture is there, absolute names are below the root.
    os.chdir(capture.parent)
    if order.root:
        os.chroot(order.root)
    records = records_in(Path(capture.name))
    sites = {
        key: site
        for key, site in sites_of([records]).items()
        if not any(file == standalone.FILE for file, _ in site.lines)
    }
    largest = dict(islice(sites.items(), _MAX_SITES))
    stacks = shown_stacks(largest, objects, Places(order.main))
    return [
        asdict(
            site_finding(
                str(number), key[0], site, stacks[key], order.calls,
                objects=list(stacks[key].objects),
            )
        )
        for number, (key, site) in enumerate(largest.items())
    ]  # fmt: skip


if __name__ == "__main__":
    given = json.loads(sys.stdin.read())
    json.dump(_sites(CaptureOrder(**{**given, "calls": tuple(given["calls"])})), sys.stdout)
