"""One cell of a matrix, carried out: its packages, its settings, its run file.

A `CellOrder` holds plain values only, so that another machine can carry it out as well. What it
leaves is a folder: the run file of the cell's variant, its logs, and ``cell.json``.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from threading import Event

from leakhunt.engine.environments import HERE, NotInstalled, PackageSet, interpreter_of
from leakhunt.engine.events import SILENT
from leakhunt.engine.explain import explained
from leakhunt.engine.session import Session
from leakhunt.engine.settings import RunRequest, plan_of, settings_for
from leakhunt.environment import installed_allocators
from leakhunt.errors import (
    CannotWrite,
    LeakhuntError,
    MissingRequirement,
    UsageError,
    cannot_write_to,
)
from leakhunt.model.allocators import GLIBC, PRELOAD
from leakhunt.model.matrix import CellEnd, CellRecord
from leakhunt.model.options import Settings
from leakhunt.model.plan import Plan
from leakhunt.model.run import Ending, Outcome, Run
from leakhunt.model.scenario import Scenario, Variant
from leakhunt.runner.prepared import PreparedScenario, prepared_for, variants_for
from leakhunt.runner.supervisor import Progress
from leakhunt.scenario import find
from leakhunt.storage import run_file
from leakhunt.storage.follow import Tail
from leakhunt.storage.report_files import write_whole
from leakhunt.storage.run_file import read_text
from leakhunt.text.message import message
from leakhunt.text.record import to_record

RECORD = "cell.json"
_FORMAT = 1
_ENDS = {
    Ending.OK: CellEnd.MEASURED,
    Ending.KILLED: CellEnd.KILLED,
    Ending.CRASHED: CellEnd.FAILED,
    Ending.TIMEOUT: CellEnd.FAILED,
    Ending.INTERRUPTED: CellEnd.NOT_RUN,
}


@dataclass(frozen=True, slots=True)
class CellOrder:
    """What is carried out: `request` names one variant; `facts` go into the run file's header.

    `variables` are set for the worker, `variables_of_code` make it import
    other code and are no part of the plan. `allocator` is preloaded, where it is not the C
    library's.
    """

    name: str
    request: RunRequest
    packages: PackageSet = HERE
    variables: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    variables_of_code: Mapping[str, str] = field(default_factory=dict)
    allocator: str = ""


@dataclass(frozen=True, slots=True)
class _CellPlace:
    """A prepared scenario whose plans get the variables of the cell."""

    bench: PreparedScenario
    variables: Mapping[str, str]

    @property
    def device(self) -> str:
        """The device in use."""
        return self.bench.device

    def carry_out(self, plan: Plan, name: str, progress: Progress) -> Outcome:
        """Carry it out with these variables."""
        environment = {**self.variables, **plan.environment}
        return self.bench.carry_out(replace(plan, environment=environment), name, progress)

    def load(self, name: str) -> Run:
        """The run of that name."""
        return self.bench.load(name)


def carry_out(order: CellOrder, folder: Path, stop: Event, follow: Progress | None = None) -> None:
    """Carry out a cell into the new `folder`, which tells whatever became of it.

    Once `stop` is set, the run ends as if the user had ended it.

    Raises:
        CannotWrite: the disk does not take it.
    """
    _make(folder)
    begun = time.monotonic()
    try:
        with _session(order, folder) as (session, settings):
            plan = plan_of(settings, settings.variants[0], session.workplace.device)
            _refuse_stopped(stop)

            def progress(tail: Tail) -> None:
                _refuse_stopped(stop)
                if follow is not None:
                    follow(tail)

            outcome = session.workplace.carry_out(plan, plan.variant, progress)
    except CannotWrite:
        raise
    except LeakhuntError as error:
        record = CellRecord(_end_of(error), error.text)
    except KeyboardInterrupt:
        record = CellRecord(CellEnd.NOT_RUN, message("matrix.interrupted", "interrupted"))
    else:
        record = CellRecord(_ENDS[outcome.ending], outcome.reason)
    write_record(folder, replace(record, seconds=round(time.monotonic() - begun, 3)))


def explain(order: CellOrder, folder: Path, stop: Event) -> None:
    """Run the cell in `folder` again under instruments; what cannot be is left out.

    Raises:
        CannotWrite: the disk does not take it.
    """
    run = run_in(folder)
    if run is None:
        return
    try:
        with _session(order, folder) as (session, _):
            for each in explained(session, run, stop=stop):
                if each.is_interrupted:
                    return
    except CannotWrite:
        raise
    except (LeakhuntError, KeyboardInterrupt):
        return


def run_in(folder: Path) -> Run | None:
    """The measured run of a cell's folder; None: there is none that can be read."""
    for file in sorted(folder.glob(f"*{run_file.SUFFIX}")):
        try:
            run = run_file.load(file)
        except LeakhuntError:
            continue
        if run.plan.is_measured:
            return run
    return None


