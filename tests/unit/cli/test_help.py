"""The help of every verb: one short line, options in sections, two examples that work."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import catalogue
import click
import pytest
from click.testing import CliRunner

from leakhunt.cli.help import Help, columns, folded
from leakhunt.cli.main import cli, main
from leakhunt.cli.verb import EXAMPLES, EXIT_CODES, OLD_SPELLINGS, Verb
from leakhunt.text.language import speaking, tr

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
    assert {"0": "success", "2": "wrong usage"}.items() <= dict(
        line.split(maxsplit=1) for line in codes.splitlines() if line.strip()
    ).items()


@pytest.mark.parametrize("name", VERBS)
def test_no_two_options_of_a_verb_give_the_same_argument(name: str) -> None:
    given = [parameter.name for parameter in VERBS[name].params]
    assert len(set(given)) == len(given)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--option", "rate"], "--option 'rate': expected NAME=VALUE"),
        (["--option", "rate=1"], "has no option 'rate'"),
        (["--pairs", "2", "--option", "rate=1"], "has no option 'rate'"),
        (["--with", "nothing"], "--with nothing: unknown instrument"),
    ],
)
def test_hunt_takes_options_of_the_scenario_beside_its_pairs(
    options: list[str], expected: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["hunt", "leak-zoo-bounded", *options]) == 2
    assert expected in capfd.readouterr().err


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


def test_a_verb_that_is_called_by_itself_has_the_short_option_too() -> None:
    from leakhunt.cli.list import command

    assert command.context_class(command).help_option_names == ["-h", "--help"]


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


# What stays as it is in every language: commands and what they are made of, names and numbers.
_SYNTAX = re.compile(
    r"^(?:  |用法： )leakhunt .*$"  # a command
    r"|\[默\s*认：[a-z,\s]*\]|\{[a-z|-]*\}|\[[a-z|]*\]"  # a default, choices
    r"|--?[a-z][\w-]*|\b[A-Z_]+\b|'[^']*'|@?\w+\([^)]*\)|[\w.]*[_./][\w./]*",
    re.MULTILINE,
)
_ENGLISH = re.compile(r"[A-Za-z]+(?:[ ,]+[a-z]+){2,}")


@pytest.mark.parametrize(
    ("name", "context"),
    list(catalogue.help_contexts()),
    ids=lambda each: each if each else "leakhunt",
)
def test_no_help_stays_english_in_chinese(name: str, context: click.Context) -> None:
    with speaking("zh"):
        texts = catalogue.recorded_help(context)
        text = context.get_help()
        english = [each for each in texts if tr(each) == each]
    assert english == []
    assert f"用法： leakhunt {name}" in text and ("退出码：" in text) is (name != "baseline")
    assert _ENGLISH.findall(_SYNTAX.sub("·", text)) == []


def test_help_is_asked_for_in_a_language(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--lang", "zh", "--help"]) == 0
    assert "每个变体的调用次数 [默认：直到结论明确]" in capsys.readouterr().out
    assert main(["run", "--help"]) == 0
    english = " ".join(capsys.readouterr().out.split())
    assert "Calls per variant [default: until the verdict is clear]" in english


def test_help_is_folded_by_columns() -> None:
    lines = list(folded("不给出 NAME_OR_FILE 时：内置的（泄漏）样本集。", 20))
    assert lines == ["不给出 NAME_OR_FILE", "时：内置的（泄漏）样", "本集。"]
    assert max(map(columns, lines)) == 20
    assert list(folded("one-two three", 5)) == ["one-two", "three"]
    assert list(folded("一二，三", 4)) == ["一", "二，", "三"]


def test_the_default_and_range_of_an_option_are_translated() -> None:
    help_ = Help(width=60)
    with speaking("zh"):
        help_.write_dl([("--seed", "Seed of the inputs  [default: 0; x>=0; required]")])
    assert help_.getvalue() == "--seed  输入的随机种子 [默认：0; x>=0; 必填]\n"
