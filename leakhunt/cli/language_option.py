"""The language of a command: ``--lang`` anywhere on its line, else LEAKHUNT_LANG, else English.

The system's own variables (LANG, LC_ALL) are not asked: who reads a report is not who made it, and
a script must not read another language on another machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leakhunt.errors import UsageError
from leakhunt.text.language import ENGLISH, LANGUAGES, VARIABLE, is_known, mark

_OPTION = "--lang"
# What the command line's library says is wrong, in its words: translated where it is shown.
CLICK_SAYS = (
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


def asked_language(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> tuple[str, list[str]]:
    """The language that a command line asks for, and the other arguments.

    The last ``--lang`` counts; what comes after ``--`` is left as it is.

    Raises:
        UsageError: there is no such language.
    """
    words = list(arguments)
    end = words.index("--") if "--" in words else len(words)
    rest: list[str] = []
    found, source = environment.get(VARIABLE, ""), f"{VARIABLE}="
    ahead = iter(words[:end])
    for word in ahead:
        if word == _OPTION:
            found, source = next(ahead, ""), f"{_OPTION} "
        elif word.startswith(f"{_OPTION}="):
            found, source = word.removeprefix(f"{_OPTION}="), f"{_OPTION} "
        else:
            rest.append(word)
            continue
        if not found:
            raise UsageError(f"{_OPTION} needs a language: use one of {', '.join(LANGUAGES)}")
    if found and not is_known(found):
        raise UsageError(f"{source}{found}: no such language; use one of {', '.join(LANGUAGES)}")
    return found or ENGLISH, rest + words[end:]
