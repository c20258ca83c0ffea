"""What ``--live`` costs: calls per second with and without it, in turns, on a real terminal.

    python tests/bench/bench_live.py              (or with --rounds 5)

Of each scenario some thousand calls, on a pseudo-terminal of 120 x 40 that somebody reads. The
rates are of the whole life of the worker, with its start, its pauses and settling. "parent" is the
supervisor's own time on a core, with its start and the report. The ratios are what to compare.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import struct
import sys
import tempfile
import termios
from pathlib import Path
from statistics import median

from leakhunt.storage import run_file

PAUSE = """
\"\"\"Calls of five milliseconds that keep a little.\"\"\"
import time
from leakhunt import variant

KEPT = []


def setup(context):
    return None


@variant
def naive(state, item):
    time.sleep(0.005)
    KEPT.append(bytearray(2000))
"""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "pause.py"
        file.write_text(PAUSE)
        print(f"{rounds} rounds in turns, medians")
        heads = ("calls/s without", "with --live", "ratio", "parent without", "with")
        print(f"{'':14}" + "".join(f"{head:>17}" for head in heads))
        for name, target, calls in (("null", "null", 100_000), ("5 ms", str(file), 3000)):
            print(_row(name, target, calls, rounds, Path(scratch)))


def _row(name: str, target: str, calls: int, rounds: int, scratch: Path) -> str:
    found: dict[str, list[tuple[float, float]]] = {"": [], "--live": []}
    for number in range(rounds):
        for option, figures in found.items():
            out = scratch / f"{name}-{number}{option}"
            options = [option] if option else []
            seconds = _on_a_terminal(
                ["run", target, "--calls", str(calls), "--out", str(out), *options]
            )
            figures.append((_calls_per_second(out), seconds))
    rates = {option: median(rate for rate, _ in each) for option, each in found.items()}
    parents = {option: median(seconds for _, seconds in each) for option, each in found.items()}
    return (
        f"{name:14}{rates['']:>17,.0f}{rates['--live']:>17,.0f}"
        f"{rates['--live'] / rates['']:>17.3f}{parents['']:>15.2f} s{parents['--live']:>15.2f} s"
    )


def _on_a_terminal(arguments: list[str]) -> float:
    """Run leakhunt to its end; seconds that it took on a core, without its workers."""
    pid, end = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, __file__, "--child", *arguments])  # noqa: S606
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    text = b""
    while True:
        try:
            data = os.read(end, 1 << 16)
        except OSError:
            break
        if not data:
            break
        text = (text + data)[-200:]
    os.close(end)
    _, status = os.waitpid(pid, 0)
    assert status == 0, text
    return float(text.rpartition(b"seconds ")[2])


def _child(arguments: list[str]) -> None:
    import resource

    from leakhunt.cli.main import main as leakhunt

    assert leakhunt(arguments) == 0
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(f"seconds {used.ru_utime + used.ru_stime:.3f}")


def _calls_per_second(out: Path) -> float:
    """Calls by the seconds of the footer: from the order to the end of the worker."""
    (file,) = run_file.find_run_files([str(out)])
    seconds = json.loads(file.read_bytes().splitlines()[-1])["seconds"]
    return run_file.load(file).calls_done / float(seconds)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child(sys.argv[2:])
    else:
        main()
