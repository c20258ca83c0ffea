"""Peaks predicted for a clip five times longer than any seen: ``reports/truth/peaks.json``.

    python tests/truth/peak_runs.py

FSMN-VAD (stand-in weights) hears clips of 2 to 10 seconds; the line fitted to their peaks predicts
what one of 50 seconds needs. That clip is then heard in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import numpy as np
import soundfile

import leakhunt
from leakhunt.analysis.peaks.line import predicted
from leakhunt.analysis.peaks.peak import peak
from leakhunt.engine.events import SILENT
from leakhunt.engine.executors.local import LOCAL
from leakhunt.engine.session import session
from leakhunt.engine.settings import RunRequest, plan_of, settings_of
from leakhunt.environment import describe_environment
from leakhunt.model.run import Run
from leakhunt.runner.prepared import PreparedScenario, order_for
from leakhunt.runner.supervisor import measure
from leakhunt.storage import run_file

DATA = Path(__file__).parents[2] / "reports" / "truth" / "peaks.json"
_RATE_HZ = 16_000
_SEEN_SECONDS = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0)
_CALLS = 24


def clips(folder: Path, lengths: tuple[float, ...]) -> Path:
    """Bursts of noise of these lengths, as files."""
    folder.mkdir()
    for seconds in lengths:
        count = round(seconds * _RATE_HZ)
        noise = np.random.default_rng(round(seconds)).normal(size=count)
        loud = np.sin(np.arange(count) * 2 * np.pi / (2 * _RATE_HZ)) > 0
        soundfile.write(folder / f"{seconds:05.1f}.wav", 0.1 * noise * loud, _RATE_HZ)
    return folder


def heard(recordings: Path, folder: Path, variant: str) -> Run:
    """A short run on these recordings, with the calls after it that show their peaks."""
    options = {"weights": "stand-in", "audio": str(recordings), "lengths": "as-recorded"}
    request = RunRequest(f"fsmn-vad:{variant}", calls=_CALLS, warmup=8, options=options)
    settings = settings_of(request)
    folder.mkdir()
    with session(settings, folder, SILENT, LOCAL) as prepared:
        chosen = prepared.variants[0]
        plan = plan_of(prepared.settings, chosen, prepared.workplace.device)
        file = folder / f"{variant}{run_file.SUFFIX}"
        workplace = prepared.workplace
        assert isinstance(workplace, PreparedScenario)
        order = order_for(settings, chosen, workplace.device, workplace.scratch, file)
        measure(
            plan, replace(order, takes_peaks=True), folder / "log", workplace.prepared.facts,
            lambda tail: None,
        )  # fmt: skip
    return run_file.load(file)


def main() -> int:
    """Predict, then measure; 0 if what was measured lies in the interval."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="naive")
    parser.add_argument("--out", type=Path, default=DATA)
    words = parser.parse_args()
    longest = 5 * max(_SEEN_SECONDS)
    with tempfile.TemporaryDirectory(prefix="leakhunt-truth-") as place:
        folder = Path(place)
        short = heard(clips(folder / "seen", _SEEN_SECONDS), folder / "short", words.variant)
        long = heard(clips(folder / "longer", (longest,)), folder / "long", words.variant)
    near, far = peak(short), peak(long)
    assert near is not None and far is not None
    print(near.sentence)
    if near.line is None:
        print("no line", near.points)
        return 1
    limit = predicted(near.line, longest)
    note = next(each for each in long.notes if each.get("kind") == "peaks")
    measured = [row[2] for row in note["calls"]]
    inside = limit.low <= median(measured) <= limit.high
    print(limit, measured)
    document = {
        "leakhunt": leakhunt.__version__,
        "date": datetime.now(UTC).date().isoformat(),
        "environment": describe_environment(os.environ),
        "facts": {name: str(fact) for name, fact in short.facts.items()},
        "variant": words.variant,
        "line": asdict(near.line),
        "seen": [asdict(point) for point in near.points],
        "predicted": asdict(limit),
        "measured_bytes": measured,
        "measured_over_live_bytes": [point.size_bytes for point in far.points],
        "inside_the_interval": inside,
    }
    words.out.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return 0 if inside else 1


if __name__ == "__main__":
    raise SystemExit(main())
