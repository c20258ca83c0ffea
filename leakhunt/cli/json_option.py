"""``--json`` anywhere on a command's line: its result as JSON, alone on standard output.

What people read goes to standard error then. A verb offers what it came to, as the file of that
name has it (``leakhunt schema NAME``); where it fails, the document is ``{"error", "exit_code"}``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from leakhunt.reporting.formats.as_json import as_json
from leakhunt.text.controls import json_text_bytes
from leakhunt.text.language import ENGLISH, mark, speaking

OPTION = "--json"
HELP = (OPTION, mark("Print the result as JSON, and all else to standard error"))


@dataclass(slots=True)
class Answer:
    """What the verb has offered, None: nothing so far; and what went wrong, if anything did.

    `is_written`: it has written its document by `write`, as it goes on until it is ended.
    """

    write: Callable[[bytes], object]
    document: bytes | None = None
    error: str = ""
    is_written: bool = False


_ANSWER: ContextVar[Answer | None] = ContextVar("leakhunt_json", default=None)


def without_option(arguments: Sequence[str]) -> tuple[bool, list[str]]:
    """Whether a command line asks for JSON, and its other arguments; what follows ``--`` stays."""
    words = list(arguments)
    end = words.index("--") if "--" in words else len(words)
    rest = [word for word in words[:end] if word != OPTION]
    return len(rest) < end, rest + words[end:]


@contextmanager
def answering(write: Callable[[bytes], object]) -> Iterator[Answer]:
    """Take what a verb offers; `write` takes what cannot wait for its end."""
    answer = Answer(write)
    before = _ANSWER.set(answer)
    try:
        yield answer
    finally:
        _ANSWER.reset(before)


def refuse(error: str) -> None:
    """What went wrong, in a line."""
    answer = _ANSWER.get()
    if answer is not None:
        answer.error = error


def offer(render: Callable[[], bytes]) -> None:
    """The result as the bytes of a JSON document, which are made where they are asked for."""
    answer = _ANSWER.get()
    if answer is not None:
        with speaking(ENGLISH):
            answer.document = render()


def answer_now(noun: Any) -> None:
    """The result of a verb that goes on until it is ended."""
    answer = _ANSWER.get()
    if answer is not None:
        answer.write(document_of(noun))
        answer.is_written = True


def offer_noun(noun: Any) -> None:
    """The result, whose fields are those of its dataclasses."""
    offer(lambda: document_of(noun))


def document_of(noun: Any) -> bytes:
    """A noun of ours, or a dict of them, as a JSON document."""
    text = json.dumps(as_json(noun), indent=2, ensure_ascii=False, default=str)
    return json_text_bytes(text) + b"\n"
