"""Options that several verbs have, each written once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from leakhunt.model.options import MINIMUMS, SEED

Command = TypeVar("Command", bound=Callable[..., Any])


def with_options(command: Command, options: Sequence[Callable[[Any], Any]]) -> Command:
    """A command with these options, which its help lists in this order."""
    for option in reversed(options):
        command = option(command)
    return command


def at_least(name: str) -> click.IntRange:
    """The type of an option whose least value every door checks."""
    return click.IntRange(min=MINIMUMS[name])


limit_option = click.option(
    "--limit",
    metavar="SIZE",
    help="Memory limit to forecast against, not enforced, such as '2 GiB'",
)
scenario_option = click.option(
    "--option",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Option of the scenario (see 'leakhunt list')",
)
seed_option = click.option(
    "--seed",
    type=at_least("seed"),
    default=SEED,
    show_default=True,
    help="Seed of the inputs",
)
