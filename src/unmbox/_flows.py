"""What flows between an event loop and the thread of a `Bridge`: an async source's octets in, EMLs out."""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable
from contextlib import suppress
from queue import SimpleQueue
from time import monotonic, sleep
from typing import Any, Protocol

import anyio.lowlevel
from anyio.abc import TaskGroup

from unmbox._bridge import Bridge, Stopped
from unmbox._destination import check_target
from unmbox._turns import PAUSE
from unmbox.errors import UsageError
from unmbox.sinks import Dated
from unmbox.sources import CHUNK

READ = 16 * CHUNK
"""Octets asked of an async file at a time: each read is a hop to a thread of its own."""
_WINDOW = 2 * READ  # octets that wait for the thread before the source has to
_GATHERED = 1 << 20  # octets of one EML that are gathered before an async target gets them
_TURN = 0.005  # seconds for which a source that has its chunks at hand may keep the loop
_GRACE = 10.0  # seconds that an async target has to discard what it holds, if all is cancelled


class AsyncReadable(Protocol):
    """Anything with ``await read(n)``: an aiofiles or anyio file, an `asyncio.StreamReader`, an upload."""

    async def read(self, size: int, /) -> bytes:
        """Return at most `size` octets, none at the end."""


def is_async(source: object) -> bool:
    """Whether it takes an event loop to read the source."""
    if isinstance(source, os.PathLike):
        return False
    if read := getattr(source, "read", None):
        return inspect.iscoroutinefunction(read) or hasattr(source, "__aiter__")
    return hasattr(source, "__aiter__")


class Chunks:
    """The octets of an async source, chunk by chunk."""

    def __init__(self, source: Any) -> None:
        # What has both is a file, and iterates over lines.
        self.name = str(getattr(source, "name", "stream")) if hasattr(source, "read") else "stream"
        self._read = getattr(source, "read", None)
        self._chunks: Any = None if self._read else aiter(source)
        # An iterator that stands for its source is ours to close; an open file or stream is its owner's.
        self._ours = inspect.isasyncgen(self._chunks) or self._chunks is not source
        self._rested = monotonic()

    async def next(self) -> bytes:
        """The next chunk, none at the end."""
        while True:
            # What has its chunks at hand never waits. Short ones, such as lines, are many in a window.
            if monotonic() - self._rested > _TURN:
                await anyio.lowlevel.checkpoint()
                self._rested = monotonic()
            chunk: object = await (self._read(READ) if self._read else anext(self._chunks, self))
            if chunk is self:  # which no source gives
                return b""
            if not isinstance(chunk, (bytes, bytearray, memoryview)):
                hint = ": open it in binary mode" if isinstance(chunk, str) else ""
                raise UsageError(f"the source gives {type(chunk).__name__}, not bytes{hint}")
            if chunk or self._read:
                return bytes(chunk)

    async def aclose(self) -> None:
        """Close the iterator, as far as it is ours."""
        close = getattr(self._chunks, "aclose", None)
        if close and self._ours:
            await close()

    async def give_up(self) -> None:
        """Close it also where all is cancelled, if that does not take long. Raises nothing."""
        with anyio.move_on_after(_GRACE, shield=True), suppress(Exception):
            await self.aclose()


