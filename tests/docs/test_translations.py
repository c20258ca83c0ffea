"""Which pages are translated: all that are written by hand, with their code and links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from docs_blocks import DOCS, FENCES
from reference_pages import PAGES

CATALOGUES = DOCS / "locale" / "zh_CN" / "LC_MESSAGES"
# Made from the code by `docs/reference_pages.py`. The command line, exit codes, series and known
# causes are in the program's own catalogue: `test_reference.py` looks at their Chinese.
# What stands in the others is for programs: descriptions of types, and docstrings, in English.
GENERATED = {docname.removeprefix("reference/") for docname in PAGES}
BY_HAND = sorted(
    page.relative_to(DOCS).with_suffix("").as_posix()
    for page in DOCS.rglob("*.md")
    if not (page.parent.name == "reference" and page.stem in GENERATED)
)
MARKED = re.compile(r"`[^`]+`|\]\([^)]*\)")
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize("page", BY_HAND)
def test_every_text_of_a_page_is_translated(page: str) -> None:
    """`make docs` says where a page has texts that its catalogue lacks: it knows the pages."""
    file = CATALOGUES / f"{page}.po"
    assert file.exists(), "translate it, make docs-catalogues"
    with file.open("rb") as stream:
        texts = {message.id: message.string for message in read_po(stream) if message.id}
    assert texts
    assert [text for text, chinese in texts.items() if not chinese] == []
    for text, chinese in texts.items():
        if "{download}" not in text:
            assert sorted(MARKED.findall(chinese)) == sorted(MARKED.findall(text))
        words = re.sub(r"`[^`]*`|\([^)]*\)|[A-Z]\w*", "", text)
        if len(re.findall(r"[a-z]{3,}", words)) > 3:
            assert CHINESE.search(chinese), text


def test_what_is_generated_is_not_translated_twice() -> None:
    for name in GENERATED:
        assert (DOCS / "reference" / f"{name}.md").exists()
        assert not (CATALOGUES / "reference" / f"{name}.po").exists()


def test_the_texts_of_a_page_are_in_its_catalogue() -> None:
    """A quick look without Sphinx, so that `make test` finds a page that was changed alone."""
    for page in BY_HAND:
        text = (DOCS / f"{page}.md").read_text("utf-8")
        headings = re.findall(r"(?m)^#+ (.+)$", FENCES.sub("", text))
        with (CATALOGUES / f"{page}.po").open("rb") as stream:
            known = {message.id for message in read_po(stream)}
        assert set(headings) <= known, page


def test_no_catalogue_is_of_a_page_that_is_gone() -> None:
    for file in CATALOGUES.rglob("*.po"):
        assert Path(DOCS / file.relative_to(CATALOGUES)).with_suffix(".md").exists(), file
