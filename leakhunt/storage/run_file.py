"""The run file: one JSON record a line, appended as things happen.

It is the only link between the process that measures and the code that judges.

Format history
    1 (2026-11): header, series, sample, result, settle, note, footer.
    2 (2026-11): phase records say how the samples after them are taken; a sample's call is the last
        of those it stands for; a pause has two readings, look and look_collected (before: warm and
        half, collected); limits in the header.
    3 (2026-11): a plan may have an instrument, whose findings are records; such a run's readings
        are not judged. A plan has an environment, and a role: ceiling, before, after.
    4 (2026-11): a plan may have a load, which drives a running service: calls are then completed
        requests, and the samples hold what its processes come to and how the load landed. Notes:
        service, errors (what failed requests said), restarted, resumed.
    5 (2026-11): words of ours are messages: an object with their English text, an id, the English
        template and its values, where there was a string. So are reason and kernel of the footer,
        text and caveats of a note, values of facts and of unavailable, the name of a resource.
        Of a service with several processes also: who they are (process), a row for each in a
        sample (processes), and what each told in a full reading (process-reading). Of the requests
        the kinds there are (route), and how many of each came with a sample (routes).

A reader skips records it does not know and lines that are cut off or damaged (it counts them); it
refuses a newer format. It is written by `run_writer`.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

from leakhunt.amounts import quantity_from
from leakhunt.errors import BadFile, UsageError
from leakhunt.model.attribution import Finding, FindingKind, Frame, Instrument, Origin
from leakhunt.model.plan import Plan, PlannedLoad, PlannedVisit, PlannedWatch, Role
from leakhunt.model.processes import PROCESS_SERIES
from leakhunt.model.run import (
    RESPONSE_TIMES_NOTE,
    Ending,
    Outcome,
    Phase,
    Purpose,
    Reading,
    Run,
)
from leakhunt.model.series import SERIES, Series, Unit
from leakhunt.storage.decode import checked
from leakhunt.storage.process_records import ProcessRecords
from leakhunt.storage.route_records import RouteRecords
from leakhunt.text.message import Text, message
from leakhunt.text.record import from_record
from leakhunt.text.system import system_text

FORMAT = 5
# The JSON Schema of a line: ``storage/schemas/run-file.schema.json``.
SCHEMA = f"urn:leakhunt:schema:run-file:{FORMAT}"
# The readings of format 1 by their names of today.
_OLD_STEPS = {"warm": "look_collected", "half": "look_collected"}
SUFFIX = ".run.jsonl"
# So many numbers come after the name in a row of a note: of what grew, how many more, and bytes.
_NUMBERS = {"types": 1, "mappings": 2, "errors": 1, "shared-files": 2}
_LONGEST_HEADER_BYTES = 1 << 20
_INT64 = range(-(2**63), 2**63)
_NO_FOOTER = message(
    "run.no-footer",
    "no footer: the supervisor ended early or is still running, or the file is incomplete",
)


def find_run_files(places: Iterable[str]) -> list[Path]:
    """The run files that `places` (files or folders) name, in the order given.

    Raises:
        UsageError: a place is empty, or does not exist.
    """
    files: list[Path] = []
    for place in places:
        if not place:  # which pathlib takes for the folder one is in
            raise UsageError(
                message("run-file.empty-path", "empty path: expected a run file or folder")
            )
        path = Path(place)
        if path.is_dir():
            files.extend(sorted(path.glob(f"*{SUFFIX}")))
        elif path.exists():
            files.append(path)
        else:
            raise UsageError(
                message(
                    "run-file.no-such-place",
                    "{place}: run file or folder not found. Check the path",
                    place=place,
                )
            )
    return files


def header(file: Path) -> dict[str, Any]:
    """The header alone, without a look at the samples.

    Raises:
        BadFile: it is no run file, or from a newer version.
    """
    try:
        with open(file, "rb") as stream:
            record = _decode(stream.readline(_LONGEST_HEADER_BYTES))
    except OSError as error:
        raise BadFile(
            message(
                "file.cannot-read",
                "{file}: {strerror}. Check the path",
                file=file,
                strerror=system_text(error),
            )
        ) from error
    return _checked_header(record or {"record": None}, file)


def load(file: Path) -> Run:
    """Read a run file, whole or cut off.

    Raises:
        BadFile: it is no run file, or from a newer version.
    """
    damaged = 0
    parts = _Parts()
    try:
        with open(file, "rb") as stream:
            for line in stream:
                record = _decode(line)
                if record is None:
                    damaged += 1
                elif not parts.header:
                    parts.header = _checked_header(record, file)
                else:
                    damaged += not parts.take(record)
    except OSError as error:
        raise BadFile(
            message(
                "file.cannot-read",
                "{file}: {strerror}. Check the path",
                file=file,
                strerror=system_text(error),
            )
        ) from error
    if not parts.header:
        raise BadFile(
            message(
                "run-file.foreign",
                "{file}: not a leakhunt run file (no header). Check the path",
                file=file,
            )
        )
    try:
        return parts.run(file, damaged)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadFile(
            message(
                "run-file.damaged-header",
                "{file}: damaged header ({error!r}). Measure again",
                file=file,
                error=error,
            )
        ) from error


def _decode(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = _DECODER.decode(line.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and "record" in record else None


def _finite(text: str) -> float:
    """A number that JSON can hold: neither NaN nor Infinity, which no report could pass on."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)
    return number


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)


