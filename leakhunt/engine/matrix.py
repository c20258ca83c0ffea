"""``matrix``: a run of a scenario for each combination of values, and what they come to."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import Protocol

from leakhunt.amounts import Amount, Seconds
from leakhunt.analysis.matrix.report import (
    CellEvidence,
    cell_sentence,
    matrix_report,
    seconds_each,
    to_hunt,
)
from leakhunt.engine.cells import record_of, runs_in
from leakhunt.engine.environments import is_built
from leakhunt.engine.events import SILENT, Events, RunStart
from leakhunt.engine.executors.local_cells import CellJob, Effort, LocalCells
from leakhunt.engine.matrix_folder import (
    folder_for,
    has_plan,
    locked,
    place_of,
    plan_in,
    remaining_cells,
)
from leakhunt.engine.matrix_plan import MatrixRequest, order_of, plan_of_request
from leakhunt.engine.report import GENERATOR, rendered
from leakhunt.environment import available_cores
from leakhunt.errors import INTERRUPTED, CannotWrite, NothingMeasured, UsageError
from leakhunt.model.matrix import ON_LOCAL, Cell, CellRecord, MatrixPlan, MatrixReport
from leakhunt.model.options import BUDGET_SECONDS
from leakhunt.model.run import Ending, Outcome
from leakhunt.reporting.matrix.tables import notebook_card
from leakhunt.reporting.registry import MATRIX_RENDERERS, MatrixRenderer
from leakhunt.storage.report_files import write_file
from leakhunt.text.message import Text, message, plural_message

ON_RAY = "ray"
# What a cell takes before one has been measured: at least this, and the budget beside it.
_MIN_SECONDS = 5.0


class CellEngine(Protocol):
    """Carries out cells somewhere."""

    @property
    def jobs(self) -> int:
        """How many at a time."""

    def carry_out(
        self, jobs: Sequence[CellJob], stop: Event, ended: Callable[[CellJob, CellRecord], None]
    ) -> None:
        """Carry out all of them, or until `stop` is set."""


@dataclass(frozen=True, slots=True)
class MatrixResult:
    """The report on a matrix, its folder, and the files, the first of which is for people.

    Where only the plan was asked for, there are no files.
    """

    report: MatrixReport
    folder: Path | None
    files: tuple[Path, ...]
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """That of the verb: 0, 4 (no cell was measured), 130 (interrupted)."""
        if self.interrupted:
            return INTERRUPTED
        measured = any(each.entry is not None for each in self.report.results)
        return 0 if measured or self.folder is None else NothingMeasured.exit_code

    def _repr_html_(self) -> str:
        return notebook_card(self.report)


def matrix(
    request: MatrixRequest,
    renderers: Sequence[MatrixRenderer] = MATRIX_RENDERERS,
    events: Events = SILENT,
    *,
    out: Path | None = None,
) -> MatrixResult:
    """Carry out the cells of a matrix that are not done yet, and report on all of them.

    `out` is a new folder, or the one in which the same matrix was begun. An interrupt ends it
    early; what is done is reported, and is not done again.

    Raises:
        LeakhuntError: the request makes no sense, or the disk does not take the results.
    """
    begun = time.monotonic()
    place = Path(request.target)
    resumes = place.is_dir() and has_plan(place)
    plan = plan_in(place) if resumes else plan_of_request(request)
    if request.plan_only:
        _note_plan(plan, plan.cells, (), request, events)
        report = matrix_report(plan, [], GENERATOR, on=request.on)
        return MatrixResult(report, None, ())
    _refuse_engine(request.on)
    if resumes and out is not None:
        raise UsageError(
            message("matrix.resume-elsewhere", "a matrix goes on in its own folder. Remove --out")
        )
    folder = place if resumes else folder_for(out, plan)
    with locked(folder), ExitStack() as exit_stack:
        if plan_in(folder) != plan:
            raise CannotWrite(
                message(
                    "matrix.other-plan-now",
                    "{out}: holds another matrix. Choose another place with --out",
                    out=folder,
                )
            )
        work = _MatrixWork(plan, folder, request, events)
        engine = _engine(request, work, exit_stack)
        interrupted = work.go(engine)
        report = matrix_report(
            plan,
            work.evidence(),
            GENERATOR,
            rate=request.fdr,
            on=request.on,
            jobs=engine.jobs,
            seconds=time.monotonic() - begun,
        )
        files = [
            write_file(
                folder / each.file_name, rendered(report, each.render, each.language), folder
            )
            for each in renderers
        ]
    return MatrixResult(report, folder, tuple(files), interrupted)


def _engine(request: MatrixRequest, work: _MatrixWork, exit_stack: ExitStack) -> CellEngine:
    """Where the cells are carried out.

    Raises:
        UsageError: no cluster answers there.
    """
    if request.on == ON_LOCAL:
        return LocalCells(request.jobs, work.room_measured)
    from leakhunt.engine.executors.ray_cells import RayCells

    return exit_stack.enter_context(RayCells(request.on, request.jobs, work.noted))


def _refuse_engine(on: str) -> None:
    """Refuse a place that there is not, before anything is written.

    Raises:
        UsageError: there is no such place.
        MissingRequirement: Ray is not installed.
    """
    if on == ON_LOCAL:
        return
    if on != ON_RAY and not on.startswith(f"{ON_RAY}://"):
        raise UsageError(
            message(
                "matrix.unknown-engine",
                "--on {on}: expected local, ray, or ray://HOST:PORT",
                on=on,
            )
        )
    from leakhunt.engine.executors.ray_cells import ray_package

    ray_package()


class _MatrixWork:
    """A matrix while it is carried out."""

    def __init__(
        self, plan: MatrixPlan, folder: Path, request: MatrixRequest, events: Events
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._request = request
        self._events = events
        self._lock = Lock()
        self._ended = 0
        self._cells = {cell.name: cell for cell in plan.cells}

    def go(self, engine: CellEngine) -> bool:
        """Carry out what is left; whether the user ended it."""
        remaining = remaining_cells(self._folder, self._plan)
        to_do = {cell.name for cell in remaining}
        done = [cell for name, cell in self._cells.items() if name not in to_do]
        records = [record_of(place_of(self._folder, cell)) for cell in done]
        _note_plan(self._plan, remaining, records, self._request, self._events)
        self._ended = len(done)
        stop = Event()
        jobs = [self._job(cell) for cell in remaining]
        names = tuple(cell.name for cell in remaining)
        for name in names:
            self._events.started(RunStart(name, group=names))
        try:
            engine.carry_out(jobs, stop, self._cell_ended)
            if self._plan.hunt and not stop.is_set():
                self._hunt(engine, stop)
        except KeyboardInterrupt:
            stop.set()
        return stop.is_set()

    def evidence(self) -> list[CellEvidence]:
        """What every cell of the plan has left so far."""
        return [self._evidence_of(cell) for cell in self._cells.values()]

    def noted(self, text: Text) -> None:
        """Something of the engine's."""
        with self._lock:
            self._events.noted(text)

    def room_measured(self, effort: Effort, jobs: int) -> None:
        """The first cell has shown how many have room beside each other."""
        remaining = len(self._cells) - self._ended
        if self._ended == 0 or not remaining:
            return
        self.noted(
            message(
                "matrix.room",
                "The first cell took {seconds}, {cores:.1f} of {all} cores and {memory}:"
                " {jobs} at a time. {left} left: about {expected}",
                seconds=Seconds(effort.seconds),
                cores=effort.cores,
                all=available_cores(),
                memory=Amount(effort.peak_bytes),
                jobs=jobs,
                left=plural_message("matrix.count", "{n} cell", "{n} cells", remaining),
                expected=Seconds(-(-remaining // jobs) * effort.seconds),
            )
        )

    def _job(self, cell: Cell, explains: bool = False) -> CellJob:
        return CellJob(order_of(self._plan, cell), place_of(self._folder, cell), explains)

    def _hunt(self, engine: CellEngine, stop: Event) -> None:
        """Who retains the memory, in one cell of each group that grows alike."""
        report = matrix_report(self._plan, self.evidence(), GENERATOR, rate=self._request.fdr)
        hunted = {each.cell.name for each in report.results if each.suspect}
        jobs = [
            self._job(cell, True) for cell in to_hunt(report.results) if cell.name not in hunted
        ]
        if jobs:
            self.noted(
                message(
                    "matrix.hunting",
                    "Hunting {names}: one cell of each group that grows alike",
                    names=tuple(job.order.name for job in jobs),
                )
            )
            engine.carry_out(jobs, stop, lambda job, record: None)

    def _cell_ended(self, job: CellJob, record: CellRecord) -> None:
        cell = self._cells[job.order.name]
        (result,) = matrix_report(self._plan, [self._evidence_of(cell)], GENERATOR, rate=1).results
        with self._lock:
            self._ended += 1
            self._events.ended(cell.name, Outcome(Ending.OK))
            self._events.noted(
                message(
                    "matrix.cell-ended",
                    "[{number}/{count}] {cell}: {told}",
                    number=self._ended,
                    count=len(self._cells),
                    cell=cell.name,
                    told=cell_sentence(result),
                )
            )

    def _evidence_of(self, cell: Cell) -> CellEvidence:
        place = place_of(self._folder, cell)
        runs = tuple(runs_in(place))
        measured = next((run for run in runs if run.plan.is_measured), None)
        file = Path(measured.file).relative_to(self._folder).as_posix() if measured else ""
        return CellEvidence(cell, record_of(place), runs, file)


def _note_plan(
    plan: MatrixPlan,
    left: Sequence[Cell],
    done: Sequence[CellRecord],
    request: MatrixRequest,
    events: Events,
) -> None:
    """The plan, and how long it takes, before anything is measured."""
    count = len(plan.cells)
    for axis in plan.axes:
        events.noted(
            message(
                "matrix.axis",
                "  {name}: {values}",
                name=axis.name,
                values=tuple(value or "-" for value in axis.values),
            )
        )
    events.noted(
        message(
            "matrix.plan",
            "{count} ({excluded} excluded, {repeats} each combination), {done} done, {left} left",
            count=plural_message("matrix.count", "{n} cell", "{n} cells", count),
            excluded=plan.excluded,
            repeats=plural_message("matrix.runs", "{n} run", "{n} runs", plan.repeats),
            done=count - len(left),
            left=len(left),
        )
    )
    sets = {order_of(plan, cell).packages for cell in left}
    new = [each for each in sets if not is_built(each)]
    if new:
        events.noted(message("matrix.to-build", "  environments to build: {count}", count=len(new)))
    if left:
        _note_time(plan, len(left), done, request, events)


def _note_time(
    plan: MatrixPlan,
    left: int,
    done: Sequence[CellRecord],
    request: MatrixRequest,
    events: Events,
) -> None:
    each = seconds_each(done)
    jobs = request.jobs or available_cores()
    turns = -(-left // jobs)
    if each is not None:
        events.noted(
            message(
                "matrix.expected-time",
                "  expected time: about {time}, {jobs} at a time (as the cells that are done)",
                time=Seconds(turns * each),
                jobs=jobs,
            )
        )
        return
    budget = BUDGET_SECONDS if plan.budget is None else plan.budget
    events.noted(
        message(
            "matrix.expected-between",
            "  expected time: {least} to {most}, {jobs} at a time; the first cell tells more",
            least=Seconds(turns * _MIN_SECONDS),
            most=Seconds(left * (budget + 2 * _MIN_SECONDS)),
            jobs=jobs,
        )
    )


__all__ = ("ON_LOCAL", "MatrixRequest", "MatrixResult", "matrix")
