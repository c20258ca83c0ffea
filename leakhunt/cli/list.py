"""``leakhunt list``: the scenarios, their variants and options."""

from __future__ import annotations

import click
from rich.console import Console
from rich.text import Text

from leakhunt.cli.json_option import offer_noun
from leakhunt.cli.verb import Verb
from leakhunt.config.service_file import DescribedService, builtin_services
from leakhunt.model.scenario import Scenario
from leakhunt.reporting.run.terminal import visible_line
from leakhunt.scenario import find
from leakhunt.scenario.requirements import HasRequirements, install_hint, missing_modules
from leakhunt.text.language import tr


@click.command("list", cls=Verb)
@click.argument("scenarios", nargs=-1, metavar="[NAME_OR_FILE]...")
def command(scenarios: tuple[str, ...]) -> None:
    """List scenarios and services, with their variants and options.

    Without NAME_OR_FILE: all built-in ones.
    """
    console = Console(highlight=False)
    found = [find.listed(name) for name in scenarios] or list(find.builtin())
    services = [] if scenarios else list(builtin_services())
    offer_noun({"scenarios": found, "services": services})
    for described in found:
        _show(console, described)
    for service in services:
        _show_service(console, service)


def _show_service(console: Console, service: DescribedService) -> None:
    text = tr("a service, for 'leakhunt soak'")
    _print(console, Text.assemble((service.name, "bold"), f"  {service.summary} ({text})"), False)
    _show_missing(console, service)
    width = max(len(variant.name) for variant in service.variants)
    for variant in service.variants:
        _print(console, Text(f"  :{variant.name:<{width}}  {variant.summary}"))
    for name, default in service.options.items():
        _print(console, Text(f"  --option {name}={default or '...'}", "dim"))
    console.print()


def _show(console: Console, described: Scenario) -> None:
    _print(console, Text.assemble((described.name, "bold"), "  ", described.summary), False)
    _show_missing(console, described)
    width = max(len(variant.name) for variant in described.variants)
    for variant in described.variants:
        only = tr(" ({devices} only)", devices=", ".join(variant.devices))
        is_narrow = len(variant.devices) == 1 and variant.devices != described.devices
        shown = f"{variant.summary}{only if is_narrow else ''}"
        _print(console, Text(f"  :{variant.name:<{width}}  {shown}"))
    for option in described.options:
        words = f" [{'|'.join(filter(None, option.choices))}]" if option.choices else ""
        _print(
            console,
            Text(
                f"  --option {option.name}={option.default or '...'}{words}  {option.help}", "dim"
            ),
        )
    console.print()


def _show_missing(console: Console, described: HasRequirements) -> None:
    missing = missing_modules(described)
    if missing:
        text = tr("  not installed here: {missing}", missing=", ".join(missing))
        for line in (text, f"  {install_hint(described)}"):
            _print(console, Text(line, "yellow"), False)


def _print(console: Console, line: Text, soft_wrap: bool = True) -> None:
    """A line of which nothing steers the terminal."""
    console.print(visible_line(line), soft_wrap=soft_wrap)
