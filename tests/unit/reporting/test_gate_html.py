"""``gate.html``: what stands on it, where its links lead, and that nothing of it is markup."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import HOSTILE, MakeRun
from made_gates import KINDS, acceptance, checked, gated, made_gates, suspect, variant
from page_parts import PageParts, parsed

from leakhunt.engine.gate_output import files_named, pages_among, paths_shown
from leakhunt.model.gate import GateAnswer, GateResult, Pages, VariantResult
from leakhunt.reporting.gate.html_page import render
from leakhunt.reporting.gate.rows import rows, sentence
from leakhunt.reporting.gate.suspects import SHOWN_SUSPECTS
from leakhunt.reporting.gate.tables import HEADINGS, MAX_ROWS
from leakhunt.text.language import speaking

BOTH = (
    Pages("fsmn-vad", "fsmn-vad/report.html", "fsmn-vad/compare.html"),
    Pages("tts", "tts/report.html"),
)


@pytest.fixture(scope="module")
def gates(make_run: MakeRun) -> Mapping[str, GateResult]:
    return made_gates(make_run)


def page(made: GateResult) -> str:
    return render(made).decode()


def parts(made: GateResult) -> PageParts:
    return parsed(page(made))


def section(made: GateResult, name: str) -> str:
    """The part of the page on a variant that is not within."""
    (found,) = [
        each.partition("</section>")[0]
        for each in page(made).split("<section ")[1:]
        if f"</span> {name}</h3>" in each
    ]
    return found


def table_rows(html: str) -> list[str]:
    """The rows of all tables but for their heads."""
    return [
        row
        for body in re.findall("<tbody>(.*?)</tbody>", html, re.DOTALL)
        for row in re.findall("<tr>(.*?)</tr>", body, re.DOTALL)
    ]


def cells(row: str) -> int:
    """How many columns a row takes."""
    spans = [int(span or 1) for span in re.findall(r'<t[dh][^>]*?(?: colspan="(\d)")?>', row)]
    return sum(spans)


def many(count: int) -> list[VariantResult]:
    return [variant(variant=f"w{number}") for number in range(count)]


def over(gates: Mapping[str, GateResult]) -> VariantResult:
    return next(each for each in gates["usual"].variants if each.answer is GateAnswer.OVER_BUDGET)


# ---- what stands on it


def test_it_says_the_answer_with_a_sign_the_counts_and_what_it_was_held_against(
    gates: Mapping[str, GateResult],
) -> None:
    html = page(gates["usual"])
    assert "<title>leakhunt gate: ▲ over budget</title>" in html
    assert '<span class="leak">▲ over budget</span></h1>' in html
    assert "1 over budget, 1 not measured, 1 inconclusive, 1 within budget" in html
    assert "<dt>policy</dt><dd>pyproject.toml</dd>" in html
    assert "<dt>compared with</dt><dd>main</dd>" in html
    assert "<dt>measured at</dt><dd>2026-11-27T10:00:00.000+00:00</dd>" in html
    assert "judged by itself" not in html
    assert "<dd>none: each variant is judged by itself</dd>" in page(gates["within"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_has_a_row_with_all_columns_the_gravest_first(
    gates: Mapping[str, GateResult], kind: str
) -> None:
    html = page(gates[kind])
    found = table_rows(html)
    assert len(found) == len(rows(gates[kind]))
    assert {cells(row) for row in found} == {len(HEADINGS) + 1}
    tables = html.count("<table>")
    assert html.count('<th scope="col">') == tables * (len(HEADINGS) + 1)
    assert html.count('<th scope="row">') == len(found) and "<th>" not in html


def test_a_row_has_figures_and_a_curve_or_the_reason_why_there_are_none(
    gates: Mapping[str, GateResult],
) -> None:
    first, second, *_ = table_rows(page(gates["usual"]))
    for expected in ("▲ over budget", "fsmn-vad:naive", "live_heap", "2 KiB/call", "1.20 KiB/call",
                 "4.01 [4.00, 4.02] KiB/call", '<svg class="spark"'):  # fmt: skip
        assert expected in first
    assert "× not measured" in second and "funasr is missing" in second
    assert "<svg" not in second


def test_a_pass_that_its_figures_do_not_explain_has_its_reason_beside_them() -> None:
    put_up = checked(estimate=9000.0, low=8900.0, high=9100.0, reason="accepted are those")
    (row,) = table_rows(page(gated(variant(checks=(put_up,)))))
    assert "8.79 [8.69, 8.89] KiB/call<small>accepted are those</small>" in row
    (plain,) = table_rows(page(gated(variant())))
    assert "<small>" not in plain


def test_what_is_not_within_is_explained_and_its_row_leads_there(
    gates: Mapping[str, GateResult],
) -> None:
    found = parts(gates["usual"])
    assert sorted(found.ids) == sorted(
        f"variant-{n}{end}" for n in (1, 2, 3) for end in ("", "-title")
    )
    # The variant over budget has a budget that it keeps as well.
    assert sorted(found.inner) == ["variant-1", "variant-1", "variant-2", "variant-3"]
    text = section(gates["usual"], "fsmn-vad:naive")
    assert "<code>live_heap</code>: a reason for OVER" in text
    assert "<code>rss</code>" not in text
    assert "measured 2 times, each run longer" in text
    assert "funasr is missing" in section(gates["usual"], "fsmn-vad:streaming")


def test_suspects_have_file_line_evidence_and_remedy(gates: Mapping[str, GateResult]) -> None:
    text = section(gates["usual"], "fsmn-vad:naive")
    assert "handle (app/serve.py:12): KEPT.append(bytes(1024))" in text
    assert "<dt>evidence</dt><dd>tracemalloc: 1</dd>" in text
    assert "<dt>fix</dt><dd>Bound it.</dd>" in text
    assert "<dt>fingerprint</dt><dd>0123456789ab</dd>" in text
    assert text.index("serve.KEPT (list)") < text.index("oneDNN primitive cache")


def test_suspects_beyond_the_first_ones_are_counted(gates: Mapping[str, GateResult]) -> None:
    html = page(gates["too many suspects"])
    assert html.count('<article class="suspect">') == SHOWN_SUSPECTS
    assert "<p>and 4 more</p>" in html


def test_what_comes_next_and_what_would_accept_it_stand_below(
    gates: Mapping[str, GateResult],
) -> None:
    text = section(gates["usual"], "fsmn-vad:naive")
    assert "see the curves: <code>leakhunt report out</code>" in text
    assert "[[tool.leakhunt.accept]]" in text and "until = 2027-01-01" in text


def test_what_is_put_up_with_is_told_with_reason_and_day(gates: Mapping[str, GateResult]) -> None:
    accepted = ((suspect(fingerprint="feed00000001"), acceptance()),)
    failing = gated(replace(over(gates), accepted=accepted))
    text = section(failing, "fsmn-vad:naive")
    assert "accepted until 2027-01-31: issue 12 (<code>feed00000001</code>)" in text
    assert page(failing).count("<code>feed00000001</code>") == 1
    within = page(gates["accepted"])
    assert "<h2>Accepted, and within budget</h2>" in within
    assert "accepted until 2027-01-31: issue 12 (<code>0123456789ab</code>)" in within


def test_facts_that_differ_from_the_baseline_and_notes_are_told(
    gates: Mapping[str, GateResult],
) -> None:
    other = page(gates["other environment"])
    assert "python: CPython 3.11.9 there, CPython 3.12.1 here" in other
    assert "<li>accepted x has expired</li>" in page(gates["usual"])
    assert "<h2>Notes</h2>" not in other


def test_every_answer_is_told_in_a_sentence_as_well(gates: Mapping[str, GateResult]) -> None:
    text = parts(gates["usual"]).text
    for row in rows(gates["usual"]):
        assert sentence(row) in text


# ---- few and many


def test_a_gate_of_nothing_says_so(gates: Mapping[str, GateResult]) -> None:
    html = page(gates["nothing"])
    assert "× not measured" in html and "no variant was checked" in html
    assert "<section" not in html and not parts(gates["nothing"]).found


def test_of_83_variants_those_within_are_folded(gates: Mapping[str, GateResult]) -> None:
    made = gated(*many(82), over(gates))
    html = page(made)
    shown, _, rest = html.partition("<details>")
    assert len(table_rows(shown)) == 1
    assert rest.startswith("\n<summary>83 within budget</summary>")
    # The one that is over keeps a budget as well.
    assert len(table_rows(rest.partition("</details>")[0])) == 83
    assert len(html) < 200_000


def test_where_all_of_many_are_within_the_fold_is_open() -> None:
    html = page(gated(*many(83)))
    assert html.count("<details open>") == 1 and len(table_rows(html)) == 83
    assert "<details open>" not in page(gated(*many(MAX_ROWS)))


def test_run_files_of_the_same_variant_have_parts_of_their_own() -> None:
    twice = [
        variant(GateAnswer.INCONCLUSIVE, checks=(checked(GateAnswer.INCONCLUSIVE),)) for _ in "ab"
    ]
    found = parts(gated(*twice))
    assert sorted(found.inner) == ["variant-1", "variant-2"]
    assert len(found.ids) == len(set(found.ids)) == 4


# ---- links


def test_it_leads_to_the_pages_that_were_written_and_to_no_other(
    gates: Mapping[str, GateResult],
) -> None:
    known = {"https://x.org"}
    assert set(parts(gates["usual"]).outer) == known
    made = replace(gates["usual"], pages=BOTH)
    assert set(parts(made).outer) == known | {
        "fsmn-vad/report.html", "fsmn-vad/compare.html", "tts/report.html",
    }  # fmt: skip
    assert '<a href="fsmn-vad/compare.html">comparison of fsmn-vad with main</a>' in page(made)
    assert 'href="tts/report.html"' in section(made, "tts:chunked")
    assert 'href="fsmn-vad/' not in section(made, "tts:chunked")


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("a b/項目/report.html", "a%20b/%E9%A0%85%E7%9B%AE/report.html"),
        ("50%/#1?x/report.html", "50%25/%231%3Fx/report.html"),
        ("javascript:alert(1)/report.html", "javascript%3Aalert%281%29/report.html"),
        ("\udcff/report.html", "%FF/report.html"),
    ],
)
def test_a_link_leads_to_a_file_of_any_name(path: str, url: str) -> None:
    assert parts(gated(variant(), pages=(Pages("x", path),))).outer == [url]


def test_pages_are_told_from_other_files_and_by_their_place_beside_the_gates() -> None:
    out = Path("out")
    both = [out / "made" / "report.html", out / "made" / "compare.html"]
    assert pages_among("made", both, out) == Pages("made", "made/report.html", "made/compare.html")
    assert pages_among("made", [out / "made" / "curves.png"], out) == Pages("made")


# ---- what is written and told


def test_html_is_the_format_of_both_and_no_other_is_told_twice() -> None:
    files = files_named("html,json")
    assert [each.file_name for each in files.gate] == ["gate.json", "gate.html"]
    assert [each.file_name for each in files.reports] == ["report.html"]
    everything = files_named("all")
    assert [each.file_name for each in everything.gate][-1] == "gate.html"
    assert {each.format for each in everything.gate} & {
        each.format for each in everything.reports
    } == {"html"}


def test_the_page_is_told_last_and_in_place_of_the_reports() -> None:
    markdown, html, report = Path("out/gate.md"), Path("out/gate.html"), Path("out/x/report.html")
    assert paths_shown([markdown, html], [report]) == (markdown, html)
    assert paths_shown([markdown], [report]) == (markdown, report)
    assert paths_shown([], []) == ()


# ---- safe, and in any language


def test_it_asks_for_nothing_and_needs_no_script(gates: Mapping[str, GateResult]) -> None:
    for made in gates.values():
        html = page(replace(made, pages=BOTH))
        assert "default-src 'none'; style-src 'unsafe-inline'" in html
        assert not {"script", "link", "img", "iframe", "base"} & set(parsed(html).tags)
        assert not re.search(r"url\(|@import|\son\w+=", html)


def test_hostile_texts_are_shown_as_they_are(gates: Mapping[str, GateResult]) -> None:
    folder = HOSTILE.replace("\ud800", "\udcff")  # a file's name may hold any byte
    made = replace(gates["hostile"], pages=(Pages(HOSTILE, f"{folder}/r", f"{folder}/c"),))
    html = page(made)
    assert "<script>" not in html and html.count("&lt;script&gt;") > 30
    found = parsed(html)
    assert "script" not in found.tags
    assert all(re.fullmatch(r"https://x\.org|[\w%./-]+", link) for link in found.outer)
    assert found.ids == ["variant-1", "variant-1-title"]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_told_in_chinese(gates: Mapping[str, GateResult], kind: str) -> None:
    with speaking("zh"):
        html = page(gates[kind])
    assert '<html lang="zh-CN">' in html and "预算" in html


def test_reports_on_functions_of_one_file_are_told_apart() -> None:
    both = (Pages("svc", "svc.quote/report.html"), Pages("svc", "svc.rates/report.html"))
    html = page(gated(variant(), pages=both))
    assert "report on svc.quote" in html and "report on svc.rates" in html
    assert "report on svc<" in page(gated(variant(), pages=both[:1]))
