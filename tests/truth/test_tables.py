"""The page of tables is that of the data beside it."""

from __future__ import annotations

from tables import PAGE, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python tests/truth/tables.py"
