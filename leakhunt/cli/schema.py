"""``leakhunt schema``: what is in report.json and in a run file, as JSON Schema."""

from __future__ import annotations

from importlib import resources

import click

SCHEMAS = {"report": "report.schema.json", "run-file": "run-file.schema.json"}


@click.command("schema")
@click.argument("name", type=click.Choice(list(SCHEMAS)))
def command(name: str) -> None:
    """Print the JSON Schema (draft 2020-12) of report.json, or of a line of a run file."""
    place = resources.files("leakhunt.reporting") / "schemas" / SCHEMAS[name]
    click.echo(place.read_text(encoding="utf-8"), nl=False)
