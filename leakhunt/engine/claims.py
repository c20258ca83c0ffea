"""``claims``: what field reports say, compared with what is measured here.

Each run that the claims need is made once, into a folder of its own below the folder of results;
whole runs of before are taken as they are, so that the same request goes on after an interrupt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from leakhunt.analysis.claims import Evidence, judge_claims
from leakhunt.analysis.report import assemble
from leakhunt.config.find_claims import ClaimsFile, find_claims
from leakhunt.engine.claim_runs import ClaimRunResult, NeededRun, folder_name, make
from leakhunt.engine.command_line import COMMAND_LINES, CommandLine
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.report import GENERATOR, rendered, report_of, write_files
from leakhunt.errors import INTERRUPTED, CannotWrite, NothingMeasured, cannot_write_to
from leakhunt.model.claims import (
    CheckedScenario,
    Claims,
    ClaimsReport,
    ClaimVerdict,
    JudgedClaim,
    MadeRun,
)
from leakhunt.model.run import Run
from leakhunt.reporting.claims.json_file import SCHEMA_PREFIX
from leakhunt.reporting.claims.notebook import card
from leakhunt.reporting.registry import CLAIMS_RENDERERS, RunRenderer
from leakhunt.storage.folders import new_folder
from leakhunt.storage.report_files import write_file
from leakhunt.text.message import message

_PAGE = "report.html"
# Of a run's facts, what a reader of claims must see first.
_FIRST_FACTS = ("weights", "weights_sha256")


@dataclass(frozen=True, slots=True)
class ClaimsResult:
    """What became of the claims, the folder of their runs, and the files, the HTML page first."""

    report: ClaimsReport
    folder: Path
    files: tuple[Path, ...]

    @property
    def claims(self) -> tuple[JudgedClaim, ...]:
        """The claims of all scenarios, each with its verdict."""
        return self.report.claims

    @property
    def interrupted(self) -> bool:
        """Whether the user ended it before all runs were made."""
        return self.report.interrupted

    @property
    def exit_code(self) -> int:
        """That of the verb: 0, 4 where nothing could be measured, 130 after an interrupt."""
        if self.interrupted:
            return INTERRUPTED
        verdicts = {claim.verdict for claim in self.claims}
        return NothingMeasured.exit_code if verdicts <= {ClaimVerdict.NOT_MEASURED} else 0

    def _repr_html_(self) -> str:
        return card(self.report)


def check_claims(
    scenarios: Sequence[str] = (),
    ids: Sequence[str] = (),
    renderers: Sequence[RunRenderer] = (),
    events: Events = SILENT,
    *,
    out: Path | None = None,
    command_lines: Mapping[str, CommandLine] = COMMAND_LINES,
) -> ClaimsResult:
    """Make the runs that the claims need, and judge the claims by them.

    `scenarios` are built-in ones, folders with a ``claims.toml``, or such files; empty: all
    built-in ones that have claims. `ids` are the claims that are checked; empty: all. `out` may
    hold results of before. `renderers` make the report on each run; a table of the claims is made
    in their formats, and always for programs. `command_lines` carry out the runs.

    Raises:
        UsageError: there is no such scenario or claim.
        BadFile: a file of claims is none.
        CannotWrite: the disk does not take the results, or `out` holds files that are not ours.
    """
    files = find_claims(scenarios, ids)
    folder = _folder_for(out)
    results, interrupted = _make_all(files, folder, events, command_lines)
    has_pages = any(renderer.file_name == _PAGE for renderer in renderers)
    report = _judged(files, results, has_pages, folder, interrupted)
    _write_reports(report, files, results, folder, renderers)
    return ClaimsResult(report, folder, _write_claims(report, folder, renderers))


def _folder_for(out: Path | None) -> Path:
    """A new folder, or the one that is named, unless it holds claims that are not ours.

    Raises:
        CannotWrite: it cannot be made, or files in it would be overwritten.
    """
    if out is None:
        return new_folder(None, "claims")
    try:
        out.mkdir(parents=True, exist_ok=True)
        names = [made.file_name for made in CLAIMS_RENDERERS if (out / made.file_name).exists()]
    except OSError as error:
        raise cannot_write_to(out, error) from error
    if names and not _is_ours(out):
        raise CannotWrite(
            message(
                "claims.foreign-file",
                "{out}: {name} was not written by 'leakhunt claims'. Choose another folder",
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
    files: Sequence[ClaimsFile],
    folder: Path,
    events: Events,
    command_lines: Mapping[str, CommandLine],
) -> tuple[Mapping[str, ClaimRunResult], bool]:
    """What each run left, by the name of its folder, and whether the user ended it before all."""
    results: dict[str, ClaimRunResult] = {}
    needs = [need for file in files for need in _needs(file, folder)]
    try:
        for number, need in enumerate(needs, 1):
            events.noted(
                message(
                    "claims.run",
                    "[{number}/{count}] {scenario}, {name}: leakhunt {command}",
                    number=number,
                    count=len(needs),
                    scenario=need.claims.scenario,
                    name=need.run.name,
                    command=need.run.command,
                )
            )
            made = results[need.folder.name] = make(need, events, command_lines)
            if made.missing:
                events.noted(
                    message(
                        "claims.not-measured", "  not measured here: {reason}", reason=made.missing
                    )
                )
    except KeyboardInterrupt:
        return results, True
    return results, False


def _needs(file: ClaimsFile, folder: Path) -> list[NeededRun]:
    """The runs that the file's claims need, each once."""
    needed = {run for claim in file.claims.claims for run in file.claims.needed(claim)}
    return [
        NeededRun(file.claims, run, file.folder, folder / folder_name(file.claims, run))
        for run in file.claims.runs
        if run in needed
    ]


