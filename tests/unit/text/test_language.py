"""Speaking another language: completely, with the same figures, and only where it was asked for."""

from __future__ import annotations

import ast
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextvars import copy_context
from enum import StrEnum
from pathlib import Path

import catalogue
import pytest

from leakhunt.amounts import format_amount, format_rate, format_seconds
from leakhunt.analysis.attribution.known_causes import catalogue as known_causes
from leakhunt.analysis.comparison.environments import mismatch
from leakhunt.cli.language_option import requested_language
from leakhunt.errors import UsageError
from leakhunt.model.comparison import Conclusion, Fate, Matter
from leakhunt.model.gate import WORDS
from leakhunt.model.kinds import Kind
from leakhunt.model.plan import Role
from leakhunt.model.run import Ending
from leakhunt.model.series import Unit
from leakhunt.model.verdict import Shape, Status
from leakhunt.text.language import ENGLISH, mark, ntr, speaking, spoken, tag, tr

PLACEHOLDER = re.compile(r"\{[^{}]*\}")
TAG = re.compile(r"</?[a-z]+>")
# What is typed or named, and the same in every language.
LITERAL = re.compile(
    r"--[a-z][a-z-]*|'leakhunt [^']*'|\b[\w.]+\(\)|\b[A-Z]+_[A-Z_]+\b|\bpip install\b"
)
HAN = "\u4e00-\u9fff"
FILE = next(file for file in catalogue.FILES if file.parts[-3] == "zh_CN")


def translations() -> Iterator[tuple[str, str]]:
    """Every English text (of a number: the form for many) with its translation."""
    for message in catalogue.read(FILE):
        if message.id:
            several = not isinstance(message.id, str)
            yield (
                message.id[-1] if several else message.id,
                message.string[0] if several else message.string,
            )


PAIRS = list(translations())


def test_every_text_has_a_translation_and_no_other_has() -> None:
    read = catalogue.read(FILE)
    expected = {message.id for message in catalogue.messages() if message.id}
    assert len(expected) > 500
    assert {message.id for message in read if message.id} == expected, "run: make translations"
    assert [text for text, translation in PAIRS if not translation] == []
    assert not any(message.fuzzy for message in read)
    assert not read.obsolete


def test_what_is_read_is_what_was_translated() -> None:
    compiled = catalogue.compiled(catalogue.read(FILE))
    assert FILE.with_suffix(".mo").read_bytes() == compiled, "run: make translations"


def test_a_translation_holds_the_same_figures_tags_and_commands() -> None:
    for text, translation in PAIRS:
        for pattern in (PLACEHOLDER, TAG):
            found = Counter(pattern.findall(translation))
            assert found == Counter(pattern.findall(text)), text
        assert set(LITERAL.findall(translation)) >= set(LITERAL.findall(text)), text
        assert '"' not in translation, f"it may stand in an attribute of a page: {text}"


def test_chinese_is_punctuated_as_chinese() -> None:
    for text, translation in PAIRS:
        wrong = re.search(rf"[{HAN}][,;:!?](?!\d)|[{HAN}]\.(?![.\w])", translation)
        assert not wrong, text


WORDS_OF: tuple[type[StrEnum], ...] = (Kind, Ending, Status, Shape, Role, Matter, Conclusion, Fate)


@pytest.mark.parametrize("word", [word for words in WORDS_OF for word in words], ids=repr)
def test_every_word_of_a_verdict_is_told_in_chinese(word: StrEnum) -> None:
    assert tr(word) == word.value
    with speaking("zh"):
        assert re.search(f"[{HAN}]", tr(word))


def test_the_gate_and_the_known_causes_are_told_in_chinese() -> None:
    texts = [each.title for each in known_causes()] + [each.reason for each in known_causes()]
    with speaking("zh"):
        for text in (*texts, *WORDS.values()):
            assert re.search(f"[{HAN}]", tr(text)), text


def test_english_is_spoken_unless_somebody_asks() -> None:
    assert (spoken(), tag()) == (ENGLISH, "en")
    assert tr("no leak above {most}", most="1 B") == "no leak above 1 B"
    assert ntr("{n} stack", "{n} stacks", 1) == "1 stack"
    assert ntr("{n} stack", "{n} stacks", 2) == "2 stacks"
    assert mark("clean") == "clean"


def test_a_language_ends_with_its_block() -> None:
    with speaking("zh"):
        assert (spoken(), tag()) == ("zh", "zh-CN")
        assert tr("no leak above {most}", most="1 B") == "没有超过 1 B 的泄漏"
        assert ntr("{n} stack", "{n} stacks", 2) == "2 个调用栈"
        with speaking("en"):
            assert tr("clean") == "clean"
        assert tr("clean") == "正常"
    assert tr("clean") == "clean"
    with pytest.raises(KeyError), speaking("zh"):
        raise KeyError
    assert spoken() == ENGLISH


