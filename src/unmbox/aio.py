"""The same machine under asyncio and trio (anyio): `convert`, `messages`, and what they take and give.

`convert` works on a thread of its own and `messages` a chunk at a time on one of the pool, so the loop stays
free meanwhile. Both are structured: nothing of them is left when they return, raise or are cancelled.
"""

from __future__ import annotations

import errno
import os
import sys
import time
import weakref
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, Union

if sys.version_info >= (3, 11):
    from typing import Unpack
else:
    from typing_extensions import Unpack  # which anyio brings along there

try:
    import anyio.lowlevel
except ImportError as error:
    raise ImportError("unmbox.aio needs anyio, which comes with: pip install 'unmbox[async]'") from error

from unmbox._block import Repair
from unmbox._bridge import Bridge, Stopped
from unmbox._convert import Options
from unmbox._convert import convert as convert_here
from unmbox._flows import (
    AsyncReadable,
    AsyncSink,
    AsyncTarget,
    Chunks,
    Inflow,
    Inlet,
    Outflow,
    is_async,
    is_async_sink,
    tell,
)
from unmbox._messages import Feed, PassingMessage, Stream
from unmbox._report import Progress, Report
from unmbox.errors import BodyGoneError, SourceError, UsageError
from unmbox.sinks import Sink
from unmbox.sources import CHUNK, SourceLike, SourcesLike

if TYPE_CHECKING:
    from email.message import EmailMessage

__all__ = ["AsyncSink", "AsyncTarget", "Message", "Messages", "convert", "messages"]

T = TypeVar("T")
_AT_ONCE = 1 << 20  # octets read in one hop to a thread, which costs as much as some 30 KiB
_GIVEN = 4 * CHUNK  # octets of a message that are made at a time
_SHORT = 1 << 14  # octets of a header block that is repaired sooner than a loop notices, whatever is in it
_TURN = 0.005  # seconds for which a loop may be kept busy, or a thread, if there is something to show for it
AsyncSourceLike = Union[SourceLike, AsyncReadable, AsyncIterable[bytes]]  # noqa: UP007  # a name in quotes is in it


async def convert(
    sources: SourcesLike | AsyncReadable | AsyncIterable[bytes] | Sequence[AsyncSourceLike],
    destination: str | os.PathLike[str] | Sink | AsyncSink,
    *,
    progress: Callable[[Progress], object] | None = None,
    concurrency: int = 8,
    **options: Unpack[Options],
) -> Report:
    """Convert mailboxes to EML files as `unmbox.convert` does, and leave the event loop free meanwhile.

    `sources` is one or several of what that takes, of things with ``await read(n)`` and of async iterables of
    bytes. `destination` is what that takes, or an `AsyncSink`, which gets up to `concurrency` EMLs at a time.
    `progress`, a function or coroutine function, is called in the loop. The `options` are those of
    `unmbox.convert`.

    Raises what that raises; what your source, sink or progress raises comes out as it is. A cancellation
    leaves what a kill leaves, so that the same call goes on from there; it takes effect once the thread has
    ended. Async generators that are given are closed; open files and streams stay open.
    """
    at_once: object = concurrency  # callers without a type checker give anything
    if not isinstance(at_once, int) or at_once < 1:
        raise UsageError(
            f"concurrency is how many EMLs are under way together, at least 1, not {concurrency!r}"
        )
    told: object = progress
    if told is not None and not callable(told):
        raise UsageError(f"progress is {told!r}: give a function or an async one")
    bridge = Bridge()
    tasks = anyio.create_task_group()
    flows: list[Inflow] = []

    def inward(source: Any) -> Any:
        if is_async(source):
            flows.append(Inflow(source, bridge, tasks))
            return flows[-1]
        return source

    given = [inward(source) for source in sources] if isinstance(sources, (list, tuple)) else inward(sources)
    flow = None
    if is_async_sink(destination):
        flow = Outflow(destination, bridge, concurrency=concurrency)  # type: ignore[arg-type]  # it is one
    into: Any = flow or destination

    def tick(at: Progress) -> None:
        bridge.check()
        if progress:
            bridge.ask(tell, progress, at)

    try:
        async with tasks:
            outcome = await bridge.run(partial(convert_here, given, into, progress=tick, **options))
            tasks.cancel_scope.cancel()
    finally:
        for each in flows:
            await each.close()
        if flow:
            await flow.close()
    return outcome.get()  # type: ignore[no-any-return]  # what `convert` gives


