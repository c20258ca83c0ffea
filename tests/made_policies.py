"""Policies made for tests: one that has everything, and one acceptance."""

from __future__ import annotations

import re
from textwrap import dedent

from leakhunt.config import policy_file
from leakhunt.config.policy_file import read_policy
from leakhunt.model.policy import (
    Policy,
)

GIB = 1 << 30
WHOLE = """\
baselines = "leakhunt-baselines"
repeats = 2
retries = 3
most_calls = 5000

[budgets]
live_heap = "2 KiB/call"
seconds_per_call = "+20 %"

[scenarios.fsmn-vad]
variants = ["naive", "tensors-*"]
only_clean = true
options = { lengths = "fixed", clips = 5 }
calls = 300
warmup = 75
repeats = 1
seed = 7
threads = 2
device = "cpu"
memory_limit = "2 GiB"
limit = "1 GiB"
timeout = 60
collect = "always"

[scenarios.fsmn-vad.budgets]
rss = ["1 KiB/call", "50 MiB total"]
seconds_per_call = "50 ms"

[scenarios.fsmn-vad.variant.naive.budgets]
live_heap = "4 KiB/call"

[scenarios."services/my_service.py"]
retries = 0

[[accept]]
fingerprint = "0123456789ab"
reason = "funasr keeps its segments"
until = 2027-03-01
scenario = "fsmn-vad"

[[accept]]
fingerprint = "0123456789ab"
reason = "known everywhere"
until = 2026-12-31

[[accept]]
fingerprint = "ba9876543210"
reason = "small"
until = 2026-12-31
"""


def read(text: str, file: str = "leakhunt.toml") -> Policy:
    return read_policy(text.encode(), file)


def example_of_the_reader() -> str:
    """The policy in the docstring of the module that reads it."""
    return dedent(str(policy_file.__doc__).partition("::\n")[2])


def in_pyproject(text: str) -> str:
    """The same below [tool.leakhunt]."""
    return "[tool.leakhunt]\n" + re.sub(r"(?m)^(\[+)", r"\1tool.leakhunt.", text)


ACCEPT = '[[accept]]\nfingerprint = "0123456789ab"\nreason = "r"\nuntil = 2027-03-01\n'
