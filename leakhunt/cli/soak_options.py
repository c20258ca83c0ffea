"""The options of ``soak``, and the request they make."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from leakhunt.cli.display_option import display_option
from leakhunt.cli.format_option import format_option
from leakhunt.engine.settings import given_options
from leakhunt.engine.soak_request import Load, SoakRequest
from leakhunt.errors import UsageError
from leakhunt.model.options import SERVICE_TIMEOUT_SECONDS, USERS
from leakhunt.text.language import tr

_Command = TypeVar("_Command", bound=Callable[..., Any])
_PATH = click.Path(path_type=Path)
_OPTIONS = (
    click.option("--command", "command", help="Start this; write {port} where its port goes."),
    click.option(
        "--pid", type=click.IntRange(min=1), help="A service that runs already; with --url."
    ),
    click.option(
        "--url", help="Where it listens; default: the loopback, on the port it was given."
    ),
    click.option(
        "--ready", default="", help="A path that answers 2xx once the service can be used."
    ),
    click.option("--locustfile", type=_PATH, help="Your own load, for Locust."),
    click.option("--audio", type=_PATH, help="A folder of recordings to upload."),
    click.option("--post", help="With --audio: the path that takes them, such as /vad."),
    click.option(
        "--field", default="file", show_default=True, help="With --audio: the form's field."
    ),
    click.option("--expect", default="", help="With --audio: a pattern that every answer holds."),
    click.option(
        "--users",
        type=click.IntRange(min=1),
        default=USERS,
        show_default=True,
        help="Users that send requests at the same time.",
    ),
    click.option("--requests", type=click.IntRange(min=1), help="End after so many."),
    click.option("--duration", help="End after so long: 90s, 10m, 72h. Default: when it is known."),
    click.option(
        "--hunt", is_flag=True, help="Where it grows, do it again with instruments in the service."
    ),
    click.option("--resolve", is_flag=True, help="Go on until the verdict is not inconclusive."),
    click.option(
        "--memory-limit",
        metavar="SIZE",
        help="'2 GiB'; or '+1 GiB' above what it holds when ready.",
    ),
    click.option(
        "--option", "pairs", multiple=True, metavar="NAME=VALUE", help="See 'leakhunt list'."
    ),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=SERVICE_TIMEOUT_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="A service that is not ready, or answers nothing, for so long has hung.",
    ),
    click.option(
        "--leave-running", is_flag=True, help="Do not end a service that --command started."
    ),
    click.option(
        "--resume",
        "resume",
        type=_PATH,
        metavar="RUN_FILE",
        help="Go on with a soak whose service still runs.",
    ),
    click.option(
        "--locust", "locust", default="", help="Further words for Locust, such as '--master'."
    ),
    click.option("--out", type=_PATH, help="Folder; default: reports/<when>-..."),
    format_option,
    display_option,
)
# What the load is made of; the rest is about the service.
_OF_THE_LOAD = (
    *("locustfile", "audio", "post", "field", "expect", "users", "requests", "duration"),
)


def soak_options(command: _Command) -> _Command:
    """Give a command the argument TARGET and the options that say what is soaked, and how."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return click.argument("target", required=False, metavar="[NAME_OR_FILE[:VARIANT,...]]")(command)


def soak_request(
    target: str | None, pairs: tuple[str, ...], locust: str, **asked: Any
) -> SoakRequest:
    """What these options ask for.

    Raises:
        UsageError: an option of the service, or the words for Locust, are not written as such.
    """
    load = Load(**{name: asked.pop(name) for name in _OF_THE_LOAD}, locust_options=_words(locust))
    return SoakRequest(target, load=load, options=given_options(pairs, {}), **asked)


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(tr("--locust {text!r}: {error}", text=text, error=error)) from None
