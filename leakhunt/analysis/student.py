"""Student's t, from tables: the one place in which they stand."""

from __future__ import annotations

from collections.abc import Mapping

# Two-sided, by confidence and degrees of freedom. One-sided 95 % is two-sided 90 %. That of 95 %
# ends at nine, so that intervals of more repeats of a fix are wider than they need be.
_QUANTILES: Mapping[float, Mapping[int, float]] = {
    0.90: {
        1: 6.314, 2: 2.920, 3: 2.353, 4: 2.132, 5: 2.015, 6: 1.943, 7: 1.895, 8: 1.860, 9: 1.833,
        10: 1.812, 12: 1.782, 14: 1.761, 17: 1.740, 20: 1.725, 21: 1.721, 25: 1.708, 30: 1.697,
    },
    0.95: {
        1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262,
    },
    0.99: {
        1: 63.657, 2: 9.925, 3: 5.841, 4: 4.604, 5: 4.032, 6: 3.707, 7: 3.499, 8: 3.355, 9: 3.250,
        10: 3.169, 12: 3.055, 14: 2.977, 17: 2.898, 20: 2.845, 25: 2.787, 30: 2.750,
    },
}  # fmt: skip


def student(freedom: float, confidence: float = 0.99) -> float:
    """Student's t for a two-sided interval of this confidence; `freedom` of 1 or more.

    Between two known degrees of freedom that of the fewer, which is wider; beyond the last, the
    last.
    """
    table = _QUANTILES[confidence]
    return table[max(known for known in table if known <= max(freedom, 1))]
