"""A visitor's imports: no child is forked within one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from leakhunt.agent import importing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="attach needs Linux")
FORKING = f"""
import os, runpy, signal, sys, threading
sys.path[:0] = [sys.argv[1]]
import_unforked = runpy.run_path({importing.__file__!r})["import_unforked"]

def forked():
    os.read(within, 1)
    child = os.fork()
    if not child:
        signal.alarm(3)
        import slow
        os._exit(slow.here)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

within, slow_says = os.pipe()
os.set_inheritable(slow_says, True)
os.environ["SAYS"] = str(slow_says)
HOW
print(forked())
"""
SLOW = """
import os, time
os.write(int(os.environ["SAYS"]), b"x")
time.sleep(0.5)
here = 42
"""


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("threading.Thread(target=import_unforked, args=('slow',)).start()", 42),
        ("threading.Thread(target=__import__, args=('slow',)).start()", -14),
    ],
    ids=["unforked", "as others do"],
)
def test_a_child_that_is_forked_meanwhile_imports_the_same(
    tmp_path: Path, how: str, code: int
) -> None:
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    # From Python 3.12 on, a fork beside another thread is warned of.
    words = [sys.executable, "-I", "-W", "ignore", "-c", FORKING.replace("HOW", how), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == (f"{code}\n", "")


def test_a_process_that_has_all_of_it_has_no_hook_more() -> None:
    code = (
        f"import runpy, sys; first = runpy.run_path({importing.__file__!r});"
        "first['import_unforked']('os', 'sys'); print([*map(vars(sys).get, ['_leakhunt_imports'])])"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True)
    assert done.stdout == b"[None]\n"
