"""``leakhunt gate``: an exit code for CI."""

from __future__ import annotations

import click

from leakhunt import gate, store
from leakhunt.errors import UsageError
from leakhunt.language import tr
from leakhunt.probes import unit_of
from leakhunt.units import parse_rate
from leakhunt.verdict.judge import JUDGED_SERIES


@click.command("gate")
@click.argument("runs", nargs=-1, required=True, metavar="RUN_OR_FOLDER...")
@click.option(
    "--max-growth", required=True, metavar="RATE", help="The budget, such as '4 KiB/call'."
)
@click.option("--series", default="live_heap", show_default=True, help="The series it is about.")
def command(runs: tuple[str, ...], max_growth: str, series: str) -> int:
    """Check run files against a budget of growth per call.

    Exit code 0: every run is within. 1: one is over. 3: one cannot tell.
    4: nothing was measured. 2: wrong usage.
    """
    if series not in JUDGED_SERIES:
        raise UsageError(
            tr(
                "--series {series!r}: use one of {judged_series}",
                series=series,
                judged_series=", ".join(JUDGED_SERIES),
            )
        )
    budget = gate.Budget(series, parse_rate(max_growth, unit_of(series)))
    findings = []
    for place in runs:
        runs_here = [store.load(file) for file in store.find_run_files([place])]
        measured = [run for run in runs_here if run.plan.is_measured]
        if not measured:
            reason = tr("no run file (*.run.jsonl) here")
            findings.append(gate.Finding(place, gate.Answer.NOTHING_MEASURED, reason))
            click.echo(tr("nothing measured: {reason} [{place}]", reason=reason, place=place))
        for run in measured:
            finding = gate.check(run, budget)
            findings.append(finding)
            word = tr(gate.WORDS[finding.answer])
            click.echo(f"{word}: {finding.variant} {series}: {finding.reason} [{run.file}]")
    return int(gate.overall(findings))
