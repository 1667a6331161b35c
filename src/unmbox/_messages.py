"""`messages()`: a mailbox as an iterator of `Message`, in the order of the file and in constant memory."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar
from weakref import ref

from unmbox._block import Repair
from unmbox._block_charset import BODY
from unmbox._head import MessageHead, settle_raw8, unclear_in
from unmbox._opened import Opened
from unmbox._parser import Parser
from unmbox._report import Damage
from unmbox._single import parser_for
from unmbox._writer import EmlWriter
from unmbox.errors import BodyGoneError, SourceError
from unmbox.events import Body, End, Event, Head, HeadRest
from unmbox.labels import Beside
from unmbox.sources import Source, SourceLike

if TYPE_CHECKING:
    from email.message import EmailMessage


class PassingMessage(MessageHead):
    """One message of a mailbox, while it passes; how more of the source is read is for those below to say.

    Where that is needed, a generator here gives None: the stream has to be fed before it goes on.
    """

    __slots__ = ("__weakref__", "_head", "_kept", "_repairs", "_stream", "_touched", "length")

    def __init__(self, head: Head, stream: Stream[Any]) -> None:
        super().__init__(head, stream.name, stream.beside, stream.locale)
        self.length: int | None = None
        """Octets of the source from `offset` to the next From_ line, once the message has been read."""
        self._head = head
        self._stream = stream
        self._kept: list[Event] | None = None
        self._repairs: tuple[Repair, ...] | None = None
        self._touched = False

    def _pieces(self) -> Iterator[bytes | None]:
        """The EML, from what was kept or in passing."""
        writer = self._stream.writer()
        for event in self._kept or self._passing():
            if event is None:
                yield None
            elif piece := writer.send(event):
                yield piece
        self._repairs = writer.repairs

    def _keep(self) -> Iterator[None]:
        """Keep the whole message, unless it is kept already."""
        if self._kept is None:
            kept = []
            for event in self._passing():
                if event is None:
                    yield None
                else:
                    kept.append(event)
            self._kept = kept
            _let_go(self)

    def _kept_raw(self) -> bytes:
        """The octets as stored, of a message that is kept."""
        return b"".join(event.data for event in self._kept or () if isinstance(event, (Head, HeadRest, Body)))

    def _passing(self) -> Iterator[Event | None]:
        """The message's events from its `Head` to its `End`, once."""
        stream = self._stream
        if self._touched or stream.current is not self:
            state = "was read in pieces" if self._touched else "was passed without being read"
            raise BodyGoneError(
                f"the body of the message at octet {self.offset} of {self.source} {state}: "
                "ask for raw or as_bytes() first, while the message is the current one"
            )
        self._touched = True
        yield self._head
        while stream.current is self:
            event = stream.next_event()
            if isinstance(event, End):
                self.length = event.length
                yield event
                return
            yield event
        raise BodyGoneError("the next message was asked for while this one was still being read")


def _let_go(message: PassingMessage) -> None:
    """Need no more of the source: the message has passed, or is kept."""
    message._stream = message._stream.past  # noqa: SLF001  # ours


M = TypeVar("M", bound=PassingMessage)


class _Mark(NamedTuple):
    """What stands among the events between two sources: the name of the next, or why there is none."""

    name: str
    beside: Callable[[bytes, bytes], Beside | None] | None = None
    error: SourceError | None = None


