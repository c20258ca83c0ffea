"""Files of other tools: what is read of each, and what is said of those that are damaged."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from leakhunt.errors import BadFile, LeakhuntError, UsageError
from leakhunt.foreign.files import read_files
from leakhunt.foreign.streamed import MAX_STEPS, StreamedSeries
from leakhunt.model.foreign import MeasuredSeries

MIB = 1 << 20


def read(
    tmp_path: Path, text: str, name: str = "memory.csv", form: str | None = None
) -> list[MeasuredSeries]:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return list(read_files([str(file)], form).series)


def shown(series: MeasuredSeries) -> tuple[str, list[float], list[int]]:
    return series.instance, list(series.seconds), list(series.floors)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("time,value\n1,100\n2,200\n", [("memory", [1, 2], [100, 200])]),
        ("1,100\n2,200\n", [("memory", [1, 2], [100, 200])]),
        (
            "time,instance,rss\n1,a,100\n1,b,7\n2,a,200\n",
            [("a", [1, 2], [100, 200]), ("b", [1], [7])],
        ),
        ("1,100,a\n2,200,a\n", [("a", [1, 2], [100, 200])]),
        (
            "timestamp;pod-1;pod-2\n1;100;7\n2;;8\n",
            [("pod-1", [1], [100]), ("pod-2", [1, 2], [7, 8])],
        ),
        ("time,RSS (MiB)\n1,2\n", [("memory", [1], [2 * MIB])]),
        ("time,memory_mb\n1,2\n", [("memory", [1], [2_000_000])]),
        ("time,value\n1,1.5 MiB\n", [("memory", [1], [MIB * 3 // 2])]),
        (
            "time,value\n1700000000000,5\n1700000001000,6\n",
            [("memory", [1.7e9, 1.7e9 + 1], [5, 6])],
        ),
        (
            "time,value\n2026-11-28T00:00:00Z,5\n2026-11-28 00:00:10+00:00,NaN\n",
            [("memory", [1795824000.0], [5])],
        ),
    ],
)  # fmt: skip
def test_csv_of_every_form(
    tmp_path: Path, text: str, expected: list[tuple[str, list[float], list[int]]]
) -> None:
    assert [shown(each) for each in read(tmp_path, text)] == expected


def test_mprof_tells_a_process_and_its_children(tmp_path: Path) -> None:
    text = (
        "CMDLINE /usr/bin/python x.py\nMEM 1.500000 1700000000.0000\nFUNC f 1 2 3 4\n"
        "CHLD 77 2.000000 1700000000.1000\nMEM 3.000000 1700000001.0\n"
    )
    found = read(tmp_path, text, "mprofile_1.dat")
    assert [(each.instance, list(each.floors)) for each in found] == [
        ("mprofile_1", [MIB * 3 // 2, 3 * MIB]),
        ("child 77", [2 * MIB]),
    ]


def test_psrecord(tmp_path: Path) -> None:
    text = (
        "# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)\n"
        "       0.000        0.000        2.000      100.000\n"
        "       1.001       99.000        3.000      100.000\n"
    )
    (found,) = read(tmp_path, text, "activity.txt")
    assert shown(found) == ("activity", [0.0, 1.001], [2 * MIB, 3 * MIB])


def test_a_cgroup_that_tells_its_anonymous_memory_is_judged_by_that(tmp_path: Path) -> None:
    text = (
        "1700000000 pod-a/memory.current 900\n1700000000 pod-a/memory.stat:anon 500\n"
        "1700000000 pod-b/memory.current 70\n1700000010 pod-a/memory.current 950\n"
        "1700000010 pod-a/memory.stat:anon 510\n"
    )
    found = {each.instance: list(each.floors) for each in read(tmp_path, text, "cgroup.log")}
    assert found == {"pod-a": [500, 510], "pod-b": [70]}


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"time": [1.0, 2.0], "pod": ["a", "a"], "rss": [10, 20]})
    file = tmp_path / "memory.parquet"
    parquet.write_table(table, file)
    (found,) = read_files([str(file)]).series
    assert shown(found) == ("a", [1.0, 2.0], [10, 20])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("time,value\n1,100\n2,many\n", "line 3"),
        ("time,value\nyesterday,100\n", "line 2"),
        ("time,value\n1,100\n2\n", "line 3"),
        ("time,value\n2,100\n1,100\n", "line 3"),
        ("time\n1\n", "line 1"),
        ("CMDLINE x\nMEM lots 1\n", "line 2"),
        ("# Elapsed time CPU (%) Real (MB)\n1 2\n", "line 2"),
        ("1700000000 memory.current 5\nhello world\n", "line 2"),
    ],
)
def test_what_is_damaged_is_told_with_its_line(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(BadFile, match=line):
        read(tmp_path, text)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"PAR1 and no more", b"\xff\xfe\x00binary\x00"])
def test_a_file_of_no_such_format_is_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "memory.csv"
    file.write_bytes(content)
    with pytest.raises(LeakhuntError) as caught:
        read_files([str(file)])
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code in (BadFile.exit_code, 5)


def test_a_format_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="csv, psrecord"):
        read(tmp_path, "1,2\n", form="excel")


def test_a_long_series_takes_no_more_memory_than_a_short_one() -> None:
    series = StreamedSeries("long")
    count = 100_000
    for place in range(10_000):
        series.add(float(place), 1000.0)
    tracemalloc.start()
    try:
        for place in range(10_000, count):
            series.add(float(place), 1000.0 + place % 7)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    measured = series.measured()
    assert measured is not None
    assert grown < 300_000
    assert measured.points == count
    assert MAX_STEPS / 4 < len(measured.seconds) <= MAX_STEPS
    assert min(measured.floors[1:]) == 1000
    assert max(measured.peaks) == 1006


@pytest.mark.long
def test_ten_million_points_take_no_more_memory_than_ten_thousand() -> None:
    series = StreamedSeries("long")
    for place in range(10_000):
        series.add(float(place), 1000.0)
    tracemalloc.start()
    try:
        for place in range(10_000, 10_000_000):
            series.add(float(place), 1000.0)
        grown, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert max(grown, most) < 400_000
    assert series.points == 10_000_000


def test_all_points_at_one_moment_are_one_stretch() -> None:
    series = StreamedSeries("moment")
    for place in range(3 * MAX_STEPS):
        series.add(5.0, float(place))
    measured = series.measured()
    assert measured is not None
    assert len(measured.seconds) <= MAX_STEPS
