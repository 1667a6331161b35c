"""`Parser`: the octets of a mailbox in, events out. No input or output of its own.

The octets pass through whole chunks at a time. A chunk is searched for the next line that begins
``From ``, quoted or not; what lies between two such lines is handed on as one piece, so the number of
Python steps grows with messages and chunks, not with lines. Held back is only what the next octets may
still change: a line that may become a From_ line, and the line end before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from unmbox._fromline import DATED_AFTER_BLANK, TOO_LONG, common_line, decide, holds_trace_fields_only
from unmbox._mime import IN_ATTACHED, INCLUDED, OpenMessage, follows_marker, may_open_part
from unmbox._scan import (
    FROM_SIZE,
    WINDOW,
    find_from,
    find_line_end,
    hold_back,
    start_of_line_end,
    unquote,
)
from unmbox._variant import (
    NO_LENGTH,
    SWAP_CR_LF,
    VARIANTS,
    as_stored,
    content_length,
    is_cr_only,
    settle_variant,
)
from unmbox._window import LOOK_BEHIND, MAX_LINE, SETTLE, Window, as_bytes
from unmbox.errors import UsageError
from unmbox.events import Body, End, Event, Head, HeadRest, Junk, Rejected

MAX_HEAD = 1 << 20
"""Octets of a header block in a `Head`. Postfix takes 100 KiB of header, Exim 1 MiB."""
MAX_CLAIM = 1 << 20
"""Largest Content-Length that is believed: it is verified by looking ahead, and that much is held."""

# What the octets and the open message say beyond `_fromline` and `_mime`.
BY_LENGTH = "Content-Length"
RESUMED = "known before"
IN_HEADER_BLOCK = "inside-header-block"
IN_CLAIM = "inside-content-length"
HEAD_TOO_LONG = "head-too-long"
CLAIM_IGNORED = "content-length-ignored"

_BOM = b"\xef\xbb\xbf"
_HEAD_STOP = re.compile(rb"\n(?:\r?\n|From )")

_Verdict = tuple[bool, str]


class Parser(Window):
    """Turns the octets of one mailbox into events, whatever the cutting (sans-I/O).

    `variant` is how bodies are quoted: ``"mboxrd"`` (one ``>`` is taken from ``>+From ``), ``"mboxo"``
    (only ``>From ``), ``"mboxcl"`` (as mboxo, with Content-Length), ``"mboxcl2"`` (Content-Length, no
    quoting), or ``"auto"``: decided from the first 1 MiB. Content-Length counts in the last two only when
    named, and only where the octets agree with it.

    `offset`, `settled`, `newline` and `charset` are for going on in the middle of a source: the first octet
    fed stands at `offset` and begins a From_ line that is known to separate; the others are what the
    properties `variant`, `newline` and `charset` had said.

    Nothing but `UsageError` (an unknown variant, `feed` after `close`) is raised, whatever the octets.
    Held back are at most 1 MiB of a header block or of a claimed body, else 64 KiB and the last chunk.
    """

    def __init__(
        self,
        *,
        variant: str = "auto",
        settled: str | None = None,
        newline: bytes = b"\n",
        charset: str | None = None,
        offset: int | None = None,
    ) -> None:
        if variant not in VARIANTS:
            raise UsageError(f"unknown variant {variant!r}: choose one of {', '.join(VARIANTS)}")
        super().__init__(offset or 0)
        self._variant = settled or variant
        self._by_length = variant in {"mboxcl", "mboxcl2"}
        self._swapped = newline == b"\r"
        self._charset = charset
        self._first = [] if offset is None else None
        self._closed = False
        self._state: Callable[[bool], bool] = self._start if offset is None else self._resume

        # The open message.
        self._offset = 0  # of its From_ line in the source
        self._block = 0  # of its header block in the source
        self._from_line = b""
        self._reason = ""
        self._head: bytes | None = None  # its header block, once `Head` has gone out
        self._mime: OpenMessage | None = None
        self._notes: tuple[str, ...] = ()
        self._strays: list[Rejected] = []  # From_ lines in a header block, told after its `Head`
        self._trace_only = True

    def feed(self, data: bytes) -> list[Event]:
        """Take the next octets (any number) and return what they made certain, in the source's order."""
        if self._closed:
            raise UsageError("feed() after close(): make a new Parser for a new source")
        if type(data) is not bytes:
            data = as_bytes(data)
        self._settle(data, at_eof=False)
        enough = self._add(data.translate(SWAP_CR_LF) if self._swapped else data)
        return self._run(at_eof=False) if enough else []

    def close(self) -> list[Event]:
        """Say that the source has ended and return the last events. A second call returns none."""
        if self._closed:
            return []
        self._closed = True
        self._settle(b"", at_eof=True)
        return self._run(at_eof=True)

    # -- the machine ---------------------------------------------------------------------------------

    def _run(self, *, at_eof: bool) -> list[Event]:
        self._join()
        while self._state(at_eof):
            pass
        self._trim()
        events = self._events
        self._events = []
        return self._settled([as_stored(event) for event in events] if self._swapped else events)

    # -- before the first From_ line -----------------------------------------------------------------

    def _start(self, at_eof: bool) -> bool:
        data = self._data
        enough = at_eof or len(data) >= SETTLE
        if not enough and (self._variant == "auto" or b"\n" not in data):
            return False
        if is_cr_only(data[:SETTLE]):
            self._swapped = True
            self._data = data = data.translate(SWAP_CR_LF)
        if self._variant == "auto":
            self._variant = settle_variant(data[:SETTLE])
        self._state = self._read_junk
        self._scan = len(_BOM) if data.startswith(_BOM) else 0
        if data.startswith(b"From ", self._scan):
            self._state = self._read_first
        return True

    def _resume(self, at_eof: bool) -> bool:
        line_end = find_line_end(self._data, 0, at_eof)
        if line_end is None:
            return False
        self._open(0, line_end, RESUMED)
        return True

    def _read_first(self, at_eof: bool) -> bool:
        """The source's very first line begins ``From ``: no line end stands before it to be found by."""
        return self._judge_junk(self._scan, at_eof)

    def _read_junk(self, at_eof: bool) -> bool:
        data = self._data
        while match := find_from(data, self._scan):
            if match.end() - match.start() == FROM_SIZE:
                self._scan = match.start()
                return self._judge_junk(match.start() + 1, at_eof)
            self._scan = match.end()  # ">From ", a line like any other here
        settled, self._scan = (len(data), len(data)) if at_eof else hold_back(data, self._scan)
        self._emit(Junk, settled)
        return False

    def _judge_junk(self, at: int, at_eof: bool) -> bool:
        """Decide on a From_ line with no message open; False where it needs more octets."""
        line_end = find_line_end(self._data, at, at_eof)
        if line_end is None:
            return False
        alone = not self._before(at).removeprefix(_BOM).strip()
        blank = alone or self._blank_before(at)
        verdict = self._decide(at, line_end, blank, at_eof, alone=alone)
        if verdict is None:
            return False
        self._emit(Junk, at)
        if verdict[0]:
            self._open(at, line_end, verdict[1])
        else:
            self._events.append(self._reject(at, line_end, verdict[1]))
            self._state = self._read_junk
        return True

    # -- From_ lines ---------------------------------------------------------------------------------

    def _decide(
        self, at: int, line_end: int, blank: bool, at_eof: bool, *, alone: bool = False
    ) -> _Verdict | None:
        if line_end < 0:
            return False, TOO_LONG
        return decide(self._data, at, line_end, blank_before=blank, alone=alone, at_eof=at_eof)

    def _reject(self, at: int, line_end: int, reason: str) -> Rejected:
        if line_end < 0:
            line_end = at + MAX_LINE
        self._scan = line_end
        return Rejected(self._base + at, self._line(at, line_end), reason)

    def _open(self, at: int, line_end: int, reason: str) -> None:
        """Begin the message whose From_ line stands at `at`."""
        self._offset = self._base + at
        self._from_line = self._line(at, line_end)
        self._reason = reason
        self._out = self._checked = block = min(line_end + 1, len(self._data))
        self._block = self._base + block
        self._scan = line_end
        self._head = self._mime = None
        self._notes = ()
        self._trace_only = True
        self._state = self._read_head

    def _end(self, at: int) -> None:
        self._events.append(End(self._offset, self._base + at - self._offset, self._notes))
        self._out = at

    # -- the header block ----------------------------------------------------------------------------

    def _read_head(self, at_eof: bool) -> bool:
        """Find the block's end: an empty line, a From_ line that separates, or the end of the source."""
        data = self._data
        while match := _HEAD_STOP.search(data, self._scan):
            self._scan = match.start()
            if match.end() - match.start() < FROM_SIZE:
                self._emit_head(match.end())
                self._scan = match.end() - 1
                self._state = self._read_claimed if self._by_length else self._read_body
                return True
            at = match.start() + 1
            line_end = find_line_end(data, at, at_eof)
            if line_end is None:
                return False
            verdict = self._decide_in_head(at, line_end, at_eof)
            if verdict is None:
                return False
            if verdict[0]:
                self._emit_head(at)
                self._end(at)
                self._open(at, line_end, verdict[1])
                return True
            stray = self._reject(at, line_end, verdict[1])
            if self._base + at - self._block <= MAX_HEAD:
                self._strays.append(stray)
            else:
                self._emit_head(start_of_line_end(data, at))
                self._events.append(stray)
        if at_eof:
            self._emit_head(len(data))
            self._end(len(data))
            self._state = self._read_nothing
            return False
        self._scan = max(self._scan, len(data) - FROM_SIZE + 1)
        if self._base + len(data) - self._block > MAX_HEAD + FROM_SIZE:
            line = data.find(b"\n", self._scan)
            settled = start_of_line_end(data, line + 1) if line >= 0 else len(data) - data.endswith(b"\r")
            self._emit_head(settled)
        return False

    def _decide_in_head(self, at: int, line_end: int, at_eof: bool) -> _Verdict | None:
        if self._base + at - self._block <= MAX_HEAD and self._only_trace_fields(at):
            # A relay wrote the message's own From_ line among the fields: it begins nothing.
            return False, IN_HEADER_BLOCK
        return self._decide(at, line_end, self._blank_before(at), at_eof)

    def _only_trace_fields(self, at: int) -> bool:
        """Whether the block up to `at` is all fields, and none that every message has."""
        if self._trace_only and at > self._checked:
            lines = b"\n" + self._data[self._checked : at - 1]
            self._trace_only = holds_trace_fields_only(lines)
            self._checked = at
        return self._trace_only

    def _emit_head(self, end: int) -> None:
        """Hand on the block up to `end`: as `Head` up to its bound, as `HeadRest` from there."""
        data, out, stop = self._data, self._out, end
        if self._head is None:
            if end - out > MAX_HEAD:
                self._notes = (HEAD_TOO_LONG,)
                stop = data.rfind(b"\n", out, out + MAX_HEAD) + 1
                stop = stop or out + MAX_HEAD - (data[out + MAX_HEAD - 1] == 0x0D)
            self._head = data[out:stop]
            self._events.append(Head(self._offset, self._from_line, self._head, b"\n", self._reason))
            if self._strays:
                self._events += self._strays
                self._strays = []
            self._out = stop
        self._emit(HeadRest, end)

    # -- the body ------------------------------------------------------------------------------------

    def _read_body(self, at_eof: bool) -> bool:
        data = self._data
        while match := find_from(data, self._scan):
            line = match.start()
            if match.end() - line > FROM_SIZE:
                self._unquote(match, len(data))
                continue
            self._scan = line
            at = line + 1
            common = common_line(data, at)
            if common and self._surely_separates(line):
                line_end = common.end() - 1
                verdict: _Verdict | None = (True, DATED_AFTER_BLANK)
            else:
                found = find_line_end(data, at, at_eof)
                verdict = None if found is None else self._decide_in_body(at, found, at_eof)
                line_end = found or 0
            self._emit(Body, line - 1 if data[line - 1] == 0x0D and line else line)
            if verdict is None:
                return False
            if verdict[0]:
                self._drop_empty_line(at)
                self._end(at)
                self._open(at, line_end, verdict[1])
                return True
            self._events.append(self._reject(at, line_end, verdict[1]))
        if at_eof:
            self._finish()
            return False
        settled, self._scan = hold_back(data, self._scan)
        self._emit(Body, settled)
        if self._mime:
            self._mime.holds(self._behind, data, len(data), self._base)
        return False

    def _surely_separates(self, line: int) -> bool:
        """Whether a dated line after the line end at `line` needs no second look.

        That is after an empty line, itself after a line that is neither MIME's nor a marker: with
        the facts at hand and no call of `decide`, whose verdict is the same.
        """
        data = self._data
        end = line - 1 if data[line - 1] == 0x0D else line  # where the empty line begins
        if self._mime or end < 2 or data[end - 1] != 0x0A:
            return False
        last = data.rfind(b"\n", 0, end - 1) + 1
        return last > 0 and not may_open_part(data, last)

    def _decide_in_body(self, at: int, line_end: int, at_eof: bool) -> _Verdict | None:
        mime = self._mime
        if mime and mime.holds(self._behind, self._data, at, self._base):
            return False, IN_ATTACHED
        blank = self._blank_before(at)
        before = self._before(at, min(LOOK_BEHIND, self._base + at - self._block))
        if follows_marker(before):
            return False, INCLUDED
        if blank:
            if mime is None:
                self._mime = mime = OpenMessage(self._head or b"")
            claim = mime.claims(before, self._data, at, self._base + at, at_eof)
            if claim != "":
                return None if claim is None else (False, claim)
        return self._decide(at, line_end, blank, at_eof)

    def _unquote(self, match: re.Match[bytes], end: int) -> None:
        """Unquote the line found, and those after it in one sweep: dense quoting costs no steps a line."""
        if self._variant == "mboxcl2":
            self._scan = match.end()
            return
        data, line = self._data, match.start()
        stop = min(end, line + WINDOW)
        last = data.find(b"\nFrom ", line, stop)
        if last < 0:
            last = data.rfind(b"\n", match.end(), stop)
        self._scan = last if last >= 0 else match.end()
        self._emit(Body, line + 1)
        self._out = start_of_line_end(data, last + 1) if last >= 0 else match.end()
        # The pattern wants the line end before the first line, which has gone out already.
        text = unquote(data[line : self._out], self._variant)[1:]
        taken = self._variant == "mboxrd" or match.end() - line == FROM_SIZE + 1
        self._events.append(Body(self._base + line + 1 + taken, text))

    def _drop_empty_line(self, at: int) -> None:
        """Leave out the line end before `at` where it ends an empty line: the separator's own."""
        out = self._out
        if out < at and (self._data[out - 1] if out else self._behind[-1]) == 0x0A:
            self._out = at
        else:
            self._emit(Body, at)

    def _finish(self) -> None:
        end = len(self._data)
        if end > self._out and self._data.endswith(b"\n"):
            self._emit(Body, start_of_line_end(self._data, end))
            self._drop_empty_line(end)
        self._emit(Body, end)
        self._end(end)
        self._state = self._read_nothing

    def _read_nothing(self, _at_eof: bool) -> bool:
        """The source has ended."""
        self._scan = self._out = len(self._data)
        return False

    # -- the body by its Content-Length --------------------------------------------------------------

    def _read_claimed(self, at_eof: bool) -> bool:
        """Take a body by its Content-Length where the octets agree: the end or a From_ line behind it."""
        claim = content_length(self._head or b"")
        data = self._data
        stop = self._out + claim
        believable = 0 <= claim <= MAX_CLAIM
        if believable and len(data) < stop + len(b"\r\nFrom ") and not at_eof:
            return False
        after = stop
        if believable and data.startswith((b"\n", b"\r\n"), stop):
            after = data.index(b"\n", stop) + 1
        agrees = after == len(data) or data.startswith(b"From ", after)
        # A From_ line begins a line: the body or the empty line after it must end one.
        halved = believable and data[stop - 1 : stop + 1] == b"\r\n"
        if not believable or not agrees or halved or (after < len(data) and data[after - 1] != 0x0A):
            if claim != NO_LENGTH:
                self._notes += (CLAIM_IGNORED,)
            self._state = self._read_body
            return True
        line_end = find_line_end(data, after, at_eof)
        if line_end is None:
            return False
        self._emit_claimed(stop)
        self._end(after)
        self._scan = after
        self._state = self._read_nothing
        if after < len(data):
            self._open(after, line_end, BY_LENGTH)
        return True

    def _emit_claimed(self, stop: int) -> None:
        data = self._data
        while (match := find_from(data, self._scan)) and match.start() + 1 < stop:
            at = match.start() + 1
            if match.end() - match.start() > FROM_SIZE:
                self._unquote(match, stop)
            else:
                self._emit(Body, start_of_line_end(data, at))
                line_end = data.find(b"\n", at, stop)
                self._events.append(self._reject(at, line_end if line_end >= 0 else stop, IN_CLAIM))
        self._emit(Body, stop)
