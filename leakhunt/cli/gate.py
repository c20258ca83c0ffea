"""``leakhunt gate``: an exit code for CI, with what it could have seen and who is to blame."""

from __future__ import annotations

import os
from typing import Any

import click
from rich.console import Console

from leakhunt.cli.display import Bars, SteadyConsole
from leakhunt.cli.gate_options import gate_options
from leakhunt.cli.interrupts import signals_are_interrupts
from leakhunt.cli.verb import Verb

# Columns of a run's name on the terminal: longer ones push what follows to the right.
_WIDTH = 32


@click.command("gate", cls=Verb)
@gate_options
def command(problems: bool, **options: Any) -> int:
    """Measure the scenarios of the policy, or read run files, and check their budgets."""
    # Only now: --help loads nothing that measures or judges.
    from leakhunt.cli.gate_files import show_gate, show_problems
    from leakhunt.engine.gate import GateRequest, gate

    signals_are_interrupts()
    with Bars(SteadyConsole(), _WIDTH) as events:
        finished = gate(GateRequest(**options), events)
    if problems:
        show_problems(finished)
    else:
        show_gate(Console(), finished, os.environ)
    return finished.exit_code
