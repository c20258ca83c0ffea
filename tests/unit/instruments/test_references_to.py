"""What structs behind fields hold, by how another object of the type has another one."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from leakhunt.instruments.native_structs import referring_structs
from leakhunt.instruments.references_to import ReferencesTo, _BehindFields


def test_words_that_another_object_of_the_type_has_as_well_count_unless_they_are_told() -> None:
    held = _BehindFields(dict, 2, 0)
    assert held.untold_as_in([_BehindFields(dict, 1, 0), _BehindFields(list, 2, 0)]) == 1
    assert held.untold_as_in([_BehindFields(dict, 3, 0)]) == 2
    assert held.untold_as_in([_BehindFields(list, 2, 0)]) == 0
    assert held.untold_as_in([]) == 0
    assert _BehindFields(dict, 2, 1).untold_as_in([held]) == 1
    assert _BehindFields(dict, 1, 2).untold_as_in([held]) == 0


@pytest.mark.parametrize(("earlier", "held"), [([2], 0), ([2, 3], 1)])
def test_a_block_that_still_has_the_address_of_the_one_before_holds_its_own(
    monkeypatch: pytest.MonkeyPatch, earlier: list[int], held: int
) -> None:
    """By the example of one call before that, whose holder is another."""
    one = _BehindFields(dict, 1, 0)
    behind = {1: {10: one}, 2: {20: one, 10: one}, 3: {30: one}}
    monkeypatch.setattr(ReferencesTo, "_behind_fields", lambda self, wanted: behind)
    assert ReferencesTo([]).of_structs({1: earlier})[1] == held


@dataclass(slots=True)
class _Holder:
    view: Any


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read through /proc")
def test_what_is_known_is_no_struct_and_not_followed() -> None:
    base = np.zeros(300)
    holder = _Holder(base[1:])
    known = np.array([id(holder.view)], np.uint64)
    assert referring_structs([holder], [id(base)], known[:0]) == {id(base): {0: 1}}
    assert referring_structs([holder], [id(base)], known) == {}
