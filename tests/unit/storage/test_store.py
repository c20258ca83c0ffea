from __future__ import annotations

import errno
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from conftest import TWO_SERIES, plan

from leakhunt.amounts import Amount
from leakhunt.errors import BadFile, CannotWrite, UsageError
from leakhunt.model.attribution import Finding, FindingKind, Frame, Instrument, Origin
from leakhunt.model.run import Ending, Outcome, Phase, Purpose
from leakhunt.model.series import Unit
from leakhunt.storage import run_file as store
from leakhunt.storage import run_writer
from leakhunt.text.language import speaking
from leakhunt.text.message import message
from leakhunt.text.record import fields_of

FRAME = {
    "file": "app.py", "line": 7, "function": "handle", "source": "kept.append(x)",
    "origin": "yours",
}  # fmt: skip
GOLDEN = Path(__file__).parents[1] / "data" / "format-1.run.jsonl"


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    """A run file with its header and three samples, as a worker leaves it."""
    file = tmp_path / f"naive{store.SUFFIX}"
    run_writer.create(
        file, {"plan": asdict(plan()), "series": TWO_SERIES, "facts": {"weights": "none"}}
    )
    appender = run_writer.Appender(file)
    for call in range(3):
        appender.append(sample(call))
    appender.close()
    return file


def sample(call: int) -> bytes:
    return run_writer.encode({"record": "sample", "call": call, "values": [100 + call, 7]})


def add(file: Path, data: bytes) -> None:
    with open(file, "ab") as stream:
        stream.write(data)


def test_what_is_written_comes_back(run_file: Path) -> None:
    add(run_file, run_writer.encode({"record": "result", "call": 1, "value": [[0, 5]]}))
    add(run_file, run_writer.encode({"record": "settle", "step": "end", "values": {"rss": 9}}))
    add(run_file, run_writer.encode({"record": "note", "kind": "types", "growth": [["list", 3]]}))
    run_writer.finish(run_file, Outcome(Ending.KILLED, "SIGKILL", "SIGKILL", "oom", -9), 1.5)
    run = store.load(run_file)
    assert run.plan == plan()
    assert list(run.samples["rss"]) == [100, 101, 102]
    assert run.series[1].unit is Unit.NANOSECONDS
    assert run.results == {1: [[0, 5]]}
    assert run.readings[0].values == {"rss": 9}
    assert run.notes[0]["growth"] == [["list", 3]]
    assert run.outcome == Outcome(Ending.KILLED, "SIGKILL", "SIGKILL", "oom", -9)
    assert (run.facts, run.damaged_lines) == ({"weights": "none"}, 0)


def test_a_file_without_footer_says_that_it_was_interrupted(run_file: Path) -> None:
    run = store.load(run_file)
    assert run.outcome.ending is Ending.INTERRUPTED
    assert "no footer" in str(run.outcome.reason)
    assert run.calls_done == 3


def test_a_cut_off_last_line_costs_only_itself(run_file: Path) -> None:
    add(run_file, sample(3)[:-9])
    run = store.load(run_file)
    assert (run.calls_done, run.damaged_lines) == (3, 1)


def test_a_footer_after_a_cut_off_line_is_read(run_file: Path) -> None:
    add(run_file, sample(3)[:-9])
    run_writer.finish(run_file, Outcome(Ending.KILLED, "SIGKILL"), 1.0)
    run = store.load(run_file)
    assert run.outcome.ending is Ending.KILLED
    assert (run.calls_done, run.damaged_lines) == (3, 1)


def test_a_damaged_line_in_the_middle_costs_only_itself(run_file: Path) -> None:
    add(run_file, b"\x00\xff garbage\n" + sample(4))
    run = store.load(run_file)
    assert (list(run.calls), run.damaged_lines) == ([1, 2, 3, 5], 1)