class Message(PassingMessage):
    """One message of a mailbox, while it passes; what reads the source is awaited.

    The header lives on. The body stays in the source until it is asked for: `raw`, `as_bytes` and
    `as_email` read it and keep it, `iter_bytes` reads it in passing. Once the next message was asked for, or
    the loop over the messages was left, a body that nobody had read is gone (`BodyGoneError`).
    """

    __slots__ = ()
    _stream: _Fed

    async def repairs(self) -> tuple[Repair, ...]:
        """What was normalised in the EML, or left alone and why.

        Reads and keeps the message if nothing has read it yet, and raises `BodyGoneError` where `raw` does.
        """
        if self._repairs is None:
            await self.as_bytes()
        return self._repairs or ()

    async def raw(self) -> bytes:
        """The message's octets as stored, unquoted: header block and body, without the From_ line.

        Raises `BodyGoneError` once the next message was asked for, unless the body was kept before.
        """
        for _ in self._keep():
            await self._stream.pull()
        return self._kept_raw()

    async def as_bytes(self) -> bytes:
        """The EML as `convert` would write it. Raises `BodyGoneError` as `raw` does."""
        for _ in self._keep():
            await self._stream.pull()
        return b"".join([piece async for piece in self.iter_bytes()])

    def iter_bytes(self) -> AsyncIterator[bytes]:
        """The same in pieces, so that a message of any size costs no more than a small one.

        Keeps nothing: a second call raises `BodyGoneError`, unless `raw` or `as_bytes` came first.
        """
        return _Pieces(self._pieces(), self._stream, in_loop=len(self.block) <= _SHORT)

    async def as_email(self) -> EmailMessage:
        """The EML, parsed by the standard library under its default policy."""
        from email import message_from_bytes, policy

        octets = await self.as_bytes()
        return await self._stream.work(
            lambda: message_from_bytes(octets, policy=policy.default), in_loop=len(octets) <= CHUNK
        )


class _Pieces(AsyncIterator[bytes]):
    """A message's pieces. No generator: one that is not run to its end would have to be closed."""

    def __init__(self, pieces: Iterator[bytes | None], stream: _Fed, *, in_loop: bool) -> None:
        self._pieces = pieces
        self._stream = stream
        self._in_loop = in_loop  # a header block that is this long can take long, too
        self._ready: deque[bytes] = deque()
        self._wants = self._ended = False

    async def __anext__(self) -> bytes:
        while not self._ready:
            if self._ended:
                raise StopAsyncIteration
            if self._wants:
                await self._stream.pull()
                self._wants = False
            await self._stream.work(self._get_on, in_loop=self._in_loop)
        return self._ready.popleft()

    def _get_on(self) -> None:
        octets = 0
        for piece in self._pieces:
            if piece is None:
                self._wants = True
                return
            self._ready.append(piece)
            octets += len(piece)
            if octets >= _GIVEN:
                return
        self._ended = True


class _Fed(Stream[Message]):
    """The stream of an async source; who feeds it is not kept alive by the messages that it gave."""

    def __init__(self, owner: Messages, **options: Any) -> None:
        super().__init__(Message, **options)
        self._owner = weakref.ref(owner)
        self._rested = time.monotonic()

    def close(self) -> None:
        """Forget what has come and is not read yet."""
        self._events.clear()
        self.ended, self._current = True, None

    async def pull(self) -> None:
        """Have it fed."""
        owner = self._owner()
        if owner is None or self.ended:
            raise BodyGoneError("the loop over the messages was left before this one was read")
        await owner.pull()

    async def work(self, function: Callable[[], T], *, in_loop: bool, bridge: Bridge | None = None) -> T:
        """Call `function`, in the loop if that is soon done, else in a thread, of `bridge` if given."""
        if not in_loop:
            outcome = await (bridge or Bridge()).run(function)
            self._rested = time.monotonic()
            return outcome.get()  # type: ignore[no-any-return]  # what it returns
        # What comes out of memory takes no time to wait for, but others want to run as well.
        if time.monotonic() - self._rested > _TURN:
            await anyio.lowlevel.checkpoint()
            self._rested = time.monotonic()
        else:
            await anyio.lowlevel.checkpoint_if_cancelled()
        return function()


