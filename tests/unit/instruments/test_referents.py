"""What objects refer to is asked in one place, which knows whom not to ask."""

from __future__ import annotations

import _asyncio
import asyncio
import gc
import re
import subprocess
import sys
from pathlib import Path

import leakhunt
from leakhunt.instruments.reference_chains import _without_the_freed, referents_of

# Each waits for a future, so that the iterators of such are freed; then all objects are looked at.
LOOKING = """
import asyncio, faulthandler, gc
from leakhunt.agent import looking
from leakhunt.instruments.dominators import dominators

faulthandler.dump_traceback_later(100, exit=True)

async def waits():
    for _ in range(20):
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, None)
        await future

asyncio.run(waits())
sum(map(len, looking.graph()))
sum(map(len, looking.lengths()))
dominators(None)
gc.collect()
asyncio.run(waits())
gc.collect()
print("fine")
"""


def test_a_process_with_futures_goes_on_after_all_objects_were_looked_at() -> None:
    """On 3.12.0 to 3.12.5 the collector never came back (gh-122695)."""
    done = subprocess.run(
        [sys.executable, "-c", LOOKING], capture_output=True, text=True, check=False
    )
    assert done.stdout == "fine\n", done.stderr


def test_of_the_module_of_asyncio_its_dict_is_what_it_refers_to() -> None:
    asyncio.run(asyncio.sleep(0))
    one, other = [1.5], ["text"]
    found = _without_the_freed(one, _asyncio, other)
    assert found == [vars(_asyncio), 1.5, "text"]
    assert found[0] is vars(_asyncio)
    assert _without_the_freed(asyncio) == gc.get_referents(asyncio)
    assert referents_of(one) == [1.5]


def test_nobody_else_asks_the_collector() -> None:
    asking = [
        str(file.relative_to(folder))
        for folder in [Path(leakhunt.__file__).parent]
        for file in folder.rglob("*.py")
        if re.search(r"\bget_referents\b", file.read_text("utf-8"))
    ]
    # The guard asks a loop, never a module.
    assert sorted(asking) == ["guard/accepting.py", "instruments/reference_chains.py"]
