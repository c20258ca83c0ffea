"""Student's t is that of the textbook, or of fewer degrees of freedom, which is wider."""

from __future__ import annotations

import pytest

from leakhunt.analysis.student import student

# Two-sided 90 %, 95 % and 99 %; from any textbook.
KNOWN = {1: (6.314, 12.706, 63.657), 5: (2.015, 2.571, 4.032), 9: (1.833, 2.262, 3.250)}


@pytest.mark.parametrize("freedom", KNOWN)
def test_it_is_that_of_the_textbook(freedom: int) -> None:
    found = tuple(student(freedom, confidence) for confidence in (0.90, 0.95, 0.99))
    assert found == KNOWN[freedom]


def test_between_and_beyond_what_is_known_it_is_the_wider() -> None:
    assert student(11) == student(10) == 3.169
    assert student(1000) == student(30) == 2.750
    assert student(50, 0.95) == student(9, 0.95)
    assert student(0.3) == student(1)
    assert student(21, 0.90) == 1.721
