"""What every ``junit.xml`` is made of: elements of which nothing can break the file, and counts."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from leakhunt.reporting.formats.xml_escape import xml_text

_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def document(name: str, suites: Iterable[Element]) -> bytes:
    """The whole file, UTF-8."""
    root = element("testsuites", name=name)
    root.extend(suites)
    count(root)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def element(tag: str, text: str = "", **attributes: str) -> Element:
    """An element of which nothing can break the file."""
    made = Element(tag, {name: xml_text(value) for name, value in attributes.items()})
    made.text = xml_text(text) or None
    return made


def count(parent: Element) -> None:
    """The attributes that say how many cases are below, how they ended and what they took."""
    cases = list(parent.iter("testcase"))
    parent.set("tests", str(len(cases)))
    for name, tag in _COUNTED.items():
        parent.set(name, str(sum(case.find(tag) is not None for case in cases)))
    parent.set("time", f"{sum(float(case.attrib['time']) for case in cases):.6f}")
