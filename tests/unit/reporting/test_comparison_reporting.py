"""Every format of a comparison, over every sort of comparison it may meet."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from conftest import CONTROLS, MakeRun, steering_in
from jsonschema import Draft202012Validator
from rich.console import Console
from schema_types import faults, schema

from leakhunt.analysis.comparison.compare import compare
from leakhunt.analysis.report import assemble
from leakhunt.model.attribution import Attribution, Instrument, Origin, Suspect
from leakhunt.model.comparison import Comparison, Side
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending, Outcome, Run
from leakhunt.reporting.comparison import json_file
from leakhunt.reporting.comparison.figure import MAX_VARIANTS, comparison_figure
from leakhunt.reporting.comparison.terminal import comparison_lines, comparison_tables
from leakhunt.reporting.registry import COMPARISON_RENDERERS, Renderer
from leakhunt.text.language import speaking

HOSTILE = f"<script>alert(1)</script>|`[bold]$x^2$\"'& 中文{CONTROLS}"
MIB = 1 << 20
CALLS = 240


def samples(rate: int, calls: int = CALLS) -> dict[str, Any]:
    return {
        "live_heap": [50 * MIB + rate * call for call in range(calls)],
        "rss": [100 * MIB + rate * (call // 10 * 10) for call in range(calls)],
        "python_blocks": [5000 + call % 3 for call in range(calls)],
        "duration": [20_000_000 + 1000 * (call % 7) for call in range(calls)],
    }


def hunted(entries: tuple[JudgedRun, ...], name: str) -> tuple[JudgedRun, ...]:
    suspect = Suspect(
        fingerprint="0123456789ab", title=name, origin=Origin.YOURS, per_call=1.0, exact=True,
        bytes_per_call=99.0, share=None, where=None, holder=None, chain=(), stack=(), cause=None,
        ceiling_bytes=None, ceiling_calls=None, evidence=(), instruments=(Instrument.MEMRAY,),
    )  # fmt: skip
    attribution = Attribution((suspect,), 1.0, 1.0, False, None, None, "", (), (), ())
    return tuple(replace(each, attribution=attribution) for each in entries)


@pytest.fixture(scope="module")
def comparisons(make_run: MakeRun) -> Mapping[str, Comparison]:
    def run(variant: str = "naive", started: str = "0", **arguments: Any) -> Run:
        read = {**samples(4096), **arguments.pop("read", {})}
        made = make_run(plan_changes={"variant": variant, "seed": arguments.pop("seed", 0)},
                        results={0: 1, 1: 2}, **arguments, **read)  # fmt: skip
        return replace(made, started_at=started)

    def side(label: str, *runs: Run) -> Side:
        return Side(label, assemble(runs, "test").entries)

    less = run(read=samples(0), started="1")
    killed = run(
        read=samples(MIB, 3),
        outcome=Outcome(Ending.KILLED, "SIGKILL after call 3 of 240", "SIGKILL"),
    )
    hostile = replace(
        run(),
        plan=replace(run().plan, scenario=HOSTILE, variant=HOSTILE, options={HOSTILE: HOSTILE}),
        facts={"weights": HOSTILE, HOSTILE: HOSTILE},
        environment={HOSTILE: HOSTILE},
        started_at=HOSTILE,
    )
    other = replace(hostile, environment={HOSTILE: "other", "cores": HOSTILE})
    attacked = side(HOSTILE, hostile)
    cuda = {"cuda_allocated": [5] * CALLS, "cuda_reserved": [9 * MIB] * CALLS}
    many = [run(f"variant-{number}") for number in range(MAX_VARIANTS + 3)]
    refused = (side("before", run()), side("after", run(seed=7, started="1")))
    made = {
        "usual": (side("before", run(), run("old")), side("after", less, run("new"))),
        "refused": refused,
        "hostile": (
            replace(attacked, entries=hunted(attacked.entries, HOSTILE), left_out=(HOSTILE,)),
            side(f"{HOSTILE} 2", other),
        ),
        "repeats": (side("a", run(), run(started="2")), side("b", less, run(started="3"))),
        "three sides": (side("a", run()), side("b", less), side("c", killed)),
        "one sample": (side("a", run(read=samples(0, 1))), side("b", run(read=samples(1, 1)))),
        "no sample": (side("a", make_run()), side("b", make_run())),
        "on cuda": (side("a", run(read=cuda)), side("b", run(read=cuda, started="1"))),
        "many variants": (side("a", *many), side("b", *many)),
    }
    found = {name: compare(sides, False, "leakhunt test") for name, sides in made.items()}
    return found | {"despite": compare(refused, True, "leakhunt test")}


KINDS = (
    "usual", "refused", "hostile", "repeats", "three sides", "one sample", "no sample", "on cuda",
    "despite",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("made", COMPARISON_RENDERERS, ids=lambda made: made.file_name)
def test_every_format_takes_every_comparison_and_is_the_same_twice(
    comparisons: Mapping[str, Comparison], made: Renderer[Comparison], kind: str
) -> None:
    first = made.render(comparisons[kind])
    assert first
    assert made.render(comparisons[kind]) == first


def text_of(name: str, comparison: Comparison) -> str:
    (made,) = (made for made in COMPARISON_RENDERERS if made.file_name == name)
    return made.render(comparison).decode()


def on_terminal(comparison: Comparison) -> str:
    console = Console(file=io.StringIO(), width=200)
    for shown in (*comparison_tables(comparison), *comparison_lines(comparison)):
        console.print(shown)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


class Tags(HTMLParser):
    """Collects the tags of a page and where they point."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.targets += [value or "" for name, value in attrs if name in ("src", "href", "data")]