def _checked_header(record: dict[str, Any], file: Path) -> dict[str, Any]:
    version = record.get("format")
    if record["record"] != "header" or type(version) is not int:
        raise BadFile(
            message(
                "run-file.foreign",
                "{file}: not a leakhunt run file (no header). Check the path",
                file=file,
            )
        )
    if version > FORMAT:
        raise BadFile(
            message(
                "run-file.newer-format",
                "{file}: run file format {version} is newer than this leakhunt (format"
                " {format}). Update leakhunt",
                file=file,
                version=version,
                format=FORMAT,
            )
        )
    return record


class _Parts:
    """A run while its lines are read."""

    def __init__(self) -> None:
        self.header: dict[str, Any] = {}
        self.rows: list[Sequence[int]] = []
        self.calls = array("q")
        self.phases: list[Phase] = []
        self.findings: list[Finding] = []
        self.results: dict[int, Any] = {}
        self.readings: list[Reading] = []
        self.notes: list[dict[str, Any]] = []
        self.processes = ProcessRecords()
        self.routes = RouteRecords()
        self.outcome = Outcome(Ending.INTERRUPTED, _NO_FOOTER)

    def take(self, record: dict[str, Any]) -> bool:
        """Put a record in its place. False: it is of a known kind and makes no sense."""
        try:
            sample = len(self.rows)
            beside = self.processes.take(record, sample) or self.routes.take(record)
            return beside or self._take(record)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            return False

    def _take(self, record: dict[str, Any]) -> bool:
        match record["record"]:
            case "sample":
                return self._take_sample(record)
            case "result":
                self.results[int(record["call"])] = record["value"]
            case "settle":
                step = _OLD_STEPS.get(record["step"], record["step"])
                self.readings.append(checked(Reading(step, record["values"], len(self.rows))))
            case "finding":
                self.findings.append(finding_of(record))
            case "phase":
                self.phases.append(_phase(record))
            case "note":
                self.notes.append(_note(record))
                if record["kind"] == "resumed":  # the footer before it is no end any more
                    self.outcome = Outcome(Ending.INTERRUPTED, _NO_FOOTER)
            case "footer":
                self.outcome = _outcome(record)
        return True

    def _take_sample(self, record: dict[str, Any]) -> bool:
        values = record["values"]
        if len(values) != len(self.header["series"]):
            return False
        if type(record["call"]) is not int or record["call"] not in _INT64:
            return False
        if record["call"] + 1 <= (self.calls[-1] if self.calls else 0):
            return False
        if not all(type(value) is int and value in _INT64 for value in values):
            return False
        rows = record.get("processes", ())
        columns = self.header.get("process_series", PROCESS_SERIES)
        sample = len(self.rows)
        takes = self.routes.take_counts(record.get("routes", ()), sample)
        if not takes or not self.processes.take_rows(rows, columns, sample):
            return False
        self.calls.append(record["call"] + 1)
        self.rows.append(values)
        return True

    def _series(self, item: Mapping[str, Any]) -> Series:
        """A series of the header; up to format 4 in the words of the registry, not of its time."""
        read = checked(Series(item["name"], Unit(item["unit"]), item["title"], item["blind_to"]))
        facts = SERIES.get(read.name)
        if facts is None or self.header["format"] > _LAST_OF_PLAIN_TEXTS:
            return read
        ours = facts.series_of_tree if self.header["plan"].get("load") else facts.series
        return replace(read, blind_to=ours.blind_to)

    def run(self, file: Path, damaged: int) -> Run:
        """The finished noun."""
        series = tuple(map(self._series, self.header["series"]))
        samples = {
            item.name: array("q", [row[column] for row in self.rows])
            for column, item in enumerate(series)
        }
        plan = _plan(self.header["plan"])
        return Run(
            plan=plan,
            outcome=self.outcome,
            series=series,
            samples=samples,
            calls=self.calls,
            phases=tuple(self.phases) or _old_phases(plan),
            readings=tuple(self.readings),
            findings=tuple(self.findings),
            results=self.results,
            facts=_texts(self.header.get("facts", {})),
            environment={
                str(name): str(value) for name, value in self.header.get("environment", {}).items()
            },
            unavailable=_texts(self.header.get("unavailable", {})),
            limits=_limits(self.header.get("limits", {})),
            notes=tuple(self.notes),
            processes=self.processes.found(),
            routes=self.routes.found(len(self.rows)),
            started_at=str(self.header.get("started_at", "")),
            damaged_lines=damaged,
            file=str(file),
        )


# Files of formats 1 to 4 have texts, not messages.
_LAST_OF_PLAIN_TEXTS = 4
# What limits were called in these.
_LIMITS_BEFORE = {
    "the memory free on this machine": "free memory",
    "the memory limit of this run": "the memory limit",
    "what is left of the memory cgroup": "the memory cgroup",
}


