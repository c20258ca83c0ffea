"""However a worker ends, it is an outcome with its samples, and never a traceback of ours."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Leakhunt, WriteScenario, only_run, wait_until

from leakhunt.model.run import Ending

Start = Callable[..., subprocess.Popen[str]]


def variant(line: str) -> str:
    return f"@variant\ndef naive(state, item):\n    {line}\n"


@pytest.mark.parametrize(
    ("line", "ending", "reason", "exit_code"),
    [
        (
            "item == 5 and {}['key']",
            Ending.CRASHED,
            "KeyError: 'key' (made.py:12) after call 5 of 9",
            8,
        ),
        ("item == 5 and sys.exit(3)", Ending.CRASHED, "exited with code 3 after call 5 of 9", 8),
        ("item == 5 and sys.exit(0)", Ending.CRASHED, "exited with code 0 after call 5 of 9", 8),
        ("item == 5 and os._exit(4)", Ending.CRASHED, "exited with code 4 after call 5 of 9", 8),
        ("item == 5 and os.abort()", Ending.CRASHED, "SIGABRT after call 5 of 9", 8),
        ("item == 5 and os.kill(os.getpid(), 9)", Ending.KILLED, "SIGKILL after call 5 of 9", 0),
        ("item == 5 and time.sleep(600)", Ending.TIMEOUT, "no sample for 2 s after call 5 of 9", 0),
    ],
)
def test_a_call_that_ends_the_worker_leaves_the_samples_before_it(
    write_scenario: WriteScenario,
    leakhunt: Leakhunt,
    tmp_path: Path,
    line: str,
    ending: Ending,
    reason: str,
    exit_code: int,
) -> None:
    file = write_scenario(variant(line))
    words = ("--calls", 9, "--timeout", 2, "--format=html", "--out", "out")
    done = leakhunt("run", file, *words)
    run = only_run(tmp_path / "out")
    assert (run.outcome.ending, run.calls_done) == (ending, 5)
    assert reason in str(run.outcome.reason)
    assert done.returncode == exit_code
    assert "Traceback" not in done.stderr + done.stdout
    assert (tmp_path / "out" / "report.html").exists()


def test_a_hung_worker_leaves_its_stack_in_the_log(
    write_scenario: WriteScenario, leakhunt: Leakhunt, tmp_path: Path
) -> None:
    file = write_scenario(variant("time.sleep(600)"))
    done = leakhunt("run", file, "--calls", 9, "--timeout", 2, "--format=json", "--out", "out")
    assert done.returncode == 4
    assert 'made.py", line 12 in naive' in (tmp_path / "out" / "naive.log").read_text()


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGTERM]
)
def test_an_interrupted_run_settles_and_reports(
    write_scenario: WriteScenario, started: Start, tmp_path: Path, number: signal.Signals
) -> None:
    body = variant("open('going', 'w').close(); time.sleep(0.01)")
    file = write_scenario(body + body.replace("naive", "second"))
    supervisor = started("run", file, "--calls", 100_000, "--out", "out")
    wait_until((tmp_path / "going").exists, supervisor)
    supervisor.send_signal(number)
    output, errors = supervisor.communicate(timeout=60)
    run = only_run(tmp_path / "out")
    assert run.outcome.ending is Ending.INTERRUPTED
    assert run.reading("trimmed") is not None
    assert supervisor.returncode == 130
    assert "report.html" in output
    assert "Traceback" not in errors + output


def test_setup_that_fails_is_told_with_its_place(leakhunt: Leakhunt, tmp_path: Path) -> None:
    file = tmp_path / "made.py"
    file.write_text(
        "from leakhunt import variant\n\ndef setup(context):\n    raise OSError('no model')\n\n"
        "@variant\ndef naive(state, item):\n    pass\n"
    )
    done = leakhunt("run", file, "--calls", 9, "--format=json", "--out", "out")
    assert done.returncode == 8
    assert str(only_run(tmp_path / "out").outcome.reason) == (
        "OSError: no model (made.py:4) before the first call"
    )


def test_a_memory_limit_ends_the_worker_and_the_kernel_is_quoted(
    write_scenario: WriteScenario, leakhunt: Leakhunt, tmp_path: Path
) -> None:
    file = write_scenario(variant("KEPT.append(b'x' * (10 << 20))"))
    done = leakhunt(
        "run", file, "--calls", 100, "--memory-limit", "300 MiB", "--format=json", "--out", "out"
    )
    run = only_run(tmp_path / "out")
    assert 5 < run.calls_done < 30
    if "cgroup" in str(run.facts["memory limit"]):
        assert run.outcome.ending is Ending.KILLED
        assert "OOM killer" in str(run.outcome.reason)
        assert done.returncode == 0
    else:
        assert "RLIMIT_AS" in str(run.facts["memory limit"])
        assert run.outcome.ending is Ending.CRASHED
        assert "MemoryError" in str(run.outcome.reason)


def test_what_a_worker_started_ends_with_it(
    write_scenario: WriteScenario, leakhunt: Leakhunt, tmp_path: Path
) -> None:
    line = "import subprocess as s; item or KEPT.append(s.Popen(['sleep', '987.654']))"
    leakhunt("run", write_scenario(variant(line)), "--calls", 3, "--format=json", "--out", "out")
    processes = Path("/proc").glob("[0-9]*/cmdline")
    commands = [file.read_bytes() for file in processes if file.exists()]
    assert b"sleep\x00987.654\x00" not in commands