class Messages(AsyncIterator[Message]):
    """The messages of a source in its order, for one task at a time; made by `messages`.

    Left before its end, it closes the source when it is let go of, which for ``async for`` is at once (in
    CPython), or for sure and in order with ``async with``. An async generator that was given is closed then,
    too; open files and streams that were given stay open.
    """

    def __init__(self, source: AsyncSourceLike, **options: Any) -> None:
        self._feed: Feed | None = None
        self._inlet: Inlet | None = None
        self._stream = _Fed(self, **options)
        self._source: Any = source
        if is_async(source):
            self._source = self._inlet = Inlet(source)
        self._broken = False
        self._failure: Exception | None = None

    async def __anext__(self) -> Message:
        stream = self._stream
        while (message := await stream.work(stream.next_message, in_loop=True)) is None:
            if stream.ended:
                raise StopAsyncIteration
            await stream.pull()
        return message

    async def __aenter__(self) -> Messages:  # noqa: PYI034  # typing.Self is of 3.11
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the source. Closing twice does no harm."""
        if source := self._let_go():
            await source.aclose()

    def __del__(self) -> None:
        self._let_go()

    def _let_go(self) -> Chunks | None:
        """Close what can be closed without waiting; returns the rest."""
        if stream := getattr(self, "_stream", None):  # unless it never came to be
            stream.close()
        if self._feed:
            self._feed.close()
        return self._inlet.release() if self._inlet else None

    async def pull(self) -> None:
        """Have more of the source fed."""
        if self._broken:
            raise SourceError(errno.EIO, "the source was cut off before, and cannot be read on")
        self._broken = True
        bridge = Bridge()
        soon = False
        try:
            if self._inlet:
                await self._inlet.fetch()
                self._inlet.bridge = bridge
                # A small piece of a plain mailbox is parsed sooner than a thread begins.
                plain = self._feed is not None and getattr(self._feed.source, "plain", False)
                soon = plain and len(self._inlet.held) <= CHUNK
            await self._stream.work(self._read, in_loop=soon, bridge=bridge)
        except (Exception, anyio.get_cancelled_exc_class()):
            # If it cannot be read on, it is closed now, and not only once somebody lets go of us.
            if self._broken and self._inlet and (source := self._inlet.release()):
                await source.give_up()
            raise

    def _read(self) -> None:
        """Read on, several chunks for one hop unless they are slow to come."""
        began, octets = time.monotonic(), 0
        if self._feed is None:
            self._feed = Feed(self._source)
        if self._failure:
            raise self._failure
        while True:
            try:
                octets += self._feed.pull(self._stream)
            except Exception as error:
                if not octets or isinstance(error, Stopped):  # where we are cancelled, there is no going on
                    raise
                self._failure = error  # what came before it can be read still
                break
            at_hand = self._inlet is None or self._inlet.held
            done = self._stream.ended or octets >= _AT_ONCE or time.monotonic() - began > _TURN
            if done or (octets and not at_hand):
                break
        self._broken = False


def messages(
    source: AsyncSourceLike,
    *,
    headers: str = "repair",
    newline: str = "crlf",
    variant: str = "auto",
    repair_signed: bool = False,
    locale: str | None = None,
) -> Messages:
    """Read a mailbox message by message as `unmbox.messages` does, and leave the event loop free meanwhile.

    `source` is what that takes, or has ``await read(n)``, or is an async iterable of bytes. Asking for the
    next message discards what was left unread of the last. The options are those of `convert`.

    Raises `UsageError` for an unknown option, at once. While it is read: `SourceError` where that fails, or
    is to go on after it failed; what your own source raises comes out as it is.
    """
    return Messages(
        source,
        headers=headers,
        newline=newline,
        variant=variant,
        repair_signed=repair_signed,
        locale=locale,
    )
