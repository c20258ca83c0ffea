"""Tasks that wait in an event loop for what never comes, each with a context of its own."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

from leakhunt import variant

REQUEST: contextvars.ContextVar[Any] = contextvars.ContextVar("request")


class Work:
    def __init__(self, number: int) -> None:
        self.parts = [bytes(100 + each) for each in range(4)]
        self.names = {f"part-{number}-{each}": each for each in range(4)}


async def handle(number: int) -> Work:
    REQUEST.set({"number": number, "text": f"request {number}" * 4})
    work = Work(number)
    await asyncio.gather(*(fetch(part) for part in work.parts[:2]))
    return work


async def fetch(part: bytes) -> bytearray:
    buffer = bytearray(part)
    await asyncio.sleep(3600)
    return buffer


def setup(context: Any) -> asyncio.AbstractEventLoop:
    del context
    return asyncio.new_event_loop()


@variant
def leaking(loop: asyncio.AbstractEventLoop, number: int) -> int:
    async def once() -> None:
        task = loop.create_task(handle(number))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task

    loop.run_until_complete(once())
    return number
