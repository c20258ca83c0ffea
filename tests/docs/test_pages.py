"""The pages of `docs/` and the README: what they say is done is done, and prints what they show."""

from __future__ import annotations

import re
from pathlib import Path

import docs_blocks
import pytest
from docs_blocks import DOCS, FENCES, PAGES, ROOT, Block, Runner, blocks, commands, runnable

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)")


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", list(runnable(long=False)), ids=_name)
def test_commands_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    assert Runner(page, tmp_path).run(long=False)


@pytest.mark.long
@pytest.mark.parametrize("page", list(runnable(long=True)), ids=_name)
def test_long_commands_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    assert Runner(page, tmp_path).run(long=True)


def _console() -> list[Block]:
    return [block for page in PAGES for block in blocks(page) if block.language == "console"]


def test_what_is_not_run_here_is_run_by_something_that_exists() -> None:
    elsewhere = [block for block in _console() if block.value("by")]
    for block in elsewhere:
        by = block.value("by")
        assert (ROOT / by).exists() or by in TARGETS, f"{block.where}: {by}"
    assert len(elsewhere) <= len(_console()) / 4


def test_every_console_block_has_a_command() -> None:
    for block in _console():
        assert commands(block), block.where


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_to_files(page: Path) -> None:
    for to in LINK.findall(FENCES.sub("", page.read_text("utf-8"))):
        assert (page.parent / to).exists(), f"{_name(page)}: {to}"


def test_pages_are_in_a_table_of_contents() -> None:
    listed = "\n".join(page.read_text("utf-8") for page in DOCS.rglob("index.md"))
    for page in DOCS.rglob("*.md"):
        if page.name != "index.md":
            folder = page.parent.relative_to(DOCS).as_posix()
            assert page.stem in listed or f"{folder}/*" in listed, page


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("grows by 1.01 KiB/call (1.0 to 1.1)", "grows by 930 B/call\n(922 to 931.5)", True),
        ("RSS is at 22.4\n    MiB.", "RSS is at 22.9 MiB.", True),
        ("for 1 h 20 min", "for 59 min", True),
        ("No leak", "Leak", False),
        ("first\n...\nlast 3", "first\n1 2\nx\nlast 4", True),
        ("first\n...\nlast", "first\nmiddle", False),
        ("fingerprint: 435a530e5989", "fingerprint: 27640becd199", True),
        ("exit 1", "exit", False),
        ("", "anything", False),
    ],
)
def test_outputs_are_compared_but_for_numbers(expected: str, actual: str, same: bool) -> None:
    assert docs_blocks.agrees(expected, actual) is same


def test_a_wrong_output_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ echo 1 leak\n2 leaks\n```\n")
    runner = Runner(page, tmp_path)
    with pytest.raises(docs_blocks.Different, match="the page has"):
        runner.run(long=True)


def test_a_failing_command_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ false\n```\n")
    with pytest.raises(docs_blocks.Different, match="exit code 1"):
        Runner(page, tmp_path).run(long=True)


def test_a_page_is_written_with_what_its_commands_print(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```text file=a.txt\nhello\n```\n\n```console\n$ cat a.txt\nbye\n```\n")
    runner = Runner(page, tmp_path)
    assert runner.run(long=True, rewrite=True) == 1
    assert runner.written().endswith("```console\n$ cat a.txt\nhello\n```\n")
