"""The folder of a matrix: its plan, a lock, and a folder for each cell.

A cell is done once its run file has its end. What was only begun is moved aside, where it stays as
evidence; nothing is overwritten.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from leakhunt.engine.cells import is_done
from leakhunt.errors import BadFile, CannotWrite, LeakhuntError, cannot_write_to
from leakhunt.model.matrix import Axis, AxisKind, Cell, MatrixPlan
from leakhunt.storage import run_file
from leakhunt.storage.folders import new_folder
from leakhunt.storage.report_files import write_whole
from leakhunt.text.message import message

PLAN = "matrix-plan.json"
CELLS = "cells"
ASIDE = "aside"
_LOCK = ".matrix.lock"
_FORMAT = 1
_MAX_ASIDE = 1000


def has_plan(place: Path) -> bool:
    """Whether a matrix was begun in this folder."""
    return (place / PLAN).is_file()


def folder_for(out: Path | None, plan: MatrixPlan) -> Path:
    """The folder of a matrix: a new one, or the one in which the same plan was begun.

    Raises:
        CannotWrite: it holds something else.
    """
    if out is not None and has_plan(out):
        if plan_in(out) != plan:
            raise CannotWrite(
                message(
                    "matrix.other-plan",
                    "{out}: holds another matrix. Resume it with 'leakhunt matrix {out}', or"
                    " choose another folder",
                    out=out,
                )
            )
        return out
    folder = new_folder(out, "matrix")
    _write(folder / PLAN, {"format": _FORMAT, **asdict(plan)})
    return folder


def plan_in(folder: Path) -> MatrixPlan:
    """The plan of a folder.

    Raises:
        BadFile: it is damaged, or from a newer version.
    """
    try:
        fields = json.loads((folder / PLAN).read_text("utf-8"))
        if fields.pop("format") != _FORMAT:
            raise ValueError("format")
        axes = tuple(_axis(each) for each in fields.pop("axes"))
        exclude = tuple(fields.pop("exclude"))
        requirements = tuple(fields.pop("requirements"))
        plan = MatrixPlan(axes=axes, exclude=exclude, requirements=requirements, **fields)
        if not plan.cells:
            raise ValueError("cells")
        return plan
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadFile(
            message(
                "matrix.damaged-plan",
                "{file}: damaged, or from another version of leakhunt. Start a new matrix",
                file=folder / PLAN,
            )
        ) from error


def _axis(fields: Mapping[str, Any]) -> Axis:
    return Axis(AxisKind(fields["kind"]), tuple(map(str, fields["values"])), str(fields["key"]))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder, so that no second matrix writes into it; a killed one holds nothing.

    Raises:
        CannotWrite: another process does, or the disk does not take it.
    """
    try:
        stream = (folder / _LOCK).open("w")
    except OSError as error:
        raise cannot_write_to(folder, error) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CannotWrite(
                message(
                    "matrix.in-use",
                    "{folder}: another matrix is running in it. Wait for it, or choose another"
                    " folder",
                    folder=folder,
                )
            ) from error
        yield


def place_of(folder: Path, cell: Cell) -> Path:
    """Where a cell's files are."""
    return folder / CELLS / cell.name


def remaining_cells(folder: Path, plan: MatrixPlan) -> list[Cell]:
    """The cells that are not done; what was begun of them is set aside.

    Raises:
        CannotWrite: it cannot be moved.
    """
    remaining = []
    for cell in plan.cells:
        place = place_of(folder, cell)
        if not place.exists():
            remaining.append(cell)
        elif is_done(place):
            _set_halves_aside(folder, place)
        else:
            set_aside(folder, place)
            remaining.append(cell)
    return remaining


def set_aside(folder: Path, place: Path) -> None:
    """Move a cell's folder, or one of its files, to where it stays as evidence.

    Raises:
        CannotWrite: it cannot be.
    """
    try:
        (folder / ASIDE).mkdir(exist_ok=True)
        names = (f"{place.name}-{number}" for number in range(1, _MAX_ASIDE))
        free = next(name for name in names if not (folder / ASIDE / name).exists())
        place.rename(folder / ASIDE / free)
    except (OSError, StopIteration) as error:
        raise CannotWrite(
            message(
                "matrix.cannot-move",
                "{place}: cannot be moved aside. Choose another folder with --out",
                place=place,
            )
        ) from error


def _set_halves_aside(folder: Path, place: Path) -> None:
    """Runs under instruments that have no end: they are made again."""
    for file in place.glob(f"*{run_file.SUFFIX}"):
        try:
            is_half = run_file.load(file).is_interrupted
        except LeakhuntError:
            is_half = True
        if is_half:
            set_aside(folder, file)


def _write(file: Path, document: Mapping[str, Any]) -> None:
    text = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    try:
        write_whole(file, text.encode("utf-8", "surrogatepass"))
    except OSError as error:
        raise cannot_write_to(file.parent, error) from error
