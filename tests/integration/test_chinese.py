"""Reports, terminal and errors in Chinese: nothing is left in English, and no figure changes."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from conftest import Leakhunt, MakeRun, WriteScenario, hostile_run, only_run
from rich.console import Console

from leakhunt.amounts import Amount
from leakhunt.analysis.comparison.compare import compare
from leakhunt.analysis.gate.decide import acceptance_notes, not_measured
from leakhunt.analysis.report import assemble
from leakhunt.cli.main import main
from leakhunt.config.budgets import parse_budget
from leakhunt.engine.gate_variant import answer_runs, without_baseline
from leakhunt.engine.report import GENERATOR, rendered, report_of
from leakhunt.model.comparison import Comparison, Side
from leakhunt.model.gate import Acceptance, GateResult, Pages, Terms
from leakhunt.model.report import Report
from leakhunt.model.run import Ending, Outcome, Run
from leakhunt.model.series import SERIES, Unit
from leakhunt.reporting.comparison.terminal import comparison_lines, comparison_tables
from leakhunt.reporting.gate.annotations import annotation_lines
from leakhunt.reporting.gate.html_page import render as gate_html
from leakhunt.reporting.gate.markdown import render as gate_markdown
from leakhunt.reporting.gate.source_lines import Repository
from leakhunt.reporting.gate.terminal import gate_lines
from leakhunt.reporting.index.page import contents_of_report, render_index
from leakhunt.reporting.live.curve import Curve
from leakhunt.reporting.live.frame import LiveState, Panel, frame
from leakhunt.reporting.registry import COMPARISON_RENDERERS, RENDERERS
from leakhunt.reporting.run.notebook import card
from leakhunt.reporting.run.terminal import summary_table, suspect_lines, verdict_lines
from leakhunt.runner.memory_limit import AddressSpaceLimit
from leakhunt.storage import run_file
from leakhunt.text.language import ENGLISH, speaking
from leakhunt.text.message import joined, message

EXAMPLES = Path(__file__).parents[2] / "reports" / "examples"
MIB = 1 << 20
CALLS = 300
# Two English words in a row; a word has no capital but the first, so symbols of code are none.
ENGLISH_WORDS = re.compile(r"[A-Za-z][a-z'’]+ [A-Za-z][a-z'’]+(?: [A-Za-z][a-z'’]+)*")
# What is recorded in the words of the scenario or of Python, and what is typed or a name.
NAMES = re.compile(
    r"stand-in weights \(the model hub is out of reach: URLError\)|lengths varied|"
    r"CPython|OOM killer|Python arena|libc glibc|pymalloc arena|malloc arena|"
    r"leakhunt (?:run|hunt|report|list|compare|gate|baseline|truth)\b[^，。；）]*|pip install \S+|"
    r"(?:--?[a-z][a-z-]*|--[a-z-]+ \S+)|Matplotlib v\S+|python CPython|TLS|"
    r"no-op time|Linux \S+ \S+|GNU C|made:\w+ \w+"
)


CODE = re.compile(r"`[^`]*`|https?://\S+|</?(?:details|summary)>|\S+ \(\S+:\d+\)(?:: .*)?")


class Texts(HTMLParser):
    """The texts of a page that people read, and those of its attributes that are read out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._closed = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._closed += tag in ("script", "style", "code", "pre", "metadata")
        attributes = ("aria-label", "title", "placeholder", "data-done")
        self.found += [value for name, value in attrs if name in attributes and value]

    def handle_endtag(self, tag: str) -> None:
        self._closed -= tag in ("script", "style", "code", "pre", "metadata")

    def handle_data(self, data: str) -> None:
        if not self._closed and data.strip():
            self.found.append(data)


def left_in_english(text: str) -> list[str]:
    """Runs of two English words and more, outside of names, code and frames."""
    return ENGLISH_WORDS.findall(NAMES.sub(" ", CODE.sub(" ", text)))


def in_page(page: bytes) -> list[str]:
    texts = Texts()
    texts.feed(page.decode())
    return [words for text in texts.found for words in left_in_english(text)]


