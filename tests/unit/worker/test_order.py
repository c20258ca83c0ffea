"""What the supervisor tells a worker arrives as it was meant."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from leakhunt.model.run import Phase, Purpose
from leakhunt.scenario.contract import Context
from leakhunt.worker.protocol import Channel, Order, write_order, write_phase


@pytest.mark.parametrize("option", ["", "a=b", "ünï \u2028 'quoted'", "/home/x y/"])
def test_an_order_arrives_as_it_was_given(option: str) -> None:
    context = Context(
        variant="naive", calls=9, seed=2**70, threads=2, device="cuda",
        options={"audio": option}, scratch=Path("scratch"), folder=Path("scratch/naive"),
    )  # fmt: skip
    order = Order(
        prepare=True, supervisor=42, scenario_file="made.py", function="naive",
        devices=("cpu", "cuda"), run_file=Path("out/naive.run.jsonl"), context=context,
    )  # fmt: skip
    phase = Phase(20, 80, Purpose.JUDGED, 7, collects=True)
    channel = Channel(io.BytesIO(write_order(order) + write_phase(phase) + write_phase(None)))
    assert channel.order() == order
    assert channel.next_phase() == phase
    assert channel.next_phase() is None
    assert channel.next_phase() is None, "a supervisor that hung up asks for the end"
