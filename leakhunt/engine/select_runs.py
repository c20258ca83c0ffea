"""The runs that a command line names, to be compared or kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from leakhunt.errors import BadFile, UsageError
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Run
from leakhunt.storage import run_file
from leakhunt.text.message import Message, Text, message


def runs_in(place: str, left_out: list[Text]) -> Iterator[Run]:
    """The runs of a place; of damaged files in a folder `left_out` is told.

    Raises:
        UsageError: it does not exist.
        BadFile: it is a file and no run file.
    """
    for file in _run_files(place):
        try:
            yield run_file.load(file)
        except BadFile as error:
            if str(file) == str(Path(place)):
                raise
            left_out.append(_by_name(error.text, file))


def _by_name(text: Text, file: Path) -> Text:
    """What is wrong with a file, which is named without its folders."""
    if isinstance(text, Message) and str(text.values.get("file")) == str(file):
        return replace(text, values={**text.values, "file": file.name})
    return f"{file.name}: {str(text).removeprefix(f'{file}: ')}"


def _run_files(place: str) -> list[Path]:
    """The run files of a place; of a gate's folder, which holds none itself, its scenarios'."""
    found = run_file.find_run_files([place])
    return found or sorted(Path(place).glob(f"*/*{run_file.SUFFIX}"))


def refuse_one_run_twice(entries: Iterable[JudgedRun]) -> None:
    """One run on both sides shows no difference, and as its own repeat no spread.

    Raises:
        UsageError: two of them are the same run.
    """
    labels: dict[tuple[object, ...], str] = {}
    for entry in entries:
        run = entry.run
        samples = tuple(tuple(values) for values in run.samples.values())
        key = (run.plan.scenario, run.plan.variant, run.started_at, samples)
        if run.samples_done and key in labels:
            raise UsageError(
                message(
                    "runs.same",
                    "{seen} and {file} are the same run ({variant}). Pass two different runs",
                    seen=labels[key],
                    file=run.file,
                    variant=entry.variant,
                )
            )
        labels[key] = run.file
