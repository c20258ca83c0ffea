"""Following a run file while a worker writes it: for who shows its progress, and the last word."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from leakhunt.model.plan import Work, work_in
from leakhunt.model.run import Purpose
from leakhunt.model.series import DURATION
from leakhunt.storage.run_file import read_text
from leakhunt.text.message import Text

# The full readings after which the worker waits.
PAUSES = ("start", "look_collected")


class Tail:
    """What the run file says so far.

    `work` says whether it makes calls or requests, which are called calls here; `planned` of them
    are asked for, if any number is, and `calls` have been made. `latest` is the last sample by
    series name, its duration per call; `fresh` are the samples that the last look found: the calls
    made by then, and the values by `names`. `judged_from` is the number of calls made when the
    present way of judged sampling began; None: it warms up. `notes`: the text of each by its kind;
    `settled` whether it settled at its end, or told its findings; `pauses` how often the worker has
    paused to be told how to go on.
    """

    def __init__(self, file: Path) -> None:
        self._stream = open(file, "rb")  # noqa: SIM115 - closed in __exit__
        self._rest = b""
        self._sampling: tuple[Any, ...] = ()
        self._thins = False
        self.names: tuple[str, ...] = ()
        self.planned: int | None = None
        self.work = Work.CALL
        self.calls = 0
        self.pauses = 0
        self.settled = False
        self.judged_from: int | None = None
        self.fresh: list[tuple[int, list[int]]] = []
        self.latest: dict[str, int] = {}
        self.notes: dict[str, Text] = {}

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
        self.fresh.clear()
        *lines, self._rest = (self._rest + self._stream.read()).split(b"\n")
        for line in lines:
            self._take(json.loads(line))
        return bool(lines)

    def _take(self, record: Mapping[str, Any]) -> None:
        match record["record"]:
            case "header":
                self.names = tuple(series["name"] for series in record["series"])
                self.planned = record["plan"]["calls"]
                self.work = work_in(record["plan"])
                self._thins = self.work is Work.REQUEST or record["plan"].get("watch") is not None
            case "settle":
                self.pauses += record["step"] in PAUSES
                self.settled |= record["step"] == "trimmed"
            case "mark":
                self.pauses += 1
            case "sample":
                each = record["call"] + 1 - self.calls
                self.calls += each
                self.latest = dict(zip(self.names, record["values"], strict=True))
                self.latest[DURATION] //= each
                self.fresh.append((self.calls, record["values"]))
            case "phase":
                self._begin(record)
            case "note":
                self.notes[record["kind"]] = read_text(record.get("text", ""))
                self.settled |= record["kind"] == "watched"

    def _begin(self, phase: Mapping[str, Any]) -> None:
        """Samples taken in another way than those before are not compared with them.

        But a soak or a watch only takes ever fewer of them, of the same.
        """
        sampling = (phase["purpose"], phase["calls_per_sample"], phase["collects"])
        is_continuous = self._thins and self.judged_from is not None
        if sampling != self._sampling and not is_continuous:
            self._sampling = sampling
            self.judged_from = self.calls if phase["purpose"] == Purpose.JUDGED else None
