"""What a request is expected to take at its peak, learned from those before it."""

from __future__ import annotations

from collections import deque

# Between two requests nothing is known of their peaks: room for what was not seen yet.
_MARGIN = 1.25
# The largest of so many counts. A trim makes what malloc retained grow again, so small ones since
# then do not take back a large one.
_REMEMBERED = 512
_REMEMBERED_BY_SIZE = 64
# Bodies below say nothing about what a byte of input takes.
_MIN_BODY_BYTES = 64 << 10


class ExpectedPeak:
    """Bytes that the next request may add, by the length of its body where that is known.

    Bodies count together where their lengths have the same power of two. A line through lengths
    and peaks was tried: what a small request happens to take, times a large body, is far too
    much. `given_bytes`: the peak by configuration; nothing is learned then.
    """

    def __init__(self, given_bytes: int | None = None) -> None:
        self._given = given_bytes
        self._peaks: deque[int] = deque(maxlen=_REMEMBERED)
        self._largest = 0
        # Whether a request was measured, or its peak given; read at each request.
        self.is_known = given_bytes is not None
        self._by_size: dict[int, deque[int]] = {}
        self._largest_of: dict[int, int] = {}

    @property
    def count(self) -> int:
        """How many measured ones are remembered."""
        return len(self._peaks)

    @property
    def bytes(self) -> int:
        """Of a request of unknown length; 0 while nothing is known."""
        return self._given if self._given is not None else round(self._largest * _MARGIN)

    def of(self, body_bytes: int) -> int:
        """Of a request with a body of so many bytes (0: unknown).

        A body of a length that was not seen yet counts as the largest.
        """
        most = self.bytes
        size = body_bytes.bit_length()
        if self._given is not None or body_bytes < _MIN_BODY_BYTES or size not in self._largest_of:
            return most
        alike = max(found for at, found in self._largest_of.items() if at <= size)
        return min(most, round(alike * _MARGIN))

    def learn(self, grown_bytes: int, together: int, body_bytes: int) -> None:
        """`together` requests grew memory by so much at most while one with this body was at work.

        Shares of what grew together are too small for the largest of them; those that were alone
        are exact, and the largest counts.
        """
        if self._given is not None:
            return
        share = max(grown_bytes, 0) // max(together, 1)
        leaves = self._peaks[0] if len(self._peaks) == _REMEMBERED else None
        self._peaks.append(share)
        self.is_known = True
        if share >= self._largest:
            self._largest = share
        elif leaves == self._largest:
            self._largest = max(self._peaks)
        if together == 1 and body_bytes >= _MIN_BODY_BYTES:
            size = body_bytes.bit_length()
            found = self._by_size.setdefault(size, deque(maxlen=_REMEMBERED_BY_SIZE))
            found.append(share)
            self._largest_of[size] = max(found)