def on_terminal(*shown: Any) -> str:
    console = Console(file=io.StringIO(), width=4000)
    for each in shown:
        console.print(each)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def words_of_script(page: bytes) -> Iterator[str]:
    data = re.search(rb'id="plot-data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    document = json.loads(data[1])
    yield from document["words"].values()
    yield from (series["title"] for series in document["series"])
    yield from (variant["ended"] for variant in document["variants"])


def example(name: str) -> list[Run]:
    return [run_file.load(file) for file in run_file.find_run_files([str(EXAMPLES / name)])]


def made_runs(make_run: MakeRun) -> dict[str, Callable[[], list[Run]]]:
    """Runs with the titles and blind spots that probes have, by what becomes of them."""

    def run(rate: int, calls: int = CALLS, **changes: Any) -> Run:
        grown = [40 * MIB + rate * call for call in range(calls)]
        start = {"rss": 40 * MIB, "live_heap": 30 * MIB, "python_live": MIB, "rss_anonymous": MIB}
        end = {name: value + rate * calls for name, value in start.items()} | {"rss_peak": 99 * MIB}
        steps = {"start": start, "end": end, "collected": end, "emptied": end, "trimmed": end}
        made = make_run(
            changes.pop("readings", steps),
            limits={"free memory": 1 << 34},
            results=dict.fromkeys(range(calls), 1),
            outcome=changes.pop("outcome", None),
            plan_changes=changes.pop("plan", {}),
            **(
                {"live_heap": grown, "rss": grown, "python_blocks": [5000] * calls}
                | {"duration": [2_000_000] * calls}
                | changes.pop("read", {})
            ),
        )
        return replace(
            made,
            series=tuple(SERIES[each.name].series for each in made.series),
            unavailable={"python_blocks": "only CPython counts its allocated blocks"},
            facts={"memory limit": AddressSpaceLimit(2 << 30).name},
            **changes,
        )

    kernel = message(
        "run.oom-killer",
        "killed by the kernel's OOM killer: {kills:d} kill in the memory cgroup, limit"
        " {size_bytes}",
        kills=1, size_bytes=Amount(64 * MIB),
    )  # fmt: skip
    after = message(
        "run.after-call-of", "{how} after call {calls:d} of {planned:d}",
        how="SIGKILL", calls=300, planned=900,
    )  # fmt: skip
    killed = Outcome(Ending.KILLED, joined((after, kernel), "; ", ""), "SIGKILL", kernel)
    cuda = {"cuda_allocated": [4096 * call for call in range(CALLS)],
            "cuda_reserved": [9 * MIB] * CALLS}  # fmt: skip
    left = message("run.exit-code", "exited with code {code}", code=3)
    crashed = Outcome(
        Ending.CRASHED,
        message("run.before-the-first-call", "{how} before the first call", how=left),
    )
    teeth = [40 * MIB + call % 50 * 4096 for call in range(CALLS)]
    noise = [40 * MIB + (call * 7919 % 613) * 4096 for call in range(CALLS)]
    return {
        "leak": lambda: [run(4096), run(0, plan={"variant": "clean"})],
        "killed": lambda: [run(MIB, outcome=killed, readings={}, damaged_lines=1)],
        "clean": lambda: [run(0)],
        "inconclusive": lambda: [run(0, read={"live_heap": noise, "rss": noise})],
        "too short": lambda: [run(4096, 12)],
        "empty": lambda: [run(0, 0, outcome=crashed)],
        "cuda": lambda: [run(0, read=cuda, plan={"device": "cuda"})],
        "sawtooth": lambda: [run(0, read={"live_heap": teeth})],
    }


KINDS = ("leak", "killed", "clean", "inconclusive", "too short", "empty", "cuda", "sawtooth")


def shown(report: Report) -> dict[str, list[str]]:
    """What is left in English, by where."""
    by_name = {renderer.file_name: renderer.render for renderer in RENDERERS}
    page = by_name["report.html"](report)
    terminal = on_terminal(summary_table(report), *verdict_lines(report), *suspect_lines(report))
    cards = [card(entry.run, entry.verdict) for entry in report.entries]
    found = {
        "html": in_page(page),
        "script": left_in_english("\n".join(words_of_script(page))),
        "markdown": left_in_english(by_name["report.md"](report).decode()),
        "svg": [
            words
            for name in ("curves.svg", "ledger.svg", "remedies.svg")
            for words in in_page(by_name[name](report))
        ],
        "terminal": left_in_english(terminal),
        "notebook": [words for each in cards for words in in_page(each.encode())],
    }
    return {where: words for where, words in found.items() if words}


@pytest.mark.parametrize("name", ["fsmn-vad-cpu", "fsmn-vad-hunt"])
def test_nothing_of_an_example_is_left_in_english(name: str) -> None:
    runs = example(name)
    with speaking("zh"):
        report = report_of(runs, name)
        assert shown(report) == {}
        page = next(r for r in RENDERERS if r.format == "html").render(report)
    assert b'<html lang="zh-CN">' in page
    assert "按内存种类划分的 RSS 增长" in page.decode()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_a_run_is_left_in_english(make_run: MakeRun, kind: str) -> None:
    runs = made_runs(make_run)[kind]()
    with speaking("zh"):
        assert shown(assemble(runs, GENERATOR)) == {}


def comparison_of(*sides: list[Run], despite: bool = False) -> Comparison:
    named = zip(("v1", "v2"), sides, strict=True)
    made = [Side(label, assemble(runs, GENERATOR).entries) for label, runs in named]
    return compare(made, despite, GENERATOR)


@pytest.mark.parametrize("despite", [False, True])
@pytest.mark.parametrize(("one", "other"), [("clean", "leak"), ("leak", "killed"), ("cuda", "cuda"),
                                            ("too short", "clean")])  # fmt: skip
def test_nothing_of_a_comparison_is_left_in_english(
    make_run: MakeRun, one: str, other: str, despite: bool
) -> None:
    runs = made_runs(make_run)[one]()[:1]
    others = made_runs(make_run)[other]()[:1]
    others = [replace(run, plan=replace(run.plan, seed=7), facts={}) for run in others]
    with speaking("zh"):
        comparison = comparison_of(runs, others, despite=despite)
        texts = {made.file_name: made.render(comparison) for made in COMPARISON_RENDERERS}
        terminal = on_terminal(*comparison_tables(comparison), *comparison_lines(comparison))
    assert in_page(texts["compare.html"]) == []
    assert left_in_english(texts["compare.md"].decode()) == []
    assert left_in_english(terminal) == []


BUDGETS = (
    ("live_heap", "1 KiB/call"), ("rss", "1 MiB total"), ("threads", 0), ("cuda_reserved", 0),
    ("seconds_per_call", "1 ms"), ("seconds_per_call", "+20 %"), ("live_heap", "+0/call"),
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_a_gate_is_left_in_english(make_run: MakeRun, kind: str) -> None:
    expired = Acceptance("0123456789ab", "#123", date(2026, 1, 1), "leakhunt.toml:4")
    budgets = tuple(parse_budget(series, value) for series, value in BUDGETS)
    terms = Terms(budgets, (expired,), date(2026, 11, 27))
    with speaking("zh"):
        variants = tuple(
            answer_runs([run], held_to, GENERATOR, without_baseline)
            for run in made_runs(make_run)[kind]()
            for held_to in (terms, Terms((), (), terms.today))
        )
        notes = acceptance_notes(terms, variants)
        gated = GateResult(
            (*variants, not_measured("made", "gone", "#123")), "a", "b", notes, "0",
            (Pages("made", "report.html", "compare.html"),),
        )  # fmt: skip
        texts = [gate_markdown(gated).decode(), on_terminal(*gate_lines(gated))]
        texts += [line.partition("title=")[2] for line in annotation_lines(gated, Repository())]
        page = gate_html(gated)
    assert [words for text in texts for words in left_in_english(text)] == []
    assert in_page(page) == []


def test_nothing_of_the_live_view_and_the_served_index_is_left_in_english() -> None:
    curve = Curve((1, 2, 3), (0, 1, 2), (1, 2, 3), 0, 3, 1, 0, 1.5)
    panels = (Panel("live heap", Unit.BYTES, curve), Panel("RSS", Unit.BYTES, curve))
    with speaking("zh"):
        state = LiveState("naive", "测量中", 3, 9, 0.01, panels, ("cleaned",))
        assert left_in_english(frame(state, 200, 40)) == []
        page = render_index([], "reports")
        contents = contents_of_report((EXAMPLES / "fsmn-vad-cpu" / "report.json").read_bytes())
    assert in_page(page) == []
    assert {variant.kind for variant in contents.variants} == {
        "原生代码内存泄漏", "分配器滞留", "Python 内存泄漏"
    }  # fmt: skip


def test_the_search_would_find_what_is_left_in_english(make_run: MakeRun) -> None:
    report = assemble(made_runs(make_run)["killed"](), GENERATOR)
    assert set(shown(report)) == {"html", "script", "markdown", "svg", "terminal", "notebook"}


@pytest.mark.parametrize("name", ["fsmn-vad-cpu", "fsmn-vad-hunt"])
@pytest.mark.parametrize("renderer", [r for r in RENDERERS if r.language is not None],
                         ids=lambda renderer: renderer.file_name)  # fmt: skip
def test_what_programs_read_is_english_whatever_is_spoken(name: str, renderer: Any) -> None:
    runs = example(name)
    expected = rendered(report_of(runs, name), renderer.render, renderer.language)
    with speaking("zh"):
        again = rendered(report_of(runs, name), renderer.render, renderer.language)
    assert again == expected
    assert renderer.language == ENGLISH


def test_the_same_formats_are_for_programs_as_ever() -> None:
    always = {renderer.format for renderer in RENDERERS if renderer.language == ENGLISH}
    assert always == {"json", "junit", "csv", "parquet", "speedscope"}
    assert [made.file_name for made in COMPARISON_RENDERERS if made.language] == ["compare.json"]


def test_figures_names_fingerprints_and_frames_are_the_same_in_every_language() -> None:
    runs = example("fsmn-vad-hunt")
    english = assemble(runs, "test")
    with speaking("zh"):
        chinese = assemble(runs, "test")
    for one, other in zip(english.entries, chinese.entries, strict=True):
        assert one.verdict == other.verdict
        sentence = str(one.verdict.sentence)
        with speaking("zh"):
            assert str(one.verdict.sentence) != sentence
        assert (one.verdict.kind, one.verdict.status) == (other.verdict.kind, other.verdict.status)
        assert {name: trend.rate for name, trend in one.verdict.trends.items()} == {
            name: trend.rate for name, trend in other.verdict.trends.items()
        }
        assert one.attribution is not None and other.attribution is not None
        pairs = zip(one.attribution.suspects, other.attribution.suspects, strict=True)
        for suspect, expected in pairs:
            assert suspect.fingerprint == expected.fingerprint
            assert (suspect.stack, suspect.chain, suspect.cause) == (
                expected.stack, expected.chain, expected.cause
            )  # fmt: skip
    assert english.command == chinese.command


def test_hostile_texts_cannot_become_markup_in_chinese_either(make_run: MakeRun) -> None:
    runs = [hostile_run(run) for run in made_runs(make_run)["leak"]()]
    with speaking("zh"):
        report = assemble(runs, "test")
        for renderer in RENDERERS:
            page = renderer.render(report)
            if renderer.format == "html":
                assert b"<script>alert" not in page


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("report nowhere", "nowhere：没有此运行文件或文件夹。请检查路径"),
        ("run nowhere.py", "nowhere.py：没有此场景文件。请检查路径"),
        ("run nul", "没有场景 'nul'（是否想用 'null'？）。请用 'leakhunt list' 列出场景"),
        ("run null --calls 5 --warmup 9", "--warmup 9：5 次调用中没有剩余的测量调用。请用更小的值"),
        ("run null --calls x", "'--calls' 的值无效：'x' 不是有效的范围内的整数。"),
        ("run null --memory-limit 3x", "无效的大小 '3x'；示例：'512 MiB'、'1.5 GB'"),
        ("report", "缺少参数 'RUN_OR_FOLDER...'。"),
        ("rnu", "没有命令 'rnu'。是否想用 'run'？"),
        ("sing", "没有命令 'sing'。"),
        ("report --label x y", "没有选项 '--label'。是否想用 '--help'？"),
        ("compare one", "compare 需要两个或更多路径：基线在前"),
    ],
)  # fmt: skip
def test_an_error_is_one_line_in_chinese_with_the_same_code(line: str, expected: str) -> None:
    codes = []
    for language in ("en", "zh"):
        errors = io.StringIO()
        with redirect_stderr(errors), redirect_stdout(io.StringIO()):
            codes.append(main([*line.split(), "--lang", language]))
        assert len(errors.getvalue().splitlines()) == 1
    assert errors.getvalue() == f"leakhunt: {expected}\n"
    assert codes[0] == codes[1] != 0


