"""``benchmark``: leak detectors on published packages: a version that leaks, one that does not."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import Any

from leakhunt import __version__
from leakhunt.analysis.report import assemble
from leakhunt.config.published_leaks import BUILT_IN, read_published
from leakhunt.engine.adapters.tools import TOOLS
from leakhunt.engine.argument_checks import refuse_too_small, refuse_wrong_timeout
from leakhunt.engine.cells import CellOrder, carry_out, explain, record_of, runs_in
from leakhunt.engine.environments import PackageSet, interpreter_of
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.report import GENERATOR, rendered
from leakhunt.engine.settings import RunRequest
from leakhunt.environment import describe_environment
from leakhunt.errors import (
    INTERRUPTED,
    CannotWrite,
    LeakhuntError,
    NothingMeasured,
    UsageError,
    cannot_write_to,
)
from leakhunt.model.benchmark import CALLS, BenchmarkReport, PublishedLeak, ToolRow, score_of
from leakhunt.model.matrix import CellEnd
from leakhunt.model.options import BUDGET_SECONDS, TIMEOUT_SECONDS
from leakhunt.model.verdict import Status
from leakhunt.reporting.benchmark.tables import notebook_card
from leakhunt.reporting.registry import BENCHMARK_RENDERERS, BenchmarkRenderer
from leakhunt.storage.folders import new_folder
from leakhunt.storage.report_files import write_file, write_whole
from leakhunt.text.message import Text, message
from leakhunt.text.suggest import hint
from leakhunt.text.system import system_text

OURS = "leakhunt"
RESULTS = "results"
_PYTHON = "{python}"
_LONGEST = 200
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class BenchmarkRequest:
    """What ``benchmark`` is asked for.

    `packages` are those of the list that are tried (empty: all), `tools` the adapters (empty: all
    that are installed here). `adapters` are further ones, each a command by its name.
    `listed` is a list of packages in place of the built-in one.
    """

    packages: tuple[str, ...] = ()
    _: KW_ONLY
    tools: tuple[str, ...] = ()
    adapters: Mapping[str, str] = field(default_factory=dict)
    listed: Path | None = None
    calls: int = CALLS
    budget: float = BUDGET_SECONDS
    timeout: float = TIMEOUT_SECONDS


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """The table, its folder and its files, the first of which is for people."""

    report: BenchmarkReport
    folder: Path
    files: tuple[Path, ...]

    @property
    def exit_code(self) -> int:
        """That of the verb: 0, 4 (no tool said anything), 130 (interrupted)."""
        if self.report.interrupted:
            return INTERRUPTED
        said = any(row.says is not None for row in self.report.rows)
        return 0 if said else NothingMeasured.exit_code

    def _repr_html_(self) -> str:
        return notebook_card(self.report)


def benchmark(
    request: BenchmarkRequest,
    renderers: Sequence[BenchmarkRenderer] = BENCHMARK_RENDERERS,
    events: Events = SILENT,
    *,
    out: Path | None = None,
) -> BenchmarkResult:
    """Ask every tool about both versions of every package, and put what they say into one table.

    `out` may be the folder of a benchmark before: what it has is not done again.

    Raises:
        LeakhuntError: the request makes no sense, or the disk does not take the results.
    """
    refuse_too_small(calls=request.calls)
    refuse_wrong_timeout(request.timeout)
    packages = _packages(request)
    tools = _tools(request, events)
    has_results = out is not None and (out / RESULTS).is_dir()
    folder = out if out is not None and has_results else new_folder(out, "benchmark")
    rows: list[ToolRow] = []
    interrupted = False
    try:
        for number, (package, version, tool) in enumerate(every := _every(packages, tools), 1):
            row = _known(folder, package, version, tool) or _asked(
                request, package, version, tool, folder
            )
            rows.append(row)
            _note_row(events, row, number, len(every))
    except KeyboardInterrupt:
        interrupted = True
    made = tuple(rows)
    facts = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "leakhunt": __version__,
        **describe_environment(os.environ),
    }
    report = BenchmarkReport(
        rows=made,
        scores=tuple(score_of(tool, made) for tool in tools),
        packages=packages,
        facts=tuple(facts.items()),
        generator=GENERATOR,
        interrupted=interrupted,
    )
    files = tuple(
        write_file(folder / each.file_name, rendered(report, each.render, each.language), folder)
        for each in renderers
    )
    return BenchmarkResult(report, folder, files)


def _packages(request: BenchmarkRequest) -> tuple[PublishedLeak, ...]:
    listed = read_published(request.listed or BUILT_IN)
    known = {each.name: each for each in listed}
    for name in request.packages:
        if name not in known:
            raise UsageError(
                message(
                    "benchmark.unknown-package",
                    "package {name!r} is not in the list{hint}. Known packages: {known}",
                    name=name,
                    hint=hint(name, known),
                    known=", ".join(known),
                )
            )
    return tuple(known[name] for name in request.packages) or listed


def _tools(request: BenchmarkRequest, events: Events) -> tuple[str, ...]:
    """The tools that are asked; without any named, those that are installed."""
    for name, command in request.adapters.items():
        if not (_NAME.fullmatch(name) and command.strip()) or name in (OURS, *TOOLS):
            raise UsageError(
                message(
                    "benchmark.adapter",
                    "--adapter {name}: expected a new NAME=COMMAND",
                    name=name,
                )
            )
    known = (OURS, *TOOLS, *request.adapters)
    for name in request.tools:
        if name not in known:
            raise UsageError(
                message(
                    "benchmark.unknown-tool",
                    "--tool {name}: unknown tool{hint}. Known tools: {known}",
                    name=name,
                    hint=hint(name, known),
                    known=", ".join(known),
                )
            )
    missing = [name for name, tool in TOOLS.items() if find_spec(tool.module) is None]
    wanted = request.tools or known
    for name in missing:
        if name in wanted:
            events.noted(
                message(
                    "benchmark.missing",
                    "skipped: {name} is not installed. Install with: pip install {name}",
                    name=name if name != "mprof" else "memory-profiler",
                ),
                warning=True,
            )
    chosen = tuple(dict.fromkeys((*wanted, *request.adapters)))
    return tuple(name for name in chosen if name not in missing)


def _every(
    packages: Sequence[PublishedLeak], tools: Sequence[str]
) -> list[tuple[PublishedLeak, str, str]]:
    return [
        (package, version, tool)
        for package in packages
        for version in (package.leaking, package.fixed)
        for tool in tools
    ]


def _asked(
    request: BenchmarkRequest, package: PublishedLeak, version: str, tool: str, folder: Path
) -> ToolRow:
    """What a tool says of a version; what failed is a row too."""
    row = ToolRow(tool, package.name, version, version == package.leaking, None)
    packages = PackageSet((f"{package.name}=={version}", *package.also))
    place = folder / RESULTS / f"{package.name}-{version}-{tool}"
    try:
        python = interpreter_of(packages)
        place.mkdir(parents=True, exist_ok=True)
        workload = place / "workload.py"
        workload.write_text(package.workload.lstrip(), "utf-8")
        begun = time.monotonic()
        ask = _by_us if tool == OURS else _by_adapter
        row = ask(request, row, package, packages, python, workload)
        row = replace(row, seconds=round(time.monotonic() - begun, 2))
    except CannotWrite:
        raise
    except LeakhuntError as error:
        row = replace(row, reason=str(error))
    except OSError as error:
        raise cannot_write_to(place, error) from error
    _keep(folder, row)
    return row


def _by_us(
    request: BenchmarkRequest,
    row: ToolRow,
    package: PublishedLeak,
    packages: PackageSet,
    python: str,
    workload: Path,
) -> ToolRow:
    """Our own verdict, and the first suspect with its stack."""
    del python
    at = workload.parent / "run"
    number = 1
    while at.exists():  # of a benchmark that was ended
        number += 1
        at = workload.parent / f"run-{number}"
    run = RunRequest(f"{workload}:call", threads=1, budget=request.budget, timeout=request.timeout)
    order = CellOrder(f"{package.name}-{row.version}", run, packages)
    stop = Event()
    carry_out(order, at, stop)
    record = record_of(at)
    if record.end is CellEnd.NOT_RUN:
        raise KeyboardInterrupt
    explain(order, at, stop)
    entries = assemble(tuple(runs_in(at)), GENERATOR).entries
    if not entries or entries[0].verdict.status is Status.INCONCLUSIVE:
        reason = entries[0].verdict.sentence if entries else record.reason
        return replace(row, reason=str(reason)[:_LONGEST])
    growing = entries[0].attribution.growing if entries[0].attribution else ()
    finding = ""
    if growing:
        frames = "\n".join(f"{frame.function} {frame.file}" for frame in growing[0].stack)
        finding = f"{growing[0].title}\n{frames}"
    leaks = entries[0].verdict.status is Status.LEAK
    return _with_finding(row, package, leaks, finding, names=True)


def _by_adapter(
    request: BenchmarkRequest,
    row: ToolRow,
    package: PublishedLeak,
    packages: PackageSet,
    python: str,
    workload: Path,
) -> ToolRow:
    """What an adapter answers on the last line of its output."""
    del packages
    tool = TOOLS.get(row.tool)
    words = [python, "-m", "leakhunt.engine.adapters"]
    if tool is None:
        words = [each.replace(_PYTHON, python) for each in shlex.split(request.adapters[row.tool])]
    order = {
        "tool": row.tool, "workload": str(workload.resolve()), "function": "call",
        "calls": request.calls,
    }  # fmt: skip
    try:
        done = subprocess.run(
            words,
            input=json.dumps(order) + "\n",
            cwd=workload.parent,
            env={**os.environ, **(tool.variables if tool else {}), "PYTHONUNBUFFERED": "1"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=request.timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return replace(row, reason=f"no answer in {request.timeout:g} s")
    except OSError as error:
        return replace(row, reason=f"{words[0]}: {system_text(error)}")
    try:
        answer = json.loads(done.stdout.strip().splitlines()[-1])
        leaks, finding = bool(answer["leak"]), str(answer.get("finding", ""))
    except (ValueError, LookupError, TypeError):
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return replace(row, reason=lines[-1][:_LONGEST])
    return _with_finding(row, package, leaks, finding, names=bool(answer.get("names")))


def _with_finding(
    row: ToolRow, package: PublishedLeak, leaks: bool, finding: str, *, names: bool
) -> ToolRow:
    named = bool(leaks and re.search(package.found, finding)) if names else None
    first = " ".join(finding.split())
    return replace(row, says=leaks, names=named, finding=first[:_LONGEST])


def _place_of(folder: Path, package: str, version: str, tool: str) -> Path:
    return folder / RESULTS / f"{package}-{version}-{tool}.json"


def _known(folder: Path, package: PublishedLeak, version: str, tool: str) -> ToolRow | None:
    """A row of before; None: there is none, or it said nothing."""
    try:
        fields: dict[str, Any] = json.loads(
            _place_of(folder, package.name, version, tool).read_text("utf-8")
        )
        row = ToolRow(**fields)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return row if isinstance(row.says, bool) else None


def _keep(folder: Path, row: ToolRow) -> None:
    place = _place_of(folder, row.package, row.version, row.tool)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, json.dumps(asdict(row), ensure_ascii=False, indent=1).encode("utf-8"))
    except OSError as error:
        raise cannot_write_to(place, error) from error


def _note_row(events: Events, row: ToolRow, number: int, count: int) -> None:
    events.noted(
        message(
            "benchmark.row",
            "[{number}/{count}] {package} {version}, {tool}: {told} ({seconds:.1f} s)",
            number=number,
            count=count,
            package=row.package,
            version=row.version,
            tool=row.tool,
            told=_row_text(row),
            seconds=row.seconds,
        )
    )


def _row_text(row: ToolRow) -> Text:
    if row.says is None:
        return message("benchmark.nothing", "no answer, {reason}", reason=row.reason)
    if row.says:
        if row.leaks:
            return message("benchmark.found", "leak, found")
        return message("benchmark.false-alarm", "leak, a false alarm")
    if row.leaks:
        return message("benchmark.missed", "no leak, missed")
    return message("benchmark.right", "no leak, right")
