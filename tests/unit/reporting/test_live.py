"""The frames of ``--live`` as text, on made samples; and how a long run keeps within bounds."""

from __future__ import annotations

import io
import re
import time
import unicodedata
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from leakhunt.cli import display_option, live_display
from leakhunt.cli.display import Bars, SteadyConsole
from leakhunt.engine.events import RunStart
from leakhunt.model.plan import Work
from leakhunt.model.run import Ending, Outcome
from leakhunt.model.series import Unit
from leakhunt.reporting.live.curve import MAX_BUCKETS, Curve, CurveBuilder
from leakhunt.reporting.live.frame import LiveState, Panel, frame
from leakhunt.storage.follow import Tail
from leakhunt.text.language import speaking

STYLES = re.compile(r"\x1b\[[0-9;]*m")
BRAILLE = re.compile(r"[\u2801-\u28ff]")
KIB = 1 << 10
HOSTILE = "<script>\x1b[2Jalert\x07(1)</script>$x^2$\r\n测试"
SIZES = [(200, 60), (100, 30), (80, 24), (61, 12), (59, 40), (30, 9), (20, 4), (7, 3), (1, 1)]


def grown(values: Sequence[int], warm_up: int | None = None) -> Curve:
    growing = CurveBuilder()
    for call, value in enumerate(values):
        if call == warm_up:
            growing.begin_judged(call)
        growing.add(call + 1, value)
    curve = growing.curve()
    assert curve is not None
    return curve


def leak(rate: int = 64 * KIB, calls: int = 300, warm_up: int = 100) -> Curve:
    """A warm-up of a megabyte a call, then `rate` a call."""
    heights = [min(call, warm_up) * 1024 * KIB + call * rate for call in range(calls)]
    return grown([50_000 * KIB + height for height in heights], warm_up)


def state(*curves: Curve, **changes: Any) -> LiveState:
    titles = ("CUDA allocated", "live heap", "RSS")[-len(curves) :] if curves else ()
    panels = tuple(
        Panel(title, Unit.BYTES, curve) for title, curve in zip(titles, curves, strict=True)
    )
    fields: dict[str, Any] = {
        "name": "naive", "doing": "measuring", "calls": 300, "planned": 300,
        "seconds_per_call": 0.0184, "panels": panels,
    }  # fmt: skip
    return LiveState(**(fields | changes))


def lines(text: str) -> list[str]:
    return STYLES.sub("", text).split("\n")


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in line)


def shapes(text: str) -> list[int]:
    """For every line, how many columns hold a part of a curve."""
    return [len(BRAILLE.findall(line)) for line in lines(text)]


def test_a_frame_tells_name_calls_time_figures_and_that_they_are_no_verdict() -> None:
    shown = lines(frame(state(leak(), leak(9 * KIB)), 100, 30))
    assert shown[0] == "naive: call 300 of 300, 18.4 ms/call, measuring"
    (heap,) = (line for line in shown if line.startswith("live heap"))
    assert heap == "live heap 167.5 MiB, +12.4 MiB since the warm-up, +64.0 KiB/call so far"
    assert any(line.startswith("RSS") and "+9.00 KiB/call so far" in line for line in shown)
    assert "not a verdict" in shown[-1]


def test_a_rising_curve_rises_in_the_frame() -> None:
    text = frame(state(leak()), 80, 20)
    rows = [line for line in lines(text) if BRAILLE.search(line)]
    starts = [cast("re.Match[str]", BRAILLE.search(row)).start() for row in rows]
    assert len(rows) > 5
    assert starts == sorted(starts, reverse=True)


def test_a_warm_up_does_not_flatten_what_follows() -> None:
    """The warm-up is 100 MiB, the leak 12: the leak alone fills the panel."""
    text = frame(state(leak()), 80, 20)
    assert any("MiB" in line and line.strip()[0].isdigit() for line in lines(text))
    assert not any(re.match(r"\s*1\d\d\.\d MiB┤", line) for line in lines(text))
    flat = frame(state(grown([5000] * 300, 100)), 80, 20)
    assert len([row for row in shapes(flat) if row]) == 1


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_frame_in_chinese_fits_any_terminal(width: int, height: int) -> None:
    with speaking("zh"):
        picture = lines(frame(state(leak(), leak(0)), width, height))
    assert len(picture) <= height
    assert all(columns(line) <= width for line in picture)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_frame_fits_any_terminal(width: int, height: int) -> None:
    for made in (state(), state(leak()), state(leak(), leak(), leak(), name=HOSTILE)):
        shown = lines(frame(made, width, height))
        assert len(shown) <= height
        assert all(columns(line) <= width for line in shown), shown


