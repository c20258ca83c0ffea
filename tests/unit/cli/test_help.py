"""The help of every verb: one short line, options in sections, two examples that work."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from leakhunt.cli.main import cli, main
from leakhunt.cli.verb import EXAMPLES, EXIT_CODES, OLD_SPELLINGS, Verb

LONGEST_LINE = 70


def verbs() -> Iterator[tuple[str, click.Command]]:
    """Every verb with the words that call it, those of a group each by itself."""
    root = click.Context(cli)
    for name in cli.list_commands(root):
        command = cli.get_command(root, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"{name} {sub}", each) for sub, each in command.commands.items())
        else:
            yield name, command


VERBS = dict(verbs())


def help_of(name: str) -> str:
    done = CliRunner().invoke(cli, [*name.split(), "--help"])
    assert done.exit_code == 0
    return done.output


def test_every_verb_is_laid_out_the_same_way() -> None:
    assert set(VERBS) == set(EXAMPLES)
    for name, command in VERBS.items():
        assert isinstance(command, Verb), name


@pytest.mark.parametrize("name", VERBS)
def test_the_help_ends_with_two_examples_and_the_exit_codes(name: str) -> None:
    text = help_of(name)
    examples, _, codes = text.partition("Examples:")[2].partition("Exit codes:")
    assert len(EXAMPLES[name]) == 2
    for purpose, line in EXAMPLES[name]:
        assert f"# {purpose}" in examples and line in examples
    assert "0 success" in codes and "2 wrong usage" in codes


@pytest.mark.parametrize("name", VERBS)
def test_no_two_options_of_a_verb_give_the_same_argument(name: str) -> None:
    given = [parameter.name for parameter in VERBS[name].params]
    assert len(set(given)) == len(given)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--option", "rate"], "--option 'rate': expected NAME=VALUE"),
        (["--option", "rate=1"], "has no option 'rate'"),
        (["--pairs", "2", "--option", "rate=1"], "has no option 'rate'"),
        (["--with", "nothing"], "--with nothing: unknown instrument"),
    ],
)
def test_hunt_takes_options_of_the_scenario_beside_its_pairs(
    options: list[str], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["hunt", "leak-zoo-bounded", *options]) == 2
    assert told in capfd.readouterr().err


@pytest.mark.parametrize("name", VERBS)
def test_the_examples_are_understood(name: str) -> None:
    for _, line in EXAMPLES[name]:
        words = shlex.split(line)
        while words[0] == "leakhunt" or words[0] in ("--lang", "zh"):
            words.pop(0)
        assert words[: len(name.split())] == name.split()
        command = VERBS[name]
        ctx = click.Context(command)
        given = words[len(name.split()) :]
        rest = given[: given.index(">")] if ">" in given else given
        command.make_parser(ctx).parse_args(rest)


def test_the_first_line_of_a_verb_is_short() -> None:
    lines = [line for line in help_of_all().splitlines() if line.startswith("  ")]
    for name in {name.split()[0] for name in VERBS}:
        (line,) = [each for each in lines if each.split()[0] == name]
        assert len(line.split(maxsplit=1)[1]) <= LONGEST_LINE


def help_of_all() -> str:
    return CliRunner().invoke(cli, ["--help"], terminal_width=120).output


def test_verbs_stand_in_groups() -> None:
    text = help_of_all()
    titles = ("Measure:", "Services:", "Continuous integration:", "Reports:", "Maintainers:")
    places = [text.index(f"\n{title}\n") for title in titles]
    assert places == sorted(places)
    for code, meaning in EXIT_CODES.items():
        assert f"{code} {meaning}" in " ".join(text.split())


def test_old_spellings_are_understood_and_hidden() -> None:
    for old, new in OLD_SPELLINGS.items():
        owners = [
            command for command in VERBS.values()
            if any(new in parameter.opts for parameter in command.params)
        ]  # fmt: skip
        assert owners
        for command in owners:
            ctx = command.make_context("x", ["x", old, "4"], resilient_parsing=True)
            name = next(each.name for each in command.params if new in each.opts)
            assert name is not None and ctx.params[name] == 4
    for name in VERBS:
        assert not set(OLD_SPELLINGS) & set(help_of(name).split()), name
