"""The reference is what the code says: `make reference` writes it, and this says when it is due."""

from __future__ import annotations

import re

import pytest
import reference_pages
from docs_blocks import DOCS, FENCES

from leakhunt.cli.main import cli
from leakhunt.model.series import SERIES
from leakhunt.storage.schema_files import SCHEMAS


@pytest.mark.parametrize("docname", reference_pages.PAGES)
def test_a_page_is_what_the_code_says(docname: str) -> None:
    committed = (DOCS / f"{docname}.md").read_text("utf-8")
    assert committed == reference_pages.page(docname), "make reference"


def test_every_verb_and_series_is_there() -> None:
    verbs = reference_pages.page("reference/cli")
    for name in cli.commands or cli.list_commands(None):  # type: ignore[arg-type]
        assert f"## `leakhunt {name}`" in verbs
    series = reference_pages.page("reference/series")
    assert all(f"| `{name}` |" in series for name in SERIES)


def test_every_schema_has_a_page() -> None:
    pages = "".join(reference_pages.page(docname) for docname in reference_pages.PAGES)
    assert [name for name in SCHEMAS if f"`leakhunt schema {name}`" not in pages] == []


@pytest.mark.parametrize("name", ["cli", "series", "known-causes", "exit-codes"])
def test_what_people_read_is_chinese_in_chinese(name: str) -> None:
    english, chinese = (
        FENCES.sub("", reference_pages.page(f"reference/{name}", language)).splitlines()
        for language in ("en", "zh")
    )
    assert len(chinese) == len(english)
    for line, other in zip(english, chinese, strict=True):
        prose = re.sub(r"`[^`]*`", "", line)
        if len(re.findall(r"[a-z]{3,}", prose)) > 6 and not line.startswith(("- id:", "- **")):
            assert line != other
