"""What a gate shows: its answers on the terminal, and annotations and a summary where CI asks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console

from leakhunt.cli.json_option import offer, offer_noun
from leakhunt.engine.gate import GateRun
from leakhunt.engine.gate_output import paths_shown
from leakhunt.errors import CannotWrite
from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.reporting.gate import json_file
from leakhunt.reporting.gate.annotations import annotation_lines
from leakhunt.reporting.gate.markdown import render as markdown
from leakhunt.reporting.gate.problems import problem_lines
from leakhunt.reporting.gate.terminal import gate_lines
from leakhunt.text.message import message
from leakhunt.text.system import system_text

_ANNOTATING = "GITHUB_ACTIONS"
_SUMMARY = "GITHUB_STEP_SUMMARY"


def show_gate(console: Console, finished: GateRun, variables: Mapping[str, str]) -> None:
    """The answers on the terminal, as annotations and in the job's summary where CI asks for them.

    In a file or a pipe a sentence is a line, for grep.

    Raises:
        CannotWrite: the summary's file does not take it.
    """
    if _offer(finished):
        return
    console.print()
    for line in gate_lines(finished.result):
        console.print(line, soft_wrap=not console.is_terminal)
    paths = paths_shown(finished.files, finished.reports)
    for path in paths:
        style = "bold" if path is paths[-1] else ""
        console.print(
            visible(str(path)), style=style, soft_wrap=True, markup=False, highlight=False
        )
    if variables.get(_ANNOTATING) == "true":
        for annotation in annotation_lines(finished.result, finished.repository):
            click.echo(annotation)
    if summary := variables.get(_SUMMARY):
        _append(Path(summary), markdown(finished.result))


def show_problems(finished: GateRun) -> None:
    """The answers as editors read them, and nothing else."""
    if not _offer(finished):
        for line in problem_lines(finished.result, finished.repository):
            click.echo(line)


def _offer(finished: GateRun) -> bool:
    """Offer the result as JSON; where nothing was to be measured, say so, and that is all."""
    if not finished.is_unaffected:
        offer(lambda: json_file.render(finished.result))
        return False
    offer_noun({"affected": [], "notes": finished.result.notes, "exit_code": 0})
    for note in finished.result.notes:
        click.echo(visible(str(note)))
    return True


def _append(file: Path, content: bytes) -> None:
    try:
        with open(file, "ab") as stream:
            stream.write(content)
    except OSError as error:
        raise CannotWrite(
            message(
                "gate.summary-not-written",
                "{variable}={file}: {strerror}. The results are printed above",
                variable=_SUMMARY,
                file=file,
                strerror=system_text(error),
            )
        ) from error