class Inflow:
    """An async source as a file for the thread: a task reads ahead, up to a window, while the thread works.

    `read` is called in the thread, everything else in the loop.
    """

    def __init__(self, source: object, bridge: Bridge, tasks: TaskGroup) -> None:
        self._source = Chunks(source)
        self.name = self._source.name
        self._bridge = bridge
        self._tasks = tasks
        self._queue: SimpleQueue[bytes | BaseException] = SimpleQueue()  # no octets: the end
        self._begun = False
        self._end: bytes | BaseException | None = None
        self._held = memoryview(b"")  # taken, and not yet given
        # Each is written by one side only.
        self._sent = 0
        self._taken = 0
        self._full = False
        self._room = anyio.Event()

    def read(self, size: int, /) -> bytes:
        """Up to `size` octets; waits only while there are none. Raises what the source raised."""
        self._bridge.check()
        if not self._begun:
            self._begun = True
            self._bridge.when_stopped(lambda: self._queue.put(Stopped()))
            self._bridge.ask(self._start)
        if not self._held:
            taken = self._take(size)
            if len(taken) <= size:
                return taken
            self._held = memoryview(taken)
        given, self._held = self._held[:size], self._held[size:]
        return bytes(given)

    def _take(self, size: int) -> bytes:
        pieces: list[bytes] = []
        octets = 0
        ran_dry = self._queue.empty()
        while self._end is None and octets < size and not (pieces and self._queue.empty()):
            item = self._queue.get()
            if ran_dry:
                self._let_fill()
                ran_dry = False
            if isinstance(item, bytes) and item:
                pieces.append(item)
                octets += len(item)
            else:
                self._end = item
        if not pieces and isinstance(self._end, BaseException):
            raise self._end
        self._taken += octets
        if self._full and self._sent - self._taken <= _WINDOW // 2:
            self._full = False
            self._bridge.post(self._room.set)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _let_fill(self) -> None:
        """Wait as long as chunks come at once, until the window is full.

        The loop is awake and has them at hand; to win the interpreter's lock from it after each one, and to
        lose it again, would cost both more than the chunk does.
        """
        waiting = -1
        while (now := self._queue.qsize()) > waiting:
            waiting = now
            sleep(PAUSE)

    async def _start(self) -> None:
        self._tasks.start_soon(self._carry)

    async def close(self) -> None:
        """Close a source that was never begun; `_carry` does it for the others."""
        if not self._begun:
            self._begun = True
            await self._source.give_up()

    async def _carry(self) -> None:
        """Read the source to its end, no faster than the thread takes it."""
        try:
            while chunk := await self._source.next():
                self._sent += len(chunk)
                self._queue.put(chunk)
                while self._sent - self._taken > _WINDOW:
                    self._room = anyio.Event()
                    self._full = True
                    if self._sent - self._taken > _WINDOW // 2:  # or the thread may not have seen it
                        await self._room.wait()
            self._queue.put(b"")
        except anyio.get_cancelled_exc_class() as error:
            self._queue.put(error)
            raise
        except BaseException as error:
            self._queue.put(error)
        finally:
            with suppress(Exception):  # what ended us is what the caller has to hear of
                await self._source.aclose()


class Inlet:
    """An async source as a file for one thread after the other, each with a bridge of its own.

    Nothing is read ahead: `fetch` has a chunk ready before there is a thread, and what a thread wants beyond
    that it asks for.
    """

    bridge: Bridge

    def __init__(self, source: object) -> None:
        self._source: Chunks | None = Chunks(source)
        self.name = self._source.name
        self.held = memoryview(b"")
        self._ended = False

    async def fetch(self) -> None:
        """Hold a chunk, unless the source has ended."""
        if not self.held and not self._ended:
            self.held = memoryview(await self._source.next() if self._source else b"")
            self._ended = not self.held

    def read(self, size: int, /) -> bytes:
        """Up to `size` octets."""
        if not self.held and not self._ended:
            self.bridge.ask(self.fetch)
        given, self.held = self.held[:size], self.held[size:]
        return bytes(given)

    def release(self) -> Chunks | None:
        """Forget the source, and hand it over to be closed."""
        source, self._source = self._source, None
        return source


class AsyncTarget(Protocol):
    """One EML in the making, in an async sink. It exists for others only after `commit`."""

    async def write(self, data: bytes, /) -> None:
        """Add octets at the end."""

    async def commit(self, name: str, /) -> None:
        """The EML is whole: give it its name, a relative path with "/" between folders."""

    async def discard(self) -> None:
        """Forget the EML."""


class AsyncSink(Protocol):
    """A place for EMLs that is written to with `await`, such as a store on a network.

    EMLs come in the order of the sources, but for those of more than 1 MiB, which come before the short ones
    that wait for their batch. Several may be under way at a time, each in a task of its own.
    """

    async def open(self, message: Dated, /) -> AsyncTarget:
        """A target for this message."""


