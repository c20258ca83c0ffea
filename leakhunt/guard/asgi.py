"""Middleware for ASGI: FastAPI, Starlette, Gradio's app. It imports none of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from leakhunt.guard.accepting import note_event_loop
from leakhunt.guard.guard import Guard
from leakhunt.guard.health import OwnAnswer, own_answer, own_paths
from leakhunt.guard.refusals import Refusal, is_exempt, refusal_body
from leakhunt.guard.request_log import RequestLog, RequestRecord
from leakhunt.guard.ticket import Ticket

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
# RFC 6455 has no code for "full"; IANA registered this as "Try again later".
_TRY_LATER = 1013


class GuardMiddleware:
    """Stands before an ASGI app: ``app.add_middleware(GuardMiddleware, guard=guard)``.

    Requests take a place from their first byte to the end of their response, streams and aborted
    ones too. WebSockets are refused (1013) while the service is unready, and take no place.
    `facts` is called for what `/health` tells beside its figures.
    """

    def __init__(
        self,
        app: AsgiApp,
        guard: Guard | None = None,
        log: RequestLog | None = None,
        facts: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        self.app = app
        self.guard = guard or Guard()
        self._log = log
        self._facts = facts
        self._own_paths = own_paths(self.guard)
        self._exempt = self.guard.config.exempt
        self.guard.join_workers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, refuse, or hand on."""
        if scope["type"] != "http":
            await self._no_request(scope, receive, send)
            return
        guard, path = self.guard, scope["path"]
        if path.startswith(self._own_paths) and await self._answered(path, send):
            return
        if self._exempt and is_exempt(path, self._exempt):
            await self.app(scope, receive, send)
            return
        rss = guard.rss_bytes() if self._log else 0
        body_bytes = _body_bytes(scope)
        admitted = guard.try_admit(body_bytes)
        if isinstance(admitted, Refusal):  # wait for a place
            admitted = await guard.admit_async(body_bytes)
            if isinstance(admitted, Refusal):
                await self._refuse(admitted, scope, receive, send, rss)
                return
        await self._work(admitted, scope, receive, send, rss)

    async def _no_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            note_event_loop()
            await self.app(scope, receive, send)

    async def _answered(self, path: str, send: Send) -> bool:
        """Answer a path of the guard; False: it is one of the service."""
        facts = self._facts() if self._facts and path == self.guard.config.health_path else None
        own = own_answer(self.guard, path, facts)
        if own is None:
            return False
        await _answer(send, own, is_closing=self.guard.draining)
        return True

    async def _work(
        self, ticket: Ticket, scope: Scope, receive: Receive, send: Send, rss: int
    ) -> None:
        status = 0
        guard = self.guard

        async def sending(event: Event) -> None:
            nonlocal status
            if event["type"] == "http.response.start":
                status = event["status"]
                if guard.draining:
                    event = {**event, "headers": [*event.get("headers", ()), _CLOSE]}
            await send(event)

        has_failed = True
        try:
            await self.app(scope, receive, sending)
            has_failed = status >= 500
        except MemoryError:
            guard.refuse_until_well()
            raise
        finally:
            # Here too when the client has gone and the task was cancelled.
            seconds = guard.finish(ticket, has_failed=has_failed)
            if self._log and self._log.wants(is_well=not has_failed):
                self._log.write(self._record(scope, status or 500, seconds, rss, ""))

    async def _refuse(
        self, refusal: Refusal, scope: Scope, receive: Receive, send: Send, rss: int
    ) -> None:
        await self._drain(receive)
        body = refusal_body(refusal)
        own = OwnAnswer(refusal.status, "application/json", body, refusal.retry_after_seconds)
        await _answer(send, own, is_closing=self.guard.draining)
        if self._log and self._log.wants(is_well=False):
            self._log.write(self._record(scope, refusal.status, 0.0, rss, refusal.reason))

    async def _drain(self, receive: Receive) -> None:
        """Read the body and drop it: who is still sending would see a broken connection."""
        remaining = self.guard.config.drain_bytes
        assert not isinstance(remaining, str)
        while remaining > 0:
            event = await receive()
            if event["type"] != "http.request" or not event.get("more_body", False):
                return
            remaining -= len(event.get("body", b""))

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.guard.status().is_ready:
            await self.app(scope, receive, send)
            return
        await receive()  # websocket.connect
        await send({"type": "websocket.close", "code": _TRY_LATER})

    def _record(
        self, scope: Scope, status: int, seconds: float, rss: int, refused: str
    ) -> RequestRecord:
        return RequestRecord(
            method=scope["method"],
            path=scope["path"],
            status=status,
            milliseconds=round(seconds * 1e3, 3),
            rss_before=rss,
            rss_after=self.guard.rss_bytes(),
            in_flight=self.guard.in_flight,
            request_id=_header(scope, b"x-request-id").decode("latin-1"),
            refused=refused,
        )


_CLOSE = (b"connection", b"close")
_WITHOUT_BODY = ("GET", "HEAD")


async def _answer(send: Send, answer: OwnAnswer, *, is_closing: bool) -> None:
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
    ]
    if answer.retry_after_seconds:
        headers.append((b"retry-after", str(answer.retry_after_seconds).encode()))
    if is_closing:
        headers.append(_CLOSE)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _header(scope: Scope, name: bytes) -> bytes:
    for key, value in scope.get("headers", ()):
        if key == name:
            found: bytes = value
            return found
    return b""


def _body_bytes(scope: Scope) -> int:
    if scope.get("method") in _WITHOUT_BODY:
        return 0
    for key, value in scope.get("headers", ()):
        if key == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0