def test_texts_from_outside_cannot_become_markup(comparisons: Mapping[str, Comparison]) -> None:
    page = text_of("compare.html", comparisons["hostile"])
    tags = Tags()
    tags.feed(page)
    assert "script" not in tags.names
    assert "&lt;script&gt;" in page
    assert "中文" in page
    markdown = text_of("compare.md", comparisons["hostile"])
    assert re.search(r"(?<!\\)<(?!/?details|/?summary)", markdown) is None
    assert "[bold]" in on_terminal(comparisons["hostile"])
    outputs = (page, markdown, on_terminal(comparisons["hostile"]))
    assert not any(map(steering_in, (*outputs, text_of("compare.json", comparisons["hostile"]))))


def test_the_page_asks_for_nothing_from_anywhere(comparisons: Mapping[str, Comparison]) -> None:
    page = text_of("compare.html", comparisons["usual"])
    tags = Tags()
    tags.feed(page)
    assert all(target.startswith("#") for target in tags.targets)
    assert not {"script", "link", "img", "iframe"} & tags.names
    assert "@import" not in page


def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_head(
    comparisons: Mapping[str, Comparison],
) -> None:
    for kind in KINDS:
        widths: list[int] = []
        for line in text_of("compare.md", comparisons[kind]).splitlines():
            if not line.startswith("|"):
                widths = []
                continue
            widths.append(len(re.findall(r"(?<!\\)\|", line)))
            assert widths[-1] == widths[0], line


@pytest.mark.parametrize("name", ["compare.html", "compare.md", "terminal"])
def test_a_refusal_stands_in_place_of_the_conclusion_beside_both_values(
    comparisons: Mapping[str, Comparison], name: str
) -> None:
    def shown(kind: str) -> str:
        comparison = comparisons[kind]
        return on_terminal(comparison) if name == "terminal" else text_of(name, comparison)

    refused, despite = shown("refused"), shown("despite")
    assert "not comparable" in refused
    assert "Not comparable: the runs differ in" in refused
    assert "before: 0" in refused and "after: 7" in refused
    assert "× not comparable" in refused
    assert "4.00 KiB" in refused, "the figures stay"
    assert "Not comparable: the runs differ in" not in despite
    assert "(despite differences)" in despite.replace("\\", "")
    assert "Compared despite differences" in despite
    assert "× not comparable" not in despite


