"""``leakhunt schema``: what is in the files that leakhunt writes or reads, as JSON Schema."""

from __future__ import annotations

from importlib import resources

import click

from leakhunt.cli.verb import Verb

SCHEMAS = {
    "report": "report.schema.json",
    "claims": "claims.schema.json",
    "gate": "gate.schema.json",
    "run-file": "run-file.schema.json",
    "policy": "policy.schema.json",
}


@click.command("schema", cls=Verb)
@click.argument("name", type=click.Choice(list(SCHEMAS)))
def command(name: str) -> None:
    """Print the JSON Schema (draft 2020-12) of a file.

    report, claims, gate: report.json, claims.json, gate.json. run-file: each line of a run file.
    policy: leakhunt.toml, or [tool.leakhunt] of pyproject.toml, for editors.
    """
    place = resources.files("leakhunt.storage") / "schemas" / SCHEMAS[name]
    click.echo(place.read_text(encoding="utf-8"), nl=False)
