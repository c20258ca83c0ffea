"""A FastAPI app behind a guard: streams, uploads, WebSockets, a lifespan; two places."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse

from leakhunt.guard import Guard, GuardConfig, GuardMiddleware

guard = Guard(GuardConfig(max_concurrency=2, queue_seconds=0, drain_bytes="32 MiB"))
started: list[str] = []


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    started.append("started")
    yield


app = FastAPI(lifespan=lifespan)
app.add_middleware(GuardMiddleware, guard=guard, facts=lambda: {"lifespan": started[-1]})


@app.get("/slow")
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


@app.get("/busy")
def busy() -> str:
    raise MemoryError


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(1000):
            yield f"{number}\n".encode()
            await asyncio.sleep(0.02)

    return StreamingResponse(parts())


@app.post("/upload")
async def upload(request: Request) -> int:
    return len(await request.body())


@app.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()
