"""The options of ``soak``, and the request they make."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from leakhunt.cli.common_options import (
    Command,
    at_least,
    limit_option,
    scenario_option,
    seed_option,
    with_options,
)
from leakhunt.cli.display_option import display_option
from leakhunt.cli.format_option import format_option
from leakhunt.engine.settings import given_options
from leakhunt.engine.soak_request import Load, SoakRequest
from leakhunt.errors import UsageError
from leakhunt.model.options import SERVICE_TIMEOUT_SECONDS, UPLOAD_FIELD, USERS
from leakhunt.text.message import message

_PATH = click.Path(path_type=Path)
_OPTIONS = (
    click.option(
        "--command", "command", help="Command that starts the service, with {port} for the port"
    ),
    click.option(
        "--pid", type=at_least("pid"), help="Process id of a running service (needs --url)"
    ),
    click.option(
        "--url", help="Address of the service [default: the loopback interface, on {port}]"
    ),
    click.option("--ready", default="", help="Path that answers 2xx once the service is ready"),
    click.option("--locustfile", type=_PATH, help="Locust file with your own load"),
    click.option("--audio", type=_PATH, help="Folder of recordings to upload"),
    click.option("--post", help="Path that accepts the uploads of --audio, for example /vad"),
    click.option(
        "--field",
        default=UPLOAD_FIELD,
        show_default=True,
        help="Form field for the uploads of --audio",
    ),
    click.option(
        "--expect", default="", help="Regular expression that every answer to --audio must match"
    ),
    click.option(
        "--users",
        type=at_least("users"),
        default=USERS,
        show_default=True,
        help="Concurrent users",
    ),
    click.option(
        "--requests",
        type=at_least("requests"),
        help="Number of requests [default: until the verdict is clear]",
    ),
    click.option(
        "--duration",
        help="Maximum duration, such as 90s, 10m or 72h [default: until the verdict is clear]",
    ),
    click.option(
        "--by-route",
        is_flag=True,
        help="Soak the tasks of the locustfile in turns, for the growth of each route",
    ),
    click.option(
        "--hunt", is_flag=True, help="If memory grows, repeat with instruments to find the cause"
    ),
    click.option(
        "--resolve", is_flag=True, help="Extend the soak while the verdict is inconclusive"
    ),
    click.option(
        "--memory-limit",
        metavar="SIZE",
        help="Memory limit: '2 GiB', or '+1 GiB' above its memory when ready",
    ),
    limit_option,
    scenario_option,
    seed_option,
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=SERVICE_TIMEOUT_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="Seconds without an answer before the service counts as hung",
    ),
    click.option(
        "--agent/--no-agent",
        "agent",
        default=True,
        help="Start the in-process agent in every Python process of the service, or attach it"
        " (--pid) [default: yes]",
    ),
    click.option(
        "--leave-running", is_flag=True, help="Leave the service of --command running at the end"
    ),
    click.option(
        "--resume",
        "resume",
        type=_PATH,
        metavar="RUN_FILE",
        help="Resume a soak whose service still runs",
    ),
    click.option("--locust", "locust", default="", help="Extra arguments for Locust"),
    click.option("--out", type=_PATH, help="Output folder [default: reports/<when>-...]"),
    format_option,
    display_option,
)
# What the load is made of; the rest is about the service.
_OF_THE_LOAD = (
    *(
        "locustfile",
        "audio",
        "post",
        "field",
        "expect",
        "users",
        "requests",
        "duration",
        "by_route",
    ),
)


def soak_options(command: Command) -> Command:
    """Give a command the argument TARGET and the options that say what is soaked, and how."""
    command = with_options(command, _OPTIONS)
    return click.argument("target", required=False, metavar="[NAME_OR_FILE[:VARIANT,...]]")(command)


def soak_request(
    target: str | None, settings: tuple[str, ...], locust: str, **given: Any
) -> SoakRequest:
    """What these options ask for.

    Raises:
        UsageError: an option of the service, or the words for Locust, are not written as such.
    """
    load = Load(**{name: given.pop(name) for name in _OF_THE_LOAD}, locust_options=_words(locust))
    return SoakRequest(target, load=load, options=given_options(settings, {}), **given)


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(
            message(
                "soak.locust-options",
                "--locust {text!r}: {error}. Fix the quoting",
                text=text,
                error=error,
            )
        ) from None
