"""What a gate shows: its answers on the terminal, and annotations and a summary where CI asks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console

from leakhunt.cli.json_option import offer
from leakhunt.engine.gate import GateRun
from leakhunt.engine.gate_output import paths_shown
from leakhunt.errors import CannotWrite
from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.reporting.gate import json_file
from leakhunt.reporting.gate.annotations import annotation_lines
from leakhunt.reporting.gate.markdown import render as markdown
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
    offer(lambda: json_file.render(finished.result))
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
