"""The same functions given to psleak and to leakhunt: who finds what, after how many calls.

``python tests/truth/psleak_table.py TRIALS.json`` (what ``leakhunt truth --out`` wrote) runs psleak
with its defaults on every workload of those trials, each in a fresh process, and writes the table
as data.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from leakhunt.model.evaluation import Trial
from leakhunt.reporting.evaluation.tables import from_json
from leakhunt.scenario import find
from leakhunt.scenario.contract import Context

DATA = Path(__file__).parents[2] / "reports" / "truth" / "psleak.json"
TIMEOUT_SECONDS = 120
# Without these psleak skips its tests: it watches malloc, so Python's objects must come from there.
PSLEAK_ENVIRONMENT = {"PYTHONMALLOC": "malloc", "PYTHONUNBUFFERED": "1"}


def by_psleak(name: str, variant: str) -> dict[str, Any]:
    """What psleak says of one workload: leak or not, in words, and how often it called it."""
    import psleak

    (found,) = (each for each in find.builtin() if each.name == name)
    function = next(each.function for each in found.variants if each.name == variant)
    module = find.load(found.file)
    calls = 0
    with tempfile.TemporaryDirectory() as folder:
        context = Context(variant, None, 0, 1, "cpu", {}, Path(folder), Path(folder))
        state = module.setup(context)

        def call() -> None:
            nonlocal calls
            getattr(module, function)(state, calls)
            calls += 1

        try:
            psleak.MemoryLeakTestCase.setUpClass()
            psleak.MemoryLeakTestCase("execute").execute(call)
            text = ""
        except psleak.Error as error:
            text = f"{type(error).__name__}: {error}".splitlines()[0]
        if hasattr(module, "teardown"):
            module.teardown(state)
    return {"leak": bool(text), "said": text, "calls": calls}


def _in_a_process(name: str, variant: str) -> dict[str, Any]:
    words = [sys.executable, __file__, "--one", name, variant]
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            env={**os.environ, **PSLEAK_ENVIRONMENT},
        )
    except subprocess.TimeoutExpired:
        return {"leak": None, "said": f"no answer in {TIMEOUT_SECONDS} s", "calls": None}
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        tail = (done.stderr.splitlines() or [f"exit code {done.returncode}"])[-1]
        return {"leak": None, "said": tail[:200], "calls": None}
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer


def rows(trials: list[Trial]) -> Iterator[dict[str, Any]]:
    """One a workload: what it is in truth, and what each of the two says."""
    ordered = sorted(trials, key=lambda each: (each.scenario, each.variant))
    for (name, variant), group in groupby(ordered, key=lambda each: (each.scenario, each.variant)):
        runs = list(group)
        yield {
            "workload": f"{name.removeprefix('leak-zoo-')}:{variant}",
            "leaks": runs[0].leaks,
            "leakhunt": {
                "right": sum(each.is_right for each in runs),
                "runs": len(runs),
                "calls": median(each.calls for each in runs),
            },
            "psleak": _in_a_process(name, variant),
        }


def main(arguments: list[str]) -> int:
    """Make the table; with ``--one``, answer for one workload."""
    if arguments[0] == "--one":
        answer = by_psleak(arguments[1], arguments[2])
        print(json.dumps(answer), flush=True)
        os._exit(0)  # threads that a workload left would keep the process
    trials = from_json(Path(arguments[0]).read_bytes())
    table = []
    for row in rows(trials):
        print(row, flush=True)
        table.append(row)
    DATA.write_text(json.dumps(table, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