class Stream(Generic[M]):
    """The events of sources, and which message they belong to. It is fed, and reads nothing itself.

    `variant` is as for `Parser`, `options` are those of `EmlWriter`.
    """

    def __init__(self, new: Callable[[Head, Any], M], *, variant: str, **options: Any) -> None:
        self.name = ""
        self.past: Any = self
        """What a message has in this one's place once it needs no more of the source."""
        self.beside: Callable[[bytes, bytes], Beside | None] | None = None
        self._current: ref[M] | None = None  # no cycle: a source is closed as soon as nobody has use for it
        self.ended = False
        self._new = new
        self._options = options
        self.locale = options.get("locale")
        self._variant = variant
        self._parser = Parser(variant=variant)
        self._events: deque[Event | _Mark] = deque()
        # A message whose raw octets the body may explain, and what has come of it for that.
        self._waiting: M | None = None
        self._ahead: deque[Event | _Mark] = deque()
        self._octets = 0
        self.writer()  # a bad option is an error now, not at the first message

    @property
    def current(self) -> M | None:
        """The message whose body may be read, if somebody still has it."""
        return self._current() if self._current else None

    def writer(self) -> EmlWriter:
        """A writer for one message."""
        return EmlWriter(**self._options)

    def begin(self, source: Source) -> None:
        """What is fed from now on is this source's."""
        self._events.append(_Mark(source.name, source.beside))
        self._parser = parser_for(single=source.single, variant=self._variant)

    def feed(self, chunk: bytes) -> None:
        """Take the next octets of the source; none at all say that it has ended."""
        self._events += self._parser.feed(chunk) if chunk else self._parser.close()

    def next_event(self) -> Event | None:
        """The next event that has come; None if the stream has to be fed first, or has ended."""
        while self._events:
            event = self._events.popleft()
            if not isinstance(event, _Mark):
                return event
            if event.error:
                raise event.error
            self.name, self.beside = event.name, event.beside
        return None

    def end(self, error: SourceError | None) -> None:
        """Say that there is no more to come; an error is raised behind the last message."""
        self.ended = True
        if error:
            self._events.append(_Mark("", error=error))

    def next_message(self) -> M | None:
        """The next message whose head has come, without what is left unread of the last; None as above."""
        while not self._waiting and (event := self.next_event()):
            if isinstance(event, Head):
                message = self._new(event, self)
                if unclear_in(message):
                    self._current, self._waiting = None, message
                    break
                self._current = ref(message)
                return message
            if isinstance(event, End) and (current := self.current):
                current.length = event.length
        if self._waiting and self._has_body():
            message, self._waiting = self._waiting, None
            bodies = (event.data for event in self._ahead if isinstance(event, Body))
            settle_raw8(message, b"".join(bodies))
            self._events.extendleft(reversed(self._ahead))
            self._ahead.clear()
            self._octets = 0
            self._current = ref(message)
            return message
        if self.ended:
            self._current = None
        return None

    def _has_body(self) -> bool:
        """Whether as much has come of the waiting message's body as may tell its charset."""
        while self._events and self._octets < BODY:
            event = self._events[0]
            if isinstance(event, (Head, _Mark)):
                return True
            self._ahead.append(event)
            self._events.popleft()
            if isinstance(event, Body):
                self._octets += len(event.data)
            elif isinstance(event, End):
                return True
        return self.ended or self._octets >= BODY


class Feed:
    """What was given as a source, to be read into a stream."""

    def __init__(self, given: SourceLike) -> None:
        self._opened = Opened(given, one=True)
        self._sources = iter(self._opened)
        self.source: Source | None = None
        self._chunks: Iterator[bytes] | None = None
        self._damaged: list[Damage] = []
        self._broken = False

    def pull(self, stream: Stream[Any]) -> int:
        """Read on by one chunk, or to the next of the sources; returns how many octets came.

        Where that has failed it is `SourceError` from there on: what came must not pass for a whole message.
        """
        if self._broken:
            raise SourceError(errno.EIO, "the source was cut off before, and cannot be read on")
        self._broken = True
        chunk = b""
        if self._chunks is None:
            self._open_next(stream)
        else:
            chunk = next(self._chunks, b"")
            stream.feed(chunk)
            if not chunk:
                self._chunks = None
                if self.source and self.source.damage:
                    self._damaged.append(self.source.damage)
        self._broken = False
        return len(chunk)

    def close(self) -> None:
        """Let go of what is open."""
        for each in (self._chunks, self._sources):
            if close := getattr(each, "close", None):
                close()

    def _open_next(self, stream: Stream[Any]) -> None:
        """Go on with the next source; where there is none end the stream, with an error if some was bad."""
        self.source = source = next(self._sources, None)
        if source is not None:
            stream.begin(source)
            self._chunks = source.chunks()
            return
        error = None
        damaged = [*self._damaged, *self._opened.damaged]
        if damaged:
            more = f" (and {len(damaged) - 1} more)" if len(damaged) > 1 else ""
            error = SourceError(errno.EIO, f"damaged: {damaged[0]}{more}", offset=damaged[0].offset)
        stream.end(error)


