"""The octets under the parser's eyes: what was fed and not yet dropped, and where the parser stands in it."""

from __future__ import annotations

from unmbox._scan import (
    FROM_LINE,
    FROM_OR_QUOTED,
    blank_line_before,
    find_from,
    find_quoted,
    start_of_line_end,
    unquote,
)
from unmbox._source_charset import settle_charset
from unmbox.errors import UsageError
from unmbox.events import Body, Event, Head, HeadRest, Junk

SETTLE = 1 << 20
"""Octets from which variant, line end and charset are decided, once for the whole source."""
LOOK_BEHIND = 1 << 12
"""Octets before a From_ line that may tell it to be inside a MIME part."""
MAX_LINE = 1000
"""Octets of a From_ line that are kept in an event."""


class Window:
    """A stretch of the source. `base` is the source's offset of its first octet.

    Two indices move forward only: `_out` is the first octet not yet handed on, `_scan` where the search goes
    on. What is behind both is dropped, but for the last `LOOK_BEHIND` octets, which are kept beside it. What
    was settled for the whole source is told beside it.
    """

    _swapped: bool
    _charset: str | None
    _first: list[bytes] | None

    def __init__(self, base: int, variant: str) -> None:
        self._set_variant(variant)
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._needed = 0
        self._events: list[Event] = []
        self._data = b""
        self._base = base
        self._behind = b""
        self._out = 0
        self._scan = 0
        self._first_size = 0
        self._waiting: list[Event] = []
        self._checked = 0  # up to this index a header block was looked at
        self._quoted = -1  # the line end before the first quoted line in what was not yet handed on,
        self._next_quoted = -1  # and before the next one in `_data` that was searched for

    def _set_variant(self, variant: str) -> None:
        self._variant = variant
        self._search = FROM_LINE if variant == "mboxcl2" else FROM_OR_QUOTED

    @property
    def variant(self) -> str:
        """The variant in force: ``"auto"`` until the first 1 MiB (or the end) has decided it."""
        return self._variant

    @property
    def newline(self) -> bytes:
        r"""``b"\r"`` where lone CRs end the source's lines, else ``b"\n"`` (LF, CRLF or mixed)."""
        return b"\r" if self._swapped else b"\n"

    @property
    def charset(self) -> str | None:
        """What `Head.charset` says; None until the first 1 MiB (or the end) has decided it."""
        return self._charset

    def _settle(self, data: bytes, *, at_eof: bool) -> None:
        """Decide the charset, once the source's first octets are there."""
        if self._first is None:
            return
        self._first.append(data)
        self._first_size += len(data)
        if at_eof or self._first_size >= SETTLE:
            self._charset = settle_charset(b"".join(self._first)[:SETTLE])
            self._first = None

    def _settled(self, events: list[Event]) -> list[Event]:
        """Those events that nothing to come can change: a block with raw octets waits for the charset."""
        if self._waiting:
            self._waiting += events
            if self._first is not None:
                return []
            events, self._waiting = self._waiting, []
        if self._first is None and not self._charset:
            return events
        for number, event in enumerate(events):
            if isinstance(event, Head) and not event.data.isascii():
                if self._first is not None:
                    self._waiting = events[number:]
                    return events[:number]
                if self._charset:
                    events[number] = event._replace(charset=self._charset)
        return events

    def _add(self, data: bytes) -> bool:
        """Take the next octets, and say whether there are enough to go on.

        What could not be used waits until as much again has come: feeding single octets stays linear.
        """
        self._pending.append(data)
        self._pending_size += len(data)
        return self._pending_size > self._needed

    def _join(self) -> None:
        if self._data:
            self._pending.insert(0, self._data)
        # A chunk that nothing waits for stays the object that was fed: no octet of it is copied.
        self._data = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        self._pending = []
        self._pending_size = 0

    def _trim(self) -> None:
        cut = min(self._out, self._scan)
        if cut >= LOOK_BEHIND:
            self._behind = self._data[cut - LOOK_BEHIND : cut]
        else:
            self._behind = (self._behind + self._data[:cut])[-LOOK_BEHIND:]
        self._data = self._data[cut:]
        self._base += cut
        self._out -= cut
        self._scan -= cut
        self._checked -= cut
        self._needed = len(self._data)
        self._quoted = self._next_quoted = -1

    def _before(self, at: int, size: int = LOOK_BEHIND) -> bytes:
        """The octets before index `at`, at most `size` of them, wherever the chunks were cut."""
        if at >= size:
            return self._data[at - size : at]
        return (self._behind + self._data[:at])[-size:]

    def _line(self, at: int, line_end: int) -> bytes:
        return self._data[at : min(line_end, at + MAX_LINE)].removesuffix(b"\r")

    def _blank_before(self, at: int) -> bool:
        before = self._before(at, 3)
        return blank_line_before(self._before(at) if before[-2:-1] in b" \t\r" else before)

    # -- handing on ----------------------------------------------------------------------------------

    def _emit(self, kind: type[Junk | HeadRest | Body], end: int) -> None:
        """Hand on the octets up to `end`."""
        if end > self._out:
            self._events.append(kind(self._base + self._out, self._data[self._out : end]))
            self._out = end

    def _emit_body(self, end: int) -> None:
        """Hand on the body up to `end`, unquoted."""
        line = self._quoted
        if 0 <= line < end:
            self._emit(Body, line + 1)
            # The pattern wants the line end before the first line, which has gone out already.
            text = unquote(self._data[line:end], self._variant)[1:]
            self._events.append(Body(self._base + line + 2, text))
            self._out = end
            self._quoted = -1
        else:
            self._emit(Body, end)

    def _drop_empty_line(self, at: int) -> None:
        """Hand on the body up to the line at `at`, without the line end of an empty line before it."""
        self._emit_body(start_of_line_end(self._data, at))
        out = self._out
        if out < at and (self._data[out - 1] if out else self._behind[-1]) == 0x0A:
            self._out = at
        else:
            self._emit(Body, at)

    # -- looking for From_ lines ---------------------------------------------------------------------

    def _find(self, at: int) -> int:
        return find_from(self._data, at, FROM_LINE if self._quoted >= 0 else self._search)

    def _note_quoted(self, at: int) -> None:
        """From here on look for From_ lines only: `_emit_body` unquotes all that stands before the next."""
        if self._next_quoted < at:
            self._next_quoted = find_quoted(self._data, at, self._variant)
        self._quoted = self._next_quoted


def as_bytes(data: object) -> bytes:
    """A copy of a buffer, whose owner may reuse it while its octets wait here."""
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise UsageError(f"feed() takes bytes, not {type(data).__name__}")
