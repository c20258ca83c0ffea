"""What a file recorded is said in the language spoken where it is read, whoever wrote the file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from leakhunt.amounts import Amount, Count, Rate, Seconds, quantity_from
from leakhunt.model.kinds import Kind
from leakhunt.model.plan import Work
from leakhunt.model.series import Unit
from leakhunt.text.language import speaking
from leakhunt.text.message import Text, joined, mentions, message, plural_message, sentences, word
from leakhunt.text.record import as_json, from_record, to_record

GOLDEN = Path(__file__).parents[1] / "data" / "format-5.run.jsonl"
KILLED = message("run.after-call-of", "{how} after call {calls:d} of {planned:d}",
                 how="SIGKILL", calls=131, planned=250)  # fmt: skip
ENDED = joined(
    (KILLED, message("limit.cgroup", "cgroup v{version}, {size_bytes}", version=2,
                     size_bytes=Amount(64 << 20))), "; ", "",
)  # fmt: skip


def read_back(text: Text) -> Text:
    return from_record(json.loads(json.dumps(to_record(text))), quantity_from)


@pytest.mark.parametrize(
    "text",
    [
        "plain, with {braces}",
        KILLED,
        ENDED,
        word("No such file or directory"),
        plural_message("test.runs", "{n} run", "{n} runs", 2),
        plural_message("test.runs", "{n} run", "{n} runs", 1),
        sentences((message("test.one", "one"), message("test.two", "two"))),
        message("test.all", "{a} {b} {c} {d} {e}", a=Amount(3, Unit.BLOCKS), b=Rate(1.5),
                c=Seconds(125.0), d=Count(7, Work.REQUEST), e=(1, "two", None)),
        message("test.braces", "no {value"),
    ],
    ids=str,
)  # fmt: skip
def test_a_text_comes_back_as_it_was(text: Text) -> None:
    assert read_back(text) == text
    assert str(read_back(text)) == str(text)


def test_a_word_of_ours_is_translated_after_it_was_read() -> None:
    back = read_back(message("test.kind", "<{kind}>", kind=Kind.CLEAN))
    assert str(back) == "<clean>"
    with speaking("zh"):
        assert str(back) == "<正常>"


def test_a_record_is_in_english_whatever_is_spoken() -> None:
    with speaking("zh"):
        assert to_record(KILLED)["text"] == "SIGKILL after call 131 of 250"
        assert str(read_back(ENDED)) == "第 131 次调用之后（共 250 次）SIGKILL；cgroup v2，64.0 MiB"


def test_what_was_recorded_in_one_process_is_said_in_chinese_in_another() -> None:
    code = (
        "import sys; from leakhunt.storage import run_file;"
        "from leakhunt.text.language import speaking;"
        "run = run_file.load(sys.argv[1])\n"
        "with speaking('zh'):\n    print(run.outcome.reason, run.outcome.kernel,"
        " run.unavailable['live_heap'], run.facts['memory limit'],"
        " run.notes[-1]['text'], sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, GOLDEN], capture_output=True, text=True, check=True
    )
    reason, kernel, unavailable, limit, note = done.stdout.splitlines()
    assert reason == "在第 132 个请求之后被 OOM killer 杀死，当时为 198.3 MiB，限制为 200.0 MiB"
    assert kernel.startswith("被内核 OOM killer 杀死：内存 cgroup 中 1 次，限制 200.0")
    assert unavailable.startswith("服务没有运行代理。") and limit == "cgroup v1，200.0 MiB"
    assert note == "20 个请求失败"


def hostile(template: str, **values: Any) -> dict[str, Any]:
    return {"text": "as it was", "message": "x", "template": template, "values": values}


@pytest.mark.parametrize(
    "recorded",
    [
        hostile("{x.__class__}", x=1),
        hostile("{x[0]}", x="abc"),
        hostile("{x:>999999999}", x=1),
        hostile("{x:{y}}", x=1, y=9),
        hostile("{}", x=1),
        hostile("{y}", x=1),
        hostile("{x:d}", x="a"),
        hostile("{x:d}", x=10**5000),
        hostile("{x", x=1),
        hostile("{x}", x={"value": "much", "unit": "bytes"}),
        hostile("{x}", x={"value": 10**400, "unit": "bytes"}),
        hostile("{x}", x={"neither": 1}),
        hostile("{n} run", n=1) | {"plural": "{n:d} {m.x}"},
        hostile("{n} {m}", n=1, m="a") | {"plural": "{n} {m:d}"},
        hostile("{m} run", m=1) | {"plural": "{m} runs"},
        {"text": "as it was", "message": "x", "template": 5, "values": {}},
        {"text": "as it was", "message": "x", "template": "y", "values": []},
        {"text": "as it was", "parts": [5], "joint": "", "end": ""},
        {"text": "as it was", "parts": "abc", "joint": "", "end": ""},
        {"text": "as it was"},
    ],
)  # fmt: skip
def test_what_is_no_message_of_ours_is_its_english_text(recorded: dict[str, Any]) -> None:
    with speaking("zh"):
        assert str(from_record(recorded, quantity_from)) == "as it was"


def test_texts_in_texts_end_somewhere() -> None:
    deep: Any = "innermost"
    for _ in range(400):
        deep = hostile("{deep}", deep=deep)
    assert str(from_record(deep, quantity_from)) == "as it was"


@pytest.mark.parametrize("recorded", [5, None, [], {}, {"text": 5}, {"message": "x"}])
def test_what_has_no_text_is_none(recorded: Any) -> None:
    with pytest.raises(ValueError, match="no text"):
        from_record(recorded, quantity_from)


def test_a_noun_with_texts_in_it_becomes_json() -> None:
    recorded = json.loads(json.dumps([KILLED, Amount(5)], default=as_json))
    assert recorded[0] == to_record(KILLED)
    assert recorded[1] == {"value": 5, "unit": "bytes"}
    with pytest.raises(TypeError, match="object cannot be recorded"):
        json.dumps(object(), default=as_json)


def test_a_message_is_found_in_another() -> None:
    assert mentions(ENDED, "run.after-call-of") and mentions(KILLED, "run.after-call-of")
    outer = message("test.outer", "{inner}", inner=ENDED)
    assert mentions(outer, "limit.cgroup")
    assert not mentions(outer, "run.disk-full") and not mentions("plain", "plain")


@pytest.mark.parametrize("number", ["x", 1.5, None, True, [1], {"text": "one"}], ids=repr)
def test_a_number_that_is_none_leaves_the_text_as_it_stands(number: Any) -> None:
    """A language computes its plural from it, and would fail at what is no whole number."""
    recorded = {"text": "many", "message": "test.runs", "template": "{n} run",
                "plural": "{n} runs", "values": {"n": number}}  # fmt: skip
    with speaking("zh"):
        assert str(from_record(recorded, quantity_from)) == "many"
