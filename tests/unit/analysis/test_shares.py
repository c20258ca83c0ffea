"""Shares of the growth: no memory counts twice, none is above the whole; what nobody explains."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from conftest import MakeRun
from made_findings import (
    CALLS,
    KIB,
    MALLOC,
    MARKS,
    MINE,
    THEIRS,
    attributed,
    finding,
    place,
    watched,
)

from leakhunt.analysis.attribution import attribute
from leakhunt.analysis.verdict import judge
from leakhunt.model.attribution import (
    MAX_SHARE,
    Attribution,
    Finding,
    FindingKind,
    Frame,
    Instrument,
)
from leakhunt.model.plan import Work
from leakhunt.model.run import Run
from leakhunt.reporting.shared.suspects import keeps

MEMRAY, TRACEMALLOC = Instrument.MEMRAY, Instrument.TRACEMALLOC
MODELS = place("pydantic/main.py:create_model:return meta(")


def by_both(run: Run, *findings: Sequence[Finding]) -> Attribution:
    """What several instruments found, each in a run of its own."""
    return attribute(run, judge(run), [watched(*each) for each in findings])


def test_what_two_instruments_find_counts_once(leaking: Run) -> None:
    """Memray knows the cause of a block of Python's, tracemalloc the line: it is one block."""
    stack = (MODELS, MINE)
    python = finding(size=4 * KIB, instrument=MEMRAY, what="Python", stack=stack)
    traced = finding(size=4 * KIB, instrument=TRACEMALLOC, stack=stack)
    attribution = by_both(leaking, [python], [traced])
    (suspect,) = attribution.suspects
    assert suspect.cause is not None and suspect.cause.id == "pydantic-models-per-call"
    assert suspect.share == pytest.approx(1, rel=0.01)
    assert set(suspect.instruments) == {MEMRAY, TRACEMALLOC}


def test_the_same_memory_under_two_lines_counts_once(leaking: Run) -> None:
    other = Frame("made.py", 90, "later", "KEPT[-1].fill()", MINE.origin)
    python = finding(size=4 * KIB, instrument=MEMRAY, what="Python", stack=(THEIRS, other))
    traced = finding(size=4 * KIB, instrument=TRACEMALLOC, stack=(THEIRS, MINE))
    attribution = by_both(leaking, [python], [traced])
    assert attribution.explained == pytest.approx(4 * KIB, rel=0.01)
    assert "all of" not in str(attribution.sentence)


def test_a_cause_in_native_code_is_not_that_of_a_list_at_the_same_line(leaking: Run) -> None:
    onednn = place("dnnl::impl::utils::lru_cache_t<int>::add(int)")
    native = finding(size=3 * KIB, instrument=MEMRAY, stack=(MALLOC, onednn, MINE))
    traced = finding(size=KIB, instrument=TRACEMALLOC, stack=(MINE,))
    attribution = by_both(leaking, [native], [traced])
    assert len(attribution.suspects) == 2
    assert attribution.explained == pytest.approx(4 * KIB, rel=0.01)


def test_tensors_in_two_containers_count_once(leaking: Run) -> None:
    """The second one has nodes of its own beside the tensors that the first has as well."""
    site = finding(size=64, key="1", stack=(MINE,))
    keys = finding(size=32, key="2", stack=(replace(MINE, line=9, source="SEEN[key] = item"),))
    tensors = {"native_bytes": 4 * KIB, "tensor": "float32[1024]"}
    kept, seen = (
        finding(sort=FindingKind.CONTAINER, size=0, what=what, keeps=keeps, chain=chain,
                facts=tensors, stack=(MINE,))
        for what, keeps, chain in (
            ("list", ("1",), ("made.KEPT", "list", "torch.Tensor")),
            ("dict", ("1", "2"), ("made.SEEN", "dict", "torch.Tensor")),
        )
    )  # fmt: skip
    attribution = attributed(leaking, site, keys, kept, seen)
    found = sum(each.bytes_per_call or 0.0 for each in attribution.suspects)
    assert found == pytest.approx(4 * KIB + 96, rel=0.01)


