"""``leakhunt watch``: follow a process from outside, and say when it leaks."""

from __future__ import annotations

from pathlib import Path

import click

from leakhunt.cli.common_options import limit_option
from leakhunt.cli.display_option import DisplayChoice, display_option
from leakhunt.cli.format_option import format_option
from leakhunt.cli.summary import print_report
from leakhunt.cli.verb import Verb
from leakhunt.reporting.registry import RunRenderer


class _WithCommand(Verb):
    """What stands behind ``--`` is a command that is started, with its own options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            place = args.index("--")
            ctx.meta[_COMMAND] = tuple(args[place + 1 :])
            args = args[:place]
        return super().parse_args(ctx, args)


_COMMAND = "leakhunt.watched_command"


@click.command("watch", cls=_WithCommand)
@click.argument("process", required=False, metavar="PID|NAME|-- COMMAND...")
@click.option("--interval", default="10s", show_default=True, help="Distance of two readings")
@click.option("--duration", help="End after this long, such as 72h [default: with the process]")
@click.option(
    "--wait", default="10m", show_default=True, help="Wait this long for a process that restarts"
)
@limit_option
@click.option("--alert-command", metavar="COMMAND", help="Run at an alarm, with facts as JSON")
@click.option("--webhook", metavar="URL", help="POST the facts of an alarm there, as JSON")
@click.option("--attach", is_flag=True, help="At an alarm, look into the process that is largest")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output folder; that of a watch is resumed [default: reports/<when>-...]",
)
@format_option
@display_option
def command(
    process: str | None,
    out: Path | None,
    renderers: tuple[RunRenderer, ...],
    display: DisplayChoice,
    **given: str | None,
) -> int:
    """Follow a process and all below it from outside, for days, in constant memory.

    Says when the verdict changes, and alarms once when memory grows or gets short. Restarts of the
    process are marked. Started again with the same --out, it resumes.
    """
    from leakhunt.engine.watch import WatchRequest, watch

    words = click.get_current_context().meta.get(_COMMAND, ())
    request = WatchRequest(process, words, **given)  # type: ignore[arg-type]
    with display.open() as events:
        result = watch(request, renderers, events, out=out)
    print_report(result.report, result.files)
    return result.exit_code
