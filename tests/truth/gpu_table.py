"""What ``tests/gpu/run.sh`` measured, as Markdown: ``python tests/truth/gpu_table.py FILE``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leakhunt.amounts import format_bytes
from leakhunt.reporting.evaluation.tables import markdown


def section(document: dict[str, Any]) -> Iterator[str]:
    """The section of the page: facts, every step, and what each found."""
    facts = document["facts"]
    yield "## On a GPU"
    yield ""
    cards = ", ".join(facts["cards"]) or "no card named"
    yield (
        f"`tests/gpu/run.sh`, {facts['date']}: {cards}, driver {facts['driver']}, CUDA"
        f" {facts['cuda']}, torch {facts['torch']}, Python {facts['python']}."
    )
    yield ""
    yield markdown(("step", "command", "exit code", "seconds"), map(_step, document["steps"]))
    yield ""
    for step in document["steps"]:
        if step["result"] is not None:
            lines = list(_found(step["result"]))
            if lines:
                yield f"**{step['name']}**"
                yield ""
                yield from lines
                yield ""


def _step(step: dict[str, Any]) -> tuple[str, ...]:
    code = "not run" if step["exit_code"] is None else str(step["exit_code"])
    late = " (time limit)" if step.get("timed_out") else ""
    seconds = f"{step['seconds']:.0f}" if "seconds" in step else "–"
    return (step["name"], f"`{step['command']}`", code + late, seconds)


def _found(result: dict[str, Any]) -> Iterator[str]:
    if "trials" in result:
        yield markdown(
            ("workload", "seed", "ground truth", "found", "calls"),
            [
                (
                    each["variant"],
                    str(each["seed"]),
                    " / ".join(each["expect"]),
                    each["kind"],
                    f"{each['calls']:,}",
                )
                for each in result["trials"]
            ],
        )
    elif "runs" in result:
        yield markdown(
            ("variant", "verdict", "calls", "CUDA allocated/call", "CUDA reserved/call", "suspect"),
            map(_run, result["runs"]),
        )
        for each in result["tried"]:
            yield f"- {each['remedy']}: {each['result']}"
    elif "claims" in result:
        yield markdown(
            ("claim", "statement", "verdict"),
            [(each["id"], each["claim"], each["verdict"]) for each in result["claims"]],
        )
    else:
        yield from (f"- {line}" for line in _readings(result))


def _run(run: dict[str, Any]) -> tuple[str, ...]:
    rates = (run["rates"].get(name) for name in ("cuda_allocated", "cuda_reserved"))
    cells = ("–" if rate is None else format_bytes(rate) for rate in rates)
    return (run["variant"], run["kind"], f"{run['calls']:,}", *cells, run["first_suspect"] or "–")


def _readings(result: dict[str, Any]) -> Iterator[str]:
    """Bytes with their names; of lists and dictionaries one line each."""
    for name, value in result.items():
        if isinstance(value, list):
            for each in value:
                yield ", ".join(_reading(*item) for item in each.items())
        elif isinstance(value, dict):
            yield f"{name}: " + ", ".join(_reading(*item) for item in value.items())
        else:
            yield _reading(name, value)


def _reading(name: str, value: Any) -> str:
    is_size = isinstance(value, int) and "bytes" in name
    return f"{name.replace('_', ' ')} {format_bytes(value) if is_size else value}"


def main() -> None:
    document = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    print("\n".join(section(document)))


if __name__ == "__main__":
    main()
