"""What the functions of the API say to arguments of a wrong type."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import leakhunt
from leakhunt import Load
from leakhunt.engine.events import SILENT
from leakhunt.errors import UsageError

RUN = Path(__file__).parents[1] / "data" / "format-4.run.jsonl"
OWN = f"{__file__}:grow"
WRONG: list[tuple[Callable[[Any], Any], str]] = [
    (lambda verbs: verbs.run(3), "target: expected str or PathLike or function, got 3"),
    (lambda verbs: verbs.run("a.py:f", calls="4"), "calls: expected int or None, got '4'"),
    (lambda verbs: verbs.run("a.py:f", calls=True), "calls: expected int or None, got True"),
    (lambda verbs: verbs.run("a.py:f", calls=2.5), "calls: expected int or None, got 2.5"),
    (lambda verbs: verbs.run("a.py:f", timeout=None), "timeout: expected float, got None"),
    (lambda verbs: verbs.run("a.py:f", seed=None), "seed: expected int, got None"),
    (lambda verbs: verbs.run("a.py", variants="f"), "variants: expected list of str, got 'f'"),
    (lambda verbs: verbs.run("a.py:f", options=["a"]), "options: expected dict of str to str"),
    (lambda verbs: verbs.run("a.py:f", formats=["md"]), "formats: expected str or None"),
    (lambda verbs: verbs.run("a.py:f", memory_limit=1.5), "memory_limit: expected int or str"),
    (lambda verbs: verbs.run(OWN, memory_limit=-1), "memory_limit=-1: expected 0 or more"),
    (lambda verbs: verbs.run("a.py:f", out=3), "out: expected str or PathLike or None, got 3"),
    (lambda verbs: verbs.run("a.py:f", out="a\0b"), "out: expected str or PathLike or None"),
    (lambda verbs: verbs.run("a.py:f", events=print), "events: expected Events or None"),
    (lambda verbs: verbs.hunt("a.py:f", instruments="memray"), "instruments: expected list of str"),
    (lambda verbs: verbs.hunt("a.py:f", remedies="A=1"), "remedies: expected list of str"),
    (lambda verbs: verbs.hunt("a.py:f", pairs="3"), "pairs: expected int, got '3'"),
    (lambda verbs: verbs.soak(load=None), "load: expected Load, got None"),
    (lambda verbs: verbs.soak(load=Load(users="4")), "users: expected int, got '4'"),  # type: ignore[arg-type]
    (lambda verbs: verbs.soak(load=Load(), pid="1"), "pid: expected int or None, got '1'"),
    (lambda verbs: verbs.report(3), "places: expected str or PathLike, got 3"),
    (lambda verbs: verbs.report([RUN]), "places: expected str or PathLike, got ["),
    (lambda verbs: verbs.compare(RUN, None), "places: expected str or PathLike, got None"),
    (lambda verbs: verbs.compare(RUN, RUN, labels="ab"), "labels: expected list of str, got 'ab'"),
    (lambda verbs: verbs.gate(RUN, max_growth=4), "max_growth: expected str or None, got 4"),
    (lambda verbs: verbs.gate(formats=None), "formats: expected str, got None"),
    (lambda verbs: verbs.gate(jobs="2"), "jobs: expected int, got '2'"),
    (lambda verbs: verbs.check_claims(ids="A1"), "ids: expected list of str, got 'A1'"),
    (lambda verbs: verbs.save_baseline(), "missing run file"),
    (lambda verbs: verbs.update_baseline(), "missing run file"),
    (lambda verbs: verbs.save_baseline(RUN, into=3), "into: expected str or PathLike, got 3"),
    (lambda verbs: verbs.scenarios(3), "names: expected str, got 3"),
    (lambda verbs: verbs.schema([]), "name: expected str, got []"),
    (lambda verbs: verbs.load(None), "path: expected str or PathLike, got None"),
    (lambda verbs: verbs.load_all(3), "folder: expected str or PathLike, got 3"),
]  # fmt: skip


def grow() -> None:
    """Something to measure."""


@pytest.mark.parametrize(("call", "expected"), WRONG, ids=[expected[:45] for _, expected in WRONG])
def test_a_wrong_type_is_a_wrong_usage(
    call: Callable[[Any], Any], expected: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(expected)}"):
        call(leakhunt)
    assert capfd.readouterr() == ("", "")


def test_right_types_pass() -> None:
    report = leakhunt.report(str(RUN), formats=None, events=SILENT).report
    assert [entry.variant for entry in report.entries] == ["naive"]
    assert leakhunt.load(RUN).plan.variant == "naive"


def test_signatures_and_texts_are_those_of_the_functions() -> None:
    assert list(inspect.signature(leakhunt.run).parameters)[:2] == ["target", "variants"]
    assert (leakhunt.run.__doc__ or "").startswith("Measure the variants")
