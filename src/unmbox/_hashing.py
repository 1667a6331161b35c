"""A thread that hashes while its caller parses: hashlib lets go of the interpreter for large pieces.

It pays where a processor has no instructions for SHA-256. Where it has, the other thread would wait longer
for the interpreter than it hashes.
"""

from __future__ import annotations

from queue import Queue
from threading import Thread
from time import perf_counter
from typing import Protocol

LARGE = 1 << 14
"""Octets from which a piece is worth the hop to the other thread: it costs as much as hashing some 2 KiB."""
_QUICK = 800e6  # octets a second: half of what the instructions give, twice of what is possible without
_TRIES = 3  # something may disturb one
_WAITING = 64  # pieces of a chunk each, so that a hash slower than the parser costs no memory


class Digest(Protocol):
    """What takes octets: a hash, or what holds one."""

    def update(self, data: bytes, /) -> None:
        """Take the next octets."""


class Hasher:
    """Feeds digests in the order of the calls, large pieces on a thread of its own, unless that is `quick`.

    The first large pieces tell. A digest is not complete before `wait`.
    """

    quick = False

    def __init__(self) -> None:
        self._queue: Queue[tuple[Digest, bytes] | None] = Queue(_WAITING)
        self._thread: Thread | None = None
        self._tries = _TRIES
        self._queued: set[Digest] = set()  # what pieces were queued for since the last `wait`

    def update(self, digest: Digest, data: bytes) -> None:
        """Have `digest` take `data` now, or after all that was queued for it before."""
        if self.quick or (len(data) < LARGE and digest not in self._queued):
            digest.update(data)
            return
        if self._tries and not self._queued:
            self._tries -= 1
            began = perf_counter()
            digest.update(data)
            self.quick = len(data) > _QUICK * (perf_counter() - began)
            return
        if self._thread is None:
            self._thread = Thread(target=self._run, name="unmbox-hasher", daemon=True)
            self._thread.start()
        self._queued.add(digest)
        self._queue.put((digest, data))

    def wait(self) -> None:
        """Return once all digests have taken all that they were given."""
        if self._queued:
            self._queue.join()
            self._queued.clear()

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            digest, data = work
            digest.update(data)
            self._queue.task_done()
