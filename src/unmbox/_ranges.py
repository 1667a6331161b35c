"""A mailbox cut into ranges of octets that several processes convert side by side, and what they say of them.

A range owns the messages whose From_ line begins in it. Where its first one begins is a guess, made without
reading what stands before; the process that has the range on its left parses on until its last message is
whole, and knows. Where both do not agree the range is converted anew, from the known offset.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from unmbox._fromline import common_line
from unmbox._parser import Parser
from unmbox._scan import FROM_LINE, blank_line_before, find_from
from unmbox._source_charset import settle_charset
from unmbox._window import SETTLE
from unmbox._writer import EmlWriter
from unmbox.errors import SourceError
from unmbox.events import Rejected
from unmbox.manifest import SourceState
from unmbox.sources import Source

RANGE = 8 << 20
"""Octets of a range: two batches of messages, so that a process is done with one before it must wait."""
_LEAST = 1 << 20
_PIECE = 1 << 18
_BEFORE = 1 << 12  # octets before a line that tell whether it follows an empty one


class Setup(NamedTuple):
    """What all work of a process has in common."""

    destination: str
    durable: bool
    new_writer: Callable[[], EmlWriter]
    newline: str
    variant: str


class Task(NamedTuple):
    """A range: `known` says that a message begins at `start`; the last one begins before `stop`.

    `inode` is that of the file when its ranges were cut.
    """

    number: int
    path: str
    state: SourceState
    start: int
    stop: int
    known: bool
    inode: int

    def source(self) -> Source:
        """The file, as large as it was, for it may grow. Raises `SourceError` where it is another one by now.

        One process has a file open from its first octet to its last, and does not see that its name is
        another one's. Here it is opened anew for each range.
        """
        source = Source(self.path)
        source.size = self.state.size
        # Both: some file systems number a file anew each time, and what is appended to changes its time.
        if source.mtime != self.state.mtime and os.stat(self.path).st_ino != self.inode:  # noqa: PTH116
            told = (
                f"{self.path} was replaced by another file while it was read: convert that into another "
                "destination, or start this one afresh (--no-resume)"
            )
            raise SourceError(errno.EIO, told, offset=self.start)
        return source


class Paths(NamedTuple):
    """The names of the files of the oldest parcel that has none yet, None for a copy; and their links."""

    paths: Sequence[str | None]
    links: Sequence[Sequence[str]]


class Drop(NamedTuple):
    """A task that nothing comes of: leave nothing of it."""

    task: int


class Begun(NamedTuple):
    """Where the first message of a range begins, None where none seems to."""

    task: int
    first: int | None


class Parcel(NamedTuple):
    """Messages that are complete, as `Mail.sent`; their octets stay with the process that made them.

    `junk` is how many octets stand before the source's first message, as far as the range has any of them.
    """

    task: int
    mails: Sequence[tuple[Any, ...]]
    junk: int


class Finished(NamedTuple):
    """A range is through. `end` is where the message after its last one begins, or the source ends."""

    task: int
    end: int
    state: SourceState
    strays: Sequence[Rejected] = ()
    uncounted: int = 0


class Done(NamedTuple):
    """The files of the oldest parcel that had names are written, or what went wrong with them."""

    error: Exception | None = None


class Failed(NamedTuple):
    """What went wrong beyond any message."""

    task: int
    error: Exception


def is_worth_it(source: Source, start: int) -> bool:
    """Whether a source can be cut, and holds enough after `start`."""
    plain = source.is_path and not source.single and source.beside is None
    return plain and (source.size or 0) - start >= 2 * _LEAST


def settle(source: Source, state: SourceState, variant: str) -> None:
    """Note in `state` what the source's first octets settle."""
    if state.variant is None:
        parser = Parser(variant=variant)
        data = source.read(0, SETTLE + 1)
        parser.feed(data)
        if len(data) <= SETTLE:
            parser.close()
        charset = settle_charset(data[:SETTLE]) if parser.charset is None else parser.charset
        state.settle(parser.variant, parser.newline, charset)


def parser_of(state: SourceState, variant: str, start: int) -> Parser:
    """A parser for a settled source from `start` on, where a message begins."""
    newline = state.newline or b"\n"
    return Parser(
        variant=variant, settled=state.variant, newline=newline, charset=state.charset, offset=start
    )


def cut(source: Source, start: int, workers: int) -> list[tuple[int, int]]:
    """The ranges of a source from `start` on, as offsets: enough of them for all workers."""
    size = source.size or 0
    step = max(_LEAST, min(RANGE, (size - start) // (4 * workers)))
    edges = [*range(start, size, step), size]
    return list(pairwise(edges))


def guess_start(source: Source, start: int, stop: int) -> int | None:
    """Where the first message in a range seems to begin: at a usual dated line after an empty one.

    The rule itself may need more than can be seen from here, and the range on the left has it.
    """
    at = start
    while at < stop:
        begin = max(0, at - _BEFORE)
        data = source.read(begin, at + _PIECE + _BEFORE)
        line = find_from(data, at - begin, FROM_LINE)
        while 0 <= line < min(at + _PIECE, stop) - begin:
            if common_line(data, line) and blank_line_before(data[max(0, line - _BEFORE) : line]):
                return begin + line
            line = find_from(data, line + 1, FROM_LINE)
        at += _PIECE
    return None