def test_the_json_has_every_figure_and_says_whether_it_was_refused(
    comparisons: Mapping[str, Comparison],
) -> None:
    document = {
        kind: json.loads(text_of("compare.json", comparisons[kind]))
        for kind in ("usual", "refused", "despite")
    }
    usual = document["usual"]
    assert usual["format"] == 2
    assert [side["label"] for side in usual["sides"]] == ["before", "after"]
    (pair,) = usual["pairs"]
    lines = {line["name"]: line for line in pair["lines"]}
    assert lines["live_heap"]["difference"]["estimate"] == -4096
    assert lines["live_heap"]["conclusion"] == "decrease"
    assert {each["name"]: each["missing"] for each in usual["alone"]} == {
        "old": ["after"],
        "new": ["before"],
    }
    assert [(each["refused"], each["despite_differences"]) for each in document.values()] == [
        (False, False),
        (True, False),
        (False, True),
    ]
    (mismatch,) = document["refused"]["pairs"][0]["mismatches"]
    assert mismatch["fact"] == "seed"
    assert (mismatch["before"], mismatch["after"]) == ({"text": "0"}, {"text": "7"})
    (kind,) = pair["verdicts"]["before"]
    assert kind == {"kind": "leak in native code", "runs": 1}
    assert pair["sentence"]["text"].startswith(
        "naive: growth in after, live heap: 4.00 KiB/call less"
    )
    (leaks, *_) = pair["sentence"]["parts"][0]["values"]["parts"]["parts"]
    assert leaks["message"] == "comparison.grows"
    assert leaks["values"]["amounts"]["parts"][0]["values"]["size"] == {
        "value": 4096.0, "unit": "bytes", "per": "call",
    }  # fmt: skip


def test_the_json_of_every_comparison_is_as_its_schema_says(
    comparisons: Mapping[str, Comparison],
) -> None:
    compare_schema = schema("compare")
    validator = Draft202012Validator(compare_schema)
    assert compare_schema["$id"] == json_file.SCHEMA
    for comparison in comparisons.values():
        document = json.loads(text_of("compare.json", comparison))
        assert faults(validator, document) == []
    document["pairs"] = [{"name": "naive"}]
    required = compare_schema["$defs"]["CompareJsonPair"]["required"]
    assert len(faults(validator, document)) == len(required) - 1


def test_a_comparison_made_under_english_is_said_in_chinese(
    comparisons: Mapping[str, Comparison],
) -> None:
    with speaking("zh"):
        shown = on_terminal(comparisons["refused"]), text_of("compare.md", comparisons["usual"])
    for text in shown:
        assert re.search("[\u4e00-\u9fff]", text)
    assert "种子" in shown[0]


def test_a_panel_a_variant_and_series_with_the_sides_labelled(
    comparisons: Mapping[str, Comparison],
) -> None:
    axes = comparison_figure(comparisons["three sides"]).axes
    assert [each.get_title(loc="left") for each in axes] == [
        "naive: live heap", "naive: RSS", "naive: Python blocks",
    ]  # fmt: skip
    assert {text.get_text() for text in axes[0].texts} == {"a", "b", "c"}
    starts = {float(curve.get_ydata()[0]) for curve in axes[0].lines if len(curve.get_xdata()) > 2}  # type: ignore[arg-type,index]
    assert starts == {0.0}


def test_many_variants_are_cut_off_with_a_word(comparisons: Mapping[str, Comparison]) -> None:
    figure = comparison_figure(comparisons["many variants"])
    assert len(figure.axes) == 3 * MAX_VARIANTS
    assert f"the first {MAX_VARIANTS} of {MAX_VARIANTS + 3}" in figure.get_suptitle()
