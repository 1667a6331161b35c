"""`convert()`: sources in, a folder of EML files and a `Report` out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zlib import crc32

from unmbox._head import MessageHead
from unmbox._parser import Parser
from unmbox._writer import EmlWriter
from unmbox.errors import UsageError
from unmbox.events import Body, End, Event, Head, HeadRest, Junk, Rejected
from unmbox.naming import DEFAULT_LAYOUT, Layout
from unmbox.sinks import DirectorySink, Sink, Target
from unmbox.sources import Source, SourceLike, as_list

_TICK = 0.1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a conversion is. Octets are of the sources; `octets_total` is None where a size is unknown."""

    octets: int
    octets_total: int | None
    messages: int
    source: str


@dataclass(frozen=True, slots=True)
class Report:
    """What became of everything: ``messages = written + duplicates + filtered + quarantined``.

    Sizes are in octets; `junk` is what stands before the first From_ line of a source, so that junk and
    the messages' lengths are `bytes_in`. `rejected` counts the lines that begin ``From `` and were not
    taken as separators. `not_mbox` names the sources that hold octets but no From_ line at all.
    """

    messages: int = 0
    written: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    junk: int = 0
    rejected: int = 0
    seconds: float = 0.0
    not_mbox: tuple[str, ...] = ()

    def __add__(self, other: Report) -> Report:
        """The report of both runs together."""
        return Report(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON."""
        return asdict(self)


@dataclass(slots=True)
class _Tally:
    """A `Report` in the making."""

    messages: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    junk: int = 0
    rejected: int = 0
    not_mbox: list[str] = field(default_factory=list)


def convert(
    sources: SourceLike | Iterable[SourceLike],
    destination: str | os.PathLike[str] | Sink,
    *,
    headers: str = "preserve",
    newline: str = "crlf",
    variant: str = "auto",
    layout: str = DEFAULT_LAYOUT,
    progress: Callable[[Progress], object] | None = None,
) -> Report:
    """Convert mailboxes to EML files, in constant memory, and say what became of every message.

    `sources` is one or several of: a path, a binary file object, an iterable of bytes. `destination` is a
    folder (made if absent) or a sink. `headers`, `newline` and `variant` are as for `EmlWriter` and
    `Parser`, `layout` as for `naming.Layout`. `progress` is called with a `Progress` some ten times a
    second.

    Raises `UsageError` before anything is written, `SourceError` where a source cannot be read and
    `DestinationError` where the destination refuses; what was written before stays whole.
    """
    opened = [Source(source) for source in as_list(sources)]
    if not opened:
        raise UsageError("no source: name at least one mailbox")
    writer = EmlWriter(headers=headers, newline=newline)
    parsers = [Parser(variant=variant) for _ in opened]
    names = Layout(layout)
    if isinstance(destination, (str, os.PathLike)):
        with DirectorySink(Path(destination)) as sink:
            run = _Run(opened, sink, writer, names, progress)
            return run.report(parsers)
    return _Run(opened, destination, writer, names, progress).report(parsers)


class _Run:
    """One call of `convert`: its events, one after the other, become files."""

    def __init__(
        self,
        sources: list[Source],
        sink: Sink,
        writer: EmlWriter,
        layout: Layout,
        progress: Callable[[Progress], object] | None,
    ) -> None:
        self._sources = sources
        self._sink = sink
        self._send = writer.send
        self._layout = layout
        self._progress = progress
        sizes = [source.size for source in sources]
        self._total = None if None in sizes else sum(size or 0 for size in sizes)
        self._next_tick = 0.0
        self._tally = _Tally()
        self._ordinal = 0
        self._name = ""
        self._message: MessageHead
        self._target: Target
        self._checksum = 0

    def report(self, parsers: list[Parser]) -> Report:
        started = time.perf_counter()
        for self._ordinal, (source, parser) in enumerate(zip(self._sources, parsers, strict=True)):
            self._name = source.name
            self._read(source, parser)
        self._tick(last=True)
        tally = self._tally
        return Report(
            messages=tally.messages,
            written=tally.messages,
            bytes_in=tally.bytes_in,
            bytes_out=tally.bytes_out,
            junk=tally.junk,
            rejected=tally.rejected,
            seconds=time.perf_counter() - started,
            not_mbox=tuple(tally.not_mbox),
        )

    def _read(self, source: Source, parser: Parser) -> None:
        tally, handle = self._tally, self._handle
        before = tally.messages
        octets = 0
        for chunk in source.chunks():
            octets += len(chunk)
            tally.bytes_in += len(chunk)
            handle(parser.feed(chunk))
            if self._progress:
                self._tick()
        handle(parser.close())
        if octets and tally.messages == before:
            tally.not_mbox.append(source.name)

    def _handle(self, events: list[Event]) -> None:
        send = self._send
        for event in events:
            kind = type(event)
            if kind is Body or kind is HeadRest:
                self._write(send(event))
            elif kind is End:
                self._commit()
            elif kind is Head:
                self._open(event)  # type: ignore[arg-type]  # mypy does not narrow by type()
                self._write(send(event))
            elif kind is Junk:
                self._tally.junk += len(event.data)  # type: ignore[union-attr]
            elif kind is Rejected:
                self._tally.rejected += 1

    def _open(self, head: Head) -> None:
        self._message = MessageHead(head, self._name)
        self._target = self._sink.open(self._message)
        self._checksum = 0

    def _write(self, octets: bytes) -> None:
        self._tally.bytes_out += len(octets)
        self._checksum = crc32(octets, self._checksum)
        self._target.write(octets)

    def _commit(self) -> None:
        message, wanted = self._message, self._layout.fields
        # Where the message stands makes the name its own, the check sum ties it to the content.
        key = b"%08x %d %d" % (self._checksum, self._ordinal, message.offset)
        name = self._layout.path(
            date=message.date,
            subject=message.subject if "subject" in wanted else "",
            sender=(message["From"] or message.envelope.sender) if "sender" in wanted else "",
            hash=blake2b(key, digest_size=6).hexdigest(),
        )
        self._target.commit(name)
        self._tally.messages += 1

    def _tick(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if self._progress and (last or now >= self._next_tick):
            self._next_tick = now + _TICK
            self._progress(Progress(self._tally.bytes_in, self._total, self._tally.messages, self._name))
