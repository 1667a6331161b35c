"""`messages()`: a mailbox as an iterator of `Message`, in the order of the file and in constant memory."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from unmbox._block import Repair
from unmbox._head import MessageHead
from unmbox._opened import Opened
from unmbox._parser import Parser
from unmbox._report import Damage
from unmbox._single import parser_for
from unmbox._writer import EmlWriter
from unmbox.errors import BodyGoneError, SourceError
from unmbox.events import Body, End, Event, Head, HeadRest
from unmbox.sources import Source, SourceLike

if TYPE_CHECKING:
    from email.message import EmailMessage


class Message(MessageHead):
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

    __slots__ = ("_head", "_kept", "_repairs", "_stream", "_touched", "length")

    def __init__(self, head: Head, stream: _Stream) -> None:
        super().__init__(head, stream.source.name, stream.source.beside)
        self.length: int | None = None
        """Octets of the source from `offset` to the next From_ line, once the message has been read."""
        self._head = head
        self._stream = stream
        self._kept: list[Event] | None = None
        self._repairs: tuple[Repair, ...] | None = None
        self._touched = False

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """What was normalised in the EML, or left alone and why. Reads the message if nothing has yet."""
        if self._repairs is None:
            self.as_bytes()
        return self._repairs or ()

    @property
    def raw(self) -> bytes:
        """The message's octets as stored, unquoted: header block and body, without the From_ line.

        Raises `BodyGoneError` once the next message was asked for, unless the body was kept before.
        """
        return b"".join(event.data for event in self._keep() if isinstance(event, (Head, HeadRest, Body)))

    def as_bytes(self) -> bytes:
        """The EML as `convert` would write it. Raises `BodyGoneError` as `raw` does."""
        self._keep()
        return b"".join(self.iter_bytes())

    def iter_bytes(self) -> Iterator[bytes]:
        """The same in pieces, so that a message of any size costs no more than a small one.

        Keeps nothing: a second call raises `BodyGoneError`, unless `raw` or `as_bytes` came first.
        """
        writer = self._stream.writer()
        if self._kept is not None:
            events = iter(self._kept)
        else:
            self._take()
            events = self._stream.rest_of(self)
        for event in events:
            if piece := writer.send(event):
                yield piece
        self._repairs = writer.repairs

    def as_email(self) -> EmailMessage:
        """The EML, parsed by the standard library under its default policy.

        To read with. Written out again it has other headers, and its signatures are broken: use `as_bytes`.
        """
        from email import message_from_bytes, policy

        return message_from_bytes(self.as_bytes(), policy=policy.default)

    def _keep(self) -> list[Event]:
        if self._kept is None:
            self._take()
            self._kept = list(self._stream.rest_of(self))
        return self._kept

    def _take(self) -> None:
        if self._touched or self._stream.current is not self:
            state = "was read in pieces" if self._touched else "was passed without being read"
            raise BodyGoneError(
                f"the body of the message at octet {self.offset} of {self.source} {state}: "
                "ask for raw or as_bytes() first, while the message is the current one"
            )
        self._touched = True


class _Stream(Iterator[Message]):
    """The events of the sources, one after the other, and which message they belong to."""

    def __init__(self, source: SourceLike, *, headers: str, newline: str, variant: str) -> None:
        self.source: Source
        self.current: Message | None = None
        self._opened = Opened(source, one=True)
        self._sources = iter(self._opened)
        self._chunks: Iterator[bytes] | None = None
        self._damaged: list[Damage] = []
        self._headers = headers
        self._newline = newline
        self._variant = variant
        self._parser = Parser(variant=variant)
        self._events: deque[Event] = deque()
        self.writer()  # a bad option is an error now, not at the first message

    def writer(self) -> EmlWriter:
        return EmlWriter(headers=self._headers, newline=self._newline)

    def __next__(self) -> Message:
        while event := self._next():
            if isinstance(event, Head):
                self.current = message = Message(event, self)
                return message
            if isinstance(event, End) and self.current is not None:
                self.current.length = event.length
        self.current = None
        raise StopIteration

    def rest_of(self, message: Message) -> Iterator[Event]:
        """The message's events, from its `Head` to its `End`."""
        yield message._head  # noqa: SLF001  # the two classes are one machine
        while self.current is message and (event := self._next()):
            if isinstance(event, End):
                message.length = event.length
            yield event
            if isinstance(event, End):
                return
        raise BodyGoneError("the next message was asked for while this one was still being read")

    def _next(self) -> Event | None:
        events = self._events
        while not events:
            if self._chunks is None and not self._open_next():
                return None
            chunk = next(self._chunks, None) if self._chunks else None
            if chunk is None:
                events.extend(self._parser.close())
                self._chunks = None
                if self.source.damage:
                    self._damaged.append(self.source.damage)
            else:
                events.extend(self._parser.feed(chunk))
        return events.popleft()

    def _open_next(self) -> bool:
        """Go on with the next source; False where there is none, an error where some could not be read."""
        source = next(self._sources, None)
        if source is not None:
            self.source = source
            self._parser = parser_for(single=source.single, variant=self._variant)
            self._chunks = source.chunks()
            return True
        damaged = [*self._damaged, *self._opened.damaged]
        self._damaged, self._opened.damaged = [], []
        if damaged:
            more = f" (and {len(damaged) - 1} more)" if len(damaged) > 1 else ""
            raise SourceError(errno.EIO, f"damaged: {damaged[0]}{more}", offset=damaged[0].offset)
        return False


def messages(
    source: SourceLike, *, headers: str = "repair", newline: str = "crlf", variant: str = "auto"
) -> Iterator[Message]:
    """Read a mailbox message by message, in constant memory, in the order of the file.

    `source` is one of those that `convert` takes: a mailbox or what holds several, which come one after the
    other (`Message.source` names each). Asking for the next message discards what was left unread of the
    last. A source without any From_ line gives no messages. `headers` and `newline` are as for `EmlWriter`,
    `variant` is as for `Parser`.

    Raises `SourceError` where a path cannot be read and `UsageError` for an unknown option, both before
    the first message; and `SourceError` after the last message where some of the source was damaged.

    >>> for message in unmbox.messages("All mail.mbox"):
    ...     if "スター付き" in message.labels:
    ...         print(message.date, message.subject, message.labels)
    2018-12-24 21:05:00+09:00 夕焼けの写真 ['受信トレイ', 'スター付き', '写真, 2018年']
    """
    return _Stream(source, headers=headers, newline=newline, variant=variant)
