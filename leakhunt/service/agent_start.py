"""Why the agent that was to start by itself did not start in a service."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from leakhunt.agent.autostart import FOLDER, PYTHONPATH
from leakhunt.text.message import Message, Text, message

# Options by which Python ignores PYTHONPATH, or loads no sitecustomize; they may stand together.
_FLAGS = re.compile(r"-[a-zA-Z]*([IES])")
# Options that take a word of their own.
_WITH_WORD = ("-W", "-X", "--check-hash-based-pycs")
_LIBRARY = re.compile(rb"/libpython3\.\d+[^/\n]*$", re.MULTILINE)


def is_asked_for(variables: Mapping[str, str]) -> bool:
    """Whether a process that has these variables was started with the agent."""
    return str(FOLDER) in variables.get(PYTHONPATH, "").split(":")


def not_started(pids: Sequence[int]) -> Message:
    """Why none of these processes has it, though the first one was started with it."""
    reasons = [reason for pid in pids if (reason := _reason(Path("/proc", str(pid)))) is not None]
    no_python = message("soak.no-python", "no process of it runs Python")
    return message(
        "soak.agent-not-started",
        "the agent did not start in the service: {reason}. To measure live memory, add 'from"
        " leakhunt import agent' and 'agent.listen()' to the service",
        reason=reasons[0] if reasons else no_python,
    )


def _reason(process: Path) -> Text | None:
    """Why a Python process has no agent; None: it is none, or is gone."""
    try:
        words = (process / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        variables = (process / "environ").read_bytes().decode("utf-8", "replace").split("\0")
        name = (process / "exe").readlink().name
        is_python = name.startswith("python")
        if not is_python and not _LIBRARY.search((process / "maps").read_bytes()):
            return None
    except OSError:
        return None
    flag = option_against(words) if is_python else None
    if flag is not None:
        return message(
            "soak.python-option", "Python runs with {option}, which ignores it", option=flag
        )
    known = dict(each.partition("=")[::2] for each in variables)
    if not is_asked_for(known):
        return message("soak.environment-reset", "its environment does not keep PYTHONPATH")
    return message("soak.agent-unfit", "it needs CPython 3.11 or later that loads sitecustomize")


def option_against(words: Sequence[str]) -> str | None:
    """The option of a Python command line by which no sitecustomize of PYTHONPATH is loaded."""
    rest = iter(words[1:])
    for word in rest:
        if word in _WITH_WORD:
            next(rest, None)
        elif not word.startswith("-") or word in ("-c", "-m", "-"):
            return None
        elif (found := _FLAGS.match(word)) is not None and not word.startswith("--"):
            return f"-{found[1]}"
    return None
