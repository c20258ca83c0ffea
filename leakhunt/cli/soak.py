"""``leakhunt soak``: put a running service under load, watch it, and report."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import click

from leakhunt.amounts import parse_duration, parse_size
from leakhunt.cli.display import Bars, SteadyConsole
from leakhunt.cli.format_option import format_option
from leakhunt.cli.interrupts import signals_are_interrupts
from leakhunt.cli.live_display import live_displays
from leakhunt.cli.verb import Verb
from leakhunt.engine.settings import given_options
from leakhunt.engine.soak import SoakEffort, go_on, soak_all
from leakhunt.engine.soak_target import SoakOptions, targets
from leakhunt.errors import MissingRequirement, UsageError
from leakhunt.model.options import SERVICE_TIMEOUT_SECONDS, USERS
from leakhunt.reporting.registry import RunRenderer
from leakhunt.storage.folders import new_folder
from leakhunt.text.language import tr


@click.command("soak", cls=Verb)
@click.argument("target", required=False, metavar="[NAME_OR_FILE[:VARIANT,...]]")
@click.option("--command", "begun_by", help="Start this; write {port} where its port goes.")
@click.option("--pid", type=click.IntRange(min=1), help="A service that runs already; with --url.")
@click.option("--url", help="Where it listens; default: the loopback, on the port it was given.")
@click.option("--ready", default="", help="A path that answers 2xx once the service can be used.")
@click.option("--locustfile", type=click.Path(path_type=Path), help="Your own load, for Locust.")
@click.option("--audio", type=click.Path(path_type=Path), help="A folder of recordings to upload.")
@click.option("--post", help="With --audio: the path that takes them, such as /vad.")
@click.option("--field", default="file", show_default=True, help="With --audio: the form's field.")
@click.option("--expect", default="", help="With --audio: a pattern that every answer holds.")
@click.option(
    "--users",
    type=click.IntRange(min=1),
    default=USERS,
    show_default=True,
    help="Users that send requests at the same time.",
)
@click.option("--requests", type=click.IntRange(min=1), help="End after so many.")
@click.option("--duration", help="End after so long: 90s, 10m, 72h. Default: when it is known.")
@click.option(
    "--hunt", is_flag=True, help="Where it grows, do it again with instruments in the service."
)
@click.option("--resolve", is_flag=True, help="Go on until the verdict is not inconclusive.")
@click.option(
    "--memory-limit", metavar="SIZE", help="'2 GiB'; or '+1 GiB' above what it holds when ready."
)
@click.option("--option", "pairs", multiple=True, metavar="NAME=VALUE", help="See 'leakhunt list'.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=SERVICE_TIMEOUT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="A service that is not ready, or answers nothing, for so long has hung.",
)
@click.option("--leave-running", is_flag=True, help="Do not end a service that --command started.")
@click.option(
    "--resume",
    "resumed",
    type=click.Path(path_type=Path),
    metavar="RUN_FILE",
    help="Go on with a soak whose service still runs.",
)
@click.option(
    "--locust", "locust_words", default="", help="Further words for Locust, such as '--master'."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder; default: reports/<when>-...")
@format_option
@click.option("--live", is_flag=True, help="Draw the curves in the terminal as they grow.")
def command(
    target: str | None,
    begun_by: str | None,
    pairs: tuple[str, ...],
    duration: str | None,
    memory_limit: str | None,
    locust_words: str,
    resumed: Path | None,
    out: Path | None,
    renderers: tuple[RunRenderer, ...],
    live: bool,
    **asked: Any,
) -> int:
    """Put a running service under real load, watch it from outside and inside, and report.

    NAME_OR_FILE is a service of 'leakhunt list' or your own service.toml; or use --command or
    --pid.
    """
    if sys.platform != "linux":
        raise MissingRequirement(tr("soak needs Linux: it reads the service through /proc"))
    if not isfinite(asked["timeout"]):
        raise UsageError(
            tr("--timeout {timeout}: use a number of seconds", timeout=asked["timeout"])
        )
    if asked["hunt"] and (asked["pid"] is not None or resumed is not None):
        raise UsageError(
            tr("--hunt starts the service again with instruments in it: use --command or a name")
        )
    wanted = SoakOptions(
        target=target,
        command=begun_by,
        options=given_options(pairs, {}),
        **{name: asked.pop(name) for name in _OF_THE_TARGET},
    )
    effort = SoakEffort(
        requests=asked["requests"],
        duration_seconds=parse_duration(duration) if duration else None,
        resolve=asked["resolve"],
        limit_bytes=parse_size(memory_limit.removeprefix("+")) if memory_limit else None,
        above_baseline=memory_limit is not None and memory_limit.startswith("+"),
        users=asked["users"],
        timeout_seconds=asked["timeout"],
        seed=wanted.seed,
        hunt=asked["hunt"],
        leave_running=asked["leave_running"],
        locust_options=_words(locust_words),
    )
    signals_are_interrupts()
    console = SteadyConsole()
    displays = live_displays(console) if live else partial(Bars, console)
    if resumed is not None:
        return go_on(resumed, wanted, effort, renderers, console, displays)
    found = targets(wanted)
    folder = new_folder(out, f"soak-{found[0].name}")
    return soak_all(found, effort, folder, renderers, console, displays)


_OF_THE_TARGET = (
    *("pid", "url", "ready", "locustfile", "audio", "post", "field", "expect", "seed"),
)


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(tr("--locust {text!r}: {error}", text=text, error=error)) from None
