"""What ``leakhunt claims`` prints of the claims that were checked."""

from __future__ import annotations

from rich.console import Console

from leakhunt.cli.json_option import offer
from leakhunt.cli.notes import show_parts
from leakhunt.engine.claims import ClaimsResult
from leakhunt.reporting.claims import json_file
from leakhunt.reporting.claims.terminal import claims_lines, claims_table


def show_claims(console: Console, result: ClaimsResult) -> None:
    """The table and what is to be said of it; the path of the HTML page comes last."""
    offer(lambda: json_file.render(result.report))
    console.print()
    console.print(claims_table(result.report))
    show_parts(console, claims_lines(result.report), reversed(result.files))