def _limits(recorded: Mapping[str, Any]) -> dict[str, int]:
    return {_LIMITS_BEFORE.get(name, str(name)): int(size) for name, size in recorded.items()}


def _plan(fields: Mapping[str, Any]) -> Plan:
    known = {name: fields[name] for name in Plan.__dataclass_fields__ if name in fields}
    if known.get("instrument") is not None:
        known["instrument"] = Instrument(known["instrument"])
    known["role"] = Role(known.get("role", Role.MEASURE))
    if known.get("load") is not None:
        known["load"] = checked(PlannedLoad(**known["load"]))
        if known["load"].users < 1:
            raise ValueError("users")
    if known.get("visit") is not None:
        known["visit"] = checked(PlannedVisit(**known["visit"]))
    if known.get("watch") is not None:
        known["watch"] = checked(PlannedWatch(**known["watch"]))
    plan = checked(Plan(**known))
    if plan.calls == 0 or min(plan.calls or 0, plan.warmup or 0) < 0:
        raise ValueError("calls")
    return plan


def _phase(record: Mapping[str, Any]) -> Phase:
    known = dict(_fields(record, Phase.__dataclass_fields__))
    phase = checked(Phase(**{**known, "purpose": Purpose(record["purpose"])}))
    if phase.calls_per_sample < 1 or min(phase.first_sample, phase.samples) < 0:
        raise ValueError("a phase of no calls")
    return phase


def finding_of(record: Mapping[str, Any]) -> Finding:
    """A finding, from its record."""
    known = dict(_fields(record, Finding.__dataclass_fields__))
    known |= {name: tuple(record[name]) for name in ("calls", "counts", "sizes", "chain", "keeps")}
    known["instrument"] = Instrument(record["instrument"])
    known["sort"] = FindingKind(record["sort"])
    known["stack"] = tuple(map(_frame, record["stack"]))
    known["facts"] = {name: _fact(value) for name, value in record["facts"].items()}
    return checked(Finding(**known))


def _frame(record: Mapping[str, Any]) -> Frame:
    known = dict(_fields(record, Frame.__dataclass_fields__))
    return checked(Frame(**{**known, "origin": Origin(record["origin"])}))


def _fact(recorded: Any) -> Any:
    """A fact of a finding: words of ours, or whatever JSON an instrument wrote."""
    return read_text(recorded) if isinstance(recorded, Mapping) and "text" in recorded else recorded


def _old_phases(plan: Plan) -> tuple[Phase, ...]:
    """The phases of a run of format 1, or of one that ended before its first."""
    if plan.calls is None or plan.warmup is None:
        return ()
    return (
        Phase(0, plan.warmup, Purpose.WARM_UP, 1, collects=False),
        Phase(plan.warmup, plan.calls - plan.warmup, Purpose.JUDGED, 1, collects=False),
    )


def _note(record: dict[str, Any]) -> dict[str, Any]:
    """A note as it was written; a row of its table is a name and whole numbers."""
    kind = record.get("kind", "")
    rows = record.get("errors" if kind == "errors" else "growth", [])
    if not all(isinstance(table, list) for table in (rows, record.get("caveats", []))):
        raise ValueError("note")
    for name, *numbers in rows:
        whole = all(type(number) is int for number in numbers)
        if not (isinstance(name, str) and whole and len(numbers) == _NUMBERS.get(kind)):
            raise ValueError("rows")
    if not isinstance(kind, str):
        raise ValueError("kind")
    if kind == RESPONSE_TIMES_NOTE:
        _check_times(record["sample"], record["times"])
    texts = {"text": read_text(record["text"])} if "text" in record else {}
    caveats = {"caveats": tuple(map(read_text, record.get("caveats", ())))}
    return record | texts | (caveats if "caveats" in record else {})


def _check_times(sample: Any, times: Any) -> None:
    if type(sample) is not int or not isinstance(times, list):
        raise ValueError("response times")
    if not all(type(number) is int and number in _INT64 for bucket in times for number in bucket):
        raise ValueError("bucket")
    if not all(len(bucket) == len(("time", "count")) for bucket in times):
        raise ValueError("bucket")


def _outcome(footer: Mapping[str, Any]) -> Outcome:
    known = dict(_fields(footer, Outcome.__dataclass_fields__))
    known |= {name: read_text(known[name]) for name in ("reason", "kernel") if known.get(name)}
    return checked(Outcome(**{**known, "ending": Ending(footer["ending"])}))


def _fields(record: Mapping[str, Any], names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    return ((name, record[name]) for name in names if name in record)


def _texts(facts: Mapping[str, Any]) -> dict[str, Text]:
    return {
        str(name): read_text(value) if isinstance(value, Mapping) else str(value)
        for name, value in facts.items()
    }


def read_text(recorded: Any) -> Text:
    """A text of a record: a message since format 5, before that the English words.

    Raises:
        ValueError: it is no text.
    """
    return from_record(recorded, quantity_from)
