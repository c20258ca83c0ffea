"""The blocks of the pages in `docs/`: files are written, commands run, outputs compared.

A block's first line says how, behind the language (GitHub and Sphinx look at the language only):

``python file=NAME``
    The page's file of that name, in a temporary folder that all blocks of a page share.
``console``
    Each ``$ `` line is run in that folder; what follows it is its output.
``console long``
    The same, where it takes long or needs what not everybody has: `make test-all` runs it.
``console by=TEST``
    Not run here: TEST, a file of `tests/` or a target of the Makefile, runs the same.
``console swap=OLD=>NEW``
    Run with NEW in place of OLD, such as a duration. Spaces are written ``_``.
    ``$ROOT`` is the repository.
``console quiet``
    What is printed is not compared.
``console exit=N``
    The last command exits with N; all others with 0.
``python run``
    Run as a script; it must succeed.

In an expected output ``...`` stands for any text; numbers with their units, fingerprints, curves
and the folding of lines are not compared.

``python tests/docs_blocks.py PAGE...`` runs pages, and writes what differs into the page.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = (
    ROOT / "README.md",
    *(page for page in sorted(DOCS.rglob("*.md")) if "_build" not in page.parts),
)
# What stands in the pages for a place that is not known here: the repository, once published.
PUBLISHED = "https://github.com/OWNER/leakhunt"
COLUMNS = 80
PAGE_COLUMNS = 96
SECONDS = 600

FENCES = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_FENCE = re.compile(r"^(?P<marks>```+)(?P<info>.*)\n(?P<text>(?s:.*?))^(?P=marks)$", re.MULTILINE)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_FINGERPRINT = re.compile(r"\b[0-9a-f]{12}\b")
_UNIT = r"(?:\s?(?:[KMGT]i?B|B|ns|µs|ms|s|m|h|min|%|×)\b|\s?[%×])?"
_NUMBER = re.compile(rf"[-+±−]?(?<![A-Za-z_])\d[\d,.:]*{_UNIT}")
_DRAWN = re.compile(r"[─━┈╌\u2500-\u257f\u2580-\u259f\u2800-\u28ff]+")


class Different(AssertionError):
    """A command does not print what the page says, or fails."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what its first line says further, its text and place."""

    page: Path
    line: int
    language: str
    words: tuple[str, ...]
    text: str
    span: tuple[int, int]

    def value(self, name: str) -> str:
        """What the first line says after ``name=``; empty: nothing."""
        return next(iter(self.values(name)), "")

    def values(self, name: str) -> list[str]:
        """All that the first line says after ``name=``."""
        return [word.partition("=")[2] for word in self.words if word.startswith(f"{name}=")]

    @property
    def is_long(self) -> bool:
        return "long" in self.words

    @property
    def file(self) -> str:
        return self.value("file")

    @property
    def is_run(self) -> bool:
        """Whether it is a console block, or a script."""
        return self.language == "console" or (self.language == "python" and "run" in self.words)

    @property
    def where(self) -> str:
        return f"{os.path.relpath(self.page, ROOT)}:{self.line}"


@dataclass
class Command:
    """A line behind ``$``, and the output that the page has below it."""

    line: str
    output: list[str] = field(default_factory=list)


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    text = page.read_text("utf-8")
    found = []
    for match in _FENCE.finditer(text):
        language, *words = match["info"].split() or [""]
        line = text.count("\n", 0, match.start()) + 1
        span = match.span("text")
        found.append(Block(page, line, language, tuple(words), match["text"], span))
    return found


def commands(block: Block) -> list[Command]:
    """The commands of a console block; a line that ends with a backslash goes on in the next."""
    found: list[Command] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif found and not found[-1].output and found[-1].line.endswith("\\"):
            found[-1].line += "\n" + line.removeprefix("> ")
        elif found:
            found[-1].output.append(line)
        else:
            raise Different(f"{block.where}: an output without a command")
    return found


def normal(text: str) -> str:
    """A text without what differs from run to run."""
    # pytest's of what took longer than a minute.
    text = re.sub(r" \(\d+:\d\d:\d\d\)", "", text)
    text = _DRAWN.sub(" ", _FINGERPRINT.sub("#", _ANSI.sub("", text)))
    text = _NUMBER.sub("#", " ".join(text.split()))
    # An hour and 20 minutes, or 59 minutes.
    return re.sub(r"#(?: #)+", "#", text)


