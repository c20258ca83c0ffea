"""``leakhunt serve``: the reports of a folder in a browser, on this machine alone."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from leakhunt.cli.json_option import answer_now
from leakhunt.cli.verb import Verb
from leakhunt.text.language import tr


@click.command("serve", cls=Verb)
@click.argument("folder", type=click.Path(path_type=Path), metavar="REPORTS_DIR")
@click.option(
    "--port",
    type=click.IntRange(min=0, max=65535),
    default=0,
    help="Port [default: a free one]",
)
def command(folder: Path, port: int) -> int:
    """Show the reports of a folder, and of those in it, in your browser.

    Listens on this machine alone and writes nothing. Folders with run files and no report are
    rendered when you open them. Ctrl-C ends it.
    """
    from leakhunt.server.app import serve
    from leakhunt.server.catalog import Shelf

    shelf = Shelf(folder)

    def ready(address: str) -> None:
        answer_now({"url": address, "folder": str(shelf.root)})
        click.echo(address)
        click.echo(tr("reports in {root}; stop with Ctrl-C", root=shelf.root))

    signal.signal(signal.SIGTERM, _as_interrupt)
    serve(shelf, port, ready)
    return 0


def _as_interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
