"""Every format of a gate, over every sort of answers it may meet."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from conftest import HOSTILE, MakeRun
from made_gates import (
    KINDS,
    REPOSITORY,
    checked,
    gated,
    made_gates,
    suspect,
    variant,
)
from markdown_it import MarkdownIt
from rich.console import Console

from leakhunt.analysis.gate.decide import answer_on
from leakhunt.analysis.report import assemble
from leakhunt.config.policy_file import read_policy
from leakhunt.model.gate import Budget, Extent, GateAnswer, GateResult, Terms
from leakhunt.model.run import Ending, Outcome
from leakhunt.reporting.gate import junit
from leakhunt.reporting.gate import markdown as gate_markdown
from leakhunt.reporting.gate import rows as gate_words
from leakhunt.reporting.gate.rows import measured, power, rows, sentence
from leakhunt.reporting.gate.source_lines import Repository
from leakhunt.reporting.gate.suspects import SHOWN_SUSPECTS, until
from leakhunt.reporting.gate.tables import HEADINGS, cells
from leakhunt.reporting.gate.terminal import gate_lines
from leakhunt.reporting.registry import GATE_RENDERERS, GateDocument, GateRenderer
from leakhunt.text.language import speaking


@pytest.fixture(scope="module")
def gates(make_run: MakeRun) -> Mapping[str, GateResult]:
    return made_gates(make_run)


def printed(made: GateResult) -> list[str]:
    """What a pipe gets."""
    console = Console(file=io.StringIO(), width=80)
    for line in gate_lines(made):
        console.print(line, soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def markdown(made: GateResult) -> str:
    return gate_markdown.render(made).decode()


def shown(made: GateResult) -> str:
    """The Markdown as a browser gets it."""
    html: str = MarkdownIt("commonmark").enable("table").render(markdown(made))
    return html


def cases(made: GateResult) -> dict[str, Element]:
    root = ElementTree.fromstring(junit.render(made))  # noqa: S314
    found = {f"{case.get('classname')} {case.get('name')}": case for case in root.iter("testcase")}
    assert root.get("tests") == str(len(found))
    return found


def the_row(made: GateResult) -> gate_words.GateRow:
    (row,) = rows(made)
    return row


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("made", GATE_RENDERERS, ids=lambda made: made.file_name)
@pytest.mark.parametrize("repository", [REPOSITORY, Repository()], ids=["known", "unknown"])
def test_every_format_takes_every_gate_and_is_the_same_twice(
    gates: Mapping[str, GateResult], made: GateRenderer, kind: str, repository: Repository
) -> None:
    first = made.render(GateDocument(gates[kind], repository))
    assert first.endswith(b"\n")
    assert made.render(GateDocument(gates[kind], repository)) == first
    first.decode()


@pytest.mark.parametrize("kind", KINDS)
def test_every_gate_is_told_in_chinese_as_well(gates: Mapping[str, GateResult], kind: str) -> None:
    with speaking("zh"):
        assert markdown(gates[kind]) and printed(gates[kind])


def test_what_was_judged_in_english_is_shown_in_chinese(make_run: MakeRun) -> None:
    run = make_run(live_heap=[(50 << 20) + 5000 * call for call in range(300)])
    budget = Budget("live_heap", 4096.0, Extent.CALL, False, "4 KiB/call")
    answer = answer_on(assemble([run], "test").entries, Terms((budget,), (), date(2027, 3, 1)))
    made = gated(answer)
    renderer = next(each for each in GATE_RENDERERS if each.format == "md")
    english = renderer.render(GateDocument(made, REPOSITORY)).decode()
    assert "4.88 KiB/call, lower bound 4.88 KiB/call" in english
    with speaking("zh"):
        chinese = renderer.render(GateDocument(made, REPOSITORY)).decode()
    assert "，下界 4.88 KiB" in chinese and "lower bound" not in chinese


def test_the_kinds_are_all_that_are_made(gates: Mapping[str, GateResult]) -> None:
    assert set(gates) == set(KINDS)


# ---- words


def test_the_gravest_answer_comes_first(gates: Mapping[str, GateResult]) -> None:
    answers = [row.answer for row in rows(gates["usual"])]
    assert answers == [
        GateAnswer.OVER_BUDGET,
        GateAnswer.NOT_MEASURED,
        GateAnswer.INCONCLUSIVE,
        GateAnswer.WITHIN_BUDGET,
        GateAnswer.WITHIN_BUDGET,
    ]


def test_a_variant_that_fails_beyond_its_checks_has_a_row_of_its_own(
    gates: Mapping[str, GateResult],
) -> None:
    first, second = rows(gates["contradiction"])
    assert (first.answer, first.check) == (GateAnswer.NOT_MEASURED, None)
    assert second.answer is GateAnswer.WITHIN_BUDGET and second.check is not None


def test_a_gate_of_nothing_has_a_row_that_says_so(gates: Mapping[str, GateResult]) -> None:
    row = the_row(gates["nothing"])
    assert row.answer is GateAnswer.NOT_MEASURED and row.reason == "no variant was checked"


def test_figures_are_told_with_the_unit_of_the_budget(gates: Mapping[str, GateResult]) -> None:
    over, _, _, _, total = rows(gates["usual"])
    assert measured(over) == "4.01 [4.00, 4.02] KiB/call"
    assert power(over) == "1.20 KiB/call"
    assert measured(total) == "0 [0, 12] B in total"
    share, seconds = rows(gates["time"])
    assert measured(share) == "+3.1 [+1, +5.2] %"
    assert measured(seconds) == "20 [18, 22] ms"


def test_what_is_on_top_of_a_baseline_has_its_sign() -> None:
    more = checked(
        budget=Budget("live_heap", 2048.0, Extent.CALL, True, "+2 KiB/call"),
        estimate=5.0,
        low=-7.0,
        high=12.0,
    )
    row = the_row(gated(variant(checks=(more,))))
    assert measured(row) == "+5 [-7, +12] B/call"


@pytest.mark.parametrize("value", [None, float("inf"), float("nan")])
def test_a_figure_that_is_none_is_a_dash(value: float | None) -> None:
    bare = checked(estimate=value, detection_limit=value)
    assert cells(the_row(gated(variant(checks=(bare,)))))[-2:] == ("–", "–")


def test_what_was_read_and_not_estimated_has_no_interval() -> None:
    exact = checked(budget=Budget("rss", 9.0, Extent.RUN, False, "9 B"), estimate=7, low=7, high=7)
    assert measured(the_row(gated(variant(checks=(exact,))))) == "7 B in total"


def test_a_pass_that_its_figures_do_not_explain_is_told_by_its_reason() -> None:
    """Growth of accepted suspects, or of a cache that ends, is above the budget and within it."""
    put_up = checked(estimate=9000.0, low=8900.0, high=9100.0, reason="accepted are those")
    row = the_row(gated(variant(checks=(put_up,))))
    assert sentence(row) == (
        "live_heap: accepted are those; budget 2 KiB/call; detection limit 1.20 KiB/call"
        " (95 % power)"
    )


def test_what_would_have_been_seen_is_said_once() -> None:
    text = "at most 9 KiB/call; detection limit 1.20 KiB/call (95 % power)"
    row = the_row(gated(variant(checks=(checked(high=9000.0, reason=text),))))
    assert sentence(row).count("detection limit") == 1


def test_a_run_that_ended_early_over_budget_says_so(gates: Mapping[str, GateResult]) -> None:
    over = next(each for each in gates["usual"].variants if each.answer is GateAnswer.OVER_BUDGET)
    (entry,) = over.entries
    killed = replace(entry, run=replace(entry.run, outcome=Outcome(Ending.KILLED)))
    result = replace(
        over, checks=(checked(GateAnswer.OVER_BUDGET, reason="it ended early"),), entries=(killed,)
    )
    assert "it ended early" in sentence(the_row(gated(result)))


@pytest.mark.parametrize(
    ("started", "day"),
    [
        ("2026-11-27T10:00:00+00:00", "2027-01-01"),
        ("2026-01-31T10:00:00+00:00", "2026-03-01"),
        ("2026-10-01T10:00:00+00:00", "2026-12-01"),
        ("yesterday", "YYYY-MM-DD"),
    ],
)
def test_an_acceptance_is_proposed_for_a_month_or_two(
    gates: Mapping[str, GateResult], started: str, day: str
) -> None:
    (within,) = gates["within"].variants
    (entry,) = within.entries
    entry = replace(entry, run=replace(entry.run, started_at=started))
    assert until(replace(within, entries=(entry,))) == day
    assert until(replace(within, entries=())) == "YYYY-MM-DD"


# ---- terminal


def test_a_pipe_gets_a_sentence_a_line_and_the_answer_for_all_last(
    gates: Mapping[str, GateResult],
) -> None:
    lines = printed(gates["usual"])
    assert lines[0] == (
        "over budget fsmn-vad:naive  live_heap 4.01 [4.00, 4.02] KiB/call, budget 2"
        " KiB/call; detection limit 1.20 KiB/call (95 % power)"
    )
    assert lines[1] == "not measured fsmn-vad:streaming  funasr is missing"
    assert lines[2].startswith("inconclusive tts:chunked  live_heap: a reason for INCONCLUSIVE;")
    assert [line.split()[0] for line in lines[3:]] == [
        "within",
        "within",
        "suspect",
        "suspect",
        "suspect",
        "note:",
        "note:",
        "over",
    ]
    assert lines[-1] == (
        "over budget: 1 over budget, 1 not measured, 1 inconclusive, 1 within budget"
        " (policy pyproject.toml, against main)"
    )


def test_a_suspect_is_named_with_file_and_line(gates: Mapping[str, GateResult]) -> None:
    (line, *_) = [line for line in printed(gates["usual"]) if line.startswith("suspect")]
    assert line == (
        "suspect fsmn-vad:naive  1. serve.KEPT (list) retains 1.03 KiB/call, 100% of the growth,"
        " at handle (app/serve.py:12) [0123456789ab]"
    )


def test_a_title_that_names_the_line_is_not_followed_by_it() -> None:
    titled = suspect(title="serve.KEPT, from handle (app/serve.py:12)")
    over = variant(GateAnswer.OVER_BUDGET, suspects=(titled,))
    (line,) = [line for line in printed(gated(over)) if line.startswith("suspect")]
    assert line.count("app/serve.py:12") == 1


def test_an_accepted_suspect_is_told_with_reason_and_day(gates: Mapping[str, GateResult]) -> None:
    (line,) = [line for line in printed(gates["accepted"]) if line.startswith("accepted")]
    assert "; accepted until 2027-01-31: issue 12 [0123456789ab]" in line


def test_suspects_beyond_the_first_ones_are_counted(gates: Mapping[str, GateResult]) -> None:
    lines = [line for line in printed(gates["too many suspects"]) if line.startswith("suspect")]
    assert len(lines) == SHOWN_SUSPECTS + 1
    assert lines[-1].endswith("and 4 more")


def test_nothing_steers_the_terminal(gates: Mapping[str, GateResult]) -> None:
    for line in printed(gates["hostile"]):
        assert line.isprintable()
        assert line.startswith(("over budget", "not measured", "suspect ", "accepted ", "note: "))


def test_what_a_variant_keeps_is_one_line_and_each_budget_it_breaks_another() -> None:
    within = variant(checks=(checked(), checked(budget=_threads())))
    broken = variant(
        GateAnswer.OVER_BUDGET,
        checks=(
            checked(GateAnswer.OVER_BUDGET),
            checked(GateAnswer.OVER_BUDGET, budget=_threads()),
        ),
    )
    lines = [line.split()[0] for line in printed(gated(within, broken))[:-1]]
    assert lines == ["over", "over", "within"]


def test_a_baseline_that_is_refused_is_not_measured_beside_what_is_over() -> None:
    made = variant(
        GateAnswer.OVER_BUDGET, checks=(checked(GateAnswer.OVER_BUDGET),), reason="libc differs"
    )
    lines = printed(gated(made))
    assert lines[0].startswith("over budget ") and "libc differs" not in lines[0]
    assert lines[1] == f"not measured {made.name}  libc differs"


def _threads() -> Budget:
    return Budget("threads", 0.0, Extent.CALL, more=False, text="0")


# ---- Markdown


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_of_the_markdown_table_has_as_many_cells_as_its_head(
    gates: Mapping[str, GateResult], kind: str
) -> None:
    html = shown(gates[kind])
    tables = html.count("<table>")
    heads = html.count("<th>")
    assert heads == tables * (len(HEADINGS) + 1)
    bodies = [part.partition("</tbody>")[0] for part in html.split("<tbody>")[1:]]
    cells = sum(body.count("<td>") for body in bodies)
    assert cells == heads // tables * len(rows(gates[kind]))


def test_of_many_answers_those_within_are_folded() -> None:
    many = [variant(variant=f"v{number}") for number in range(30)]
    html = shown(
        gated(*many, variant(GateAnswer.OVER_BUDGET, checks=(checked(GateAnswer.OVER_BUDGET),)))
    )
    before, _, fold = html.partition("<details>")
    assert before.count("<td>") == len(HEADINGS) + 1
    assert fold.count("v29") == 2  # in its table, and in the sentences


def test_hostile_names_stay_text_in_markdown(gates: Mapping[str, GateResult]) -> None:
    html = shown(gates["hostile"])
    assert "<script>" not in html and "<strong>1 over budget</strong>" in html
    assert html.count("<details>") == html.count("</details>") == 2
    assert "x^2" in html and "<a " not in html


def test_the_summary_says_who_keeps_the_memory_and_what_comes_next(
    gates: Mapping[str, GateResult],
) -> None:
    text = markdown(gates["usual"])
    assert text.startswith("## leakhunt: ▲ over budget\n\n**1 over budget, 1 not measured,")
    assert "   - from: `handle (app/serve.py:12)`: `KEPT.append(bytes(1024))`" in text
    assert "   - reference chain: `module serve -> KEPT`" in text
    assert "- see the curves: `leakhunt report out`" in text
    assert "▁▁▂▂▃▃▄▄▅▅▆▆▇▇██" in text
    assert "leakhunt hunt" not in text


def test_where_nobody_is_suspect_the_hunt_comes_next(gates: Mapping[str, GateResult]) -> None:
    over = next(each for each in gates["usual"].variants if each.answer is GateAnswer.OVER_BUDGET)
    text = markdown(gated(replace(over, suspects=())))
    assert "`leakhunt hunt fsmn-vad:naive`" in text
    assert "`leakhunt gate --policy pyproject.toml --scenario fsmn-vad:naive`" in text
    assert "accept" not in text


@pytest.mark.parametrize("policy", ["pyproject.toml", "ci/leakhunt.toml"])
def test_the_acceptance_can_be_pasted_into_the_policy(
    gates: Mapping[str, GateResult], policy: str
) -> None:
    text = markdown(replace(gates["usual"], policy=policy))
    pasted = text.partition("```toml\n")[2].partition("```")[0]
    accepted = read_policy(pasted.encode(), policy).accepted[""]
    assert [each.fingerprint for each in accepted] == ["0123456789ab", "beef00000000"]
    assert {each.until.isoformat() for each in accepted} == {"2027-01-01"}
    now = next(each.suspects[0] for each in gates["usual"].variants if each.suspects).bytes_per_call
    assert now
    assert all(each.up_to is not None and now < each.up_to < 1.3 * now for each in accepted)


def test_a_fingerprint_of_hostile_text_does_not_end_the_block() -> None:
    hostile = suspect(fingerprint='"\n```\n[[accept]]')
    text = markdown(gated(variant(GateAnswer.OVER_BUDGET, suspects=(hostile,))))
    block = text.partition("```toml\n")[2].partition("\n```\n")[0]
    assert block.splitlines()[1] == 'fingerprint = "\\"\\n```\\n[[accept]]"'


def test_the_facts_that_differ_from_the_baseline_are_named(gates: Mapping[str, GateResult]) -> None:
    text = markdown(gates["other environment"])
    assert "python: CPython 3.11.9 there, CPython 3.12.1 here" in text


# ---- JUnit


def test_over_is_a_failure_and_what_is_not_known_an_error(gates: Mapping[str, GateResult]) -> None:
    found = cases(gates["usual"])
    outcomes = {
        name: [child.tag for child in case if child.tag != "system-out"]
        for name, case in found.items()
    }
    assert outcomes == {
        "fsmn-vad cleaned: live_heap 2 KiB/call": [],
        "tts chunked: live_heap 2 KiB/call": ["error"],
        "fsmn-vad streaming": ["error"],
        "fsmn-vad naive: live_heap 2 KiB/call": ["failure"],
        "fsmn-vad naive: rss 50 MiB total": [],
    }


def test_a_failure_names_the_suspects_and_a_pass_its_power(gates: Mapping[str, GateResult]) -> None:
    found = cases(gates["usual"])
    failure = found["fsmn-vad naive: live_heap 2 KiB/call"].find("failure")
    assert failure is not None and failure.text is not None
    assert "1. serve.KEPT (list) retains 1.03 KiB/call" in failure.text
    assert "app/serve.py:12" in failure.text
    text = found["fsmn-vad cleaned: live_heap 2 KiB/call"].findtext("system-out", "")
    assert "detection limit 1.20 KiB/call (95 % power)" in text


@pytest.mark.parametrize("kind", ["nothing", "contradiction", "other environment", "no figures"])
def test_nothing_that_was_not_measured_passes_as_a_test(
    gates: Mapping[str, GateResult], kind: str
) -> None:
    tags = {child.tag for case in cases(gates[kind]).values() for child in case}
    assert tags & {"error", "failure"}


def test_the_time_of_a_variant_is_counted_once(gates: Mapping[str, GateResult]) -> None:
    found = cases(gates["usual"])
    assert float(found["fsmn-vad naive: live_heap 2 KiB/call"].get("time", 0)) > 4
    assert float(found["fsmn-vad naive: rss 50 MiB total"].get("time", 1)) == 0


def test_a_scenario_is_a_suite(gates: Mapping[str, GateResult]) -> None:
    root = ElementTree.fromstring(junit.render(gates["usual"]))  # noqa: S314
    counts = {suite.get("name"): suite.get("tests") for suite in root.iter("testsuite")}
    assert counts == {"fsmn-vad": "4", "tts": "1"}
    assert (root.get("failures"), root.get("errors")) == ("1", "2")


# ---- JSON of several formats


@pytest.mark.parametrize("format_name", ["json", "sarif", "codequality"])
def test_json_holds_no_character_that_is_none(
    gates: Mapping[str, GateResult], format_name: str
) -> None:
    (made,) = [each for each in GATE_RENDERERS if each.format == format_name]
    text = made.render(GateDocument(gates["hostile"], REPOSITORY)).decode()
    json.loads(text, parse_constant=pytest.fail)
    if format_name != "json":
        assert not re.search(r"\\ud8|\\u00|\\r", text)
    assert HOSTILE[:25] in text


def test_an_answer_is_printed_as_its_word() -> None:
    assert [f"{answer}" for answer in GateAnswer] == [
        "within budget", "over budget", "inconclusive", "not measured",
    ]  # fmt: skip
    with speaking("zh"):
        assert str(GateAnswer.OVER_BUDGET) == "超出预算"
    assert json.dumps(GateAnswer.OVER_BUDGET) == "1" == f"{GateAnswer.OVER_BUDGET:d}"
