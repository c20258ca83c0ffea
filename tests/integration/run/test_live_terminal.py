"""``--live`` under a real terminal: the curve is drawn, and the terminal is left as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import PATIENCE_SECONDS, Leakhunt, WriteScenario, only_run

from leakhunt.model.run import Ending

STEPS = "@variant\ndef naive(state, item):\n    time.sleep(0.004)\n    KEPT.append(b'x' * 90000)\n"
ENDS = STEPS + "    item == 60 and os.kill(os.getpid(), 9)\n"
BRAILLE = re.compile("[\u2801-\u28ff]")
STYLES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
RATE = re.compile(r"live heap .* MiB, \+.* since the warm-up, \+8\d\.\d KiB/call so far")
# Whose reports nobody looks at.
LIVE = ("--live", "--format=json", "--out", "out")
HIDDEN_CURSOR = "\x1b[?25l"
OTHER_SCREEN = "\x1b[?1049h"


class Terminal:
    """A command on a pseudo-terminal; `shown` is all it has written."""

    def __init__(self, folder: Path, arguments: list[str], columns: int, rows: int) -> None:
        self._pid, self._end = pty.fork()
        if self._pid == 0:
            os.chdir(folder)
            # Not the process's own environment: readline puts a terminal's size into that.
            sized = ("COLUMNS", "LINES")
            given = {name: text for name, text in os.environ.items() if name not in sized}
            command = [sys.executable, "-m", "leakhunt", *arguments]
            os.execve(sys.executable, command, given | {"TERM": "xterm-256color"})  # noqa: S606
        self.resize(columns, rows)
        self.shown = ""
        self._is_over = False

    def resize(self, columns: int, rows: int) -> None:
        """As a window that is drawn larger or smaller."""
        fcntl.ioctl(self._end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, key: bytes) -> None:
        """As if pressed."""
        os.write(self._end, key)

    def kill(self) -> None:
        """Kill -9 of the command, not of its worker."""
        os.kill(self._pid, signal.SIGKILL)

    def read_until(self, condition: Callable[[str], object]) -> None:
        """Take what is written until the condition holds of all of it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition(self.shown):
            assert time.monotonic() < deadline, self.shown
            assert self._read(), self.shown

    def exit_code(self) -> int:
        """Take the rest; how it ended."""
        while self._read():
            pass
        self._is_over = True
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _read(self) -> bool:
        try:
            data = os.read(self._end, 1 << 16)
        except OSError:  # the other end was closed
            return False
        self.shown += data.decode("utf-8", "replace")
        return bool(data)

    def close(self) -> None:
        """End whatever still runs."""
        if not self._is_over:
            self.kill()
            os.waitpid(self._pid, 0)
        os.close(self._end)


Open = Callable[..., Terminal]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Open]:
    """Start the command line on a terminal of its own."""
    opened: list[Terminal] = []

    def start(*arguments: object, columns: int = 100, rows: int = 30) -> Terminal:
        opened.append(Terminal(tmp_path, [str(each) for each in arguments], columns, rows))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def is_drawn(shown: str) -> bool:
    return len(BRAILLE.findall(shown)) > 60


def test_the_curve_grows_and_the_usual_summary_follows(
    terminal: Open, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    """Ended by hand: how many frames a run of some seconds gets is the machine's business."""
    words = ("--calls", 90_000, "--warmup", 1000, "--live", "--out", "out")
    made = terminal("run", write_scenario(STEPS), *words)
    made.read_until(lambda shown: "warming up" in STYLES.sub("", shown))
    made.read_until(lambda shown: RATE.search(STYLES.sub("", shown)) and "measuring" in shown)
    made.type(b"\x03")
    assert made.exit_code() == 130
    shown = STYLES.sub("", made.shown)
    assert is_drawn(shown)
    frames, _, summary = shown.rpartition("growth rates so far, not a verdict")
    assert "naive" in frames
    assert "interrupted" in summary
    assert summary.rstrip().endswith("report.html")
    assert HIDDEN_CURSOR not in made.shown and OTHER_SCREEN not in made.shown
    assert only_run(tmp_path / "out").calls_done > 1000


def test_a_terminal_made_narrow_while_it_runs_has_frames_that_fit(
    terminal: Open, write_scenario: WriteScenario
) -> None:
    made = terminal("run", write_scenario(STEPS), "--calls", 90_000, *LIVE)
    made.read_until(lambda shown: "RSS" in last_frame(shown))
    made.resize(50, 20)
    made.read_until(lambda shown: is_one_panel(last_frame(shown)))
    assert max(map(len, last_frame(made.shown).splitlines())) <= 50
    made.type(b"\x03")
    assert made.exit_code() == 130


def last_frame(shown: str) -> str:
    """The last whole one, without styles."""
    return ["", *STYLES.sub("", shown).split("naive: call")][-2]


def is_one_panel(frame: str) -> bool:
    return bool(BRAILLE.search(frame)) and "live heap" in frame and "RSS" not in frame


def test_ctrl_c_ends_and_reports(
    terminal: Open, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    made = terminal("run", write_scenario(STEPS), "--calls", 90_000, *LIVE)
    made.read_until(is_drawn)
    made.type(b"\x03")
    assert made.exit_code() == 130
    assert "interrupted" in made.shown.rpartition("growth rates so far, not a verdict")[2]
    assert "Traceback" not in made.shown
    assert only_run(tmp_path / "out").outcome.ending is Ending.INTERRUPTED


def test_a_killed_worker_is_told_in_the_frame_and_the_summary_follows(
    terminal: Open, write_scenario: WriteScenario
) -> None:
    made = terminal("run", write_scenario(ENDS), "--calls", 200, "--live", "--out", "out")
    assert made.exit_code() == 0
    shown = STYLES.sub("", made.shown)
    assert "naive: call 60 of 200" in shown
    assert "killed: SIGKILL after call 60 of 200" in shown
    assert "report.html" in shown


def test_kill_nine_of_the_command_leaves_the_cursor_and_the_screen(
    terminal: Open, write_scenario: WriteScenario
) -> None:
    made = terminal("run", write_scenario(STEPS), "--calls", 90_000, *LIVE)
    made.read_until(is_drawn)
    made.kill()
    assert made.exit_code() == -signal.SIGKILL
    assert HIDDEN_CURSOR not in made.shown and OTHER_SCREEN not in made.shown


def test_a_hunt_draws_its_further_runs_beside_the_measured_one(
    terminal: Open, write_scenario: WriteScenario
) -> None:
    made = terminal(
        "hunt", write_scenario(STEPS), "--calls", 120, "--with", "resources", *LIVE
    )  # fmt: skip
    assert made.exit_code() == 0
    shown = STYLES.sub("", made.shown)
    assert "naive.under-resources: call" in shown
    assert "dots: naive;" in shown


def test_a_pipe_gets_a_line_and_no_curve(leakhunt: Leakhunt) -> None:
    done = leakhunt("run", "null", "--calls", 20, "--live", "--out", "out")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line == "leakhunt: --live needs a terminal; continuing without it"
    assert "\x1b" not in done.stdout
    assert "nothing  20 calls" in done.stdout
