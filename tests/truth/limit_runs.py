"""The recommended memory limit, held against the truth: ``reports/truth/limit.json``.

    python tests/truth/limit_runs.py --short 60 --long 180

A service (``peak_service.py``) is soaked for a short while without a limit. Then it is soaked for
a longer one in a memory cgroup of the limit that was recommended, and once more at two thirds of
it: it has to live through the one and to be killed in the other.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import leakhunt
from leakhunt import Load, api
from leakhunt.environment import describe_environment
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending

DATA = Path(__file__).parents[2] / "reports" / "truth" / "limit.json"
SERVICE = Path(__file__).with_name("peak_service.py")
_MIB = 1 << 20
_BODIES = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class LimitedSoak:
    """A soak: its limit (None: none), and how it ended."""

    limit_bytes: int | None
    seconds: float
    ending: str
    kind: str
    requests: int
    highest_bytes: int
    reason: str


def soaked(recordings: Path, seconds: float, limit: int | None, users: int) -> JudgedRun:
    """The judged run of a soak of so many seconds."""
    command = shlex.join([sys.executable, str(SERVICE), "{port}"])
    with tempfile.TemporaryDirectory(prefix="leakhunt-truth-") as folder:
        result = api.soak(
            command=command,
            ready="/",
            load=Load(
                audio=recordings, post="/x", expect="segments", users=users, duration=seconds
            ),
            memory_limit=limit,
            out=Path(folder) / "out",
            formats=None,
        )
    return result.report.entries[0]


def row_of(entry: JudgedRun, seconds: float, limit: int | None) -> LimitedSoak:
    """What is kept of a soak."""
    highest = entry.peak.highest_bytes if entry.peak is not None else 0
    return LimitedSoak(
        limit,
        seconds,
        entry.run.outcome.ending.value,
        entry.verdict.kind.value,
        entry.run.calls_done,
        highest,
        str(entry.run.outcome.reason),
    )


def main() -> int:
    """Soak three times; 0 if it lived and died as it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", type=float, default=60.0)
    parser.add_argument("--long", type=float, default=180.0)
    parser.add_argument("--users", type=int, default=4)
    parser.add_argument("--out", type=Path, default=DATA)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="leakhunt-truth-") as folder:
        for size in _BODIES:
            (Path(folder) / f"{size}.wav").write_bytes(os.urandom(size * _MIB))
        first = soaked(Path(folder), words.short, None, words.users)
        limit = first.recommended_limit
        print(first.verdict.sentence, limit and limit.sentence, sep="\n")
        if limit is None or limit.limit_bytes is None:
            print("no limit was recommended")
            return 1
        rows = [row_of(first, words.short, None)]
        for size in (limit.limit_bytes, limit.limit_bytes * 2 // 3):
            entry = soaked(Path(folder), words.long, size, words.users)
            rows.append(row_of(entry, words.long, size))
            print(rows[-1], entry.run.facts.get("memory limit"), sep="\n")
    lived = rows[1].ending == Ending.OK.value
    died = rows[2].ending == Ending.KILLED.value
    document = {
        "leakhunt": leakhunt.__version__,
        "date": datetime.now(UTC).date().isoformat(),
        "environment": describe_environment(os.environ),
        "users": words.users,
        "recommended": asdict(limit) | {"sentence": str(limit.sentence)},
        "lived_at_the_limit": lived,
        "killed_at_two_thirds": died,
        "soaks": [asdict(row) for row in rows],
    }
    words.out.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return 0 if lived and died else 1


if __name__ == "__main__":
    raise SystemExit(main())
