"""The octets of one message (an .eml file) in, events out: `Parser` without From_ lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from unmbox._judge import MAX_HEAD
from unmbox._late import late
from unmbox._parser import Parser
from unmbox._scan import find_line_end, start_of_line_end
from unmbox._variant import SWAP_CR_LF, is_cr_only
from unmbox._window import SETTLE
from unmbox.events import Body, Event, Junk

SINGLE = "eml"
"""What stands for the variant of a source that is one message."""
WHOLE_SOURCE = "whole-source"
"""Why a message begins where no From_ line says so."""

_LEADING = late(rb"(?:\xef\xbb\xbf)?[\r\n]*").match
_FIELD = late(rb"[!-9;-~]+[ \t]*:").match
_FROM_LINE = late(rb">?From (?![ \t]*:)").match
_EMPTY_LINE = late(rb"\r?\n").match
_BLOCK_END = late(rb"\n\r?\n")


class SingleParser(Parser):
    """One message from its first octet to the end of its source: no line separates, nothing is unquoted.

    A byte order mark, and empty lines before the first field, are `Junk`. A From_ line that an exporter
    left on top is the message's `from_line`. The bounds are those of `Parser`.
    """

    @property
    def variant(self) -> str:
        """Always ``"eml"``."""
        return SINGLE

    def _start(self, at_eof: bool) -> bool:
        data = self._data
        enough = at_eof or len(data) >= SETTLE
        if not enough and b"\n" not in data:
            return False
        if is_cr_only(data[:SETTLE]):
            self._swapped = True
            self._data = data = data.translate(SWAP_CR_LF)
        return self._begin(at_eof, enough)

    def _resume(self, at_eof: bool) -> bool:
        return self._begin(at_eof, at_eof)

    def _begin(self, at_eof: bool, enough: bool) -> bool:
        """Open the message behind what stands before its first line."""
        data = self._data
        found = _LEADING(data)
        at = found.end() if found else 0
        line_end = find_line_end(data, at, at_eof)
        if not data or line_end is None or (at == len(data) and not enough):
            if at_eof:
                self._state = self._read_nothing
            return False
        if _FROM_LINE(data, at) and line_end > 0:
            self._emit(Junk, at)
            self._open(at, line_end, WHOLE_SOURCE)
            return True
        if not _FIELD(data, at):
            at = 3 * data.startswith(b"\xef\xbb\xbf")  # no header block: the empty line is what ends it
        self._emit(Junk, at)
        self._open(at, at - 1, WHOLE_SOURCE)
        self._from_line, self._scan = b"", max(0, self._scan)
        if empty := _EMPTY_LINE(data, at):
            self._emit_head(empty.end())
            self._state = self._read_body
        return True

    def _read_head(self, at_eof: bool) -> bool:
        data = self._data
        found = _BLOCK_END.search(data, self._scan)
        if found:
            self._emit_head(found.end())
            self._scan = found.end()
            self._state = self._read_body
            return True
        if at_eof:
            self._emit_head(len(data))
            self._end(len(data))
            self._state = self._read_nothing
            return False
        self._scan = max(self._scan, len(data) - 2)
        if self._base + len(data) - self._block > MAX_HEAD + 2:
            line = data.find(b"\n", self._scan)
            settled = start_of_line_end(data, line + 1) if line >= 0 else len(data) - data.endswith(b"\r")
            self._emit_head(settled)
        return False

    def _read_body(self, at_eof: bool) -> bool:
        data = self._data
        self._scan = len(data)
        self._emit(Body, len(data) - (data.endswith(b"\r") and not at_eof))
        if at_eof:
            self._end(len(data))
            self._state = self._read_nothing
        return False


def events_of(chunks: Iterable[bytes], parser: Parser) -> Iterator[Event]:
    """What a parser makes of chunks, to their end."""
    for chunk in chunks:
        yield from parser.feed(chunk)
    yield from parser.close()


def parser_for(
    *,
    single: bool,
    variant: str = "auto",
    settled: str | None = None,
    newline: bytes = b"\n",
    charset: str | None = None,
    offset: int | None = None,
) -> Parser:
    """The parser for a source: of a mailbox, or of one message. The arguments are those of `Parser`."""
    kind = SingleParser if single else Parser
    return kind(variant=variant, settled=settled, newline=newline, charset=charset, offset=offset)
