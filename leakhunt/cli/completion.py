"""``leakhunt completion``: the script that lets a shell complete verbs, options and paths."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from leakhunt.cli.json_option import offer_noun
from leakhunt.cli.verb import Verb

PROGRAM = "leakhunt"
# What click reads when a shell asks.
VARIABLE = "_LEAKHUNT_COMPLETE"
_SHELLS = ("bash", "zsh", "fish")


@click.command("completion", cls=Verb)
@click.argument("shell", type=click.Choice(_SHELLS))
def command(shell: str) -> None:
    """Print the completion script for a shell."""
    from leakhunt.cli.main import cli

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(cli, {}, PROGRAM, VARIABLE).source()
    offer_noun({"shell": shell, "script": script})
    click.echo(script)
