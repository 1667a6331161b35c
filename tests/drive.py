"""Every door into a mailbox, so that each vector can be sent through all of them; and events, joined."""

from __future__ import annotations

import io
import random
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest

import unmbox
from unmbox import aio
from unmbox._fromline import find_date
from unmbox._parser import Parser
from unmbox.events import Body, End, Event, Head, HeadRest, Junk, Rejected

MIB = 1 << 20
TOLD = 10_000
"""From_ lines of a source that were not taken and come one by one."""
DATED = b"From a@example.org Thu Jan  1 00:00:00 1970"
MAIL = DATED + b"\nFrom: a@example.org\nSubject: one\n\nfirst\n\n"
"""A small message with the empty line behind it."""


def is_dated(line: bytes) -> bool:
    """Tell whether a From_ line carries a date."""
    return line.startswith(b"From ") and find_date(line) is not None


@dataclass(slots=True)
class Joined:
    """One message of the events: its `Head`, its octets however they were cut, and its `End`."""

    head: Head
    block: bytes
    body: bytes = b""
    end: End | None = None

    @property
    def raw(self) -> bytes:
        return self.block + self.body

    @property
    def length(self) -> int:
        assert self.end is not None
        return self.end.length

    @property
    def notes(self) -> tuple[str, ...]:
        assert self.end is not None
        return self.end.notes


@dataclass(slots=True)
class Gathered:
    """All that a parser said, without the accidents of where its input was cut."""

    junk: bytes = b""
    messages: list[Joined] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    def tiled(self) -> int:
        """Octets accounted for; fails where two neighbours do not meet."""
        at = len(self.junk)
        for message in self.messages:
            assert message.head.offset == at
            at += message.length
        return at


def gather(events: Iterable[Event]) -> Gathered:
    """Join events; fails on any order of events that makes no sense."""
    found = Gathered()
    # Grown in place and made bytes at the end: octets may come one at a time, megabytes of them.
    junk, block, body = bytearray(), bytearray(), bytearray()
    current: Joined | None = None
    for event in events:
        if isinstance(event, Junk):
            assert not found.messages, "junk comes only before the first message"
            assert event.offset == len(junk)
            assert event.data
            junk += event.data
        elif isinstance(event, Head):
            assert current is None, "a message begins before the last one ended"
            current = Joined(event, b"")
            found.messages.append(current)
            block, body = bytearray(event.data), bytearray()
        elif isinstance(event, Rejected):
            last = found.rejected[-1] if found.rejected else None
            assert last is None or event.offset > last.offset, "in the source's order"
            if last and len(found.rejected) > TOLD and last.reason == event.reason:
                found.rejected[-1] = last._replace(lines=last.lines + event.lines)
            else:
                assert event.lines == 1 or len(found.rejected) >= TOLD
                found.rejected.append(event)
        else:
            assert current is not None, "an event of a message stands outside one"
            if isinstance(event, End):
                assert current.head.offset == event.offset
                current.block, current.body, current.end = bytes(block), bytes(body), event
                current = None
            elif isinstance(event, HeadRest):
                assert event.data
                assert not body, "a header block goes on behind the body"
                block += event.data
            else:
                assert isinstance(event, Body)
                assert event.data
                body += event.data
    assert current is None, "the last message never ended"
    found.junk = bytes(junk)
    return found


def chunks(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    """The octets, cut at these places (sorted); places that coincide give empty chunks."""
    at = 0
    for cut in cuts:
        yield data[at:cut]
        at = cut
    yield data[at:]


def events_of(pieces: Iterable[bytes], variant: str = "auto") -> list[Event]:
    """Feed pieces to a new parser and close it."""
    parser = Parser(variant=variant)
    events: list[Event] = []
    for piece in pieces:
        events += parser.feed(piece)
    return events + parser.close()


def parse(data: bytes, cuts: Sequence[int] = (), variant: str = "auto") -> Gathered:
    """Parse octets, cut at these places."""
    return gather(events_of(chunks(data, cuts), variant))


def count(data: bytes, variant: str = "auto") -> int:
    """How many messages there are."""
    return len(parse(data, variant=variant).messages)


def random_cuts(data: bytes, count: int = 20, seed: int = 0) -> list[int]:
    """Places to cut, the same for the same octets' length and seed."""
    source = random.Random(seed)
    return sorted(source.randint(0, len(data)) for _ in range(count))


class Seen(NamedTuple):
    """What every door says of a message."""

    offset: int
    length: int
    raw: bytes


def _from_events(found: Gathered) -> list[Seen]:
    return [Seen(message.head.offset, message.length, message.raw) for message in found.messages]


def _from_messages(messages: Iterable[unmbox.Message]) -> list[Seen]:
    seen = []
    for message in messages:
        raw = message.raw
        assert message.length is not None
        seen.append(Seen(message.offset, message.length, raw))
    return seen


def _whole(data: bytes, folder: Path, variant: str) -> list[Seen]:
    return _from_events(parse(data, variant=variant))


def _octet_by_octet(data: bytes, folder: Path, variant: str) -> list[Seen]:
    return _from_events(parse(data, range(len(data)), variant))


def _cut_at_random(data: bytes, folder: Path, variant: str) -> list[Seen]:
    return _from_events(parse(data, random_cuts(data), variant))


def _path(data: bytes, folder: Path, variant: str) -> list[Seen]:
    path = folder / "a mailbox é.mbox"
    path.write_bytes(data)
    return _from_messages(unmbox.messages(path, variant=variant))


def _path_as_text(data: bytes, folder: Path, variant: str) -> list[Seen]:
    path = folder / "mailbox"
    path.write_bytes(data)
    return _from_messages(unmbox.messages(str(path), variant=variant))


def _file_object(data: bytes, folder: Path, variant: str) -> list[Seen]:
    return _from_messages(unmbox.messages(io.BytesIO(data), variant=variant))


class _Trickle(io.RawIOBase):
    """A raw stream that gives less than it is asked for, as pipes and sockets do."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        piece = self._file.read(min(len(buffer), 37))
        buffer[: len(piece)] = piece
        return len(piece)


def _trickling_file(data: bytes, folder: Path, variant: str) -> list[Seen]:
    return _from_messages(unmbox.messages(_Trickle(data), variant=variant))


def _iterable(data: bytes, folder: Path, variant: str) -> list[Seen]:
    return _from_messages(unmbox.messages(chunks(data, random_cuts(data, seed=1)), variant=variant))


def _async_iterable(backend: str, data: bytes, folder: Path, variant: str) -> list[Seen]:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in chunks(data, random_cuts(data, seed=2)):
            yield piece

    async def read() -> list[Seen]:
        seen = []
        async for message in aio.messages(pieces(), variant=variant):
            raw = await message.raw()
            assert message.length is not None
            seen.append(Seen(message.offset, message.length, raw))
        return seen

    return anyio.run(read, backend=backend)


Door = Callable[[bytes, Path, str], list[Seen]]
DOORS: dict[str, Door] = {
    "whole": _whole,
    "octet-by-octet": _octet_by_octet,
    "random-cuts": _cut_at_random,
    "path": _path,
    "path-as-text": _path_as_text,
    "file-object": _file_object,
    "trickling-file": _trickling_file,
    "iterable": _iterable,
    "asyncio": partial(_async_iterable, "asyncio"),
    "trio": partial(_async_iterable, "trio"),
}

every_door = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS.keys())
"""Decorator: the test's argument `door` becomes each door in turn: ``door(data, tmp_path, variant)``."""
