"""What structs behind fields hold, by how another object of the type has another one."""

from __future__ import annotations

from leakhunt.instruments.references_to import _BehindFields


def test_words_that_another_object_of_the_type_has_as_well_count_unless_they_are_told() -> None:
    held = _BehindFields(dict, 2, 0)
    assert held.untold_as_in([_BehindFields(dict, 1, 0), _BehindFields(list, 2, 0)]) == 1
    assert held.untold_as_in([_BehindFields(dict, 3, 0)]) == 2
    assert held.untold_as_in([_BehindFields(list, 2, 0)]) == 0
    assert held.untold_as_in([]) == 0
    assert _BehindFields(dict, 2, 1).untold_as_in([held]) == 1
    assert _BehindFields(dict, 1, 2).untold_as_in([held]) == 0
