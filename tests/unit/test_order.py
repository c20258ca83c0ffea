"""What the supervisor tells a worker arrives as it was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from leakhunt.measurement.order import Order, read_order, write_order
from leakhunt.scenario import Context


@pytest.mark.parametrize("option", ["", "a=b", "ünï \u2028 'quoted'", "/home/x y/"])
def test_an_order_arrives_as_it_was_given(option: str) -> None:
    context = Context(
        variant="naive", calls=9, seed=2**70, threads=2, device="cuda",
        options={"audio": option}, scratch=Path("scratch"), folder=Path("scratch/naive"),
    )  # fmt: skip
    order = Order(
        prepare=True, supervisor=42, scenario_file="made.py", function="naive",
        devices=("cpu", "cuda"), run_file=Path("out/naive.run.jsonl"), warmup=2, context=context,
    )  # fmt: skip
    assert read_order(write_order(order)) == order