def _judged(
    files: Sequence[ClaimsFile],
    results: Mapping[str, ClaimRunResult],
    has_pages: bool,
    folder: Path,
    interrupted: bool,
) -> ClaimsReport:
    scenarios = tuple(
        CheckedScenario(
            name=file.claims.scenario,
            runs=tuple(_made(need, results, has_pages) for need in _needs(file, folder)),
            claims=judge_claims(file.claims, _evidence(file.claims, results)),
        )
        for file in files
    )
    return ClaimsReport(scenarios, GENERATOR, interrupted)


def _evidence(claims: Claims, results: Mapping[str, ClaimRunResult]) -> Mapping[str, Evidence]:
    found = {run.name: results.get(folder_name(claims, run)) for run in claims.runs}
    return {
        name: Evidence(assemble(each.runs, GENERATOR), each.runs)
        if each.runs
        else Evidence(missing=each.missing)
        for name, each in found.items()
        if each is not None
    }


def _made(need: NeededRun, results: Mapping[str, ClaimRunResult], has_pages: bool) -> MadeRun:
    not_run = ClaimRunResult(missing=message("claims.not-run", "not run yet"))
    found = results.get(need.folder.name, not_run)
    page = quote(f"{need.folder.name}/{_PAGE}") if found.runs and has_pages else ""
    return MadeRun(need.run, need.folder.name, page, found.missing, _facts(found.runs))


def _facts(runs: Sequence[Run]) -> dict[str, str]:
    facts: dict[str, dict[str, None]] = {}
    for run in runs:
        values = {name: str(run.facts[name]) for name in _FIRST_FACTS if name in run.facts}
        for name, value in (values | {"device": run.plan.device}).items():
            facts.setdefault(name, {})[value] = None
    return {name: " / ".join(values) for name, values in facts.items()}


def _write_reports(
    claims: ClaimsReport,
    files: Sequence[ClaimsFile],
    results: Mapping[str, ClaimRunResult],
    folder: Path,
    renderers: Sequence[RunRenderer],
) -> None:
    """The report of every run that was made, with the claims that were checked on it."""
    for need in (need for file in files for need in _needs(file, folder)):
        runs = results.get(need.folder.name, ClaimRunResult()).runs
        if runs:
            checked = tuple(each for each in claims.claims if _is_checked_on(each, need))
            report = replace(report_of(runs, str(need.folder)), claims=checked)
            write_files(report, need.folder, renderers)


def _is_checked_on(claim: JudgedClaim, need: NeededRun) -> bool:
    return claim.scenario == need.claims.scenario and need.run in claim.runs


def _write_claims(
    report: ClaimsReport, folder: Path, renderers: Sequence[RunRenderer]
) -> tuple[Path, ...]:
    """Write the table in the formats that are asked for, and always for programs; HTML first."""
    formats = {renderer.format for renderer in renderers} | {"json"}
    return tuple(
        write_file(folder / made.file_name, rendered(report, made.render, made.language), folder)
        for made in CLAIMS_RENDERERS
        if made.format in formats
    )