def runs_in(folder: Path) -> Iterator[Run]:
    """Every run of a cell's folder, those under instruments too."""
    for file in sorted(folder.glob(f"*{run_file.SUFFIX}")):
        try:
            yield run_file.load(file)
        except LeakhuntError:
            continue


def is_done(folder: Path) -> bool:
    """Whether the cell need not be carried out again: its run file has its end."""
    run = run_in(folder)
    return run is not None and not run.is_interrupted


def record_in(folder: Path) -> CellRecord | None:
    """What is noted of a cell; None: nothing that can be read."""
    try:
        fields = json.loads((folder / RECORD).read_text("utf-8"))
        return CellRecord(
            CellEnd(fields["end"]),
            read_text(fields["reason"]),
            float(fields["seconds"]),
            int(fields["attempts"]),
            str(fields["node"]),
            None if fields["cpu_seconds"] is None else float(fields["cpu_seconds"]),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def record_of(folder: Path) -> CellRecord:
    """What became of a cell: as its run file says, with what is noted beside it."""
    noted = record_in(folder)
    run = run_in(folder)
    if run is None:
        unknown = CellRecord(CellEnd.NOT_RUN, message("matrix.not-run", "not run"))
        return noted or unknown
    read = CellRecord(_ENDS[run.outcome.ending], run.outcome.reason)
    return read if noted is None else replace(noted, end=read.end, reason=read.reason)


def write_record(folder: Path, record: CellRecord) -> None:
    """Note what became of a cell.

    Raises:
        CannotWrite: the disk does not take it.
    """
    fields = {
        "format": _FORMAT,
        "end": record.end,
        "reason": to_record(record.reason),
        "seconds": record.seconds,
        "attempts": record.attempts,
        "node": record.node,
        "cpu_seconds": record.cpu_seconds,
    }
    text = json.dumps(fields, ensure_ascii=False, indent=1) + "\n"
    try:
        write_whole(folder / RECORD, text.encode("utf-8", "surrogatepass"))
    except OSError as error:
        raise cannot_write_to(folder, error) from error


@contextmanager
def _session(order: CellOrder, folder: Path) -> Iterator[tuple[Session, Settings]]:
    """The cell's scenario, prepared in the environment of its packages.

    Raises:
        LeakhuntError: it cannot start here.
    """
    interpreter = "" if order.packages.is_here else interpreter_of(order.packages)
    settings = settings_for(
        order.request,
        *_found(order.request.target, _changed_at(order.request.target)),
        elsewhere=order.packages.is_alone,
    )
    own = {**order.variables, **_preloaded(order.allocator)}
    variables = {**order.variables_of_code, **own}
    with tempfile.TemporaryDirectory(prefix="leakhunt-", ignore_cleanup_errors=True) as scratch:
        prepared = prepared_for(settings, folder, Path(scratch), interpreter, variables)
        variants_for(replace(settings, named=True), prepared.device)
        bench = PreparedScenario(
            settings,
            replace(prepared, facts={**prepared.facts, **order.facts}),
            folder,
            Path(scratch),
            interpreter,
            order.variables_of_code,
        )
        yield (
            Session(
                settings=settings,
                workplace=_CellPlace(bench, own),
                variants=settings.variants,
                folder=folder,
                events=SILENT,
            ),
            settings,
        )


@lru_cache(maxsize=256)
def _found(target: str, changed_at: float) -> tuple[Scenario, tuple[Variant, ...]]:
    """The scenario of a cell, described once for all cells that have it."""
    del changed_at
    return find.find(target)


def _changed_at(target: str) -> float:
    """When the file that is named was written last; 0: it is no file."""
    try:
        return Path(find.split_target(target)[0]).stat().st_mtime
    except OSError:
        return 0.0


def _preloaded(allocator: str) -> Mapping[str, str]:
    """What preloads an allocator.

    Raises:
        MissingRequirement: it is not installed.
    """
    if allocator in ("", GLIBC):
        return {}
    installed = installed_allocators()
    if allocator not in installed:
        raise MissingRequirement(
            message(
                "matrix.no-allocator",
                "allocator {name} is not installed on this machine. Install it, or leave it out",
                name=allocator,
            )
        )
    return {PRELOAD: installed[allocator]}


def _end_of(error: LeakhuntError) -> CellEnd:
    if isinstance(error, NotInstalled):
        return CellEnd.NOT_INSTALLED
    if isinstance(error, MissingRequirement | UsageError):
        return CellEnd.NOT_POSSIBLE
    return CellEnd.FAILED


def _refuse_stopped(stop: Event) -> None:
    if stop.is_set():
        raise KeyboardInterrupt


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise cannot_write_to(folder, error) from error
