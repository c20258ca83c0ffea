"""``leakhunt list``: the scenarios, their variants and options."""

from __future__ import annotations

from importlib.util import find_spec

import click
from rich.console import Console
from rich.text import Text

from leakhunt import scenario
from leakhunt.language import tr
from leakhunt.model import Scenario


@click.command("list")
@click.argument("scenarios", nargs=-1, metavar="[NAME_OR_FILE]...")
def command(scenarios: tuple[str, ...]) -> None:
    """Show the scenarios, their variants and options.

    Without NAME_OR_FILE: the built-in ones.
    """
    console = Console(highlight=False)
    found = [scenario.find(name)[0] for name in scenarios] or list(scenario.builtin())
    for described in found:
        _show(console, described)


def _show(console: Console, described: Scenario) -> None:
    console.print(Text.assemble((described.name, "bold"), "  ", described.summary))
    missing = missing_modules(described)
    if missing:
        console.print(
            Text(tr("  not installed here: {missing}", missing=", ".join(missing)), "yellow")
        )
        console.print(Text(f"  {install_hint(described)}", "yellow"))
    width = max(len(variant.name) for variant in described.variants)
    for variant in described.variants:
        only = (
            tr(" ({devices} only)", devices=", ".join(variant.devices))
            if len(variant.devices) == 1
            else ""
        )
        shown = only if variant.devices != described.devices else ""
        line = f"  :{variant.name:<{width}}  {variant.summary}{shown}"
        console.print(Text(line), soft_wrap=True)
    for option in described.options:
        words = f" [{'|'.join(filter(None, option.choices))}]" if option.choices else ""
        console.print(
            Text(
                f"  --option {option.name}={option.default or '...'}{words}  {option.help}", "dim"
            ),
            soft_wrap=True,
        )
    console.print()


def missing_modules(described: Scenario) -> list[str]:
    """The modules the scenario needs that are not installed; nothing is imported."""
    return [name for name in described.requires if find_spec(name) is None]


def install_hint(described: Scenario) -> str:
    """What to type to get them."""
    if described.extra:
        return tr("install the extra: pip install 'leakhunt[{extra}]'", extra=described.extra)
    return tr(
        "install them: pip install {missing_modules}",
        missing_modules=" ".join(missing_modules(described)),
    )
