"""How help is written: in the language spoken, and folded by columns, of which 中 takes two.

Texts stand in English where options and verbs are defined. They are translated here, as they are
written, and nowhere else; `tests/catalogue.py` collects them here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

import click

from leakhunt.text.language import mark, tr

_DEFAULT = re.compile(r"default: (?P<value>.*)", re.DOTALL)
# What is not divided at the end of a line: a word, or one wide character, each with the punctuation
# that a line must not begin with or end with.
_WIDE = "\u2e80-\ufaff\ufe30-\uffef"
_OPENING, _CLOSING = "（《“「", "，。；：、）》！？”」"
_PIECE = re.compile(
    rf"\s+|[{_OPENING}]*(?:[^\s{_WIDE}{_OPENING}]+|[{_WIDE}])[{_CLOSING}]*|[{_OPENING}]+"
)


class Help(click.HelpFormatter):
    """Writes help in the language spoken."""

    def say(self, text: str) -> str:
        """`text`, whose lines are one paragraph, in the language spoken."""
        paragraph = " ".join(text.split())
        return tr(paragraph)

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """The line that says how a command is called."""
        words = args.replace("[OPTIONS]", self.say(mark("[OPTIONS]")))
        words = words.replace("COMMAND [ARGS]...", self.say(mark("COMMAND [ARGS]...")))
        super().write_usage(prog, words, prefix or f"{self.say(mark('Usage:'))} ")

    def write_heading(self, heading: str) -> None:
        """The title of a section."""
        self.write(f"{'':{self.current_indent}}{self.say(heading)}{tr(': ').rstrip()}\n")

    def write_text(self, text: str) -> None:
        """Paragraphs, an empty line between two."""
        folded = (
            "\n".join(self._folded(self.say(paragraph), self.current_indent))
            for paragraph in text.split("\n\n")
        )
        self.write("\n\n".join(folded) + "\n")

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Terms, and what each of them means beside it."""
        rows = list(rows)
        widest = max((columns(term) for term, _ in rows), default=0)
        indent = self.current_indent + min(widest, col_max) + col_spacing
        for term, text in rows:
            lines = self._folded(self._explained(text), indent)
            first = f"{'':{self.current_indent}}{term}"
            if columns(first) + col_spacing <= indent and lines:
                lines[0] = first + lines[0][columns(first) :]
            else:
                lines.insert(0, first)
            self.write("\n".join(line.rstrip() for line in lines) + "\n")

    def _explained(self, text: str) -> str:
        """The text of an option; behind it, in brackets, its default, range, or that it must be."""
        own, separator, extra = text.rpartition("  [")
        if not separator and text.startswith("[") and text.endswith("]"):
            extra = text[1:]
        elif not separator:
            return self.say(text)
        parts = [self._extra(part) for part in extra.removesuffix("]").split("; ")]
        return f"{self.say(own)} [{'; '.join(parts)}]".strip()

    def _extra(self, part: str) -> str:
        found = _DEFAULT.fullmatch(part)
        if found is None:
            return self.say(part) if part == mark("required") else part
        template = self.say(mark("default: {value}"))
        return template.format(value=found["value"])

    def _folded(self, text: str, indent: int) -> list[str]:
        room = max(self.width - indent, 10)
        return [f"{'':{indent}}{line}" for line in folded(text, room)]


class HelpContext(click.Context):
    """A context whose help is a `Help`, which `-h` asks for too.

    For each command by itself: click keeps the option of the first context that asks.
    """

    formatter_class = Help

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **{"help_option_names": ["-h", "--help"], **settings})


def write_example(formatter: click.HelpFormatter, purpose: str, line: str) -> None:
    """A command, and above it what it is for. It is never folded: it is there to be copied."""
    comment = formatter.say(purpose) if isinstance(formatter, Help) else purpose
    for text in (f"# {comment}", line):
        formatter.write(f"{'':{formatter.current_indent}}{text}\n")


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def folded(text: str, room: int) -> Iterator[str]:
    """`text` in lines of at most `room` columns, unless a word is longer."""
    line = ""
    for piece in _PIECE.findall(text):
        if line and columns(line) + columns(piece.rstrip()) > room:
            yield line.rstrip()
            line = ""
        line += piece if line else piece.lstrip()
    if line.strip():
        yield line.rstrip()