def test_two_languages_in_one_process_do_not_mix() -> None:
    """Each thread says the word while the other is in the middle of its own block."""
    values: dict[str, list[str]] = {}
    both = threading.Barrier(2, timeout=60)

    def speak(language: str) -> None:
        with speaking(language):
            values[language] = []
            for _ in range(20):
                both.wait()
                values[language].append(tr("clean"))

    threads = [threading.Thread(target=speak, args=(language,)) for language in ("en", "zh")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values == {"en": ["clean"] * 20, "zh": ["正常"] * 20}
    assert tr("clean") == "clean"


def test_a_copied_context_speaks_on() -> None:
    with speaking("zh"):
        context = copy_context()
    assert context.run(tr, "clean") == "正常"


def test_an_unknown_language_is_none() -> None:
    with pytest.raises(ValueError, match="'fr' is no language; use one of en, zh"), speaking("fr"):
        pass


def test_what_nobody_translates_stays_as_it_is() -> None:
    hostile = "<script>alert(1)</script> {0} {x!r} %s $x^2$ 测试 \udcff"
    with speaking("zh"):
        assert tr("") == ""
        assert tr(hostile) == hostile
        assert tr("no leak above {most}", most=hostile) == f"没有超过 {hostile} 的泄漏"


def test_amounts_keep_their_units() -> None:
    with speaking("zh"):
        assert format_rate(4096, Unit.BYTES) == "4.00 KiB/次"
        assert format_rate(0.5, Unit.COUNT) == "0.5/次"
        assert format_amount(18.6, Unit.BLOCKS) == "18.6 块"
        assert format_seconds(125) == "2 min 5 s"
        assert format_seconds(20 * 86400) == "20 天"


@pytest.mark.parametrize(
    ("line", "variable", "language", "rest"),
    [
        ("report x", "", "en", "report x"),
        ("report x --lang zh", "", "zh", "report x"),
        ("--lang zh report x", "", "zh", "report x"),
        ("report --lang=zh x", "", "zh", "report x"),
        ("report x", "zh", "zh", "report x"),
        ("report x --lang en", "zh", "en", "report x"),
        ("--lang en report --lang zh x", "", "zh", "report x"),
        ("report -- --lang fr", "", "en", "report -- --lang fr"),
        ("report --language zh", "", "en", "report --language zh"),
    ],
)
def test_the_language_is_asked_for_anywhere(
    line: str, variable: str, language: str, rest: str
) -> None:
    found = requested_language(line.split(), {"LEAKHUNT_LANG": variable, "LANG": "zh_CN.UTF-8"})
    assert found == (language, rest.split())


@pytest.mark.parametrize(
    ("line", "variable", "expected"),
    [
        ("report x --lang fr", "", "--lang fr: no such language; use one of en, zh"),
        ("report x", "zh_CN", "LEAKHUNT_LANG=zh_CN: no such language; use one of en, zh"),
        ("report x --lang", "", "--lang needs a language: use one of en, zh"),
        ("report x --lang=", "zh", "--lang needs a language: use one of en, zh"),
    ],
)
def test_an_unknown_language_is_one_clear_line(line: str, variable: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        requested_language(line.split(), {"LEAKHUNT_LANG": variable})
    assert str(caught.value) == expected


def texts_in_code(file: Path) -> Iterator[str]:
    """Every constant text inside `tr`, `ntr` and `mark`."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("tr", "ntr", "mark"):
            yield from (
                argument.value
                for argument in node.args[: 2 if getattr(node.func, "id", "") == "ntr" else 1]
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            )


def test_no_text_in_the_code_escapes_the_extraction() -> None:
    """Babel does not look into f-strings."""
    files = sorted(catalogue.PACKAGE.rglob("*.py"))
    ids = {message.id for message in catalogue.messages()}
    known = {text for each in ids for text in ((each,) if isinstance(each, str) else each)}
    found = {text: file.name for file in files for text in texts_in_code(file)}
    assert {text: file for text, file in found.items() if text not in known} == {}


def test_what_others_named_is_not_translated() -> None:
    """The option ``clean`` with the value ``no`` is no word of ours."""
    with speaking("zh"):
        assert in_words("option clean", "no", "(default)") == ("选项 clean", "no", "（默认）")
        found = in_words("package ceiling", "none", "not installed")
        assert found == ("软件包 ceiling", "none", "未安装")
        found = in_words("a collection before each reading", "yes", "no")
        assert found == ("每次读数前回收", "是", "否")


def in_words(fact: str, before: str, after: str) -> tuple[str, str, str]:
    found = mismatch(fact, [before], [after], Matter.INPUTS)
    return str(found.title), str(found.before), str(found.after)
