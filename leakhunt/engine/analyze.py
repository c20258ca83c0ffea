"""``analyze``: the verdict on series that something else has measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from leakhunt.analysis.fleet.fleet import fleet_report
from leakhunt.engine.argument_checks import positive_seconds
from leakhunt.engine.container_limit import limit_bytes
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.report import GENERATOR, rendered
from leakhunt.engine.run import FolderResult
from leakhunt.errors import NothingMeasured, UsageError
from leakhunt.foreign.credentials import credentials
from leakhunt.foreign.files import read_files
from leakhunt.foreign.prometheus import TIMEOUT_SECONDS, RangeQuery, fetched
from leakhunt.model.fleet import FleetReport, JudgedInstance
from leakhunt.model.foreign import MeasuredFleet
from leakhunt.reporting.registry import ANALYZE_RENDERERS, AnalyzeRenderer
from leakhunt.storage.folders import new_folder
from leakhunt.storage.report_files import write_file
from leakhunt.text.message import message

SINCE = "7d"


@dataclass(frozen=True, slots=True)
class AnalyzeRequest:
    """What is analyzed; every door builds one.

    `files` are those of other tools, in the format `form` (None: it is told by the file); or
    `prometheus` is the address of a server, and `query` what it is asked for, `since` so long ago,
    every `step`. `limit` is the memory of an instance, `limit_query` gives that of each;
    `start_query` when its process started. `token_file` holds a bearer token, `user_file` a line
    ``user:password``; without, they are taken from the environment (`foreign/credentials.py`).
    `ca_file`: the certificate authorities that are trusted.
    """

    files: Sequence[str] = ()
    _: KW_ONLY
    form: str | None = None
    prometheus: str | None = None
    query: str | None = None
    since: float | str = SINCE
    step: float | str | None = None
    limit: int | str | None = None
    limit_query: str | None = None
    timeout: float | str = TIMEOUT_SECONDS
    start_query: str | None = None
    token_file: Path | str | None = None
    user_file: Path | str | None = None
    ca_file: Path | str | None = None


@dataclass(frozen=True, slots=True)
class AnalyzeResult(FolderResult):
    """What the memory of each instance does."""

    report: FleetReport

    def instance(self, name: str) -> JudgedInstance:
        """What can be said of the instance of that name.

        Raises:
            KeyError: there is none.
        """
        found = {each.instance: each for each in self.report.instances}
        return found[name]


def analyze(
    request: AnalyzeRequest,
    renderers: Sequence[AnalyzeRenderer] = ANALYZE_RENDERERS,
    events: Events = SILENT,
    *,
    out: Path | None = None,
    clock: Callable[[], float] = time.time,
) -> AnalyzeResult:
    """Read the series, judge each, and write the report.

    Raises:
        LeakhuntError: the request makes no sense, a file is damaged, the server does not answer, or
            there is nothing to judge.
    """
    size = limit_bytes(request.limit)
    fleet = _fleet(request, events, clock)
    if not fleet.series:
        raise NothingMeasured(
            message(
                "analyze.nothing",
                "{source}: no number to judge. Check what was measured",
                source=fleet.source,
            )
        )
    report = fleet_report(fleet, GENERATOR, size)
    folder = new_folder(out, "analyze")
    files = [
        write_file(folder / each.file_name, rendered(report, each.render, each.language), folder)
        for each in renderers
    ]
    return AnalyzeResult(folder=folder, outcomes=(), files=tuple(files), exit_code=0, report=report)


def _fleet(request: AnalyzeRequest, events: Events, clock: Callable[[], float]) -> MeasuredFleet:
    if bool(request.files) == (request.prometheus is not None):
        raise UsageError(
            message(
                "analyze.one-source",
                "analyze needs files, or --prometheus URL with --query: one of the two",
            )
        )
    if request.prometheus is None:
        given = {
            "--query": request.query,
            "--limit-query": request.limit_query,
            "--start-query": request.start_query,
            "--token-file": request.token_file,
            "--user-file": request.user_file,
            "--ca-file": request.ca_file,
        }
        alone = [name for name, value in given.items() if value is not None]
        if alone:
            raise UsageError(
                message("analyze.needs-prometheus", "{option} needs --prometheus", option=alone[0])
            )
        return read_files(request.files, request.form)
    if not request.query:
        raise UsageError(
            message(
                "analyze.no-query",
                "--prometheus needs --query, such as 'process_resident_memory_bytes'",
            )
        )
    query = RangeQuery(
        url=request.prometheus,
        query=request.query,
        seconds=positive_seconds(request.since),
        end=clock(),
        step_seconds=None if request.step is None else positive_seconds(request.step),
        limits=request.limit_query,
        timeout_seconds=positive_seconds(request.timeout),
        starts=request.start_query,
        credentials=credentials(request.token_file, request.user_file),
        ca_file=request.ca_file,
    )
    return fetched(query, lambda text: events.noted(text, warning=True))