def test_a_run_in_chinese_leaves_an_english_run_file(
    leakhunt: Leakhunt, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    file = write_scenario(
        "@variant\ndef naive(state, item):\n"
        "    KEPT.append(bytearray(70_000))\n"
        "    if len(KEPT) > 160:\n        os.kill(os.getpid(), 9)\n"
    )
    environment = {**os.environ, "LEAKHUNT_LANG": "zh"}
    done = leakhunt(
        *("run", file, "--calls", 200, "--format", "json,md", "--out", "out"), env=environment
    )
    assert done.returncode == 0
    assert "第 160 次调用之后（共 200 次）SIGKILL" in done.stdout
    assert left_in_english(done.stdout) == []
    run = only_run(tmp_path / "out")
    assert str(run.outcome.reason) == "SIGKILL after call 160 of 200"
    assert not re.search("[\u4e00-\u9fff]", (tmp_path / "out" / "report.json").read_text())
    assert "增长中被杀死" in (tmp_path / "out" / "report.md").read_text()
    again = leakhunt("report", "out", "--out", "en", "--format", "md,json")
    assert "killed while growing" in again.stdout
    for name in ("out", "en"):
        assert json.loads((tmp_path / name / "report.json").read_text())["runs"]


def test_compare_writes_the_same_json_in_both_languages(leakhunt: Leakhunt, tmp_path: Path) -> None:
    one, other = EXAMPLES / "fsmn-vad-cpu", EXAMPLES / "fsmn-vad-hunt"
    for language in ("en", "zh"):
        done = leakhunt("--lang", language, "compare", one, other, "--out", language)
        assert done.returncode in (0, 9)
    documents = [(tmp_path / name / "compare.json").read_bytes() for name in ("en", "zh")]
    assert documents[0] == documents[1]
    pages = [(tmp_path / name / "compare.html").read_text() for name in ("en", "zh")]
    assert 'lang="zh-CN"' in pages[1] and 'lang="en"' in pages[0]


def test_gate_and_baseline_speak_chinese_and_gate_writes_the_same_json(
    leakhunt: Leakhunt, tmp_path: Path
) -> None:
    runs = EXAMPLES / "fsmn-vad-cpu"
    terms = ("--max-growth", "1 KiB/call", "--format", "json,junit,sarif,codequality")
    for name, content in (("bad", "{"), ("none", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / ("a.run.jsonl" if content else "a.txt")).write_text(content)
    places = (runs, "bad", "none")
    done = [leakhunt("--lang", to, "gate", *places, *terms, "--out", to) for to in ("en", "zh")]
    assert [each.returncode for each in done] == [1, 1]
    text = "超出预算：4 个超出预算、2 个未测量、1 个尚无定论、1 个在预算之内（策略 --max-growth）"
    assert text in done[1].stdout
    assert left_in_english(done[1].stdout) == []
    for file in (tmp_path / "en").iterdir():
        assert (tmp_path / "zh" / file.name).read_bytes() == file.read_bytes()
    saved = leakhunt("--lang", "zh", "baseline", "save", runs / "fixed-shape.run.jsonl")
    shown = leakhunt("--lang", "zh", "baseline", "show")
    assert saved.returncode == shown.returncode == 0
    assert "存活堆" in shown.stdout
    assert left_in_english(saved.stdout + shown.stdout) == []
    (baseline,) = tmp_path.glob("leakhunt-baselines/*/*.toml")
    assert not re.search("[\u4e00-\u9fff]", baseline.read_text())
