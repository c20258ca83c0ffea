"""A JSON file of ours, as a dataclass says what is in it.

The published schema (``leakhunt schema``) is generated from the same dataclass by
``tests/schemas.py``, so a file and its schema cannot differ.
"""

from __future__ import annotations

import json
from typing import Any

from leakhunt.reporting.formats.as_json import as_json
from leakhunt.text.controls import json_text_bytes


def urn(name: str, format_: int) -> str:
    """The ``$id`` of the schema of that file: ``urn:leakhunt:schema:report:6``."""
    return f"urn:leakhunt:schema:{name}:{format_}"


def json_bytes(head: dict[str, Any], file: Any) -> bytes:
    """UTF-8 JSON: first `head`, then the fields of the dataclass `file` in their order."""
    document = head | as_json(file)
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return json_text_bytes(text) + b"\n"
