"""A bisection in every format: the same words, and nothing from outside becomes markup."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest

from leakhunt.model.bisection import BisectReport, BisectStep, Direction
from leakhunt.model.series import Unit
from leakhunt.model.verdict import Status
from leakhunt.reporting.bisect import html_page, json_file, markdown
from leakhunt.reporting.bisect.tables import notebook_card, short, summary
from leakhunt.reporting.bisect.terminal import bisect_parts
from leakhunt.reporting.registry import BISECT_RENDERERS
from leakhunt.storage.schema_files import schema_text
from leakhunt.text.language import speaking

HOSTILE = "<script>alert(1)</script> | \x1b[31m"


@pytest.fixture
def report() -> BisectReport:
    leak = BisectStep(
        "1.2", 2, Status.LEAK, 1, 0.99998, "", "live_heap", Unit.BYTES, 4096.0, 4000.0, 4200.0, 2.0
    )
    clean = BisectStep(
        "1.1", 1, Status.NO_LEAK, 2, 0.998, "", "live_heap", Unit.BYTES, 0.0, 0.0, 1.0, 3.0
    )
    skipped = BisectStep("1.15", 3, None, 0, reason=f"no wheel {HOSTILE}")
    return BisectReport(
        scenario="made", variant="handle", subject=f"lib {HOSTILE}",
        versions=("1.1", "1.15", "1.2"),
        good="1.1", bad="1.2", direction=Direction.INTRODUCED, steps=(clean, leak, skipped),
        generator="leakhunt 1", last="1.1", first="1.2", between=("1.15",), confidence=0.99798,
    )  # fmt: skip


def test_json_is_what_its_schema_says(report: BisectReport) -> None:
    for each in (report, replace(report, last="", first="", between=(), confidence=None)):
        document = json.loads(json_file.render(each))
        jsonschema.validate(document, json.loads(schema_text("bisect")))
    assert (document["found"], document["runs"], document["direction"]) == (False, 3, "introduced")


def test_the_result_comes_first(report: BisectReport) -> None:
    assert list(summary(report)) == [
        "1.2 introduced the growth; 1.1 does not leak (confidence 99.80%)",
        "Not decided in between: 1.15",
        "3 runs of 3 versions, of 3",
    ]
    ended = replace(report, direction=Direction.ENDED, confidence=0.99999)
    assert next(summary(ended)) == "1.2 ended the growth; 1.1 leaks (confidence > 99.99%)"
    none = list(summary(replace(report, first="", last="")))
    assert none[:3] == [
        "No boundary: one end has to leak, and the other not to", "1.1: No leak", "1.2: Leak",
    ]  # fmt: skip
    assert "Interrupted" in next(summary(replace(report, first="", interrupted=True)))


def test_every_format_says_the_same_and_escapes_what_is_not_ours(report: BisectReport) -> None:
    page, text = html_page.render(report).decode(), markdown.render(report).decode()
    lines = "".join(str(part) for part in bisect_parts(report))
    for each in (page, text, notebook_card(report)):
        assert "1.2 introduced the growth" in each.replace("\\", "")
        assert "<script>alert" not in each and "\x1b" not in each
    assert "\x1b" not in lines


def test_every_renderer_makes_its_file_in_both_languages(report: BisectReport) -> None:
    for language in ("en", "zh"):
        with speaking(language):
            made = {each.file_name: each.render(report) for each in BISECT_RENDERERS}
        assert made["bisect.png"][:4] == b"\x89PNG"
        assert ("步骤" in made["bisect.html"].decode()) is (language == "zh")
    assert all(each.render(replace(report, steps=(), first="")) for each in BISECT_RENDERERS)


def test_a_commit_is_shown_by_its_first_digits() -> None:
    assert short("0123456789abcdef" * 2 + "01234567") == "0123456789ab"
    assert short("1.2.3") == "1.2.3"
