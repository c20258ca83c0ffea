"""What a gate leaves for CI: its files, annotations, the job's summary, and a report a scenario."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from leakhunt.engine.compare import compare_places, write_comparison
from leakhunt.engine.formats import ALL, names_among, possible
from leakhunt.engine.report import Told, report_on, write_report
from leakhunt.errors import CannotWrite, NothingMeasured
from leakhunt.model.gate import GateResult, Pages
from leakhunt.model.policy import Policy
from leakhunt.model.run import Run
from leakhunt.reporting.gate.annotations import annotation_lines
from leakhunt.reporting.gate.formats import GATE_RENDERERS, GateRenderer
from leakhunt.reporting.gate.markdown import render as markdown
from leakhunt.reporting.gate.source_lines import Repository
from leakhunt.reporting.gate.terminal import gate_lines
from leakhunt.reporting.registry import RENDERERS, Renderer
from leakhunt.storage import run_file
from leakhunt.storage.report_files import write_file
from leakhunt.text.language import tr

# Files of the gate as a whole, and of each scenario's report: these unless others are asked for.
_DEFAULT = ("md", "json", "junit", "sarif", "codequality", "html")
# The one format that is written of both: the gate's page leads to the pages of the reports.
_OF_BOTH = "html"
# Any other format of the report on a scenario would be told twice.
_GATES_OWN = tuple(each.format for each in GATE_RENDERERS if each.format != _OF_BOTH)
# The pages on a scenario.
_REPORT = "report.html"
_COMPARISON = "compare.html"
_ANNOTATING = "GITHUB_ACTIONS"
_SUMMARY = "GITHUB_STEP_SUMMARY"


@dataclass(frozen=True, slots=True)
class Files:
    """Which files are written: of the gate, and of the report on each scenario."""

    gate: tuple[GateRenderer, ...]
    reports: tuple[Renderer, ...]


def chosen_files(asked: str) -> Files:
    """The files of these formats.

    Raises:
        UsageError: there is no such format.
        MissingRequirement: one that was named needs what is not installed.
    """
    of_reports = [each for each in RENDERERS if each.format not in _GATES_OWN]
    of_gates = [each.format for each in GATE_RENDERERS]
    known = dict.fromkeys([*of_gates, *(each.format for each in of_reports)])
    names = names_among(asked, known)
    return Files(
        tuple(each for each in GATE_RENDERERS if ALL in names or each.format in names),
        possible(of_reports, names),
    )


def _chosen(context: click.Context, parameter: click.Parameter, asked: str) -> Files:
    del context, parameter
    return chosen_files(asked)


files_option = click.option(
    "--format",
    "files",
    default=",".join(_DEFAULT),
    show_default=True,
    callback=_chosen,
    metavar="NAME,...",
    help="Files to write, of the gate and of each scenario's report; or all.",
)


def write_reports(folder: Path, files: Files, against: str | None, beside: Path) -> list[Path]:
    """The report on a scenario's runs, and the comparison with the other revision's.

    The path of the page of each, or of whatever was written first, comes back.

    Raises:
        CannotWrite: the disk does not take them; the run files are untouched.
    """
    runs = _runs_in(folder)
    if not runs or not files.reports:
        return []
    written = write_report(report_on(runs, str(folder)), folder, files.reports)[:1]
    if against is not None and _runs_in(beside):
        try:
            labels = (against, tr("here"))
            comparison = compare_places((beside, folder), labels)
            written += write_comparison(comparison, folder)[:1]
        except NothingMeasured as error:
            click.echo(f"leakhunt: {error}", err=True)
    return written


def pages_among(scenario: str, written: Sequence[Path], folder: Path) -> Pages:
    """The pages among the `written` files of a scenario, as a page in `folder` leads to them."""
    found = {path.name: path.relative_to(folder).as_posix() for path in written}
    return Pages(scenario, found.get(_REPORT, ""), found.get(_COMPARISON, ""))


def _runs_in(folder: Path) -> list[Run]:
    """The runs of a folder, which is not there where nothing could start."""
    if not folder.is_dir():
        return []
    return [run_file.load(file) for file in run_file.find_run_files([str(folder)])]


def write_gate(
    told: Told[GateResult], repository: Repository, folder: Path, files: Files
) -> list[Path]:
    """The gate's own files, each whole or not at all; the paths.

    Raises:
        CannotWrite: the disk does not take them; the run files are untouched.
    """

    def content(renderer: GateRenderer) -> bytes:
        return told.rendered(lambda gated: renderer.render(gated, repository), renderer.language)

    return [write_file(folder / each.file_name, content(each), folder) for each in files.gate]


def told_paths(gates: Sequence[Path], reports: Sequence[Path]) -> list[Path]:
    """The paths to show: of the gate, its page the last; without that page, the reports' too."""
    has_page = any(path.suffix == f".{_OF_BOTH}" for path in gates)
    return [*gates] if has_page else [*gates, *reports]


def show_gate(
    console: Console,
    gated: GateResult,
    repository: Repository,
    written: Sequence[Path],
    variables: Mapping[str, str],
) -> None:
    """The answers on the terminal, as annotations and in the job's summary where CI asks for them.

    In a file or a pipe a sentence is a line, for grep.

    Raises:
        CannotWrite: the summary's file does not take it.
    """
    console.print()
    for line in gate_lines(gated):
        console.print(line, soft_wrap=not console.is_terminal)
    for path in written:
        style = "bold" if path is written[-1] else ""
        console.print(str(path), style=style, soft_wrap=True, markup=False, highlight=False)
    if variables.get(_ANNOTATING) == "true":
        for told in annotation_lines(gated, repository):
            click.echo(told)
    if summary := variables.get(_SUMMARY):
        _append(Path(summary), markdown(gated))


def _append(file: Path, content: bytes) -> None:
    try:
        with open(file, "ab") as stream:
            stream.write(content)
    except OSError as error:
        raise CannotWrite(
            tr(
                "{variable}={file}: {strerror}; the answers are above",
                variable=_SUMMARY,
                file=file,
                strerror=tr(str(error.strerror)),
            )
        ) from error


def repository_around(policy: Policy) -> Repository:
    """The repository that the policy's file, or else this folder, is in; its files by git's list.

    Where there is none, or no git, nothing can be pointed to, and answers have no lines.
    """
    file = Path(policy.file).absolute()
    start = file.parent if file.is_file() else Path.cwd()
    root = _git(start, "rev-parse", "--show-toplevel").strip()
    if not root:
        return Repository()
    listed = _git(Path(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    top = Path(root).resolve()
    inside = file.is_file() and file.resolve().is_relative_to(top)
    return Repository(
        files=tuple(name for name in listed.split("\0") if name),
        folder=top.name,
        policy=file.resolve().relative_to(top).as_posix() if inside else "",
        lines=dict(_lines(policy)),
    )


def _lines(policy: Policy) -> Iterator[tuple[str, int]]:
    for each in policy.scenarios:
        _, _, line = each.where.rpartition(":")
        yield each.name, int(line)


def _git(place: Path, *words: str) -> str:
    """What git says; nothing where there is no git, or no repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(place), *words],  # noqa: S607 - whichever git the user has
            capture_output=True,
            check=False,
        )
    except OSError:
        return ""
    return os.fsdecode(done.stdout) if done.returncode == 0 else ""
