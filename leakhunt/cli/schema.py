"""``leakhunt schema``: what is in the files that leakhunt writes or reads, as JSON Schema."""

from __future__ import annotations

import click

from leakhunt.cli.json_option import offer
from leakhunt.cli.verb import Verb
from leakhunt.storage.schema_files import SCHEMAS, schema_text


@click.command("schema", cls=Verb)
@click.argument("name", type=click.Choice(list(SCHEMAS)))
def command(name: str) -> None:
    """Print the JSON Schema (draft 2020-12) of a file.

    report, claims, compare, retained, suite, gate: the JSON file of that name. run-file: each
    line of a run file. policy: leakhunt.toml, or [tool.leakhunt] of pyproject.toml, for editors.
    """
    offer(schema_text(name).encode)
    click.echo(schema_text(name), nl=False)
