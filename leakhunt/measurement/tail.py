"""Following a run file while a worker writes it: for the progress bar and for the last word."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Tail:
    """What the run file says so far.

    `calls` counts samples, `latest` is the last one by series name, `notes` the text of each note
    by its kind, `planned` the calls of the plan in the header.
    """

    def __init__(self, file: Path) -> None:
        self._stream = open(file, "rb")  # noqa: SIM115 - closed in __exit__
        self._rest = b""
        self._names: tuple[str, ...] = ()
        self.planned = 0
        self.calls = 0
        self.latest: Mapping[str, int] = {}
        self.notes: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()

    def follow(self) -> bool:
        """Read what is new; True if there was anything."""
        *lines, self._rest = (self._rest + self._stream.read()).split(b"\n")
        for line in lines:
            self._take(json.loads(line))
        return bool(lines)

    def _take(self, record: Mapping[str, Any]) -> None:
        match record["record"]:
            case "header":
                self._names = tuple(series["name"] for series in record["series"])
                self.planned = record["plan"]["calls"]
            case "sample":
                self.calls += 1
                self.latest = dict(zip(self._names, record["values"], strict=True))
            case "note":
                self.notes[record["kind"]] = str(record.get("text", ""))