@pytest.mark.parametrize(
    "record",
    [
        {"record": "sample", "call": 3, "values": [1]},
        {"record": "sample", "call": 3, "values": [1, "2"]},
        {"record": "sample", "call": 3, "values": [1, 2**70]},
        {"record": "sample", "call": 0, "values": [1, 2]},
        {"record": "note", "kind": "response-times", "sample": 1},
        {"record": "note", "kind": "response-times", "sample": "1", "times": []},
        {"record": "note", "kind": "response-times", "sample": 1, "times": {"100": 1}},
        {"record": "note", "kind": "response-times", "sample": 1, "times": [[100]]},
        {"record": "note", "kind": "response-times", "sample": 1, "times": [[100, "1"]]},
        {"record": "note", "kind": "response-times", "sample": 1, "times": [100]},
        {"record": "settle", "step": "end"},
        {"record": "settle", "step": 5, "values": {"rss": 9}},
        {"record": "settle", "step": "end", "values": {"rss": "9"}},
        {"record": "settle", "step": "end", "values": {"rss": True}},
        {"record": "settle", "step": "end", "values": {"rss": 2**63}},
        {"record": "note", "kind": 5},
        {"record": "note", "kind": "types", "growth": 5},
        {"record": "note", "kind": "types", "growth": [["list"]]},
        {"record": "note", "kind": "mappings", "growth": [["heap", 1]]},
        {"record": "note", "kind": "types", "growth": [["list", "3"]]},
        {"record": "note", "kind": "watched", "caveats": 5},
        {"record": "footer", "ending": "ok", "reason": 5},
        {"record": "footer", "ending": "ok", "exit_code": "0"},
    ],
)
def test_a_record_that_makes_no_sense_is_counted_not_believed(
    run_file: Path, record: dict[str, Any]
) -> None:
    add(run_file, run_writer.encode(record))
    run = store.load(run_file)
    assert (run.calls_done, run.damaged_lines) == (3, 1)


def test_a_record_of_a_later_kind_is_skipped(run_file: Path) -> None:
    add(run_file, run_writer.encode({"record": "hologram", "depth": 3}))
    assert store.load(run_file).damaged_lines == 0


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "no header"),
        (b"hello\n", "no header"),
        (b'{"record":"sample","call":0,"values":[1]}\n', "no header"),
        (b'{"record":"header","format":1}\n', "damaged"),
        (b'{"record":"header","format":99}\n', "format 99 is newer than this leakhunt"),
    ],
)
def test_what_is_no_run_file_is_refused_in_one_line(
    tmp_path: Path, content: bytes, cause: str
) -> None:
    file = tmp_path / "x.run.jsonl"
    file.write_bytes(content)
    with pytest.raises(BadFile, match=cause) as raised:
        store.load(file)
    assert "\n" not in str(raised.value)


def test_a_run_file_is_never_overwritten(run_file: Path) -> None:
    before = run_file.read_bytes()
    with pytest.raises(CannotWrite, match="already exists and is not overwritten"):
        run_writer.create(run_file, {})
    assert run_file.read_bytes() == before


def test_on_a_full_disk_the_sample_in_hand_goes_into_the_room_kept_aside(
    run_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_write = os.write

    def write(descriptor: int, data: bytes) -> int:
        if run_writer.ballast_of(run_file).exists():
            real_write(descriptor, data[:5])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    appender = run_writer.Appender(run_file)
    with pytest.raises(run_writer.DiskFull):
        appender.append(sample(3))
    appender.close()
    run = store.load(run_file)
    assert (run.calls_done, run.damaged_lines) == (4, 0)


def test_a_line_that_cannot_be_written_at_all_leaves_no_stump(
    run_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_write = os.write

    def write(descriptor: int, data: bytes) -> int:
        real_write(descriptor, data[:5])
        raise OSError(errno.EIO, "Input/output error")

    before = run_file.read_bytes()
    appender = run_writer.Appender(run_file)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="Input/output"):
        patch.setattr(os, "write", write)
        appender.append(sample(3))
    appender.close()
    assert run_file.read_bytes() == before


def test_run_files_are_found_in_folders_and_by_name(run_file: Path) -> None:
    assert store.find_run_files([str(run_file.parent), str(run_file)]) == [run_file, run_file]
    with pytest.raises(UsageError, match="run file or folder not found"):
        store.find_run_files([str(run_file.parent / "nowhere")])


def test_the_golden_file_of_format_1_still_says_the_same() -> None:
    run = store.load(GOLDEN)
    assert json.loads(GOLDEN.read_text().partition("\n")[0])["format"] == 1
    assert (run.plan.scenario, run.plan.variant, run.plan.calls) == ("leaky", "leaky", 60)
    assert run.calls_done == 60
    assert run.samples["rss"][0] == 18_710_528
    assert run.outcome.ending is Ending.OK
    assert [reading.step for reading in run.readings] == [
        "start", "look_collected", "look_collected", "end", "collected", "emptied", "trimmed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        b'{"record":"footer","ending":"melted"}\n',
        b'{"record":"footer"}\n',
        b'{"record":"result","call":Infinity,"value":1}\n',
        b'{"record":"settle","step":"end","values":{"rss":Infinity}}\n',
        b'{"record":"note","kind":"types","share":NaN}\n',
        b'{"record":"note","kind":"types","share":1e999}\n',
        b"[" * 100_000 + b"\n",
    ],
    ids=[
        "unknown ending",
        "no ending",
        "endless call",
        "endless reading",
        "no number",
        "endless",
        "too deep",
    ],
)
def test_a_damaged_line_of_any_kind_costs_only_itself(run_file: Path, line: bytes) -> None:
    with open(run_file, "ab") as stream:
        stream.write(line)
    run = store.load(run_file)
    assert (run.calls_done, run.damaged_lines) == (3, 1)


