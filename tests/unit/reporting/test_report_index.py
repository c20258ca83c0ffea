"""The list of reports: what it tells of each, and that strangers' texts and files stay texts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeRun

from leakhunt.amounts import format_rate
from leakhunt.analysis.report import assemble
from leakhunt.model.series import Unit
from leakhunt.reporting.index.page import (
    Contents,
    ListedFolder,
    content_security_policy,
    contents_of_headers,
    contents_of_report,
    render_index,
    render_message,
    when,
)
from leakhunt.reporting.run import json_file

EXAMPLE = Path(__file__).parents[3] / "reports" / "examples" / "fsmn-vad-cpu" / "report.json"
HOSTILE = "<script>alert(1)</script>\"'&$x^2$ 测试 \udcff"


class Page(HTMLParser):
    """The tags of a page, where they point, and its texts."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.targets: list[str] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.targets += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        (self.scripts if self.tags and self.tags[-1] == "script" else self.texts).append(data)


def listed(
    name: str, at: str = "", files: Sequence[str] = ("report.html",), **more: Any
) -> ListedFolder:
    path = (name.encode("utf-8", "surrogateescape"),)
    return ListedFolder(path, Contents(name, at), tuple(files), **more)


def changed(change: Any) -> bytes:
    document = json.loads(EXAMPLE.read_bytes())
    change(document)
    return json.dumps(document).encode()


def test_a_report_tells_its_variants_with_sign_kind_and_the_rate_of_what_leaks() -> None:
    contents = contents_of_report(EXAMPLE.read_bytes())
    assert (contents.title, contents.device, contents.runs) == ("fsmn-vad", "cpu", 6)
    assert contents.weights.startswith("stand-in weights")
    values = {each.name: (each.sign, each.kind, each.rate) for each in contents.variants}
    rates = {
        run["variant"]: {name: trend["rate"] for name, trend in run["trends"].items()}
        for run in json.loads(EXAMPLE.read_bytes())["runs"]
    }
    heap, blocks = rates["naive"]["live_heap"], rates["streaming"]["python_blocks"]
    level = rates["fixed-shape"]["live_heap"]
    level_text = f"live heap {format_rate(level, Unit.BYTES)}"
    assert values["naive"] == ("▲", "leak in native code", f"live heap {heap / 1024:.1f} KiB/call")
    assert values["fixed-shape"] == ("●", "allocator retention", level_text)
    assert values["streaming"] == ("▲", "leak in Python", f"Python blocks {blocks:.3g} blocks/call")


def test_what_todays_renderer_writes_can_be_listed(make_run: MakeRun) -> None:
    for run in (make_run(), make_run(rss=[5]), make_run(live_heap=[9000 * n for n in range(300)])):
        made = json_file.render(assemble([run], "test"))
        assert len(contents_of_report(made).variants) == 1
    assert contents_of_report(json_file.render(assemble([], "test"))).variants == ()


@pytest.mark.parametrize(
    "document",
    [
        b"", b"{", b"[]", b"null", b"7", b"{}", b'{"runs": 5, "title": "x"}', b"\xff\xfe",
        b'{"runs": [5], "title": "x"}', b'{"title": [], "runs": []}', b"[" * 100_000,
        changed(lambda page: page["runs"][0].update(status="wonderful")),
        changed(lambda page: page["runs"][0].update(trends=[])),
        changed(lambda page: page["runs"][0].update(variant=None)),
        changed(lambda page: page["runs"][0].pop("plan")),
        changed(lambda page: page["runs"][0]["trends"]["live_heap"].update(rate="fast")),
        changed(lambda page: page["runs"][0]["trends"]["live_heap"].update(rate=float("inf"))),
        changed(lambda page: page["runs"][0]["trends"]["live_heap"].update(unit="ells")),
        changed(lambda page: page["runs"][0].update(facts="none")),
    ],
)  # fmt: skip
def test_a_damaged_report_is_told_as_such(document: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        contents_of_report(document)


def test_headers_alone_tell_what_was_run_and_that_it_is_not_judged() -> None:
    header = {
        "plan": {"scenario": "made", "variant": "naive", "device": "cpu"},
        "facts": {"weights": "none"}, "started_at": "2026-11-21T03:48:16.883+00:00",
    }  # fmt: skip
    broken: list[dict[str, Any]] = [{}, {"plan": 5}, {"plan": {"scenario": 5}, "facts": {}}]
    contents = contents_of_headers([header, *broken, header])
    assert (contents.title, contents.device, contents.weights) == ("made", "cpu", "none")
    assert contents.variants[0].kind == "no verdict yet"
    assert when(contents) == "2026-11-21 03:48 UTC"
    assert contents_of_headers([]).runs == 0


def test_the_newest_comes_first() -> None:
    old, new = listed("older", "2026-01-02T00:00Z"), listed("newer", "2026-03-01T00:00Z")
    page = Page(render_index([listed("undated"), old, new], "here"))
    names = [text for text in page.texts if text in ("older", "newer", "undated")]
    assert list(dict.fromkeys(names)) == ["newer", "older", "undated"]


def test_names_and_texts_from_strangers_stay_texts() -> None:
    contents = contents_of_headers(
        [{"plan": {"scenario": HOSTILE, "variant": HOSTILE, "device": HOSTILE},
          "facts": {"weights": HOSTILE}, "started_at": HOSTILE}]
    )  # fmt: skip
    place = (b"<script>alert(1)<", b"script>", b"\xff\"'", "测试 #?%".encode())
    made = ListedFolder(place, contents, ("report.html",), True, (HOSTILE,))
    page = Page(render_index([made], HOSTILE))
    assert page.tags.count("script") == 1
    assert sum("<script>alert(1)</script>" in text for text in page.texts) >= 5
    (url,) = set(page.targets)
    assert re.fullmatch(r"/reports/[A-Za-z0-9_.~%/-]+/report\.html", url)
    assert "%FF%22%27" in url and "%3Cscript%3E" in url


def test_the_page_asks_for_nothing_from_anywhere_and_its_script_is_the_one_allowed() -> None:
    page = Page(render_index([listed("one")], "here"))
    assert all(target.startswith("/reports/") for target in page.targets)
    assert not {"link", "img", "iframe", "form"} & set(page.tags)
    (script,) = page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = content_security_policy()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy and "http" not in policy


def test_an_empty_folder_says_what_to_do() -> None:
    page = Page(render_index([], "here"))
    assert any("leakhunt run" in text for text in page.texts)
    assert "script" not in page.tags


def test_a_message_is_escaped_and_leads_back() -> None:
    page = Page(render_message("Not Found", HOSTILE))
    assert page.targets == ["/"]
    assert "script" not in page.tags
