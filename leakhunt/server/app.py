"""The reports of a folder for a browser, by HTTP on this machine alone."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextvars import copy_context
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from leakhunt.errors import LeakhuntError, UsageError
from leakhunt.reporting.index.page import content_security_policy, render_index, render_message
from leakhunt.server.catalog import ReportNotFound, Shelf
from leakhunt.text.language import mark, tr
from leakhunt.text.message import message
from leakhunt.text.system import system_text

# A connection that says nothing for so long is closed.
SILENT_SECONDS = 30
# By these names alone is this server asked for; a page from elsewhere that has its own name point
# to this machine (DNS rebinding) asks by that one.
OWN_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".xml": "application/xml",
    ".csv": "text/csv; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
}
# A report may come from a stranger: it may look as it likes, but ask for nothing from anywhere.
_REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';"
    " img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'; sandbox allow-scripts allow-popups allow-downloads"
)

# What pages that say no are called.
PHRASES = (
    mark("Not Found"),
    mark("Method Not Allowed"),
    mark("Misdirected Request"),
    mark("Unprocessable Entity"),
)


def serve(shelf: Shelf, port: int, ready: Callable[[str], None]) -> None:
    """Hand out the reports of a shelf until an interrupt; `ready` is given the address.

    Port 0 is one that is free. Listens on this machine alone and writes nothing.

    Raises:
        UsageError: the port cannot be had.
    """
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as running:
        servers = [running.enter_context(each) for each in _servers(shelf, port)]
        ready(f"http://127.0.0.1:{servers[0].server_port}/")
        for server in servers[1:]:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            running.callback(server.shutdown)
        servers[0].serve_forever()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[_Handler]) -> None:
        super().__init__(address, handler)
        self._context = copy_context()

    def server_bind(self) -> None:
        """Without HTTPServer's look-up of this machine's name, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, which speaks as the one that made the server."""
        self._context.copy().run(super().finish_request, request, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """A reader who goes away is no news; anything else is a fault of ours, and is told."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Server6(_Server):
    address_family = socket.AF_INET6


def _servers(shelf: Shelf, port: int) -> Iterator[_Server]:
    """One on 127.0.0.1, and where there is such, one on ::1 at the same port.

    Raises:
        UsageError: the port cannot be had.
    """
    try:
        first = _Server(("127.0.0.1", port), _handler(shelf))
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = message("serve.port-in-use", "already in use") if taken else system_text(error)
        raise UsageError(
            message(
                "serve.port",
                "--port {port}: {reason}. Choose another port, or remove --port",
                port=port,
                reason=reason,
            )
        ) from error
    yield first
    with contextlib.suppress(OSError):  # no IPv6 here, or somebody else has that port on it
        yield _Server6(("::1", first.server_port), _handler(shelf))


def _handler(shelf: Shelf) -> type[_Handler]:
    return type("Handler", (_Handler,), {"shelf": shelf})


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for the listing and for the files of reports."""

    shelf: Shelf
    protocol_version = "HTTP/1.1"
    timeout = SILENT_SECONDS

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _refuse(self) -> None:
        self.close_connection = True  # what it sends along is not read
        self._message(HTTPStatus.METHOD_NOT_ALLOWED, tr("this server only answers GET and HEAD"))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = _refuse  # noqa: N815

    def _answer(self) -> None:
        try:
            self._answer_or_fail()
        except OSError:
            raise  # nobody reads the answer
        except Exception as error:  # one report that we cannot render is not the end of the others
            traceback.print_exc()
            text = tr("cannot be shown ({name}); see the terminal", name=type(error).__name__)
            self._message(HTTPStatus.INTERNAL_SERVER_ERROR, text)

    def _answer_or_fail(self) -> None:
        if not self._is_own_host():
            self._message(HTTPStatus.MISDIRECTED_REQUEST, tr("unknown host name"))
            return
        path = self.path.partition("?")[0]
        if path == "/":
            page = render_index(self.shelf.listing(), str(self.shelf.root))
            self._send(HTTPStatus.OK, _TYPES[".html"], page, content_security_policy())
            return
        start, *parts = map(unquote_to_bytes, path.removeprefix("/").split("/"))
        try:
            if start != b"reports" or not parts:
                raise ReportNotFound(message("serve.page-not-found", "page not found"))
            *place, last = parts
            name = os.fsdecode(last)
            document = self.shelf.read(place, name)
        except ReportNotFound as error:
            self._message(HTTPStatus.NOT_FOUND, str(error))
        except LeakhuntError as error:
            text = str(error).replace(f"{self.shelf.root}{os.sep}", "")
            self._message(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                tr("The report cannot be rendered: {told}", told=text),
            )
        else:
            kind = _TYPES.get(Path(name).suffix, "application/octet-stream")
            self._send(HTTPStatus.OK, kind, document, _REPORT_POLICY)

    def _is_own_host(self) -> bool:
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1:
            return False
        try:
            name = urlsplit(f"//{hosts[0]}")
            port = name.port
        except ValueError:
            return False
        bare = hosts[0].removesuffix(f":{port}") if port is not None else hosts[0]
        return bare.lower() in OWN_NAMES

    def _message(self, status: HTTPStatus, text: str) -> None:
        self._send(status, _TYPES[".html"], render_message(tr(status.phrase), text), _REPORT_POLICY)

    def _send(self, status: HTTPStatus, kind: str, document: bytes, policy: str) -> None:
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(document))),
            ("Content-Security-Policy", policy),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ):
            self.send_header(name, value)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(document)

    def version_string(self) -> str:
        """No more than its name."""
        return "leakhunt"

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - named by the base
        """Nothing is said of requests."""