@pytest.mark.parametrize("field", ["facts", "environment", "unavailable"])
def test_a_header_with_a_list_for_a_mapping_is_a_bad_file(tmp_path: Path, field: str) -> None:
    header = {"plan": asdict(plan()), "series": TWO_SERIES, field: []}
    file = tmp_path / f"x{store.SUFFIX}"
    file.write_text(json.dumps({"record": "header", "format": 1} | header) + "\n")
    with pytest.raises(BadFile):
        store.load(file)


def test_lines_longer_than_the_room_kept_aside_leave_no_stump(
    run_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_write = os.write
    room = run_writer.BALLAST_BYTES

    def write(descriptor: int, data: bytes) -> int:
        nonlocal room
        if run_writer.ballast_of(run_file).exists() or not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written, room = real_write(descriptor, data[:room]), 0
        return written

    appender = run_writer.Appender(run_file)
    line = run_writer.encode({"record": "result", "call": 0, "value": "x" * 100_000})
    with monkeypatch.context() as patch, pytest.raises((OSError, run_writer.DiskFull)):
        patch.setattr(os, "write", write)
        appender.append(line)
    appender.close()
    assert run_file.read_bytes().endswith(b"\n")


@pytest.mark.parametrize(
    "change",
    [
        {"options": None},
        {"options": {"a": 5}},
        {"calls": 0},
        {"calls": 1.5},
        {"calls": True},
        {"warmup": -1},
        {"scenario": 5},
        {"variant": None},
        {"timeout_seconds": "5"},
    ],
    ids=str,
)
def test_a_plan_that_cannot_be_is_a_bad_file(tmp_path: Path, change: dict[str, Any]) -> None:
    file = tmp_path / f"x{store.SUFFIX}"
    header = {"plan": asdict(plan()) | change, "series": TWO_SERIES}
    file.write_text(json.dumps({"record": "header", "format": 2} | header) + "\n")
    with pytest.raises(BadFile, match="damaged header"):
        store.load(file)


@pytest.mark.parametrize("field", ["name", "title", "blind_to"])
def test_a_series_without_words_is_a_bad_file(tmp_path: Path, field: str) -> None:
    file = tmp_path / f"x{store.SUFFIX}"
    header = {"plan": asdict(plan()), "series": [TWO_SERIES[0] | {field: 5}]}
    file.write_text(json.dumps({"record": "header", "format": 3} | header) + "\n")
    with pytest.raises(BadFile, match="damaged header"):
        store.load(file)


def test_phases_say_how_the_samples_after_them_were_taken(run_file: Path) -> None:
    phase = Phase(3, 2, Purpose.JUDGED, 100, collects=True)
    add(run_file, run_writer.encode({"record": "phase", **asdict(phase)}))
    add(run_file, sample(102) + sample(202))
    add(run_file, run_writer.encode({"record": "settle", "step": "look", "values": {"rss": 9}}))
    run = store.load(run_file)
    assert run.phases == (phase,)
    assert list(run.calls) == [1, 2, 3, 103, 203]
    assert (run.judged_from, run.calls_per_sample, run.collects) == (3, 100, True)
    assert (run.samples_done, run.calls_done, run.readings[-1].sample) == (5, 203, 5)


@pytest.mark.parametrize(
    "change",
    [
        {"purpose": "play"},
        {"samples": None},
        {"calls_per_sample": 0},
        {"first_sample": -1},
        {"samples": 2.5},
        {"collects": "no"},
        {"pauses": 1},
    ],
)
def test_a_phase_that_makes_no_sense_is_counted_not_believed(
    run_file: Path, change: dict[str, Any]
) -> None:
    phase = asdict(Phase(3, 2, Purpose.JUDGED, 1, collects=False)) | change
    add(run_file, run_writer.encode({"record": "phase", **phase}))
    assert store.load(run_file).damaged_lines == 1


def test_a_text_of_an_earlier_format_stays_as_it_was_worded(run_file: Path) -> None:
    add(run_file, run_writer.encode({"record": "note", "kind": "watched", "caveats": ["cut {x}"]}))
    add(run_file, run_writer.encode({"record": "note", "kind": "error", "text": "KeyError: {x}"}))
    footer = {"ending": "killed", "reason": "SIGKILL after call 3 of 5", "kernel": "oom {x}"}
    add(run_file, run_writer.encode({"record": "footer", **footer}))
    run = store.load(run_file)
    assert [each.get("text") for each in run.notes] == [None, "KeyError: {x}"]
    assert run.notes[0]["caveats"] == ("cut {x}",)
    with speaking("zh"):
        assert str(run.outcome.reason) == "SIGKILL after call 3 of 5"
    assert run.outcome.kernel == "oom {x}"


def test_what_is_recorded_comes_back_as_messages(run_file: Path) -> None:
    caveat = message("test.caveat", "cut at {size}", size=Amount(5 << 20))
    add(run_file, run_writer.encode({"record": "note", "kind": "watched", "caveats": [caveat]}))
    found = Finding(
        Instrument.RESOURCES, FindingKind.RESOURCE, "descriptor", (1, 2), (0, 1), (0, 0),
        facts={"name": message("test.file", "a file in {name}/", name="shm"), "since_call": 1},
    )  # fmt: skip
    add(run_file, run_writer.encode({"record": "finding", **fields_of(found)}))
    outcome = Outcome(Ending.KILLED, caveat, "SIGKILL", caveat, -9)
    run_writer.finish(run_file, outcome, 1.0)
    run = store.load(run_file)
    assert (run.outcome, run.findings) == (outcome, (found,))
    assert run.notes[0]["caveats"] == (caveat,)
    assert run.damaged_lines == 0


@pytest.mark.parametrize(
    "change",
    [
        {"what": None}, {"counts": [0, True]}, {"sizes": [0, "8"]}, {"calls": [1, 2**63]},
        {"chain": ["module", 5]}, {"keeps": "ab", "key": 7}, {"stack": [FRAME | {"line": "7"}]},
        {"stack": [FRAME | {"file": None}]}, {"stack": [FRAME | {"origin": "theirs"}]},
    ],
    ids=str,
)  # fmt: skip
def test_a_finding_that_makes_no_sense_is_counted_not_believed(
    run_file: Path, change: dict[str, Any]
) -> None:
    frame = Frame("app.py", 7, "handle", "kept.append(x)", Origin.YOURS)
    assert asdict(frame) == FRAME
    found = Finding(
        Instrument.TRACEMALLOC, FindingKind.SITE, "app.py:7", (1, 2), (0, 1), (0, 8), (frame,),
        ("module app", "list"), "k", ("k",), {"apart": True},
    )  # fmt: skip
    line = {"record": "finding", **asdict(found)}
    add(run_file, run_writer.encode(line) + run_writer.encode(line | change))
    run = store.load(run_file)
    assert (run.findings, run.damaged_lines) == ((found,), 1)


@pytest.mark.parametrize("text", [5, {"message": "x"}, ["a"]], ids=str)
def test_a_text_that_is_none_costs_only_its_line(run_file: Path, text: Any) -> None:
    add(run_file, run_writer.encode({"record": "note", "kind": "error", "text": text}))
    add(run_file, run_writer.encode({"record": "footer", "ending": "ok", "reason": text}))
    run = store.load(run_file)
    assert (run.notes, run.damaged_lines) == ((), 2)
