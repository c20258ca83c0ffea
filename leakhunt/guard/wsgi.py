"""Middleware for WSGI: Flask, Django, Bottle. It imports none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any

from leakhunt.guard.guard import Guard
from leakhunt.guard.health import OwnAnswer, own_answer, own_paths
from leakhunt.guard.refusals import Refusal, is_exempt, refusal_body
from leakhunt.guard.request_log import RequestLog, RequestRecord
from leakhunt.guard.ticket import Ticket

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]
_CHUNK_BYTES = 64 << 10


class GuardWsgiMiddleware:
    """Stands before a WSGI app: ``app.wsgi_app = GuardWsgiMiddleware(app.wsgi_app, guard)``.

    A request takes a place until its response is closed, however it is streamed.
    """

    def __init__(
        self,
        app: WsgiApp,
        guard: Guard | None = None,
        log: RequestLog | None = None,
        facts: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        self.app = app
        self.guard = guard or Guard()
        self._log = log
        self._facts = facts
        self._own_paths = own_paths(self.guard)
        self.guard.join_workers()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer, refuse, or hand on."""
        guard, path = self.guard, environ.get("PATH_INFO", "/")
        if path.startswith(self._own_paths):
            facts = self._facts() if self._facts and path == guard.config.health_path else None
            own = own_answer(guard, path, facts)
            if own is not None:
                return _answered(start_response, own)
        if guard.config.exempt and is_exempt(path, guard.config.exempt):
            return self.app(environ, start_response)
        rss = guard.rss_bytes() if self._log else 0
        admitted = guard.admit(_body_bytes(environ))
        if isinstance(admitted, Refusal):
            return self._refused(admitted, environ, start_response, rss)
        return self._work(admitted, environ, start_response, rss)

    def _work(
        self, ticket: Ticket, environ: Environ, start_response: StartResponse, rss: int
    ) -> Iterable[bytes]:
        response = _Response(self, ticket, environ, rss)

        def starting(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            response.status = int(status[:3])
            return start_response(status, headers, *rest)

        try:
            response.body = self.app(environ, starting)
        except BaseException as error:
            response.end(error)
            raise
        return response

    def _refused(
        self, refusal: Refusal, environ: Environ, start_response: StartResponse, rss: int
    ) -> Iterable[bytes]:
        self._drain(environ)
        if self._log and self._log.wants(is_well=False):
            self.write(environ, refusal.status, 0.0, rss, refusal.reason)
        body = refusal_body(refusal)
        own = OwnAnswer(refusal.status, "application/json", body, refusal.retry_after_seconds)
        return _answered(start_response, own)

    def _drain(self, environ: Environ) -> None:
        most = self.guard.config.drain_bytes
        assert not isinstance(most, str)
        remaining, source = min(_body_bytes(environ), most), environ.get("wsgi.input")
        while remaining > 0 and source is not None:
            read = len(source.read(min(remaining, _CHUNK_BYTES)))
            if not read:
                return
            remaining -= read

    def ended(self, ticket: Ticket, response: _Response, error: BaseException | None) -> None:
        """A response is closed, or its request failed."""
        if isinstance(error, MemoryError):
            self.guard.refuse_until_well()
        status = response.status or 500
        has_failed = error is not None or status >= 500
        seconds = self.guard.finish(ticket, has_failed=has_failed)
        if self._log and self._log.wants(is_well=not has_failed):
            self.write(response.environ, status, seconds, response.rss_bytes, "")

    def write(self, environ: Environ, status: int, seconds: float, rss: int, refused: str) -> None:
        """Log a request."""
        assert self._log is not None
        self._log.write(
            RequestRecord(
                method=environ.get("REQUEST_METHOD", ""),
                path=environ.get("PATH_INFO", ""),
                status=status,
                milliseconds=round(seconds * 1e3, 3),
                rss_before=rss,
                rss_after=self.guard.rss_bytes(),
                in_flight=self.guard.in_flight,
                request_id=environ.get("HTTP_X_REQUEST_ID", ""),
                refused=refused,
            )
        )


class _Response:
    """The body of a response, which gives the ticket back when it is closed."""

    def __init__(
        self, owner: GuardWsgiMiddleware, ticket: Ticket, environ: Environ, rss_bytes: int
    ) -> None:
        self._owner = owner
        self._ticket = ticket
        self.environ = environ
        self.rss_bytes = rss_bytes
        self.status = 0
        self.body: Iterable[bytes] = ()
        self._has_ended = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self.body
        except Exception as error:
            self.end(error)
            raise

    def close(self) -> None:
        """Close the body, as servers do whatever has happened."""
        error: BaseException | None = None
        try:
            close = getattr(self.body, "close", None)
            if close is not None:
                close()
        except BaseException as raised:
            error = raised
            raise
        finally:
            self.end(error)

    def end(self, error: BaseException | None) -> None:
        """Give the ticket back, once."""
        if not self._has_ended:
            self._has_ended = True
            self._owner.ended(self._ticket, self, error)

    def __enter__(self) -> _Response:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _answered(start_response: StartResponse, answer: OwnAnswer) -> Iterable[bytes]:
    headers = [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body)))]
    if answer.retry_after_seconds:
        headers.append(("Retry-After", str(answer.retry_after_seconds)))
    start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
    return [answer.body]


def _body_bytes(environ: Environ) -> int:
    length = environ.get("CONTENT_LENGTH") or ""
    return int(length) if length.isdigit() else 0
