"""The language of a command: ``--lang`` anywhere on its line, else LEAKHUNT_LANG, else English.

The system's own variables (LANG, LC_ALL) are not asked: who reads a report is not who made it, and
a script must not read another language on another machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leakhunt.errors import UsageError
from leakhunt.text.language import ENGLISH, LANGUAGES, VARIABLE, is_known

_OPTION = "--lang"


def requested_language(
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
