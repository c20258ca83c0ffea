"""What ``run`` and ``hunt`` are asked for: their common options, checked."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

import click

from leakhunt.amounts import parse_size
from leakhunt.cli.format_option import format_option
from leakhunt.environment import available_cores
from leakhunt.errors import MissingRequirement, UsageError
from leakhunt.runner.prepared import Sampling, Settings
from leakhunt.scenario import find
from leakhunt.scenario.requirements import install_hint, missing_modules
from leakhunt.text.language import tr

DEFAULT_TIMEOUT_SECONDS = 600.0
# The part of the calls that is warm-up and not judged, unless the user says otherwise.
WARMUP_SHARE = 0.25

_Command = TypeVar("_Command", bound=Callable[..., Any])
_OPTIONS = (
    click.option(
        "--calls",
        type=click.IntRange(min=1),
        help="So many per variant; default: as many as needed.",
    ),
    click.option(
        "--warmup",
        type=click.IntRange(min=0),
        help="Of --calls, so many not judged; default: a quarter.",
    ),
    click.option(
        "--calls-per-sample",
        type=click.IntRange(min=1),
        help="Read after so many calls; default: by their time, with --calls 1.",
    ),
    click.option(
        "--collect",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="gc.collect() before each reading; auto: if garbage hides the rest and it is cheap.",
    ),
    click.option(
        "--resolve", is_flag=True, help="Go on until the verdict is no longer inconclusive."
    ),
    click.option("--device", type=click.Choice(["cpu", "cuda", "auto"]), default="auto"),
    click.option("--lengths", help="Clip lengths, where the scenario has them: fixed or varied."),
    click.option("--audio", help="Your own recordings: a file or a folder (wav, flac, mp3)."),
    click.option(
        "--option", "pairs", multiple=True, metavar="NAME=VALUE", help="See 'leakhunt list'."
    ),
    click.option("--threads", type=click.IntRange(min=1), help="Default: the cores there are."),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
    click.option(
        "--memory-limit", metavar="SIZE", help="End a worker above this, such as '2 GiB'."
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=DEFAULT_TIMEOUT_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="A worker without a new sample for so long has hung.",
    ),
    click.option(
        "--out", type=click.Path(path_type=Path), help="Folder; default: reports/<when>-..."
    ),
    format_option,
    click.option("--live", is_flag=True, help="Draw the curves in the terminal as they grow."),
)


def measuring_options(command: _Command) -> _Command:
    """Give a command the argument TARGET and the options that say how to measure."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return click.argument("target", metavar="NAME_OR_FILE[:VARIANT,...]")(command)


def settings_for(
    target: str,
    calls: int | None,
    warmup: int | None,
    calls_per_sample: int | None,
    collect: str,
    resolve: bool,
    device: str,
    lengths: str | None,
    audio: str | None,
    pairs: tuple[str, ...],
    threads: int | None,
    seed: int,
    memory_limit: str | None,
    timeout: float,
) -> Settings:
    """The settings that these options ask for; from now on a signal to end is an interrupt.

    Raises:
        UsageError: they make no sense, or name what is not there.
        MissingRequirement: what the scenario needs is not installed.
    """
    found, variants = find.find(target)
    if not isfinite(timeout):
        raise UsageError(tr("--timeout {timeout}: use a number of seconds", timeout=timeout))
    given = given_options(pairs, {"lengths": lengths, "audio": audio})
    settings = Settings(
        scenario=found,
        variants=variants,
        named=len(variants) < len(found.variants),
        sampling=sampling_of(
            calls or found.default_calls, warmup, calls_per_sample, collect, resolve
        ),
        seed=seed,
        threads=threads or available_cores(),
        device=device,
        options=find.settle_options(found, given),
        memory_limit_bytes=parse_size(memory_limit) if memory_limit else None,
        timeout_seconds=timeout,
    )
    refuse_what_cannot_be(settings)
    signals_are_interrupts()
    return settings


def sampling_of(
    calls: int | None, warmup: int | None, each: int | None, collect: str, resolve: bool
) -> Sampling:
    """How many calls, and how they are sampled.

    Raises:
        UsageError: what was asked for cannot go together.
    """
    if calls is None:
        if warmup is not None:
            raise UsageError(
                tr("--warmup goes with --calls; without, the warm-up ends when it is quiet")
            )
        return Sampling(None, None, each, collect, resolve)
    if resolve:
        raise UsageError(tr("--resolve takes as many calls as it needs; leave out --calls"))
    each = each or 1
    if calls % each:
        raise UsageError(
            tr(
                "--calls {calls} is no multiple of --calls-per-sample {each}; use one",
                calls=calls,
                each=each,
            )
        )
    unjudged = int(calls * WARMUP_SHARE) if warmup is None else warmup
    if unjudged >= calls:
        raise UsageError(
            tr(
                "--warmup {unjudged} leaves none of {calls} calls; use a smaller one",
                unjudged=unjudged,
                calls=calls,
            )
        )
    return Sampling(calls, unjudged, each, "always" if collect == "always" else "never", resolve)


def given_options(pairs: Sequence[str], named: Mapping[str, str | None]) -> dict[str, str]:
    """Options by name, from ``NAME=VALUE`` and from options of their own.

    Raises:
        UsageError: one is not written so.
    """
    given = {name: value for name, value in named.items() if value is not None}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(tr("--option {pair!r}: write it as NAME=VALUE", pair=pair))
        given[name] = value
    return given


def refuse_what_cannot_be(settings: Settings) -> None:
    """Refuse what cannot be measured on this machine.

    Raises:
        MissingRequirement: the system, or a module that the scenario needs.
        UsageError: the scenario does not run on that device.
    """
    if os.name != "posix":
        raise MissingRequirement(
            tr("measuring needs Linux or macOS; 'report', 'compare' and 'gate' work here")
        )
    missing = missing_modules(settings.scenario)
    if missing:
        raise MissingRequirement(
            tr(
                "scenario {name} needs {missing}; {install_hint}",
                name=settings.scenario.name,
                missing=", ".join(missing),
                install_hint=install_hint(settings.scenario),
            )
        )
    if settings.device not in (*settings.scenario.devices, "auto"):
        raise UsageError(
            tr(
                "scenario {name} runs on {devices}, not on {device}",
                name=settings.scenario.name,
                devices=", ".join(settings.scenario.devices),
                device=settings.device,
            )
        )


def signals_are_interrupts() -> None:
    """From now on a signal to end does what Ctrl-C does: what was measured is reported."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _as_interrupt)


def _as_interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """End as Ctrl-C does: what was measured is reported."""
    raise KeyboardInterrupt