def test_calls_that_grew_by_more_under_an_instrument_have_no_share_above_the_whole(
    leaking: Run,
) -> None:
    attribution = attributed(leaking, finding(size=9 * KIB, instrument=MEMRAY))
    assert attribution.explained == attribution.growth
    assert attribution.suspects[0].share == 1
    assert attribution.suspects[0].bytes_per_call == 9 * KIB


def test_no_share_above_the_whole_can_come_to_a_page(leaking: Run) -> None:
    chance = random.Random(16)
    lines = [replace(MINE, line=line, source=f"line {line}") for line in range(4)]
    for _ in range(200):
        runs = [
            [
                finding(
                    per_call=chance.choice((0.3, 1, 2)),
                    size=chance.choice((40, KIB, 9 * KIB)),
                    instrument=instrument,
                    what=chance.choice(("malloc", "Python", "mapping")),
                    stack=(chance.choice((THEIRS, MODELS, MALLOC)), chance.choice(lines)),
                    key=str(number),
                )
                for number in range(chance.randrange(1, 6))
            ]
            for instrument in chance.sample([MEMRAY, TRACEMALLOC, Instrument.CUDA], 2)
        ]
        attribution = by_both(leaking, *runs)
        assert attribution.growth is not None and attribution.explained is not None
        assert attribution.explained <= attribution.growth
        shares = [each.share or 0.0 for each in attribution.suspects]
        assert sum(shares) <= 1.001
        told = [
            str(attribution.sentence),
            *(keeps(each, Work.CALL) for each in attribution.suspects),
        ]
        assert not any(_percentages(text) > 100 for text in told)


def _percentages(text: str) -> int:
    """The largest percentage of a text."""
    words = [word.rpartition("(")[2] for word in text.replace("%", " %").split(" %")[:-1]]
    return max((int(word.split()[-1]) for word in words if word.split()), default=0)


@pytest.mark.parametrize(("share", "explained"), [(MAX_SHARE + 0.01, 0.0), (1.0, 1.2 * KIB)])
def test_a_share_above_the_whole_is_a_fault(leaking: Run, share: float, explained: float) -> None:
    attribution = attributed(leaking, finding(size=4 * KIB, instrument=MEMRAY))
    with pytest.raises(AssertionError):
        replace(
            attribution,
            suspects=(replace(attribution.suspects[0], share=share),),
            growth=1.0 * KIB,
            explained=explained,
        )


STEPS = replace(
    finding(size=0, instrument=MEMRAY, key="9", stack=(MALLOC, THEIRS)),
    counts=(0, 1, 1, 1), sizes=(0, 0, 0, 3 * KIB * (MARKS[-1] - MARKS[0])),
)  # fmt: skip
MAPPING = finding(size=2 * KIB, instrument=MEMRAY, what="mapping", stack=(THEIRS,), key="9")


@pytest.mark.parametrize(
    ("per_call", "findings", "told"),
    [
        (256 * KIB, [finding(size=16 * KIB, instrument=MEMRAY)], "called by address"),
        (1000, [finding(14, 50, instrument=MEMRAY)], "malloc's header and rounding"),
        (4 * KIB, [finding(size=KIB, instrument=MEMRAY), STEPS], "arrays that grow in steps"),
        (4 * KIB, [finding(size=KIB, instrument=MEMRAY), MAPPING], "mappings (mmap)"),
        (4 * KIB, [finding(size=100, instrument=MEMRAY)], "remainders of up to a page"),
        (64 * KIB, [finding(size=KIB, instrument=TRACEMALLOC)], "memray did not watch"),
    ],
    ids=["by-address", "headers", "steps", "mappings", "pages", "native"],
)
def test_what_nobody_explains_comes_first_with_what_it_may_be(
    make_run: MakeRun, per_call: int, findings: Sequence[Finding], told: str
) -> None:
    run = make_run(live_heap=[per_call * call for call in range(CALLS)])
    sentence = str(attributed(run, *findings).sentence)
    assert sentence.startswith("Unattributed: ") and told in sentence
    assert "First suspect: " in sentence
