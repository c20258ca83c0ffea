"""``leakhunt claims``: what field reports say, held against what is measured here."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from urllib.parse import quote

import click
from rich.console import Console

from leakhunt.analysis.claims import Evidence, judge_claims
from leakhunt.analysis.report import assemble
from leakhunt.cli.display import SteadyConsole
from leakhunt.cli.format_option import format_option
from leakhunt.cli.verb import Verb
from leakhunt.config.find_claims import ClaimsFile, find_claims
from leakhunt.engine.claims import Left, Need, folder_name, make, say
from leakhunt.engine.report import GENERATOR, Told, report_on, write_report
from leakhunt.errors import INTERRUPTED, CannotWrite, NothingMeasured
from leakhunt.model.claims import (
    CheckedScenario,
    Claims,
    ClaimsReport,
    ClaimVerdict,
    JudgedClaim,
    MadeRun,
)
from leakhunt.model.report import Report
from leakhunt.model.run import Run
from leakhunt.reporting.claims.formats import CLAIMS_FORMATS
from leakhunt.reporting.claims.json_file import SCHEMA_PREFIX
from leakhunt.reporting.claims.terminal import claims_lines, claims_list, claims_table
from leakhunt.reporting.registry import RENDERERS, Renderer
from leakhunt.storage.folders import new_folder
from leakhunt.storage.report_files import write_file
from leakhunt.text.language import tr
from leakhunt.text.message import message

_PAGE = "report.html"
# Of a run's facts, what a reader of claims must see first.
_FIRST_FACTS = ("weights", "weights_sha256")


@click.command("claims", cls=Verb)
@click.argument("names", nargs=-1, metavar="[SCENARIO]...")
@click.option("--id", "ids", metavar="ID,...", default="", help="These claims alone.")
@click.option("--list", "listed", is_flag=True, help="Show the claims; run nothing.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder; default: reports/<when>-claims. With one of before, its whole runs are kept.",
)
@format_option
def command(
    names: tuple[str, ...],
    ids: str,
    listed: bool,
    out: Path | None,
    renderers: tuple[Renderer, ...],
) -> int:
    """Check the claims of field reports: claimed beside measured, with a verdict.

    SCENARIO is a built-in one, a folder with a claims.toml, or that file; default: all built-in
    ones with claims. Each run that the claims need is made once, into a folder of its own.

    Exit code 0: checked, whether or not the claims hold. 4: nothing could be measured.
    130: interrupted; the same command with --out goes on.
    """
    wanted = [name for each in ids.split(",") if (name := each.strip())]
    files = find_claims(names, wanted)
    console = SteadyConsole()
    if listed:
        for line in claims_list([file.claims for file in files]):
            console.print(line, soft_wrap=True)
        return 0
    folder = _folder_for(out)
    left, interrupted = _make_all(files, folder, console)
    again = cache(partial(_judged, files, left, renderers, folder, interrupted))
    told = Told(_judged(files, left, renderers, folder, interrupted), again)
    _write_reports(told, files, left, folder, renderers)
    written = _write_claims(told, folder, renderers)
    _show(console, told.here, written)
    if interrupted:
        again_with = _command(names, ids, folder, renderers)
        say(console, tr("interrupted; this goes on: {command}", command=again_with))
        return INTERRUPTED
    verdicts = {claim.verdict for claim in told.here.claims}
    return NothingMeasured.exit_code if verdicts <= {ClaimVerdict.NOT_MEASURED} else 0


def _command(names: Sequence[str], ids: str, folder: Path, renderers: Sequence[Renderer]) -> str:
    """The command line that goes on where this one was interrupted."""
    words = ["leakhunt", "claims", *names, *(("--id", ids) if ids else ()), "--out", str(folder)]
    if tuple(renderers) != tuple(each for each in RENDERERS if each.by_default):
        words += ["--format", ",".join(dict.fromkeys(each.format for each in renderers))]
    return shlex.join(words)


def _folder_for(out: Path | None) -> Path:
    """A new folder, or the one that is named, unless it holds claims that are not ours.

    Raises:
        CannotWrite: it cannot be made, or files in it would be overwritten.
    """
    if out is None:
        return new_folder(None, "claims")
    try:
        out.mkdir(parents=True, exist_ok=True)
        names = [made.file_name for made in CLAIMS_FORMATS if (out / made.file_name).exists()]
    except OSError as error:
        raise CannotWrite(
            tr(
                "{where}: {strerror}; name another with --out",
                where=out,
                strerror=tr(str(error.strerror)),
            )
        ) from error
    if names and not _is_ours(out):
        raise CannotWrite(
            tr(
                "{out}: {name} is not of 'leakhunt claims'; name another folder",
                out=out,
                name=names[0],
            )
        )
    return out


def _is_ours(folder: Path) -> bool:
    try:
        document = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and str(document.get("$schema")).startswith(SCHEMA_PREFIX)


def _make_all(
    files: Sequence[ClaimsFile], folder: Path, console: Console
) -> tuple[Mapping[str, Left], bool]:
    """What each run left, by the name of its folder, and whether the user ended it before all."""
    left: dict[str, Left] = {}
    needs = [need for file in files for need in _needs(file, folder)]
    try:
        for number, need in enumerate(needs, 1):
            told = tr(
                "[{number}/{count}] {scenario}, {name}: leakhunt {command}",
                number=number,
                count=len(needs),
                scenario=need.claims.scenario,
                name=need.run.name,
                command=need.run.command,
            )
            say(console, told, "bold")
            left[need.folder.name] = make(need, console)
            if left[need.folder.name].missing:
                reason = left[need.folder.name].missing
                say(console, tr("  not measured here: {reason}", reason=reason))
    except KeyboardInterrupt:
        return left, True
    return left, False


def _needs(file: ClaimsFile, folder: Path) -> list[Need]:
    """The runs that the file's claims need, each once."""
    needed = {run for claim in file.claims.claims for run in file.claims.needed(claim)}
    return [
        Need(file.claims, run, file.folder, folder / folder_name(file.claims, run))
        for run in file.claims.runs
        if run in needed
    ]


