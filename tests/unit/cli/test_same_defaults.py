"""Both doors have the same defaults and least values: the options of a verb, and its function."""

from __future__ import annotations

import inspect
from typing import Any

import click
import pytest

import leakhunt
from leakhunt.cli.main import cli
from leakhunt.errors import UsageError
from leakhunt.model.options import MINIMUMS

# Verbs by the name of their function, where that is another.
FUNCTIONS = {"truth": "evaluate"}
SAME = ("run", "hunt", "soak", "gate", "truth", "matrix", "bisect", "benchmark")
# Options that the command line alone has, has under another name, or turns round.
ELSEWHERE = {
    "audio", "lengths", "settings", "renderers", "display", "no_hunt", "hunts", "formats", "out",
    "locust", "instruments", "remedies", "help", "retained", "problems", "adapters",
    "vary", "good", "bad",
}  # fmt: skip


def command_of(verb: str) -> click.Command:
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    return command


def options_of(verb: str) -> dict[str, click.Option]:
    params = command_of(verb).params
    found = {each.name: each for each in params if isinstance(each, click.Option)}
    return {name: each for name, each in found.items() if name is not None}


def arguments_of(verb: str) -> dict[str, Any]:
    parameters = dict(inspect.signature(getattr(leakhunt, FUNCTIONS.get(verb, verb))).parameters)
    if "load" in parameters:
        parameters |= inspect.signature(leakhunt.Load).parameters
    return {name: each.default for name, each in parameters.items()}


@pytest.mark.parametrize("verb", SAME)
def test_an_option_has_the_default_of_the_argument(verb: str) -> None:
    options, arguments = options_of(verb), arguments_of(verb)
    compared = {name for name in options if name not in ELSEWHERE and options[name].expose_value}
    assert len(compared) >= 3
    assert compared <= set(arguments)
    parsed = command_of(verb).make_context(verb, [], resilient_parsing=True).params
    found = {name: parsed[name] for name in compared}
    assert {name: value or None for name, value in found.items()} == {
        name: arguments[name] or None for name in compared
    }


@pytest.mark.parametrize("verb", SAME)
def test_an_option_refuses_what_the_argument_refuses(verb: str) -> None:
    ranges = {
        name: option.type.min
        for name, option in options_of(verb).items()
        if isinstance(option.type, click.IntRange)
    }
    assert ranges
    # A remedy is compared over two pairs of runs at least.
    expected = {name: 2 if (verb, name) == ("hunt", "pairs") else MINIMUMS[name] for name in ranges}
    assert ranges == expected


@pytest.mark.parametrize(
    ("verb", "name"),
    [
        *(("run", name) for name in ("calls", "warmup", "calls_per_sample", "threads", "seed")),
        *(("run", name) for name in ("memory_limit", "limit", "concurrency", "jobs")),
        *(("gate", name) for name in ("pairs", "jobs", "limit")),
        *(("evaluate", name) for name in ("repeats", "clean_repeats", "jobs")),
    ],
)
def test_a_value_below_the_least_is_refused(verb: str, name: str) -> None:
    targets = () if verb == "gate" else ("null",)
    with pytest.raises(UsageError, match=rf"{name}=.*expected {MINIMUMS[name]} or more"):
        getattr(leakhunt, verb)(*targets, **{name: MINIMUMS[name] - 1})
