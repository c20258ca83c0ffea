"""Instruments that need the library of graphs say so before anything is watched."""

from __future__ import annotations

import sys

import pytest

from leakhunt.errors import MissingRequirement
from leakhunt.instruments.graph_library import require_rustworkx
from leakhunt.model.attribution import Instrument


@pytest.mark.parametrize("instrument", [Instrument.GARBAGE, Instrument.RETAINED])
def test_what_is_missing_is_one_line(
    monkeypatch: pytest.MonkeyPatch, instrument: Instrument
) -> None:
    require_rustworkx(instrument)  # it is here
    monkeypatch.setitem(sys.modules, "rustworkx", None)
    with pytest.raises(MissingRequirement) as raised:
        require_rustworkx(instrument)
    totals = str(raised.value)
    assert totals.startswith(f"instrument {instrument}: ")
    assert totals.endswith("pip install rustworkx") and "\n" not in totals
