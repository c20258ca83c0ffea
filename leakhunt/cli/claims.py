"""``leakhunt claims``: what field reports say, held against what is measured here."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
from rich.console import Console

from leakhunt.cli.display_option import DisplayChoice
from leakhunt.cli.format_option import format_option
from leakhunt.cli.json_option import offer_noun
from leakhunt.cli.notes import show_parts
from leakhunt.cli.verb import Verb
from leakhunt.reporting.registry import RENDERERS, RunRenderer
from leakhunt.text.language import tr


@click.command("claims", cls=Verb)
@click.argument("names", nargs=-1, metavar="[SCENARIO]...")
@click.option("--id", "ids", metavar="ID,...", default="", help="Check only these claims")
@click.option("--list", "listed", is_flag=True, help="List the claims, without running anything")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output folder [default: reports/<when>-claims]; complete runs in it are reused",
)
@format_option
def command(
    names: tuple[str, ...], ids: str, listed: bool, out: Path | None,
    renderers: tuple[RunRenderer, ...],
) -> int:  # fmt: skip
    """Check the claims of field reports against measurements.

    SCENARIO is a built-in one, a folder with a claims.toml, or that file; default: all built-in
    ones with claims. Each run that the claims need is made once, into a folder of its own.

    A claim that is not reproduced is a result, not an error. After Ctrl-C, the same command with
    --out resumes.
    """
    from leakhunt.cli.claims_summary import show_claims
    from leakhunt.config.find_claims import find_claims
    from leakhunt.engine.claims import check_claims
    from leakhunt.reporting.claims.terminal import claims_list

    wanted = [name for each in ids.split(",") if (name := each.strip())]
    if listed:
        files = find_claims(names, wanted)
        offer_noun({"claims": [file.claims for file in files]})
        show_parts(Console(), claims_list([file.claims for file in files]))
        return 0
    with DisplayChoice().open() as events:
        result = check_claims(names, wanted, renderers, events, out=out)
    show_claims(Console(), result)
    if result.interrupted:
        rerun_command = _command(names, ids, result.folder, renderers)
        click.echo(tr("interrupted. Resume with: {command}", command=rerun_command))
    return result.exit_code


def _command(
    names: tuple[str, ...], ids: str, folder: Path, renderers: tuple[RunRenderer, ...]
) -> str:
    """The command line that goes on where this one was interrupted."""
    words = ["leakhunt", "claims", *names, *(("--id", ids) if ids else ()), "--out", str(folder)]
    if renderers != tuple(each for each in RENDERERS if each.by_default):
        words += ["--format", ",".join(dict.fromkeys(each.format for each in renderers))]
    return shlex.join(words)
