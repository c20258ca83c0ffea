"""A service with a base, a bounded cache and a peak in each request: ``peak_service.py PORT``."""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from zlib import crc32

MODEL = bytearray(b"m") * (96 << 20)
CACHE: OrderedDict[int, bytearray] = OrderedDict()
CACHE_ENTRIES = 100
ENTRY_BYTES = 200_000
# A request takes so many times its body, for as long as it is computed.
COPIES = 6
SECONDS = 0.02


class PeakService(BaseHTTPRequestHandler):
    """Answers each recording with its length."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """That it is ready."""
        self._answer(b'{"status": "ok"}')

    def do_POST(self) -> None:
        """Read the body, compute with copies of it, remember a result."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        retained = [body + bytes([number]) for number in range(COPIES)]
        time.sleep(SECONDS)
        CACHE[crc32(body) + time.monotonic_ns() % 400] = bytearray(ENTRY_BYTES)
        while len(CACHE) > CACHE_ENTRIES:
            CACHE.popitem(last=False)
        self._answer(b'{"segments": [], "copies": %d}' % len(retained))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Nothing: a log would grow."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), PeakService).serve_forever()
