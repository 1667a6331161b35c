"""Octets that pass once, asked for by number, as readers of archives do; and a thread that reads ahead."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from queue import Queue
from threading import Event, Thread

from unmbox.sources import CHUNK, Source

BLOCK = 352 << 10
"""Octets that an unpacker gives at a time: what zlib's module makes room for in steps of 32, 64 and 256 KiB.

Each step waits for the interpreter's lock. Larger blocks gain nothing, and fall out of the caches.
"""
_WAITING = 3  # blocks between the two threads
_FAR = 1 << 20


class Flow:
    """The octets of a source from `offset` on, in order. `offset` is that of the next one."""

    def __init__(self, source: Source, offset: int = 0, *, piece: int = CHUNK) -> None:
        self.source = source
        self.offset = offset
        self._piece = piece
        self._chunks: Iterator[bytes] = source.chunks(offset, piece=piece)
        self._held: list[bytes] = []
        self._size = 0

    def peek(self, size: int) -> bytes:
        """The next octets, which stay; fewer than `size` only where the source ends before."""
        while self._size < size and (chunk := next(self._chunks, None)) is not None:
            self._held.append(chunk)
            self._size += len(chunk)
        if len(self._held) > 1:
            self._held = [b"".join(self._held)]
        return self._held[0][:size] if self._held else b""

    def take(self, size: int) -> bytes:
        """The next octets; fewer than `size` only where the source ends before."""
        data = self.peek(size)
        self._drop(len(data))
        return data

    def pieces(self, size: int | None = None) -> Iterator[bytes]:
        """The next `size` octets as they come, all that are left by default."""
        left = size
        while left is None or left > 0:
            if not self._held:
                chunk = next(self._chunks, None)
                if chunk is None:
                    return
                self._held, self._size = [chunk], len(chunk)
            piece = self._held[0] if left is None else self._held[0][:left]
            self._drop(len(piece))
            if left is not None:
                left -= len(piece)
            yield piece

    def skip(self, size: int) -> None:
        """Pass over the next octets."""
        if size - self._size > _FAR and self.source.seekable:
            self.close()
            self.offset += size
            self._held, self._size = [], 0
            self._chunks = self.source.chunks(self.offset, piece=self._piece)
            return
        for _ in self.pieces(size):
            pass

    def put_back(self, data: bytes) -> None:
        """Have these octets, which were the last to come, come again."""
        if data:
            self._held.insert(0, data)
            self._size += len(data)
            self.offset -= len(data)

    def close(self) -> None:
        """Let go of the source."""
        close = getattr(self._chunks, "close", None)
        if close:
            close()

    def _drop(self, size: int) -> None:
        self.offset += size
        self._size -= size
        while size:
            first = self._held[0]
            if size < len(first):
                self._held[0] = first[size:]
                return
            size -= len(first)
            del self._held[0]


class Rest(Source):
    """What is left of a stream whose first octets were looked at. `plain`: one read gives one chunk."""

    scheme = "stream"

    def __init__(self, source: Source, flow: Flow) -> None:
        self.name, self.uri, self.size, self.damage = source.name, source.uri, source.size, None
        self.single, self.group, self.beside = source.single, source.group, source.beside
        self._source_of = source
        self.plain = type(source) is Source
        self._flow = flow
        self._path = None

    @property
    def called(self) -> str:
        """Its name as far as it may tell what it is."""
        return self._source_of.called

    def chunks(self, start: int = 0, stop: int | None = None, *, piece: int = CHUNK) -> Iterator[bytes]:
        """The octets, once."""
        yield from self._flow.pieces(stop)
        self.damage = self._source_of.damage


def cut(blocks: Iterator[bytes], start: int, stop: int | None) -> Iterator[bytes]:
    """Chunks of the octets from `start` to `stop`, of blocks that begin at 0."""
    at = 0
    for block in blocks:
        end = at + len(block)
        first = max(0, start - at)
        last = len(block) if stop is None else min(len(block), stop - at)
        for index in range(first, last, CHUNK):
            yield block[index : min(last, index + CHUNK)]
        at = end
        if stop is not None and at >= stop:
            return


def ahead(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks, of which a thread makes the next ones while the caller is busy with the last.

    What the thread raises is raised here. It begins with the second block: what is small costs no thread.
    Whoever leaves off early closes the generator, which waits for the thread.
    """
    first = next(blocks, None)
    if first is None:
        return
    yield first
    process = os.getpid()
    waiting: Queue[bytes | BaseException | None] = Queue(_WAITING)
    stop = Event()

    def run() -> None:
        end: BaseException | None = None
        try:
            for block in blocks:
                waiting.put(block)
                if stop.is_set():
                    break
        except BaseException as error:
            end = error
        waiting.put(end)

    thread = Thread(target=run, name="unmbox-ahead", daemon=True)
    thread.start()
    ended = False
    try:
        while True:
            block = waiting.get()
            if block is None or isinstance(block, BaseException):
                ended = True
                if block is not None:
                    raise block
                return
            yield block
    finally:
        stop.set()
        # Where the interpreter is going away, or this is a fork, the thread will not say anything any more.
        if not sys.is_finalizing() and os.getpid() == process:
            while not ended:
                ended = not isinstance(waiting.get(), bytes)
            thread.join()
        with suppress(ValueError):
            close = getattr(blocks, "close", None)
            if close:
                close()
