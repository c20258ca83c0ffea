"""A service of the standard library, for soaks: ``small_service.py PORT MODE``."""

from __future__ import annotations

import ctypes
import random
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from leakhunt import agent

ANSWER = b'{"segments": []}'
_M_MMAP_THRESHOLD = -3
KEPT: list[bytearray] = []
OBJECTS: list[list[bytearray]] = []


class Node:
    """One end of a pair that refer to each other."""

    def __init__(self, size: int = 0) -> None:
        self.payload = bytearray(size)
        self._other: Node | None = None

    @property
    def other(self) -> Node | None:
        """The other end."""
        return self._other

    @other.setter
    def other(self, node: Node) -> None:
        self._other, node._other = node, self


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mode = ""

    def do_GET(self) -> None:
        self._answer(200, b'{"status": "ok", "weights": "none at all", "size": 3}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.mode == "keeps":
            KEPT.append(bytearray(100_000))
        if self.mode == "keeps objects":
            OBJECTS.append([bytearray(60) for _ in range(200)])
        if self.mode == "keeps much":
            KEPT.append(bytearray(4_000_000))
        if self.mode == "leaves cycles":
            for _ in range(1_500):
                Node().other = Node(100)
        if self.mode == "works":  # holds a lot for a while, and keeps a little of it
            body = b"." * random.randrange(1 << 18, 2 << 20)
            time.sleep(0.01)
            KEPT.append(bytearray(body[:4096]))
        if self.mode == "leaves":
            sys.stderr.write("leaving\n")
            import os

            os._exit(5)
        if self.mode == "fails":
            self._answer(500, b"no")
        elif self.mode == "lies":
            self._answer(200, b"something else")
        else:
            self._answer(200, ANSWER)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Nothing: a log would grow."""


def main() -> None:
    port, Service.mode = int(sys.argv[1]), sys.argv[2]
    if Service.mode == "works":
        Service.wbufsize = -1  # an answer is one packet: no delayed acknowledgement is waited for
        # What a request holds goes back to the kernel: the threshold would rise with what is freed.
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 17)
    if "outside" not in sys.argv:
        agent.listen()
    ThreadingHTTPServer(("127.0.0.1", port), Service).serve_forever()


if __name__ == "__main__":
    main()