def test_a_narrow_terminal_has_one_panel_and_a_tiny_one_figures_alone() -> None:
    made = state(leak(), leak(), leak())
    titles = ("CUDA allocated", "live heap", "RSS")
    for width, height, shown in ((100, 40, 3), (59, 40, 1), (100, 13, 2), (100, 8, 1)):
        text = lines(frame(made, width, height))
        assert sum(line.startswith(titles) for line in text) == shown, (width, height)
    assert lines(frame(made, 59, 40))[1].startswith("CUDA allocated")
    tiny = lines(frame(made, 15, 40))
    assert sum(shapes("\n".join(tiny))) == 0
    assert [line[:3] for line in tiny[1:4]] == ["CUD", "liv", "RSS"]


def test_a_frame_is_the_same_twice_whatever_was_drawn_before() -> None:
    first = frame(state(leak()), 80, 24)
    frame(state(leak(0), leak(-5000)), 61, 40)
    assert frame(state(leak()), 80, 24) == first


def test_ended_runs_are_dots_beside_the_curve_and_are_named() -> None:
    steep = Panel("RSS", Unit.BYTES, leak(0), faint=(leak(64 * KIB),))
    text = frame(state(panels=(steep,), faint=("naive", "other")), 80, 24)
    assert STYLES.sub("", text).count("·") > 20
    assert "dots: naive, other;" in text
    alone = frame(state(leak(0)), 80, 24)
    assert "·" not in alone


def test_the_warm_up_of_an_ended_run_is_left_out_however_few_lines_there_are() -> None:
    """Its dots rise from left to right once; none stands where its warm-up was."""
    for height in (7, 8, 12, 20):
        steep = Panel("RSS", Unit.BYTES, leak(0), faint=(leak(64 * KIB),))
        shown = lines(frame(state(panels=(steep,)), 80, height))
        first = min(row.index("·") for row in shown if "·" in row)
        assert first > 80 / 3 - 3, shown


def test_of_a_longer_ended_run_only_the_calls_so_far_are_drawn() -> None:
    """The first 20 of its calls rise by a megabyte each; the whole of it by 300."""
    steep = Panel(
        "RSS", Unit.BYTES, leak(0, calls=20, warm_up=5), faint=(leak(KIB * KIB, warm_up=0),)
    )
    shown = lines(frame(state(panels=(steep,), calls=20, planned=None), 80, 20))
    (top, _) = next(line for line in shown if "┤" in line).split("┤")
    assert 18 < float(top.removesuffix("MiB")) < 25


def test_a_warm_up_far_outside_the_panel_takes_no_time_to_leave_out() -> None:
    """Lines to points far outside would be filled with millions of dots that nobody sees."""
    far = grown([2**60 * (call < 100) for call in range(200)], 100)
    assert sum(shapes(frame(state(far, planned=None, calls=200), 80, 24))) > 30


def test_texts_from_outside_cannot_steer_the_terminal() -> None:
    text = frame(state(leak(), name=HOSTILE, faint=(HOSTILE,)), 200, 20)
    assert not re.search(r"[\x00-\x09\x0b-\x1a\x1c-\x1f\x7f-\x9f]", text)
    assert "\x1b[2J" not in text
    assert "测试" in text


@pytest.mark.parametrize(
    "curve",
    [grown([7]), grown([0, 0]), grown([2**62, -(2**62)]), grown([5] * 9, 0), leak(-4000)],
    ids=["one sample", "nothing", "huge", "nine", "falling"],
)
def test_odd_curves_are_drawn(curve: Curve) -> None:
    assert sum(shapes(frame(state(curve, planned=None), 80, 24))) > 0


def test_a_long_run_takes_no_more_room_and_loses_no_spike() -> None:
    growing = CurveBuilder()
    growing.begin_judged(0)
    for call in range(100_000):
        growing.add(call + 1, 10**9 if call == 54_321 else 5 if call == 77_777 else 1000)
    curve = growing.curve()
    assert curve is not None
    assert MAX_BUCKETS // 2 <= len(curve.calls) <= MAX_BUCKETS
    assert (max(curve.highs), min(curve.lows)) == (10**9, 5)
    assert list(curve.calls) == sorted(set(curve.calls))
    assert curve.calls[-1] == 100_000
    at = next(index for index, high in enumerate(curve.highs) if high == 10**9)
    assert curve.calls[at - 1] < 54_322 <= curve.calls[at]


def test_the_rate_is_the_slope_after_the_warm_up_and_starts_again_with_the_sampling() -> None:
    assert leak(rate=321).rate == pytest.approx(321)
    assert grown([n * 1000 for n in range(200)]).rate is None
    assert grown([n * 1000 for n in range(105)], 100).rate is None
    growing = CurveBuilder()
    growing.begin_judged(0)
    for call in range(50):
        growing.add(call + 1, call * 10_000)
    growing.begin_judged(50)
    for call in range(50, 100):
        growing.add(call + 1, 500_000 + call * 7)
    curve = growing.curve()
    assert curve is not None
    assert curve.rate == pytest.approx(7)
    assert curve.base == 500_350


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def tail_of(calls: int, judged_from: int | None = None, told: str | None = None) -> Tail:
    made = SimpleNamespace(
        names=("rss", "live_heap", "duration"), calls=calls, judged_from=judged_from,
        work=Work.CALL,
        fresh=[(calls, [calls * 10, calls * 9, 1000])],
        latest={"rss": calls * 10, "live_heap": calls * 9, "duration": 1000},
        notes={} if told is None else {"verdict": told},
    )  # fmt: skip
    return cast("Tail", made)


