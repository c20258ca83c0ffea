"""What click says is wrong, in the language spoken.

An error of click's comes as an English sentence that is filled in already; there is no other way to
its parts. This is the one place where English is taken apart again: by the sentences below alone.
"""

from __future__ import annotations

import re
from functools import cache
from string import Formatter

import click

from leakhunt.text.language import mark, tr

# The first that fits counts.
_SENTENCES = (
    mark("No such option {name}."),
    mark("No such option {name}. Did you mean {possibility}?"),
    mark("No such option {name}. (Did you mean one of: {possibilities}?)"),
    mark("No such command {name}."),
    mark("No such command {name}. Did you mean {possibility}?"),
    mark("No such command {name}. (Did you mean one of: {possibilities}?)"),
    mark("Missing argument {name}."),
    mark("Missing option {name}."),
    mark("Missing option {name}. {choices}"),
    mark("Missing command."),
    mark("Got unexpected extra argument ({arguments})"),
    mark("Got unexpected extra arguments ({arguments})"),
    mark("Option {name} requires an argument."),
    mark("Option {name} does not take a value."),
    mark("Invalid value for {name}: {reason}"),
    mark("{value} is not a valid {kind}."),
    mark("integer"),
    mark("integer range"),
    mark("float"),
    mark("float range"),
    mark("{value} is not in the range {range}."),
    mark("{value} is not one of {choices}."),
    mark("Directory {name} does not exist."),
    mark("Directory {name} is a file."),
    mark("Directory {name} is not readable."),
    mark("Directory {name} is not writable."),
    mark("File {name} does not exist."),
    mark("File {name} is a directory."),
    mark("File {name} is not readable."),
    mark("Path {name} does not exist."),
    mark("Path {name} is not readable."),
)


def click_text(error: click.ClickException) -> str:
    """The line of an error of click's; in English what none of its sentences is like."""
    return _translated(error.format_message())


def _translated(text: str) -> str:
    for sentence, pattern in _patterns():
        if (match := pattern.fullmatch(text)) is not None:
            return tr(
                sentence, **{name: _translated(part) for name, part in match.groupdict().items()}
            )
    return tr(text)


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    ranked = sorted(_SENTENCES, key=len, reverse=True)
    return tuple((each, re.compile(_pattern(each), re.DOTALL)) for each in ranked if "{" in each)


def _pattern(sentence: str) -> str:
    return "".join(
        re.escape(literal) + (f"(?P<{name}>.*?)" if name is not None else "")
        for literal, name, *_ in Formatter().parse(sentence)
    )
