"""The verbs from Python: the same names, defaults, checks and errors as on the command line.

    import leakhunt
    result = leakhunt.run("fsmn-vad:naive,chunked", calls=400)
    print(result.verdict("naive").sentence)
    result = leakhunt.run(my_handler, calls=200, in_process=True)

Nothing here prints, ends the process or handles a signal. What is wrong with a request is a
`leakhunt.errors.LeakhuntError`, of the kind that the verb's exit code tells. An interrupt (Ctrl-C)
ends a measurement: the result then holds what was measured by then, and `interrupted` is true;
before the first call it is a KeyboardInterrupt. Results are immutable.
"""

from __future__ import annotations

from leakhunt.api.baseline_files import baselines, save_baseline, update_baseline
from leakhunt.api.judging import check_claims, compare, evaluate, gate, report
from leakhunt.api.matrices import benchmark, bisect, matrix
from leakhunt.api.measuring import hunt, retained, run
from leakhunt.api.reference import scenarios, schema
from leakhunt.api.services import analyze, attach, soak, watch

__all__ = (
    "analyze",
    "attach",
    "baselines",
    "benchmark",
    "bisect",
    "check_claims",
    "compare",
    "evaluate",
    "gate",
    "hunt",
    "matrix",
    "report",
    "retained",
    "run",
    "save_baseline",
    "scenarios",
    "schema",
    "soak",
    "update_baseline",
    "watch",
)