def display_on(stream: io.StringIO, now: list[float], patch: pytest.MonkeyPatch) -> Any:
    patch.setattr(time, "monotonic", lambda: now[0])
    console = SteadyConsole(file=stream, force_terminal=True, width=80, height=24)
    return live_display.LiveDisplay(console, 5)


def test_a_thousand_looks_in_a_second_are_a_handful_of_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    stream = Terminal()
    with display_on(stream, now, monkeypatch) as display:
        display.started(RunStart("naive"))
        drawn: list[LiveState] = []
        monkeypatch.setattr(
            live_display.LiveDisplay, "draw", lambda self, shown: drawn.append(shown)
        )
        for look in range(1000):
            now[0] += 0.001
            display.sampled("naive", tail_of(look + 1))
    assert 3 <= len(drawn) <= 5
    assert [panel.title for panel in drawn[-1].panels] == ["live heap", "RSS"]


def test_an_ended_run_stays_beside_the_next_and_in_a_line_above(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    stream = Terminal()
    with display_on(stream, now, monkeypatch) as display:
        for name in ("naive", "other"):
            display.started(RunStart(name, 40))
            for look in range(40):
                now[0] += 1
                display.sampled(name, tail_of(look + 1))
            display.ended(name, Outcome(Ending.KILLED, "SIGKILL after call 40"))
    shown = STYLES.sub("", stream.getvalue())
    assert "naive  40 calls" in shown
    assert "killed: SIGKILL after call 40" in shown
    assert "dots: naive;" in shown
    assert BRAILLE.search(shown)


def test_the_verdict_of_a_watch_stands_below_its_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    stream = Terminal()
    words = "Memory grows by 2 KiB/s (1 to 3 KiB). The limit lasts about 3 h (2 h to 4 h)."
    with display_on(stream, now, monkeypatch) as display:
        display.started(RunStart("watch"))
        for look in range(10):
            now[0] += 1
            display.sampled("watch", tail_of(look + 1, told=words if look == 3 else None))
    shown = STYLES.sub("", stream.getvalue())
    last = shown.rpartition("growth rates so far")[2]
    assert words in " ".join(last.split())
    assert BRAILLE.search(shown)


def test_a_second_that_is_looked_on_has_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for work, has_time in ((Work.CALL, True), (Work.SECOND, False)):
        stream, now = Terminal(), [100.0]
        tail = tail_of(3)
        tail.work = work
        with display_on(stream, now, monkeypatch) as display:
            display.started(RunStart("watch"))
            now[0] += 1
            display.sampled("watch", tail)
        shown = STYLES.sub("", stream.getvalue())
        assert f"watch: {work} 3," in shown
        assert ("1 µs/call" in shown, "µs" in shown) == (has_time, has_time)


@pytest.mark.parametrize("width", [20, 40, 80])
@pytest.mark.parametrize("height", [8, 12, 24])
def test_what_is_told_fits_into_the_frame(width: int, height: int) -> None:
    shown = frame(state(leak(), verdict="word " * 200), width, height)
    assert len(lines(shown)) <= height
    assert max(map(columns, lines(shown))) <= width


def test_a_picture_that_fails_costs_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> str:
        raise ZeroDivisionError("in the library")

    monkeypatch.setattr(live_display, "frame", broken)
    stream = Terminal()
    now = [100.0]
    with display_on(stream, now, monkeypatch) as display:
        display.started(RunStart("naive", 2))
        for look in range(2):
            now[0] += 1
            display.sampled("naive", tail_of(look + 1))
        display.ended("naive", Outcome(Ending.OK))
    shown = STYLES.sub("", stream.getvalue())
    assert shown.count("--live stopped drawing: ZeroDivisionError('in the library')") == 1
    assert "naive  2 calls" in shown


def test_without_a_terminal_one_line_says_so_and_the_bars_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display_option, "signals_are_interrupts", lambda: None)
    for console in (
        SteadyConsole(file=io.StringIO()),
        SteadyConsole(file=io.StringIO(), force_terminal=True),  # FORCE_COLOR in a pipe
        SteadyConsole(file=Terminal(), _environ={"TERM": "dumb"}),
    ):
        assert isinstance(display_option.DisplayChoice(live=True).open(5, console), Bars)
        (line,) = capsys.readouterr().err.splitlines()
        assert line == "leakhunt: --live needs a terminal; continuing without it"


def test_the_cursor_is_never_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    with display_on(stream, [0.0], monkeypatch) as display:
        display.started(RunStart("naive", 2))
    with Bars(SteadyConsole(file=stream, force_terminal=True), 5) as bars:
        bars.started(RunStart("naive", 2))
    assert "\x1b[?25l" not in stream.getvalue()
    assert "\x1b[?1049h" not in stream.getvalue()