class Message(PassingMessage):
    r"""One message of a mailbox, while it passes.

    The header lives on. The body stays in the source until it is asked for: `raw`, `as_bytes` and
    `as_email` read it and keep it, `iter_bytes` reads it in passing. Once the next message was asked for,
    a body that nobody had read is gone (`BodyGoneError`).

    `source` names where it was read, `offset` is that of its From_ line there; `block` and `from_line` are
    the octets of its header block and of that line. Decoded text never fails: what no charset explains
    comes as surrogate escapes (PEP 383).

    >>> message = next(unmbox.messages("All mail.mbox"))
    >>> message["To"], message.envelope.date.isoformat(), message["Reply-To"]
    ('佐藤 花子 <hanako.sato@example.jp>', '2019-03-19T09:13:51+00:00', None)
    >>> message.raw[:16], message.as_bytes().count(b"\r\n"), message.repairs
    (b'X-GM-THRID: 1629', 27, ())
    """

    __slots__ = ()
    _stream: _Reading

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """What was normalised in the EML, or left alone and why.

        Reads and keeps the message if nothing has read it yet, and raises `BodyGoneError` where `raw` does.
        """
        if self._repairs is None:
            self.as_bytes()
        return self._repairs or ()

    @property
    def raw(self) -> bytes:
        """The message's octets as stored, unquoted: header block and body, without the From_ line.

        Raises `BodyGoneError` once the next message was asked for, unless the body was kept before.
        """
        for _ in self._keep():
            self._stream.pull()
        return self._kept_raw()

    def as_bytes(self) -> bytes:
        """The EML as `convert` would write it. Raises `BodyGoneError` as `raw` does."""
        for _ in self._keep():
            self._stream.pull()
        return b"".join(self.iter_bytes())

    def iter_bytes(self) -> Iterator[bytes]:
        """The same in pieces, so that a message of any size costs no more than a small one.

        Keeps nothing: a second call raises `BodyGoneError`, unless `raw` or `as_bytes` came first.
        """
        for piece in self._pieces():
            if piece is None:
                self._stream.pull()
            else:
                yield piece

    def as_email(self) -> EmailMessage:
        """The EML, parsed by the standard library under its default policy.

        To read with. Written out again it has other headers, and its signatures are broken: use `as_bytes`.
        """
        from email import message_from_bytes, policy

        return message_from_bytes(self.as_bytes(), policy=policy.default)


class _Reading(Stream[Message], Iterator[Message]):
    """A stream that is fed as its messages are asked for."""

    def __init__(self, source: SourceLike, **options: Any) -> None:
        super().__init__(Message, **options)
        self.past = Stream(Message, **options)  # without a source: a header that is kept keeps no file open
        self._feed = Feed(source)

    def pull(self) -> None:
        """Have more of the source fed."""
        self._feed.pull(self)

    def __next__(self) -> Message:
        passed = self.current
        try:
            while (message := self.next_message()) is None:
                if self.ended:
                    raise StopIteration
                self.pull()
        finally:
            if passed and self.current is not passed:
                _let_go(passed)
        return message


def messages(
    source: SourceLike,
    *,
    headers: str = "repair",
    newline: str = "crlf",
    variant: str = "auto",
    repair_signed: bool = False,
    locale: str | None = None,
) -> Iterator[Message]:
    """Read a mailbox message by message, in constant memory, in the order of the file.

    `source` is one of those that `convert` takes: a mailbox or what holds several, which come one after the
    other (`Message.source` names each). Asking for the next message discards what was left unread of the
    last. A source without any From_ line gives no messages. `headers`, `newline`, `variant`,
    `repair_signed` and `locale` are as for `convert`.

    Raises `SourceError` where a path cannot be read and `UsageError` for an unknown option, both before
    the first message; and `SourceError` after the last message where some of the source was damaged.

    >>> for message in unmbox.messages("All mail.mbox"):
    ...     if "スター付き" in message.labels:
    ...         print(message.date, message.subject, message.labels)
    2018-12-24 21:05:00+09:00 夕焼けの写真 ['受信トレイ', 'スター付き', '写真, 2018年']
    """
    return _Reading(
        source,
        headers=headers,
        newline=newline,
        variant=variant,
        repair_signed=repair_signed,
        locale=locale,
    )