class Outflow:
    """An async sink as one for the thread: a batch's EMLs are handed to the loop together."""

    def __init__(self, sink: AsyncSink, bridge: Bridge, *, concurrency: int) -> None:
        self.sink = sink
        self.bridge = bridge
        self.open_targets: set[OutTarget] = set()
        self._concurrency = concurrency
        self._ready: list[OutTarget] = []

    def open(self, message: Dated, /) -> OutTarget:
        """A target, with nothing behind it yet."""
        return OutTarget(self, message)

    def add(self, target: OutTarget) -> None:
        """Have `settle` write this EML, which is whole."""
        self._ready.append(target)

    def settle(self) -> None:
        """Return once all EMLs that are whole are where they belong."""
        ready, self._ready = self._ready, []
        if ready:
            self.bridge.ask(self._write, ready)

    async def close(self) -> None:
        """Discard what was begun and not finished."""
        for target in list(self.open_targets):
            await target.give_up()

    async def _write(self, ready: list[OutTarget]) -> None:
        waiting = iter([target for target in ready if not target.begun])
        failures: list[BaseException] = []

        async def work() -> None:
            for target in waiting:
                try:
                    await target.finish()
                except BaseException as error:  # raised below, in no group
                    failures.append(error)
                    group.cancel_scope.cancel()
                    # A sink may raise this by itself, where something that it waits for was cancelled. A
                    # group takes it for its own and ends without a word, as if all were written.
                    if isinstance(error, anyio.get_cancelled_exc_class()):
                        raise

        async with anyio.create_task_group() as group:
            for _ in range(min(self._concurrency, len(ready))):
                group.start_soon(work)
        if failures:
            raise failures[0]
        for target in ready:
            if target.begun:  # by this task, which should end it
                await target.finish()


class OutTarget:
    """One EML for an `Outflow`: kept in memory until it is whole, or until it is long."""

    def __init__(self, flow: Outflow, message: Dated) -> None:
        self._flow = flow
        self._message = message
        self._parts: list[bytes] = []
        self._size = 0
        self._name = ""
        self._target: AsyncTarget | None = None

    @property
    def begun(self) -> bool:
        """Whether there is a target behind it, which is not finished."""
        return self._target is not None

    # -- in the thread -------------------------------------------------------------------------------

    def write(self, data: bytes, /) -> None:
        """Add octets; a long EML waits here until the async target has taken them."""
        self._parts.append(data)
        self._size += len(data)
        if self._size >= _GATHERED:
            self._flow.bridge.ask(self._pour)

    def commit(self, name: str, /) -> None:
        """Have the EML written under this name before the batch counts as done."""
        self._name = name
        self._flow.add(self)

    def discard(self) -> None:
        """Forget the EML, unless it is finished."""
        self._parts.clear()
        if self.begun:
            self._flow.bridge.ask(self.give_up)

    # -- in the loop ---------------------------------------------------------------------------------

    async def finish(self) -> None:
        """Write what is left and give the EML its name."""
        try:
            target = await self._pour()
            await _awaited(target, "commit", self._name)
        except BaseException:
            await self.give_up()
            raise
        self._leave()

    async def give_up(self) -> None:
        """Discard what the async target has; also where all is cancelled, if that does not take long."""
        if target := self._leave():
            with anyio.move_on_after(_GRACE, shield=True), suppress(Exception):
                await target.discard()

    async def _pour(self) -> AsyncTarget:
        if self._target is None:
            target = await self._flow.sink.open(self._message)
            check_target(target)
            self._target = target
            self._flow.open_targets.add(self)
        octets, self._size = b"".join(self._parts), 0
        self._parts.clear()
        if octets:
            await _awaited(self._target, "write", octets)
        return self._target

    def _leave(self) -> AsyncTarget | None:
        target, self._target = self._target, None
        self._flow.open_targets.discard(self)
        return target


async def _awaited(target: AsyncTarget, method: str, argument: object) -> None:
    done = getattr(target, method)(argument)
    if not inspect.isawaitable(done):
        raise UsageError(f"the sink's open() is async, and so {method}() has to be: define it with async def")
    await done


def is_async_sink(destination: object) -> bool:
    """Whether the destination is a sink that is written to with `await`."""
    opens = getattr(destination, "open", None)  # anyio's paths have one as well
    return inspect.iscoroutinefunction(opens) and not isinstance(destination, os.PathLike)


async def tell(progress: Any, at: object) -> None:
    """Call a user's function or coroutine function."""
    done: Awaitable[object] | None = progress(at)
    if inspect.isawaitable(done):
        await done
