"""What an object would free: dominators of a process of its own, in which little else is."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

# `STATE` is the root; `size(path)` is what the object of that expression retains.
PRELUDE = """
import gc, json, sys, types
from leakhunt.instruments.dominators import TOP, dominators
class Node:
    def __init__(self, **fields):
        vars(self).update(fields)
STATE = Node()
def sizes(**named):
    gc.collect()
    tree = dominators(STATE)
    total = tree.sums(tree.own)
    numbers = {id(each): node for node, each in enumerate(tree.objects)}
    told = {name: total[numbers[id(each)]] for name, each in named.items()}
    told["all"], told["own"] = total[TOP], sum(tree.own)
    told["nodes"] = len(tree.objects)
    print(json.dumps(told))
"""


def totals(script: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + script], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_an_object_retains_what_only_it_leads_to() -> None:
    found = totals("""
STATE.one = Node(items=[bytearray(10_000), {"a": [bytes(20_000)]}])
STATE.other = Node(items=[])
sizes(one=STATE.one, other=STATE.other)
""")
    assert 30_000 < found["one"] < 32_000
    assert found["other"] < 1_000
    assert found["all"] == found["own"]


def test_what_two_share_belongs_to_the_one_above_both() -> None:
    found = totals("""
shared = Node(data=[bytearray(50_000)])
leaf = bytes(70_000)
STATE.pair = Node(one=[shared, leaf, "a"], other=[shared, leaf, "b"])
one, other = STATE.pair.one, STATE.pair.other
del shared, leaf
sizes(pair=STATE.pair, one=one, other=other)
""")
    # `one` and `other` are variables of the module as well: what they share is nobody's of them.
    assert found["one"] < 1_000 and found["other"] < 1_000
    assert found["pair"] < 2_000
    found = totals("""
shared = Node(data=[bytearray(50_000)])
leaf = bytes(70_000)
STATE.pair = Node(one=[shared, leaf, "a"], other=[shared, leaf, "b"])
del shared, leaf
sizes(pair=STATE.pair)
""")
    assert 120_000 < found["pair"] < 123_000


def test_a_linked_list_is_retained_by_its_head_and_a_cycle_by_nobody_else() -> None:
    found = totals("""
head = None
for number in range(2_000):
    head = Node(next=head, data=bytes(100))
STATE.head = head
head = None
STATE.ring = [Node(data=bytearray(30_000))]
STATE.ring[0].back = STATE.ring
sizes(state=STATE, ring=STATE.ring)
""")
    assert found["state"] > 2_000 * 133
    assert 30_000 < found["ring"] < 31_000


def test_an_array_counts_its_buffer_once_and_a_view_what_it_pins() -> None:
    pytest.importorskip("numpy")
    found = totals("""
import numpy
STATE.views = [numpy.zeros(1_000_000, dtype="u1")[each:each + 10] for each in (1, 2)]
whole = numpy.zeros(500_000, dtype="u1")
STATE.same = [whole[each:each + 10] for each in range(50)]
del whole
STATE.objects = [numpy.array([Node(data=bytearray(40_000)), None], dtype=object)]
sizes(views=STATE.views, same=STATE.same, objects=STATE.objects)
""")
    assert 2_000_000 < found["views"] < 2_010_000
    assert 500_000 < found["same"] < 520_000
    assert 40_000 < found["objects"] < 42_000


def test_a_storage_counts_once_however_many_tensors_show_it() -> None:
    pytest.importorskip("torch")
    found = totals("""
import torch
whole = torch.zeros(250_000)
STATE.same = [whole[each:] for each in range(20)]
del whole
STATE.two = [torch.zeros(1000), torch.zeros(1000)]
sizes(same=STATE.same, two=STATE.two)
""")
    assert 1_000_000 < found["same"] < 1_020_000
    assert 8_000 < found["two"] < 9_000


def test_what_an_array_in_a_tuple_shows_is_the_tuples() -> None:
    """The collector tracks neither, but a tensor whose memory the array is."""
    pytest.importorskip("torch")
    found = totals("""
import torch
STATE.sounds = [(str(each), (each, torch.zeros(1000).numpy())) for each in range(20)]
sizes(sounds=STATE.sounds)
""")
    assert 80_000 < found["sounds"] < 90_000


def test_nothing_that_a_class_defines_is_called() -> None:
    found = totals("""
class Proud(list):
    def __sizeof__(self):
        raise SystemExit("called")
    def __getattribute__(self, name):
        raise SystemExit("called")
    def __eq__(self, other):
        raise SystemExit("called")
    __hash__ = None
STATE.proud = Proud([bytearray(10_000)])
sizes(proud=STATE.proud)
""")
    assert 10_000 < found["proud"] < 12_000


def test_our_own_objects_are_not_part_of_it() -> None:
    few = totals("sizes()")
    many = totals("STATE.many = [[each] for each in range(100_000)]\nsizes(many=STATE.many)")
    # Ours would be as many again; one of the interpreter may come or go.
    assert abs(many["nodes"] - few["nodes"] - 100_000) < 10
    assert many["all"] - few["all"] < 1.02 * many["many"]
