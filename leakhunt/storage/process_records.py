"""What a run file says of the single processes of a service, while its lines are read."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leakhunt.model.processes import ProcessRole, ProcessSamples, ServiceProcess
from leakhunt.model.run import Reading, ReadProcess
from leakhunt.storage.decode import checked

_INT64 = range(-(2**63), 2**63)


@dataclass(slots=True)
class _Place:
    role: ProcessRole
    worker: int
    parent: int | None
    command: str
    pids: list[int]
    places: array[int] = field(default_factory=lambda: array("q"))
    lives: array[int] = field(default_factory=lambda: array("q"))
    columns: dict[str, list[int | None]] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)


class ProcessRecords:
    """The places of a service's processes, as their records come."""

    def __init__(self) -> None:
        self._places: dict[int, _Place] = {}

    def take(self, record: Mapping[str, Any], sample: int) -> bool:
        """Take a record that comes after so many samples; False: it is about something else.

        Raises:
            KeyError, TypeError, ValueError: the record makes no sense.
        """
        if record["record"] == "process":
            self._take_holder(record)
        elif record["record"] == "process-reading":
            self._take_reading(record, sample)
        else:
            return False
        return True

    def _take_holder(self, record: Mapping[str, Any]) -> None:
        """A process that took a place, the first or after another one."""
        number, pid = _whole(record["number"]), _whole(record["pid"])
        place = self._places.get(number)
        if place is not None:
            if place.pids[-1] != pid:  # told again by a soak that was gone on with
                place.pids.append(pid)
            return
        parent = record["parent"]
        self._places[number] = _Place(
            role=ProcessRole(record["role"]),
            worker=_whole(record["worker"]),
            parent=None if parent is None else _whole(parent),
            command=str(record["command"]),
            pids=[pid],
        )

    def _take_reading(self, record: Mapping[str, Any], sample: int) -> None:
        """What one process told in a full reading."""
        place = self._places[record["number"]]
        place.readings.append(checked(Reading(record["step"], record["values"], sample)))

    def take_rows(self, rows: Any, columns: Sequence[str], sample: int) -> bool:
        """The rows of a sample. False: they make no sense, and nothing was taken."""
        if not all(self._fits(row, columns) for row in rows):
            return False
        for number, *values in rows:
            place = self._places[number]
            place.places.append(sample)
            place.lives.append(len(place.pids) - 1)
            for name, value in zip(columns, values, strict=True):
                place.columns.setdefault(name, []).append(value)
        return True

    def _fits(self, row: Any, columns: Sequence[str]) -> bool:
        number, *values = row
        return (
            number in self._places
            and len(values) == len(columns)
            and all(each is None or (type(each) is int and each in _INT64) for each in values)
        )

    def found(self) -> tuple[ReadProcess, ...]:
        """The processes that were read, in the order of their places."""
        return tuple(
            ReadProcess(
                ProcessSamples(
                    process=ServiceProcess(
                        number, each.role, each.worker, each.parent, each.command, tuple(each.pids)
                    ),
                    places=each.places,
                    lives=each.lives,
                    samples=each.columns,
                ),
                tuple(each.readings),
            )
            for number, each in sorted(self._places.items())
            if each.places
        )


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(value)
    return value