def _judged(
    files: Sequence[ClaimsFile],
    left: Mapping[str, Left],
    renderers: Sequence[Renderer],
    folder: Path,
    interrupted: bool,
) -> ClaimsReport:
    has_pages = any(renderer.file_name == _PAGE for renderer in renderers)
    scenarios = tuple(
        CheckedScenario(
            name=file.claims.scenario,
            runs=tuple(_made(need, left, has_pages) for need in _needs(file, folder)),
            claims=judge_claims(file.claims, _evidence(file.claims, left)),
        )
        for file in files
    )
    return ClaimsReport(scenarios, GENERATOR, interrupted)


def _evidence(claims: Claims, left: Mapping[str, Left]) -> Mapping[str, Evidence]:
    found = {run.name: left.get(folder_name(claims, run)) for run in claims.runs}
    return {
        name: Evidence(assemble(each.runs, GENERATOR), each.runs)
        if each.runs
        else Evidence(missing=each.missing)
        for name, each in found.items()
        if each is not None
    }


def _made(need: Need, left: Mapping[str, Left], has_pages: bool) -> MadeRun:
    found = left.get(need.folder.name, Left(missing=message("claims.not-run", "not run yet")))
    page = quote(f"{need.folder.name}/{_PAGE}") if found.runs and has_pages else ""
    return MadeRun(need.run, need.folder.name, page, found.missing, _facts(found.runs))


def _facts(runs: Sequence[Run]) -> dict[str, str]:
    facts: dict[str, dict[str, None]] = {}
    for run in runs:
        told = {name: str(run.facts[name]) for name in _FIRST_FACTS if name in run.facts}
        for name, value in (told | {"device": run.plan.device}).items():
            facts.setdefault(name, {})[value] = None
    return {name: " / ".join(values) for name, values in facts.items()}


def _write_reports(
    told: Told[ClaimsReport],
    files: Sequence[ClaimsFile],
    left: Mapping[str, Left],
    folder: Path,
    renderers: Sequence[Renderer],
) -> None:
    """The report of every run that was made, with the claims that were checked on it."""
    for file in files:
        for need in _needs(file, folder):
            runs = left.get(need.folder.name, Left()).runs
            if not runs:
                continue
            report = report_on(list(runs), str(need.folder))
            with_claims = Told(
                _with_claims(report.here, told.here, need),
                partial(_again_with_claims, report, told, need),
            )
            write_report(with_claims, need.folder, renderers)


def _again_with_claims(report: Told[Report], told: Told[ClaimsReport], need: Need) -> Report:
    return _with_claims(report.again(), told.again(), need)


def _with_claims(report: Report, told: ClaimsReport, need: Need) -> Report:
    return replace(report, claims=tuple(each for each in told.claims if _is_checked_on(each, need)))


def _is_checked_on(claim: JudgedClaim, need: Need) -> bool:
    return claim.scenario == need.claims.scenario and need.run in claim.runs


def _write_claims(
    told: Told[ClaimsReport], folder: Path, renderers: Sequence[Renderer]
) -> list[Path]:
    """Write the table in the formats that are asked for, and always for programs; HTML first."""
    asked = {renderer.format for renderer in renderers} | {"json"}
    return [
        write_file(folder / made.file_name, told.rendered(made.render, made.language), folder)
        for made in CLAIMS_FORMATS
        if made.format in asked
    ]


def _show(console: Console, report: ClaimsReport, written: Sequence[Path]) -> None:
    """The table and what is to be said of it; the path of the HTML page comes last."""
    console.print()
    console.print(claims_table(report))
    for line in claims_lines(report):
        console.print(line, soft_wrap=not console.is_terminal)
    for path in reversed(written):
        console.print(str(path), soft_wrap=True, markup=False, highlight=False)