def agrees(expected: str, actual: str) -> bool:
    """Whether an output is what the page says."""
    parts = [re.escape(normal(part)) for part in re.split(r"(?m)^\s*\.\.\.\s*$", expected)]
    return re.fullmatch(r"\s*.*?\s*".join(parts), normal(actual), re.DOTALL) is not None


class Runner:
    """Runs the blocks of one page, in their order, in one folder."""

    def __init__(self, page: Path, folder: Path) -> None:
        self.page = page
        # Its name is in what is printed.
        self.folder = folder / "project"
        self.folder.mkdir()
        self.rewritten: list[tuple[tuple[int, int], str]] = []

    def run(self, *, long: bool, rewrite: bool = False) -> int:
        """Run the blocks, the long ones too if `long`, and return how many were run."""
        count = 0
        for block in blocks(self.page):
            if block.file:
                self._write(block)
            elif block.is_run and not block.value("by") and (long or not block.is_long):
                self._run(block, rewrite)
                count += 1
        return count

    def _write(self, block: Block) -> None:
        file = self.folder / block.file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text, "utf-8")

    def _run(self, block: Block, rewrite: bool) -> None:
        if block.language == "python":
            script = self.folder / "block.py"
            script.write_text(block.text, "utf-8")
            code, output = self._shell(f"{shlex.quote(sys.executable)} block.py")
            if code:
                raise Different(f"{block.where}: exit code {code}\n{output}")
            return
        lines: list[str] = []
        found = commands(block)
        for command in found:
            due = int(block.value("exit") or 0) if command is found[-1] else 0
            code, output = self._shell(self._swapped(command.line, block))
            if code != due:
                raise Different(
                    f"{block.where}: $ {command.line}\nexit code {code}, not {due}\n{output}"
                )
            same = "quiet" in block.words or agrees("\n".join(command.output), output)
            if not same and not rewrite:
                raise Different(
                    f"{block.where}: $ {command.line}\nthe page has\n"
                    f"{normal(chr(10).join(command.output))}\nand the command prints\n"
                    f"{normal(output)}\n{output}"
                )
            shown = command.output if same else _folded(output)
            lines += ["$ " + command.line.replace("\n", "\n> "), *shown]
        self.rewritten.append((block.span, "".join(f"{line}\n" for line in lines)))

    @staticmethod
    def _swapped(line: str, block: Block) -> str:
        line = line.replace(PUBLISHED, f"file://{ROOT}")
        for swap in block.values("swap"):
            old, _, new = swap.replace("_", " ").partition("=>")
            if old not in line and old not in block.text:
                raise Different(f"{block.where}: nothing to swap for {old!r}")
            line = line.replace(old, new)
        return line

    def _shell(self, line: str) -> tuple[int, str]:
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTEST", "GITHUB_", "LEAKHUNT_"))
        }
        path = f"{self.folder / 'venv' / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment |= {"PATH": path, "COLUMNS": str(COLUMNS), "OMP_WAIT_POLICY": "passive"}
        # What pip says of this machine's index is nothing for a page.
        environment |= {"PIP_QUIET": "3", "ROOT": str(ROOT)}
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
        )
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def written(self) -> str:
        """The page with the outputs that were printed."""
        text = self.page.read_text("utf-8")
        for (start, end), output in sorted(self.rewritten, reverse=True):
            text = text[:start] + output + text[end:]
        return text


def _folded(output: str) -> list[str]:
    """The lines of an output, those that are too long for a page in several."""
    found: list[str] = []
    for row in (each.rstrip() for each in _ANSI.sub("", output).strip("\n").splitlines()):
        indent = row[: len(row) - len(row.lstrip())] + "  "
        folded = textwrap.wrap(row, PAGE_COLUMNS, subsequent_indent=indent, break_long_words=False)
        found += folded if len(row) > PAGE_COLUMNS else [row]
    return found


def runnable(*, long: bool) -> Iterator[Path]:
    """The pages with a block to run, of those that are quick or of those that are long."""
    for page in PAGES:
        ours = [block for block in blocks(page) if block.is_run and not block.value("by")]
        if any(block.is_long for block in ours) if long else any(not b.is_long for b in ours):
            yield page


def main(arguments: Sequence[str]) -> None:
    """Run pages, and write what their commands print into them."""
    for name in arguments:
        page = Path(name).resolve()
        with tempfile.TemporaryDirectory() as folder:
            runner = Runner(page, Path(folder))
            count = runner.run(long=True, rewrite=True)
            page.write_text(runner.written(), "utf-8")
            print(f"{name}: {count} blocks")


if __name__ == "__main__":
    main(sys.argv[1:])
